"""The database's file: made for its owner alone, refused with a sentence when it cannot be used."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Final

from gatepost.stores.contract.errors import StoreMisconfigured

# Closing any descriptor of a file drops every POSIX lock this process holds on it, SQLite's too, so no connection
# of this process may open the file between our creating it and our closing it.
_creating: Final = threading.Lock()


def prepare_file(path: Path) -> None:
    """Create the directory (0700) and the database file (0600) where they are missing.

    SQLite gives `-wal` and `-shm` the mode of the database file. A file that exists keeps the mode its owner gave it.

    Raises:
        StoreMisconfigured: the path cannot hold a database that this process may write.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.is_dir():
            raise StoreMisconfigured(f"the store's path {path} is a directory: name a file in it, such as gatepost.db")
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise StoreMisconfigured(
                f"the directory {path.parent} is not writable, and SQLite keeps files beside the store: "
                "make it writable for this user, or put the store elsewhere"
            )
        with _creating:
            _create_if_missing(path)
        if not os.access(path, os.R_OK | os.W_OK):
            raise StoreMisconfigured(f"the store {path} is not readable and writable for this user")
    except OSError as error:
        raise StoreMisconfigured(f"the store {path} cannot be created: {error.strerror}") from error


def identity(path: Path) -> tuple[int, int]:
    """Return what tells this file from another that may take its name later; (0, 0) when there is none."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return (status.st_dev, status.st_ino)


def _create_if_missing(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    except FileExistsError:
        return
    os.close(descriptor)

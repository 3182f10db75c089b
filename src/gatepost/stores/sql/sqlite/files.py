"""The database's files: made for their owner alone, refused with a sentence when they cannot be used or are gone."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
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


class OpenFiles:
    """The files of a database that is open, told from others that have their names now.

    SQLite goes on in files that have lost their names, and a restart finds nothing of what it wrote there: of the
    database file as of the log `-wal`. Over a log without its `-shm`, another process would make an index of its own.
    """

    def __init__(self, path: Path) -> None:
        """Note the files that the names stand for now."""
        self._path = path
        self._log = f"{path}-wal"
        self._noted = [(name, _identity(name)) for name in (str(path), self._log, f"{path}-shm")]
        self.fault: str | None = None
        """What `look` found last, for people; None when all was well."""

    def look(self) -> str | None:
        """Return what is wrong, for people, and keep it; None when each name still stands for its file."""
        gone = [name for name, noted in self._noted if _identity(name) != noted]
        self.fault = self._explained(gone) if gone else None
        return self.fault

    def _explained(self, gone: Sequence[str]) -> str:
        cure = (
            "put the files back or restore a backup, and restart Gatepost, which would begin an empty store otherwise"
            if str(self._path) in gone
            else "end Gatepost with SIGTERM, which brings what it still holds into the database file, and start it"
        )
        verb = "has" if len(gone) == 1 else "have"
        return (
            f"the store {self._path} cannot answer: {', '.join(gone)} {verb} been removed or replaced, and what is "
            f"written now would be lost at a restart: {cure} (docs/backup.md)"
        )

    def have_another_log(self) -> bool:
        """Say whether another process may be writing to this database through a log of its own."""
        return _identity(self._log) not in {dict(self._noted)[self._log], _NONE}


_NONE: Final = (0, 0)


def _identity(name: str) -> tuple[int, int]:
    """Return what tells a file from another that may take its name later, as long as it is open; `_NONE` without."""
    try:
        status = os.stat(name)  # noqa: PTH116 - at every commit, and a Path costs as much as the call
    except OSError:
        return _NONE
    return (status.st_dev, status.st_ino)


def _create_if_missing(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    except FileExistsError:
        return
    os.close(descriptor)

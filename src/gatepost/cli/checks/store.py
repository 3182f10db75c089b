"""The store: whether it opens, in which version, and whether there is room and leave to write."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatepost.cli.checks.finding import USAGE, Finding
from gatepost.configuration.deployment import locate_store
from gatepost.configuration.settings import Settings
from gatepost.stores.contract.errors import StoreError
from gatepost.stores.urls import Location

if TYPE_CHECKING:
    from gatepost.stores.care.state import StoreStatus

_STORE: Final = "store"
_FILES: Final = "store files"
_DISK: Final = "disk"
_OTHERS: Final = 0o077
_LEAST_FREE: Final = 64 * 1024 * 1024
"""Bytes below which the next burst may fill the disk: SQLite's log alone may grow to that."""
_LITTLE_FREE: Final = 1024 * 1024 * 1024


async def store_found(settings: Settings) -> tuple[StoreStatus | None, list[Finding]]:
    """Return the status of the store, None where there is none that can be read, and what there is to say of it."""
    location = locate_store(settings)
    if location.is_lost_at_exit:
        return None, [Finding(_STORE, "note", "It is in memory: a restart forgets every client, login and token.")]
    around = _files_found(_file_of(settings, location))
    if not location.is_there():
        place = location.make_store().description
        said = f"There is none at {place} yet; the first start makes it, with a link to create the owner's account."
        return None, [Finding(_STORE, "ok", said), *around]
    from gatepost.stores.care.state import status_of  # noqa: PLC0415 - a database's driver comes with it

    try:
        status = await status_of(location)
    except StoreError as error:
        return None, [Finding(_STORE, "wrong", f"{error}."), *around]
    return status, [_judged(status), *around]


def _judged(status: StoreStatus) -> Finding:
    there = f"{status.place} ({status.database}, {status.size / 1_000_000:.1f} MB)"
    versions = f"schema version {status.schema_version}; this Gatepost knows versions up to {status.known_version}"
    match status.state:
        case "current":
            return Finding(_STORE, "ok", f"{there} opens, with the schema of this Gatepost.")
        case "empty":
            return Finding(_STORE, "ok", f"{there} opens; nothing was made in it yet, which the first start does.")
        case "older":
            said = f"{there} has {versions}: the next start migrates it. Make a copy first: gatepost store backup."
            return Finding(_STORE, "note", said)
        case "newer":
            return Finding(_STORE, "note", f"{there} has {versions}, and works with it.")
        case "unusable":
            return Finding(_STORE, "wrong", f"{there} has {versions}: use the Gatepost that migrated it.")


def _file_of(settings: Settings, location: Location) -> Path | None:
    """Return the file of a store that is in one."""
    if location.copying is None:
        return None
    url = settings.server.storage_url
    if url is None:
        return settings.oauth.storage_dir.expanduser() / "gatepost.db"
    return Path(url.removeprefix("sqlite:///")).expanduser()


def _files_found(file: Path | None) -> list[Finding]:
    if file is None:
        return []
    file = file.absolute()
    there = next(path for path in file.parents if path.exists())
    return [*_modes_found(file), *_writable(file, there), _room(there)]


def _modes_found(file: Path) -> list[Finding]:
    """Say which files of the store others of this machine may read."""
    if os.name != "posix":
        return []
    readable = [path for path in (file, Path(f"{file}-wal")) if path.exists() and path.stat().st_mode & _OTHERS]
    return [
        Finding(_FILES, "note", f"{path} has mode {stat.S_IMODE(path.stat().st_mode):04o}: chmod 600 it.")
        for path in readable
    ]


def _writable(file: Path, there: Path) -> list[Finding]:
    if not os.access(there, os.W_OK | os.X_OK):
        said = f"{there} is not writable for this user, and SQLite keeps files beside the store: chown or chmod it."
        return [Finding(_FILES, "wrong", said, USAGE)]
    if file.exists() and not os.access(file, os.R_OK | os.W_OK):
        return [Finding(_FILES, "wrong", f"{file} is not readable and writable for this user: chown or chmod it.")]
    return [Finding(_FILES, "ok", f"{file if file.exists() else there} is writable for this user.")]


def _room(there: Path) -> Finding:
    free = shutil.disk_usage(there).free
    said = f"{free / 1_000_000_000:.1f} GB are free at {there}"
    if free < _LEAST_FREE:
        return Finding(_DISK, "wrong", f"{said}: on a full disk every login and refresh is answered 503. Make room.")
    if free < _LITTLE_FREE:
        return Finding(_DISK, "note", f"{said}, which is little: on a full disk logins and refreshes end.")
    return Finding(_DISK, "ok", f"{said}.")

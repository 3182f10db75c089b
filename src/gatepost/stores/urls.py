"""Store URLs: the scheme chooses a backend, the rest says where it lies.

A backend of another kind is a line in `BACKENDS`. Its driver is imported when a store is made, so only by who uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlsplit

from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.errors import StoreMisconfigured
from gatepost.stores.contract.store import Store

if TYPE_CHECKING:
    from gatepost.stores.sql.maintenance import Maintenance

Progress: TypeAlias = Callable[[int, int], None]
"""Is told how much of how much is done."""


@dataclass(frozen=True, slots=True)
class Copying:
    """Copies of a store that is in a file. Both raise `StoreMisconfigured` or `StoreUnavailable`."""

    back_up: Callable[[Path, Progress], None]
    """Makes a new file that holds the store as it is at one moment, checked; the store may be in use."""
    restore: Callable[[Path, Progress], Path | None]
    """Puts a copy of a backup in the store's place, which nobody may have open; returns where the old one lies now."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where a store lies, read from its URL. Nothing has been looked at yet."""

    make_store: Callable[[], Store]
    """Returns the store, not open yet."""
    is_there: Callable[[], bool]
    """Says whether there is something already; opening a store makes what is missing."""
    is_lost_at_exit: bool
    key_file: Path | None
    """Where a generated sealing key lies beside the data; None when the data is in no file."""
    copying: Copying | None = None
    """None when there is nothing to copy, or the database has means of its own."""
    maintenance: Callable[[bool], Maintenance] | None = None
    """Returns a connection for work on the store as a whole; True lets it make what is missing. None in a process's
    memory, and for stores that are no SQL database of ours."""


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """What is said of a store beside its URL. It is for databases that are reached over a network."""

    connections: int = 10
    """How many a process has at most, beside the one that listens."""
    password_file: Path | None = None
    """A file that holds the password and nothing else, read for each connection; None where the URL says all."""


@dataclass(frozen=True, slots=True)
class StoreBackend:
    """One kind of store."""

    example: str
    """How its URLs look, for people."""
    locate: Callable[[str, StoreOptions], Location | None]
    """Reads what follows `scheme:`; None when it is malformed."""
    has_password: bool = False
    """Whether it is a server that asks for one."""


_NO_OPTIONS: Final = StoreOptions()


def locate(url: str, options: StoreOptions = _NO_OPTIONS) -> Location:
    """Read a store's URL.

    Raises:
        StoreMisconfigured: no backend has its scheme, or it is malformed; the sentence names the backends.
    """
    scheme, colon, place = url.partition(":")
    backend = BACKENDS.get(scheme) if colon else None
    location = None if backend is None else backend.locate(place, options)
    if location is None:
        raise StoreMisconfigured(f"a store's URL is {EXAMPLES}; this version knows no other store")
    return location


def _sqlite(place: str, _options: StoreOptions) -> Location | None:
    if not place.startswith("///") or place.endswith("/"):
        return None
    file = Path(place.removeprefix("///")).expanduser()

    def make_store() -> Store:
        from gatepost.stores.sql.sqlite import file_store  # noqa: PLC0415 - a driver is imported only when it is used

        return file_store(file)

    def back_up(target: Path, progress: Progress) -> None:
        from gatepost.stores.sql.sqlite import backup  # noqa: PLC0415 - likewise

        backup.back_up(file, target, progress=progress)

    def restore(source: Path, progress: Progress) -> Path | None:
        from gatepost.stores.sql.sqlite import backup  # noqa: PLC0415 - likewise

        return backup.restore(source, file, progress=progress)

    def maintenance(may_create: bool) -> Maintenance:  # noqa: FBT001 - what a `Location` says in one place
        from gatepost.stores.sql.sqlite.maintenance import SqliteMaintenance  # noqa: PLC0415 - likewise

        return SqliteMaintenance(file, may_create=may_create)

    return Location(
        make_store,
        file.exists,
        is_lost_at_exit=False,
        key_file=file.with_suffix(".key"),
        copying=Copying(back_up, restore),
        maintenance=maintenance,
    )


def _memory(place: str, _options: StoreOptions) -> Location | None:
    def make_store() -> Store:
        from gatepost.stores.sql.sqlite import memory_store  # noqa: PLC0415 - likewise

        return memory_store()

    if place not in {"", "//"}:
        return None
    return Location(make_store, lambda: True, is_lost_at_exit=True, key_file=None)


def _postgresql(place: str, options: StoreOptions) -> Location | None:
    url = f"postgresql:{place}"

    def make_store() -> Store:
        from gatepost.stores.sql.postgresql import postgresql_store  # noqa: PLC0415 - likewise

        return postgresql_store(url, connections=options.connections, password_file=options.password_file)

    def maintenance(_may_create: bool) -> Maintenance:  # noqa: FBT001 - as above; the database is there or not
        from gatepost.stores.sql.postgresql.maintenance import PostgresqlMaintenance  # noqa: PLC0415 - likewise

        return PostgresqlMaintenance(url, password_file=options.password_file)

    if not _names_database(url):
        return None
    return Location(make_store, lambda: True, is_lost_at_exit=False, key_file=None, maintenance=maintenance)


def _names_database(url: str) -> bool:
    """Say whether a URL names a database on some host (PostgreSQL section 34.1.1.2)."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return url.startswith("postgresql://") and len(parts.path) > 1 and not parts.fragment


BACKENDS: Final[Mapping[str, StoreBackend]] = {
    "sqlite": StoreBackend("sqlite:///path/to/file.db (four slashes for an absolute path)", _sqlite),
    "postgresql": StoreBackend("postgresql://user@host/database", _postgresql, has_password=True),
    "memory": StoreBackend("memory:", _memory),
}
"""By scheme."""

EXAMPLES: Final = " or ".join(backend.example for backend in BACKENDS.values())
"""How the URLs of all backends look, for people."""


def asks_for_password(url: str) -> bool:
    """Say whether a store's URL leads to a server that asks for one."""
    backend = BACKENDS.get(url.partition(":")[0])
    return backend is not None and backend.has_password

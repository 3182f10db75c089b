"""Where an SQLite store may lie, who may read it, and what is refused at opening."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gatepost.stores.conformance.records import client
from gatepost.stores.contract.errors import StoreMisconfigured, StoreUnavailable
from gatepost.stores.sql.schema.migrations import MIGRATIONS
from gatepost.stores.sql.sqlite import connections, file_store

SCHEMA_VERSION = len(MIGRATIONS)


@pytest.fixture
def _careless_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def names_in(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


async def refusal(path: Path) -> str:
    """The sentence with which opening a store there is refused."""
    with pytest.raises(StoreMisconfigured) as refused:
        await file_store(path).open()
    return str(refused.value)


@pytest.mark.usefixtures("_careless_umask")
async def test_directory_and_files_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "data" / "gatepost.db"
    store = file_store(path)
    await store.open()
    await store.clients.register_client(client())

    modes = {name: mode(path.with_name(name)) for name in ("gatepost.db", "gatepost.db-wal", "gatepost.db-shm")}

    assert modes == {"gatepost.db": 0o600, "gatepost.db-wal": 0o600, "gatepost.db-shm": 0o600}
    assert mode(path.parent) == 0o700
    await store.close()


async def test_a_directory_and_a_file_that_exist_keep_their_modes(tmp_path: Path) -> None:
    path = tmp_path / "data" / "gatepost.db"
    path.parent.mkdir()
    path.touch()
    path.chmod(0o640)
    path.parent.chmod(0o750)
    store = file_store(path)
    await store.open()

    assert (mode(path), mode(path.parent)) == (0o640, 0o750)
    await store.close()


async def test_what_is_acknowledged_is_synced_and_foreign_keys_hold(tmp_path: Path) -> None:
    """No test can pull the plug, so the settings that matter then are looked at."""
    with closing(connections.open_writer(tmp_path / "gatepost.db", busy_timeout=0)) as connection:
        found = [
            connection.execute(f"PRAGMA {setting}").fetchone()[0]
            for setting in ("journal_mode", "synchronous", "foreign_keys")
        ]

    assert found == ["wal", 2, 1]  # synchronous 2 is FULL


async def test_a_closed_store_is_one_file_and_opens_again(tmp_path: Path) -> None:
    store = file_store(tmp_path / "gatepost.db")
    await store.open()
    await store.clients.register_client(client())
    await store.close()

    assert names_in(tmp_path) == ["gatepost.db"]
    await store.open()
    assert await store.clients.find_client("client-1") == client()
    await store.close()


async def test_a_path_that_is_a_directory_is_refused(tmp_path: Path) -> None:
    assert await refusal(tmp_path) == (
        f"the store's path {tmp_path} is a directory: name a file in it, such as gatepost.db"
    )


async def test_a_path_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    for path in (tmp_path / "file" / "gatepost.db", tmp_path / "file" / "deeper" / "gatepost.db"):
        assert (await refusal(path)).startswith(f"the store {path} cannot be created: ")


@pytest.mark.parametrize(
    ("closed", "sentence"),
    [
        (
            "data",
            (
                "the directory {path.parent} is not writable, and SQLite keeps files beside the store: "
                "make it writable for this user, or put the store elsewhere"
            ),
        ),
        ("gatepost.db", "the store {path} is not readable and writable for this user"),
    ],
)
async def test_what_is_not_writable_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: str, sentence: str
) -> None:
    """Whoever runs the tests may be root, whom no mode stops; so the system's answer is put in its place."""
    path = tmp_path / "data" / "gatepost.db"

    def access(asked: Path, _mode: int) -> bool:
        return asked.name != closed

    monkeypatch.setattr(os, "access", access)

    assert await refusal(path) == sentence.format(path=path)


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("These are my notes, and I would like to keep them. " * 100)

    assert await refusal(path) == f"the store's path {path} holds something else than a database"
    assert path.read_text().startswith("These are my notes")


async def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "places.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE clients (name TEXT)")

    assert await refusal(path) == f"the database {path} belongs to another program: name another file"
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("clients",)]


async def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gatepost.db"
    store = file_store(path)
    await store.open()
    await store.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE schema_version SET version = 1000, oldest_code = 1000")

    assert await refusal(path) == (
        f"the store has schema version 1000 and this Gatepost knows versions up to {SCHEMA_VERSION}: "
        "upgrade Gatepost, or restore a backup made before the upgrade"
    )


async def test_an_sqlite_that_is_too_old_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 23, 1))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.23.1")

    assert await refusal(tmp_path / "gatepost.db") == "SQLite 3.23.1 is too old: Gatepost needs 3.24.0 or newer"


def test_a_file_system_without_shared_memory_is_refused() -> None:
    """A database in memory has no write-ahead log either."""
    with (
        closing(sqlite3.connect(":memory:")) as connection,
        pytest.raises(StoreMisconfigured, match="put the store on a local disk"),
    ):
        connections._prepare_writer(connection, Path("/net/gatepost.db"))


async def test_a_file_that_vanishes_while_opening_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare_nothing(_path: Path) -> None:
        """As if somebody removed the directory right after it was made."""

    monkeypatch.setattr(connections, "prepare_file", prepare_nothing)

    with pytest.raises(StoreUnavailable, match="the file cannot be opened"):
        await file_store(tmp_path / "gone" / "gatepost.db").open()


async def test_a_reader_that_cannot_connect_leaves_no_writer_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def connect_once(path: Path, **settings: object) -> sqlite3.Connection:
        monkeypatch.setattr(sqlite3, "connect", refuse)
        return connect(path, **settings)

    def refuse(_path: Path, **_settings: object) -> sqlite3.Connection:
        error = sqlite3.OperationalError("unable to open database file")
        error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_CANTOPEN, "SQLITE_CANTOPEN"
        raise error

    monkeypatch.setattr(sqlite3, "connect", connect_once)
    store = file_store(tmp_path / "gatepost.db")

    with pytest.raises(StoreUnavailable, match="the file cannot be opened"):
        await store.open()
    with pytest.raises(StoreUnavailable, match="the store is closed"):
        await store.clients.register_client(client())

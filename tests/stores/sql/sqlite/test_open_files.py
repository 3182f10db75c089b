"""Files that are taken away from an open store, and the log, brought into the file when nothing is written."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest

from gatepost.stores.conformance.records import client
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.sqlite import file_store
from gatepost.stores.sql.sqlite.database import SqliteDatabase
from gatepost.stores.sql.store import sql_store

NEVER = 1e6  # seconds


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """An open store that has acknowledged one client, all of which lies in its log."""
    database = SqliteDatabase(tmp_path / "data" / "gatepost.db", busy_timeout=1, idle_seconds=NEVER)
    opened = sql_store(database)
    await opened.open()
    await opened.clients.register_client(client("before"))
    yield opened
    await opened.close()


def beside(path: Path, *ends: str) -> list[Path]:
    return [path.with_name(path.name + end) for end in ends]


def remove(*ends: str) -> Callable[[Path], None]:
    def taken(path: Path) -> None:
        for file in beside(path, *ends):
            file.unlink()

    return taken


def replace(*ends: str) -> Callable[[Path], None]:
    """Put copies in their places, as a restored backup would."""

    def taken(path: Path) -> None:
        for file in beside(path, *ends):
            copy = shutil.copy(file, path.with_name("copy"))
            os.replace(copy, file)  # noqa: PTH105 - either will do

    return taken


def move_file(path: Path) -> None:
    path.rename(path.with_name("moved.db"))


def move_directory(path: Path) -> None:
    path.parent.rename(path.parent.with_name("moved"))


def remove_directory(path: Path) -> None:
    shutil.rmtree(path.parent)


TAKEN = {
    "the log": remove("-wal"),
    "the index": remove("-shm"),
    "log and index": remove("-wal", "-shm"),
    "all": remove("", "-wal", "-shm"),
    "log replaced": replace("-wal"),
    "index replaced": replace("-shm"),
    "all replaced": replace("", "-wal", "-shm"),
    "file moved": move_file,
    "directory moved": move_directory,
    "directory removed": remove_directory,
}


@pytest.mark.parametrize("taken", TAKEN)
async def test_no_write_is_acknowledged_into_files_that_are_gone(store: Store, taken: str) -> None:
    TAKEN[taken](Path(store.description))

    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="been removed or replaced, and what is written now would be lost"):
            await store.clients.register_client(client("after"))
    with pytest.raises(StoreUnavailable, match="been removed or replaced"):
        await store.check()


@pytest.mark.parametrize("taken", TAKEN)
async def test_nothing_is_read_from_files_that_are_known_to_be_gone(store: Store, taken: str) -> None:
    """What another process revoked meanwhile is not in them."""
    TAKEN[taken](Path(store.description))
    with pytest.raises(StoreUnavailable):
        await store.check()

    with pytest.raises(StoreUnavailable, match="been removed or replaced"):
        await store.clients.find_client("before")


@pytest.mark.parametrize(("taken", "names"), [("the log", ["-wal"]), ("log and index", ["-wal", "-shm"])])
async def test_the_fault_names_the_files_and_what_to_do(store: Store, taken: str, names: list[str]) -> None:
    TAKEN[taken](Path(store.description))

    with pytest.raises(StoreUnavailable) as fault:
        await store.check()

    assert f"{', '.join(store.description + name for name in names)} ha" in str(fault.value)
    assert "end Gatepost with SIGTERM" in str(fault.value)


@pytest.mark.parametrize("taken", ["all", "file moved", "directory removed"])
async def test_the_fault_warns_of_a_restart_without_the_database_file(store: Store, taken: str) -> None:
    TAKEN[taken](Path(store.description))

    with pytest.raises(StoreUnavailable, match="put the files back or restore a backup, and restart Gatepost"):
        await store.check()


async def clients_in_copy(path: Path) -> list[str]:
    """Which clients are in the database file alone, as after a kill or in a copy made by hand."""
    path.with_name("alone").mkdir(exist_ok=True)
    store = file_store(Path(shutil.copy(path, path.with_name("alone"))))
    await store.open()
    found = [name for name in ("before", "after") if await store.clients.find_client(name) is not None]
    await store.close()
    return found


@pytest.mark.parametrize("taken", ["the log", "the index", "log and index"])
async def test_what_was_acknowledged_before_outlives_a_kill(store: Store, taken: str) -> None:
    path = Path(store.description)
    assert await clients_in_copy(path) == []
    TAKEN[taken](path)

    with pytest.raises(StoreUnavailable):
        await store.check()

    assert await clients_in_copy(path) == ["before"]


async def test_the_file_that_was_moved_holds_what_was_acknowledged(store: Store) -> None:
    move_file(Path(store.description))

    with pytest.raises(StoreUnavailable):
        await store.check()

    assert await clients_in_copy(Path(store.description).with_name("moved.db")) == ["before"]


def contents(path: Path) -> bytes:
    return path.read_bytes()


async def test_pages_are_not_put_over_those_of_a_process_with_another_log(store: Store) -> None:
    path = Path(store.description)
    TAKEN["log replaced"](path)
    before = contents(path)

    with pytest.raises(StoreUnavailable):
        await store.check()

    assert contents(path) == before


async def test_files_that_are_put_back_are_used_again(store: Store) -> None:
    path = Path(store.description)
    files = beside(path, "", "-wal", "-shm")
    for file in files:
        file.rename(file.with_name(f"moved-{file.name}"))
    with pytest.raises(StoreUnavailable):
        await store.check()

    for file in files:
        file.with_name(f"moved-{file.name}").rename(file)

    assert await store.clients.find_client("before") == client("before")
    await store.clients.register_client(client("after"))


async def test_a_change_of_the_working_directory_takes_nothing_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = file_store(Path("gatepost.db"))
    await store.open()
    monkeypatch.chdir(tmp_path.parent)

    await store.clients.register_client(client("before"))
    await store.close()


async def test_another_process_that_comes_and_goes_takes_nothing_away(store: Store) -> None:
    other = file_store(Path(store.description))
    await other.open()
    await other.clients.register_client(client("after"))
    await other.close()

    await store.check()
    assert await store.clients.find_client("after") == client("after")


@pytest.fixture
async def idle_database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    """An open database that is idle as soon as nothing is written."""
    database = SqliteDatabase(tmp_path / "gatepost.db", busy_timeout=1, idle_seconds=0.001)
    await database.open()
    yield database
    await database.close()


async def until_checkpointed(database: SqliteDatabase) -> None:
    """A file that is copied while it is being written to is worth nothing."""
    deadline = time.monotonic() + 180
    while not database._is_checkpointed:
        assert time.monotonic() < deadline
        await asyncio.sleep(0)


async def test_a_store_that_is_idle_is_whole_in_its_database_file(idle_database: SqliteDatabase) -> None:
    await sql_store(idle_database).clients.register_client(client("before"))

    await until_checkpointed(idle_database)

    assert await clients_in_copy(Path(idle_database.description)) == ["before"]


async def test_an_idle_store_notices_by_itself_and_keeps_what_was_acknowledged(idle_database: SqliteDatabase) -> None:
    """Reads alone would not notice that the log is gone."""
    store, path = sql_store(idle_database), Path(idle_database.description)
    await store.clients.register_client(client("before"))
    remove("-wal")(path)

    async def read_on() -> None:
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            await store.clients.find_client("before")

    with pytest.raises(StoreUnavailable, match="been removed or replaced"):
        await read_on()
    await until_checkpointed(idle_database)
    assert await clients_in_copy(path) == ["before"]


async def test_a_log_that_a_reader_holds_is_checkpointed_when_it_lets_go(idle_database: SqliteDatabase) -> None:
    path = Path(idle_database.description)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM clients").fetchall()
        await sql_store(idle_database).clients.register_client(client("before"))
        assert not idle_database._is_checkpointed

    await until_checkpointed(idle_database)

    assert await clients_in_copy(path) == ["before"]

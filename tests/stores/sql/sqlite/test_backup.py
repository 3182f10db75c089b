"""Copies of a database: whole, as of one moment, private, and put in its place."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from gatepost.stores.conformance.records import client
from gatepost.stores.contract.errors import StoreMisconfigured, StoreUnavailable
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.sqlite import backup, file_store
from tests.stores.sql.sqlite.test_faults import overwrite_pages


def say_nothing(_done: int, _total: int) -> None:
    """For who does not want to know how far it is."""


def back_up(path: Path, target: Path) -> None:
    backup.back_up(path, target, progress=say_nothing)


def restore(source: Path, path: Path) -> Path | None:
    return backup.restore(source, path, progress=say_nothing)


def names_in(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def contents(path: Path) -> bytes:
    return path.read_bytes()


def overwrite(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def remove(path: Path) -> None:
    path.unlink()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a store lies."""
    return tmp_path / "data" / "gatepost.db"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where a copy goes."""
    (tmp_path / "copies").mkdir()
    return tmp_path / "copies" / "copy.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    """An open store that holds a client."""
    opened = file_store(path)
    await opened.open()
    await opened.clients.register_client(client())
    yield opened
    await opened.close()


async def clients_in(path: Path, *names: str) -> list[str]:
    store = file_store(path)
    await store.open()
    found = [name for name in names if await store.clients.find_client(name) is not None]
    await store.close()
    return found


@pytest.mark.parametrize("is_open", [True, False])
async def test_a_copy_is_one_private_file_with_everything(
    store: Store, path: Path, target: Path, *, is_open: bool
) -> None:
    if not is_open:
        await store.close()

    back_up(path, target)

    assert names_in(target.parent) == ["copy.db"]
    assert mode(target) == 0o600
    assert await clients_in(target, "client-1") == ["client-1"]


async def test_a_copy_is_of_one_moment_whatever_is_written_meanwhile(
    store: Store, path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writes of another process would make SQLite begin the copy anew, so that it might never end."""
    monkeypatch.setattr(backup, "_PAGES_IN_A_STEP", 1)
    loop = asyncio.get_running_loop()
    told: list[tuple[int, int]] = []

    def write(done: int, total: int) -> None:
        told.append((done, total))
        late = store.clients.register_client(client(f"late-{done}"))
        asyncio.run_coroutine_threadsafe(late, loop).result(180)

    await asyncio.to_thread(backup.back_up, path, target, progress=write)

    total = told[0][1]
    assert told == [(done, total) for done in range(1, total + 1)]
    assert await clients_in(target, "client-1", "late-1", f"late-{total}") == ["client-1"]
    assert await store.clients.find_client(f"late-{total}") is not None


@pytest.mark.usefixtures("store")
def test_a_file_that_exists_is_not_replaced(path: Path, target: Path) -> None:
    target.write_text("mine")

    with pytest.raises(StoreMisconfigured, match="copy.db exists already, and is not replaced: name another file"):
        back_up(path, target)

    assert (names_in(target.parent), target.read_text()) == (["copy.db"], "mine")


@pytest.mark.usefixtures("store")
def test_a_file_that_was_made_meanwhile_is_not_replaced(path: Path, target: Path) -> None:
    def be_faster(_done: int, _total: int) -> None:
        target.write_text("mine")

    with pytest.raises(StoreMisconfigured, match="exists already"):
        backup.back_up(path, target, progress=be_faster)

    assert (names_in(target.parent), target.read_text()) == (["copy.db"], "mine")


@pytest.mark.usefixtures("store")
def test_a_directory_that_is_not_there_is_one_sentence(path: Path, target: Path) -> None:
    with pytest.raises(StoreMisconfigured, match="copy.db cannot be made: No such file or directory"):
        back_up(path, target.parent / "none" / "copy.db")


@pytest.mark.usefixtures("store")
def test_a_file_system_without_links_gets_a_copy_too(path: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(_self: Path, _target: Path) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "hardlink_to", no_links)

    back_up(path, target)

    assert names_in(target.parent) == ["copy.db"]


def test_what_is_not_there_is_not_made(path: Path, target: Path) -> None:
    with pytest.raises(StoreMisconfigured, match="there is no store at"):
        back_up(path, target)

    assert not path.parent.exists()
    assert names_in(target.parent) == []


@pytest.mark.parametrize(
    ("statements", "sentence"),
    [
        ("CREATE TABLE places (name TEXT)", "belongs to another program"),
        ("CREATE TABLE schema_version (version INTEGER)", "is empty"),
        ("", "is empty"),
        ("CREATE TABLE schema_version (version); INSERT INTO schema_version VALUES (1000)", "has schema version 1000"),
    ],
)
def test_what_is_no_store_of_a_version_we_know_is_refused(
    path: Path, target: Path, statements: str, sentence: str
) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(statements)

    with pytest.raises(StoreMisconfigured, match=sentence):
        back_up(path, target)

    assert names_in(target.parent) == []


async def test_a_damaged_store_gives_no_copy(store: Store, path: Path, target: Path) -> None:
    await store.close()
    overwrite_pages(path, range(5, 15))

    with pytest.raises(StoreUnavailable, match="damaged"):
        back_up(path, target)

    assert names_in(target.parent) == []


async def test_a_backup_takes_the_place_of_the_store_which_is_kept(store: Store, path: Path, target: Path) -> None:
    back_up(path, target)
    await store.clients.register_client(client("late"))
    await store.close()

    aside = restore(target, path)

    assert aside is not None
    assert names_in(path.parent) == sorted([path.name, aside.name])
    assert await clients_in(path, "client-1", "late") == ["client-1"]
    assert await clients_in(aside, "client-1", "late") == ["client-1", "late"]
    assert names_in(target.parent) == ["copy.db"]


async def test_a_log_that_is_left_over_is_not_applied_to_what_is_restored(
    store: Store, path: Path, target: Path
) -> None:
    """SQLite takes any log of that name for the database's own."""
    back_up(path, target)
    await store.clients.register_client(client("late"))
    log = path.with_name("gatepost.db-wal")
    left = contents(log)
    await store.close()
    overwrite(log, left)
    remove(path)

    assert restore(target, path) is None

    assert await clients_in(path, "client-1", "late") == ["client-1"]


async def test_a_store_that_is_in_use_is_not_replaced(store: Store, path: Path, target: Path) -> None:
    back_up(path, target)
    await store.clients.register_client(client("late"))

    with pytest.raises(StoreUnavailable, match="is in use: stop Gatepost first"):
        restore(target, path)

    await store.check()
    await store.close()
    assert names_in(path.parent) == [path.name]
    assert await clients_in(path, "late") == ["late"]


async def test_a_damaged_store_is_replaced_all_the_same(store: Store, path: Path, target: Path) -> None:
    back_up(path, target)
    await store.close()
    overwrite(path, b"damaged" * 1000)

    aside = restore(target, path)

    assert aside is not None
    assert contents(aside) == b"damaged" * 1000
    assert await clients_in(path, "client-1") == ["client-1"]


async def test_a_damaged_backup_replaces_nothing(store: Store, path: Path, target: Path) -> None:
    back_up(path, target)
    await store.close()
    overwrite_pages(target, range(5, 15))

    with pytest.raises(StoreUnavailable, match="damaged"):
        restore(target, path)

    assert names_in(path.parent) == [path.name]
    assert await clients_in(path, "client-1") == ["client-1"]


@pytest.mark.usefixtures("store")
def test_a_backup_is_restored_where_nothing_was(path: Path, target: Path) -> None:
    back_up(path, target)
    elsewhere = path.parent.with_name("elsewhere") / "gatepost.db"

    assert restore(target, elsewhere) is None

    assert names_in(elsewhere.parent) == ["gatepost.db"]
    assert mode(elsewhere.parent) == 0o700

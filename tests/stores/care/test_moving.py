"""A store goes into a file and into another database: all of it, as of one moment, or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from gatepost.stores.care import paging
from gatepost.stores.care.moving import Ending, Imported, export_store, import_store
from gatepost.stores.care.state import KNOWN_VERSION
from gatepost.stores.conformance.records import NOW, audit_record, client
from gatepost.stores.contract.errors import StoreMisconfigured
from gatepost.stores.contract.second_steps import SecondStep
from gatepost.stores.second_steps import open_step
from gatepost.stores.sql.schema.catalogue import CARRIED, TABLES
from gatepost.stores.urls import locate
from tests.stores.care.conftest import NewPlace
from tests.stores.care.filled import RING, fill, fill_with_grants
from tests.stores.care.places import opened, rows_of, run_in

BACKENDS = ("sqlite", "postgresql")
COUNTS = {table.name: f"SELECT count(*) FROM {table.name}" for table in TABLES}  # noqa: S608 - our own names


def say_nothing(_done: int, _total: int) -> None:
    """For who does not want to know how far it is."""


async def export(url: str) -> bytes:
    file = io.BytesIO()
    await export_store(locate(url), file.write, made_at=NOW, made_by="test", progress=say_nothing)
    return file.getvalue()


async def bring_in(url: str, lines: bytes, *, ending: Ending | None = None) -> Imported:
    return await import_store(locate(url), io.BytesIO(lines), ending=ending, events=(), progress=say_nothing)


def contents(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows that are carried."""
    found = {}
    for table in CARRIED:
        columns = ", ".join(sorted(column_names(url, table.name)))
        rows = rows_of(url, f"SELECT {columns} FROM {table.name}")  # noqa: S608 - our own names
        found[table.name] = sorted(rows, key=repr)
    return found


def column_names(url: str, table: str) -> list[str]:
    if url.startswith("sqlite:"):
        return [name for (name,) in rows_of(url, f"SELECT name FROM pragma_table_info('{table}')")]  # noqa: S608 - likewise
    columns = rows_of(
        url,
        "SELECT table_name::text, column_name::text FROM information_schema.columns "
        "WHERE table_schema = current_schema()",
    )
    return [name for of, name in columns if of == table]


def signed(lines: Sequence[bytes]) -> bytes:
    """Return lines with an end that fits them."""
    body = b"".join(lines)
    end = {"end": {"rows": len(lines) - 1, "sha256": hashlib.sha256(body).hexdigest()}}
    return body + json.dumps(end).encode() + b"\n"


def altered(lines: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """Return an export whose first line was changed, with a checksum that fits."""
    first, *rows = lines.splitlines(keepends=True)[:-1]
    header = json.loads(first)
    change(header)
    return signed([json.dumps(header).encode() + b"\n", *rows])


@pytest.mark.parametrize("there", BACKENDS)
@pytest.mark.parametrize("here", BACKENDS)
async def test_every_row_is_the_same_in_another_database(new_place: NewPlace, here: str, there: str) -> None:
    source, target = new_place(here), new_place(there)
    async with opened(source) as store:
        await fill(store)
    # There is one as long as there is no account.
    run_in(source, "INSERT INTO setup_link SELECT 1, token_fingerprint, 1 FROM access_tokens LIMIT 1")
    before = contents(source)
    assert [table for table, rows in before.items() if not rows] == []

    done = await bring_in(target, await export(source))

    assert contents(target) == before
    assert done.header.rows == {table: len(rows) for table, rows in before.items()}
    assert done.ended == {}
    async with opened(target) as store:
        await store.clients.register_client(client("next"))


async def test_an_export_is_the_same_again_whichever_database_it_went_through(new_place: NewPlace) -> None:
    first, second, third = new_place("sqlite"), new_place("postgresql"), new_place("sqlite")
    async with opened(first) as store:
        await fill(store)
    lines = await export(first)

    await bring_in(second, lines)
    await bring_in(third, await export(second))

    assert await export(second) == lines
    assert await export(third) == lines


async def test_what_only_means_something_to_processes_that_run_stays_behind(url: str, new_place: NewPlace) -> None:
    async with opened(url) as store:
        await fill(store)
    target = new_place("sqlite")

    await bring_in(target, await export(url))

    left = [table.name for table in TABLES if not table.is_carried]
    assert [name for name in left if rows_of(url, COUNTS[name]) == [(0,)]] == []
    assert [name for name in left if list(rows_of(target, COUNTS[name])) != [(0,)]] == []


async def test_no_secret_is_opened_on_the_way_and_all_open_there(url: str, new_place: NewPlace) -> None:
    async with opened(url) as store:
        await fill(store)
    lines, target = await export(url), new_place("sqlite")

    await bring_in(target, lines)

    assert b"gho_of_ada" not in lines
    async with opened(target) as store:
        steps: list[SecondStep] = await store.second_steps.list_second_steps()
        assert [open_step(step, RING) for step in steps] == [b"secret"]


async def test_an_export_is_of_one_moment_whatever_is_written_meanwhile(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "PAGE", 2)
    async with opened(url) as store:
        await fill_with_grants(store, 7)
        before = await export(url)
        pieces: list[bytes] = []

        def write(data: bytes) -> None:
            # Between two pages, on another connection.
            run_in(url, "DELETE FROM access_tokens", "UPDATE grants SET revoked_at = 1")
            pieces.append(data)

        await export_store(locate(url), write, made_at=NOW, made_by="test", progress=say_nothing)

    assert b"".join(pieces) == before
    assert list(rows_of(url, COUNTS["access_tokens"])) == [(0,)]


async def test_a_page_is_all_that_is_in_memory_of_an_export(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "PAGE", 3)
    async with opened(url) as store:
        await fill_with_grants(store, 8)
    pieces: list[bytes] = []
    told: list[tuple[int, int]] = []

    await export_store(
        locate(url),
        pieces.append,
        made_at=NOW,
        made_by="test",
        progress=lambda done, total: told.append((done, total)),
    )

    assert max(piece.count(b"\n") for piece in pieces) == 3
    total = json.loads(pieces[0])["rows"]
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert told[-1] == (total, total)


async def test_a_store_that_holds_anything_is_left_alone(url: str) -> None:
    async with opened(url) as store:
        await fill(store)
    lines, before = await export(url), contents(url)

    with pytest.raises(StoreMisconfigured, match=r"holds rows already \(1 in clients, .*nothing is added"):
        await bring_in(url, lines)

    assert contents(url) == before


CUTS: Mapping[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "half of the first line": lambda lines: lines[:100],
    "the first line": lambda lines: lines.splitlines(keepends=True)[0],
    "all but the last line": lambda lines: b"".join(lines.splitlines(keepends=True)[:-1]),
    "all but the last byte": lambda lines: lines[:-1],
    "half of a row": lambda lines: lines[: len(lines) // 2],
}


@pytest.mark.parametrize("cut", CUTS)
async def test_a_file_that_was_cut_leaves_nothing(url: str, cut: str) -> None:
    lines = await filled_export(url)

    with pytest.raises(StoreMisconfigured, match=r"cut in line|no export of a store"):
        await bring_in(url, CUTS[cut](lines))

    await assert_nothing_is_there(url)


ALTERATIONS: Mapping[str, tuple[Callable[[bytes], bytes], str]] = {
    "a byte": (lambda lines: lines.replace(b"client-1", b"client-2", 1), "checksum"),
    "a row that is missing": (
        lambda lines: b"".join(line for line in lines.splitlines(keepends=True) if b'["passkeys"' not in line),
        "checksum",
    ),
    "a row that is missing, with a checksum that fits": (
        lambda lines: signed([line for line in lines.splitlines(True)[:-1] if b'["passkeys"' not in line]),
        "other rows than its first line says",
    ),
    "something behind the end": (lambda lines: lines + b"\n", "goes on behind its end"),
    "two in one": (lambda lines: lines + lines, "goes on behind its end"),
    "a newer schema": (
        lambda lines: altered(lines, lambda header: header.update(schema_version=KNOWN_VERSION + 1)),
        f"knows versions up to {KNOWN_VERSION}: upgrade Gatepost",
    ),
    "another format": (
        lambda lines: altered(lines, lambda header: header.update(gatepost_export=2)),
        "has the format 2 and this Gatepost reads 1",
    ),
    "a column that there is not": (
        lambda lines: altered(lines, lambda header: header["tables"]["users"]["columns"].append("role")),
        "other tables or columns",
    ),
    "a column twice": (
        lambda lines: altered(lines, lambda header: header["tables"]["users"]["columns"].append("subject")),
        "other tables or columns",
    ),
    "a table that there is not": (
        lambda lines: altered(lines, lambda header: header["tables"].update(x={"columns": ["a"], "rows": 0})),
        "other tables or columns",
    ),
    "no JSON": (lambda lines: lines.splitlines(True)[0] + b"[users\n", "is no JSON"),
    "no row": (lambda lines: lines.splitlines(True)[0] + b"5\n", "is no row"),
    "a value of another kind": (lambda lines: lines.splitlines(True)[0] + b'["limits",[5,"a"]]\n', "other values than"),
    "a value too many": (lambda lines: lines.splitlines(True)[0] + b'["limits",["a",5,5]]\n', "other values than"),
    "a fraction": (lambda lines: lines.splitlines(True)[0] + b'["limits",["a",0.5]]\n', "no column takes"),
    "a large number": (lambda lines: lines.splitlines(True)[0] + b'["limits",["a",%d]]\n' % 2**63, "no column takes"),
    "what is no base64": (
        lambda lines: lines.splitlines(True)[0] + b'["passkeys",[{"base64":"*"}]]\n',
        "no column takes",
    ),
    "a table of live state": (lambda lines: lines.splitlines(True)[0] + b'["leases",["a","b",1]]\n', "out of place"),
    "tables in another order": (
        lambda lines: lines.splitlines(True)[0] + b'["limits",["a",5]]\n["clients",[]]\n',
        "out of place",
    ),
}


@pytest.mark.parametrize("alteration", ALTERATIONS)
async def test_a_file_that_was_altered_leaves_nothing(new_place: NewPlace, alteration: str) -> None:
    url = new_place("sqlite")
    change, sentence = ALTERATIONS[alteration]
    lines = await filled_export(url)

    with pytest.raises(StoreMisconfigured, match=sentence):
        await bring_in(url, change(lines))

    await assert_nothing_is_there(url)


async def test_rows_that_a_database_refuses_are_named_by_their_lines_and_leave_nothing(url: str) -> None:
    lines = (await filled_export(url)).splitlines(keepends=True)[:-1]
    place, token = next((number, line) for number, line in enumerate(lines) if line.startswith(b'["access_tokens"'))
    lines[place] = token.replace(b"grant-", b"grand-")

    with pytest.raises(StoreMisconfigured, match=r"a row of access_tokens in lines \d+ to \d+ .*names a row that is"):
        await bring_in(url, signed(lines))

    await assert_nothing_is_there(url)


async def test_a_character_that_postgresql_does_not_keep_is_no_crash(new_place: NewPlace) -> None:
    lines = await filled_export(url := new_place("postgresql"))

    with pytest.raises(StoreMisconfigured, match="holds what this database does not take"):
        await bring_in(url, signed([line.replace(b"583231", b"\\u0000") for line in lines.splitlines(True)[:-1]]))

    await assert_nothing_is_there(url)


class Leaving(io.BytesIO):
    """A source in the middle of which whoever imports is cancelled, as Ctrl-C does."""

    def __init__(self, lines: bytes) -> None:
        super().__init__(lines)
        self.importing: asyncio.Task[Imported] | None = None
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        self._lines = 0

    def readline(self, size: int | None = -1, /) -> bytes:
        self._lines += 1
        if self._lines == 10:
            assert self.importing is not None
            self._loop.call_soon_threadsafe(self.importing.cancel)
            if threading.get_ident() != self._thread:
                # Until the event loop, which runs elsewhere, has seen to it.
                for _ in range(10):
                    asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self._loop).result(60)
        return super().readline(size)


async def test_an_import_that_is_interrupted_leaves_nothing(url: str) -> None:
    lines = await filled_export(url)
    source = Leaving(lines)
    source.importing = asyncio.create_task(
        import_store(locate(url), source, ending=None, events=(), progress=say_nothing)
    )

    with pytest.raises(asyncio.CancelledError):
        await source.importing

    await assert_nothing_is_there(url)
    await bring_in(url, lines)


async def test_all_access_ends_in_the_step_that_brings_the_rows(url: str) -> None:
    lines = await filled_export(url)
    event = audit_record(7)

    done = await import_store(
        locate(url), io.BytesIO(lines), ending=Ending("asked", NOW + 1), events=[event], progress=say_nothing
    )

    assert done.ended["grants"] == 1
    assert done.ended["API keys"] == 1
    assert list(rows_of(url, "SELECT count(*) FROM grants WHERE revoked_at IS NULL")) == [(0,)]
    assert list(rows_of(url, COUNTS["browser_sessions"])) == [(0,)]
    async with opened(url) as store:
        assert [user.username for user in await store.users.list_users()] == ["ada", "bob"]
    assert (event.event_id,) in rows_of(url, "SELECT event_id FROM audit_events")


async def filled_export(url: str) -> bytes:
    """Return the export of a store that is filled and then made empty again."""
    async with opened(url) as store:
        await fill(store)
    lines = await export(url)
    run_in(url, *(f"DELETE FROM {table.name}" for table in reversed(TABLES)))  # noqa: S608 - our own names
    return lines


async def assert_nothing_is_there(url: str) -> None:
    there = {table.name: rows_of(url, COUNTS[table.name])[0][0] for table in TABLES}
    assert {name: count for name, count in there.items() if count} == {}

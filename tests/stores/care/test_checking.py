"""A check finds what is wrong in a store, says nothing of one that is sound, and hinders nobody."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import pytest

from gatepost.stores.care.checking import StoreReport, TableReport, check_store, expected_shape
from gatepost.stores.care.state import KNOWN_VERSION
from gatepost.stores.conformance.records import NOW, WINDOW, client, fp, tokens
from gatepost.stores.contract.errors import StoreMisconfigured, StoreUnavailable
from gatepost.stores.sql.schema.catalogue import RELATIONS, TABLES
from gatepost.stores.sql.schema.migrations import migrate
from gatepost.stores.sql.sqlite.connections import TYPE_NAMES, connect
from gatepost.stores.sql.sqlite.transaction import SqliteTransaction, run_to_end
from gatepost.stores.urls import locate
from gatepost.tokens.sealing import KeyRing
from tests.stores import postgresql_server
from tests.stores.care.conftest import NewPlace
from tests.stores.care.filled import NEW, OLD, RING, fill
from tests.stores.care.places import opened, rows_of, run_in
from tests.stores.sql.sqlite.test_faults import overwrite_pages


async def check(url: str, ring: KeyRing | None = RING, *, now: int = NOW) -> StoreReport:
    return await check_store(locate(url), ring=ring, now=now)


@pytest.fixture
async def filled(url: str) -> str:
    """The URL of a store that holds something of everything."""
    async with opened(url) as store:
        await fill(store)
    return url


async def test_nothing_is_wrong_with_a_store_that_was_used(filled: str) -> None:
    report = await check(filled)

    assert report.problems == []
    assert report.is_sound
    assert (report.schema_version, report.known_version, report.state) == (KNOWN_VERSION, KNOWN_VERSION, "current")
    assert report.sealed_under == {RING.key_ids[0]: 3}
    assert {table.name for table in report.tables} == {table.name for table in TABLES}
    assert TableReport("grants", 2, NOW, NOW) in report.tables
    assert TableReport("limits", 1, None, None) in report.tables
    assert report.size > 0
    assert report.database.startswith(("SQLite 3.", "PostgreSQL "))


ORPHANS: Mapping[str, Sequence[str]] = {
    "linked_logins.subject names no row of users: 2": ("UPDATE linked_logins SET subject = 'nobody'",),
    "account_links.subject names no row of users: 1": ("UPDATE account_links SET subject = 'nobody'",),
    "passkeys.subject names no row of users: 1": ("UPDATE passkeys SET subject = 'nobody'",),
    "recovery_codes.subject names no row of second_steps: 2": ("UPDATE recovery_codes SET subject = 'nobody'",),
    "upstream_tokens.subject names no row of users: 1": ("UPDATE upstream_tokens SET subject = 'nobody'",),
    "api_keys.user_subject names no row of users: 1": ("UPDATE api_keys SET user_subject = 'nobody'",),
    "browser_sessions.subject names no row of users: 1": ("UPDATE browser_sessions SET subject = 'nobody'",),
    "consents.subject names no row of users: 1": ("UPDATE consents SET subject = 'nobody'",),
    "authorization_codes.subject names no row of users: 4": ("UPDATE authorization_codes SET subject = 'nobody'",),
    "authorization_codes.transaction_id names no row of authorization_transactions: 4": (
        "DELETE FROM authorization_transactions",
    ),
    "authorization_codes.grant_id names no row of grants: 2": ("DELETE FROM grants",),
    "access_tokens.grant_id names no row of grants: 3": ("DELETE FROM grants",),
    "refresh_tokens.grant_id names no row of grants: 3": ("DELETE FROM grants",),
    "mcp_stream_events.session_fingerprint names no row of mcp_sessions: 1": ("DELETE FROM mcp_sessions",),
    "a person's second step is not the one that is kept: 1": ("UPDATE users SET second_step = NULL",),
    "second_steps.subject names no row of users: 1": ("DELETE FROM users WHERE subject = 'user-2'",),
    "a refresh token was spent without a successor: 1": ("UPDATE refresh_tokens SET sealed_successor = NULL",),
    "the successor of a refresh token of the last seven days is missing: 1": (
        "DELETE FROM refresh_tokens WHERE spent_at IS NULL",
    ),
    "a grant has two refresh tokens that were not spent: 1": (
        "UPDATE refresh_tokens SET spent_at = NULL, successor_fingerprint = NULL, sealed_successor = NULL",
    ),
}


@pytest.mark.parametrize("problem", ORPHANS)
async def test_a_row_that_refers_to_what_is_not_there_is_found(new_place: NewPlace, problem: str) -> None:
    url = new_place("sqlite")
    async with opened(url) as store:
        await fill(store)
    run_in(url, *ORPHANS[problem])

    assert problem in (await check(url)).problems


async def test_rows_that_refer_to_what_is_not_there_are_found_together_on_each_backend(filled: str) -> None:
    run_in(filled, *(statement for problem in ORPHANS for statement in ORPHANS[problem] if "'nobody'" in statement))

    found = set((await check(filled)).problems)

    assert found >= {problem for problem in ORPHANS if "'nobody'" in ORPHANS[problem][0]}


def test_every_relation_between_tables_is_looked_at() -> None:
    """Foreign keys, and columns that are called like a key elsewhere."""
    looked_at = {(relation.child, relation.column) for relation in RELATIONS}
    with closing(connect(":memory:", timeout=0)) as connection:
        make(connection)
        keys = {
            (table.name, row["from"])
            for table in TABLES
            for row in connection.execute(f"PRAGMA foreign_key_list({table.name})")
        }
        columns = {
            (table.name, row["name"])
            for table in TABLES
            for row in connection.execute(f"PRAGMA table_info({table.name})")
        }
    assert keys <= looked_at
    named = {(table, column) for table, column in columns if column in {"subject", "user_subject", "grant_id"}}
    # What outlives what it names, as a record; and the tables whose key it is.
    records = {("audit_events", "subject"), ("audit_events", "grant_id"), ("grants", "subject")}
    own = {("users", "subject"), ("grants", "grant_id")}
    assert named - looked_at == records | own


def make(connection: sqlite3.Connection) -> None:
    """Make the schema of this code."""
    run_to_end(migrate(SqliteTransaction(connection), type_names=TYPE_NAMES))


def test_the_catalogue_is_that_of_the_schema() -> None:
    with closing(connect(":memory:", timeout=0)) as connection:
        make(connection)
        there = {}
        for name in expected_shape().columns:
            columns = list(connection.execute(f"PRAGMA table_info({name})"))
            keys = sorted((row["pk"], row["name"]) for row in columns if row["pk"])
            there[name] = (tuple(column for _, column in keys), {row["name"] for row in columns})
        del there["schema_version"]
        assert {table.name: table.key for table in TABLES} == {name: key for name, (key, _) in there.items()}
        assert [table.name for table in TABLES if table.age is not None and table.age not in there[table.name][1]] == []
        places = [table.name for table in TABLES]
        for table in TABLES:
            for row in connection.execute(f"PRAGMA foreign_key_list({table.name})"):
                assert places.index(row["table"]) < places.index(table.name)


async def test_what_no_key_opens_is_told_from_what_was_altered(filled: str) -> None:
    run_in(filled, "UPDATE upstream_tokens SET provider = 'another'")
    old = RING.key_ids[0]

    altered = await check(filled)
    assert altered.problems == [
        f"values of upstream_tokens that do not open (sealed under {old}, altered or in another's row): 1"
    ]
    missing = await check(filled, KeyRing([NEW]))
    assert missing.problems == [
        f"values of {table} that do not open (sealed under {old}, no such key at hand): 1"
        for table in ("signing_keys", "second_steps", "upstream_tokens")
    ]


async def test_two_rows_whose_sealed_values_were_swapped_are_found(filled: str) -> None:
    async with opened(filled) as store:
        (step,) = await store.second_steps.list_second_steps()
        await store.keys.reseal_signing_key((await store.keys.signing_keys(now=NOW))[0].key_id, step.sealed_secret)

    report = await check(filled)

    assert [problem.partition(" that")[0] for problem in report.problems] == ["values of signing_keys"]


async def test_without_a_key_nothing_is_opened_and_that_is_said(filled: str) -> None:
    report = await check(filled, None)

    assert report.is_sound
    assert "whether sealed values open: there is no sealing key at hand" in report.not_asked
    assert report.sealed_under == {RING.key_ids[0]: 3}


async def test_a_signing_key_that_has_ended_need_not_open(filled: str) -> None:
    assert KeyRing([OLD]).key_ids == RING.key_ids
    run_in(filled, "UPDATE signing_keys SET ends_at = created_at")

    assert (await check(filled, now=NOW)).sealed_under == {RING.key_ids[0]: 2}
    assert (await check(filled, now=NOW - 1)).sealed_under == {RING.key_ids[0]: 3}


async def test_an_index_that_is_missing_is_found(filled: str) -> None:
    run_in(filled, "DROP INDEX access_tokens_by_end")

    assert (await check(filled)).problems == ["the index access_tokens_by_end is missing"]


async def test_a_column_that_is_missing_is_found(filled: str) -> None:
    run_in(filled, "ALTER TABLE clients DROP COLUMN refresh_reuse")

    assert (await check(filled)).problems == ["clients lacks the column refresh_reuse"]


async def test_a_place_where_nothing_was_made_is_no_sound_store(new_place: NewPlace) -> None:
    assert (await check(new_place("postgresql"))).problems == ["no store was made here yet"]
    with pytest.raises(StoreMisconfigured, match="there is no store at"):
        await check(new_place("sqlite"))
    with pytest.raises(StoreMisconfigured, match="not looked after from outside"):
        await check("memory:")


async def test_a_schema_that_is_unknown_is_not_judged_by_its_rows(filled: str) -> None:
    run_in(filled, "UPDATE schema_version SET version = 1000, oldest_code = 1000")

    report = await check(filled)

    assert report.state == "unusable"
    (problem,) = report.problems
    assert problem.startswith("the schema version is 1000 and this Gatepost knows versions up to")


async def test_a_schema_that_is_older_is_counted_and_the_rest_is_said_to_be_left(filled: str) -> None:
    run_in(filled, "UPDATE schema_version SET version = 13")

    report = await check(filled)

    assert (report.state, report.problems) == ("older", [])
    assert TableReport("grants", 2, NOW, NOW) in report.tables
    assert any(note.startswith("relations and sealed values: the schema version is 13") for note in report.not_asked)


async def test_a_check_hinders_no_writer_and_no_writer_hinders_it(filled: str) -> None:
    reports: list[StoreReport] = []

    async def look() -> None:
        reports.extend([await check(filled) for _ in range(3)])

    async with opened(filled) as store:
        looking = asyncio.create_task(look())
        spent, written = "2", 0
        while not looking.done():
            await store.clients.register_client(client(f"meanwhile-{written}"))
            pair = tokens(f"meanwhile {written}", "grant-1")
            await store.grants.rotate_refresh_token(fp(f"refresh {spent}"), pair, b"s", now=NOW, window=WINDOW)
            spent, written = f"meanwhile {written}", written + 1
        await looking

    assert written > 0
    assert [report.problems for report in reports] == [[], [], []]


async def test_a_file_with_damaged_pages_is_found_and_told_without_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "gatepost.db"
    url = f"sqlite:///{path}"
    async with opened(url) as store:
        await fill(store)
        for number in range(200):
            await store.clients.register_client(client(f"client-{number + 2}"))
    overwrite_pages(path, range(5, 40))

    report = await check(url)

    assert not report.is_sound
    assert "relations and sealed values: the database is damaged" in report.not_asked


async def test_an_index_that_postgresql_calls_invalid_is_found(new_place: NewPlace) -> None:
    url = new_place("postgresql")
    async with opened(url) as store:
        await fill(store)
    run_in(url, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'grants_by_age'::regclass")

    assert "the index grants_by_age is not valid: rebuild it (REINDEX)" in (await check(url)).problems


async def test_indexes_are_compared_with_their_tables_where_amcheck_is_there(own_database: str) -> None:
    url = own_database
    async with opened(url) as store:
        await fill(store)
    note = "indexes against their tables: the extension amcheck is not there (CREATE EXTENSION)"
    assert note in (await check(url)).not_asked
    run_in(url, "CREATE EXTENSION amcheck")

    report = await check(url)

    assert note not in report.not_asked
    assert report.problems == []


async def test_an_index_that_lacks_rows_of_its_table_is_found(own_database: str) -> None:
    url = own_database
    async with opened(url) as store:
        await fill(store)
    keeps = "UPDATE pg_index SET indisready = {} WHERE indexrelid = 'clients_by_origin_and_age'::regclass"
    run_in(url, "CREATE SCHEMA elsewhere", "CREATE EXTENSION amcheck SCHEMA elsewhere", keeps.format("false"))
    async with opened(url) as store:
        await store.clients.register_client(client("not in the index"))
    run_in(url, keeps.format("true"))

    assert (await check(url)).problems == ["the index clients_by_origin_and_age is damaged (XX001)"]


@pytest.fixture
def role(own_database: str) -> Iterator[str]:
    """A role that may do nothing yet."""
    name = f"gatepost_test_{uuid4().hex}"
    postgresql_server.execute(f'CREATE ROLE "{name}" LOGIN')
    yield name
    run_in(own_database, f'DROP OWNED BY "{name}"')
    postgresql_server.execute(f'DROP ROLE "{name}"')


async def test_what_a_user_may_not_ask_is_said(own_database: str, role: str) -> None:
    url = own_database
    async with opened(url) as store:
        await fill(store)
    run_in(url, "CREATE EXTENSION amcheck")
    parts = urlsplit(url)
    as_role = urlunsplit(parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}"))

    with pytest.raises(StoreMisconfigured, match=r"the user lacks a privilege \(42501\)"):
        await check(as_role)

    run_in(url, f'GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{role}"')
    report = await check(as_role)
    assert report.problems == []
    assert "indexes against their tables: this user may not call the functions of amcheck" in report.not_asked


async def test_a_database_that_is_gone_is_no_report() -> None:
    with pytest.raises(StoreUnavailable):
        await check("postgresql://postgres@127.0.0.1:1/test")


def test_a_report_of_a_store_names_no_password() -> None:
    location = locate("postgresql://postgres:secret@127.0.0.1:1/test")
    assert location.maintenance is not None
    assert location.maintenance(False).description == "postgresql://127.0.0.1:1/test"
    assert postgresql_server.SERVER.startswith("postgresql://")


async def test_no_row_is_changed_by_a_check(filled: str) -> None:
    before = {table.name: rows_of(filled, f"SELECT * FROM {table.name}") for table in TABLES}  # noqa: S608 - our own names

    await check(filled)

    assert {table.name: rows_of(filled, f"SELECT * FROM {table.name}") for table in TABLES} == before  # noqa: S608 - likewise

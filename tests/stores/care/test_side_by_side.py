"""Servers of one version serve beside those of the next: what a migration may do, and what the old ones then do."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from gatepost.oauth.audit import AuditQuery
from gatepost.stores.care.state import status_of
from gatepost.stores.conformance.records import (
    NOW,
    WINDOW,
    audit_record,
    client,
    find_grant,
    fp,
    redeem,
    session,
    tokens,
    user,
)
from gatepost.stores.contract.errors import StoreMisconfigured
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.schema.migrations import MIGRATIONS, OLDEST_CODE, migrate
from gatepost.stores.urls import locate
from tests.stores.care.conftest import NewPlace
from tests.stores.care.filled import fill
from tests.stores.care.places import opened, rows_of, run_in

FIRST_THAT_ADDS = 15
NEWER = (
    "ALTER TABLE clients ADD COLUMN of_tomorrow TEXT",
    "ALTER TABLE users ADD COLUMN of_tomorrow BIGINT NOT NULL DEFAULT 7",
    "ALTER TABLE grants ADD COLUMN of_tomorrow BYTEA",
    "ALTER TABLE refresh_tokens ADD COLUMN of_tomorrow TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE access_tokens ADD COLUMN of_tomorrow TEXT",
    "ALTER TABLE browser_sessions ADD COLUMN of_tomorrow TEXT",
    "CREATE TABLE of_tomorrow (grant_id TEXT NOT NULL REFERENCES grants (grant_id) ON DELETE CASCADE)",
    "CREATE UNIQUE INDEX of_tomorrow_by_grant ON of_tomorrow (grant_id)",
    "CREATE INDEX grants_by_tomorrow ON grants (of_tomorrow)",
)
"""What a version of tomorrow may add."""

_ADDED_COLUMN = re.compile(
    r"ALTER TABLE (\w+) ADD COLUMN (\w+) (TEXT|BIGINT|BYTEA)( NOT NULL DEFAULT ('[^']*'|-?\d+))?"
)
_TABLE = re.compile(r"CREATE TABLE (\w+) \((.*)\)", re.DOTALL)
_INDEX = re.compile(r"CREATE (UNIQUE )?INDEX \w+ ON (\w+) .*", re.DOTALL)
_REFERENCE = re.compile(r"REFERENCES (\w+) \(\w+\)( ON DELETE CASCADE)?")


def not_only_added(statements: Sequence[str]) -> list[str]:
    """Return the statements of a migration that old code may trip over."""
    wrong, made = [], set[str]()
    for statement in map(str.strip, statements):
        if _ADDED_COLUMN.fullmatch(statement):
            continue
        if table := _TABLE.fullmatch(statement):
            made.add(table[1])
            # Without CASCADE, old code could not delete what the new rows name.
            fits = all(cascade or name in made for name, cascade in _REFERENCE.findall(table[2]))
        elif index := _INDEX.fullmatch(statement):
            fits = index[1] is None or index[2] in made
        else:
            fits = False
        if not fits:
            wrong.append(statement)
    return wrong


def test_migrations_only_add_unless_they_say_that_older_code_is_over() -> None:
    found = {
        version: not_only_added(statements)
        for version, statements in enumerate(MIGRATIONS, start=1)
        if version >= max(FIRST_THAT_ADDS, OLDEST_CODE + 1)
    }
    assert {version: wrong for version, wrong in found.items() if wrong} == {}
    assert FIRST_THAT_ADDS - 1 <= OLDEST_CODE <= len(MIGRATIONS)


def test_what_only_adds_is_told_from_what_does_not() -> None:
    assert not_only_added(NEWER) == []
    bad = [
        "ALTER TABLE clients ADD COLUMN a TEXT NOT NULL",
        "ALTER TABLE clients ADD COLUMN a TEXT UNIQUE",
        "ALTER TABLE clients ADD COLUMN a TEXT REFERENCES grants (grant_id)",
        "ALTER TABLE clients DROP COLUMN scope",
        "ALTER TABLE clients RENAME COLUMN scope TO scopes",
        "ALTER TABLE clients ALTER COLUMN scope SET NOT NULL",
        "DROP INDEX grants_by_end",
        "DROP TABLE limits",
        "UPDATE users SET roles = ''",
        "DELETE FROM limits",
        "CREATE UNIQUE INDEX clients_by_scope ON clients (scope)",
        "CREATE TABLE a (grant_id TEXT REFERENCES grants (grant_id))",
    ]
    assert not_only_added(bad) == bad
    assert not_only_added(MIGRATIONS[9]) == ["DROP INDEX grants_by_subject", "DROP INDEX grants_by_client"]


async def migrate_as_tomorrow(url: str, *, oldest_code: int) -> None:
    """Do what the next version does when it starts."""
    location = locate(url)
    assert location.maintenance is not None
    async with location.maintenance(True) as maintenance:
        await maintenance.write(
            lambda transaction: migrate(
                transaction,
                type_names=maintenance.type_names,
                migrations=(*MIGRATIONS, NEWER),
                oldest_code=oldest_code,
            )
        )


async def use(store: Store, name: str) -> None:
    """Do what a server does all day, with statements that were prepared before, if it did this before."""
    await redeem(store, name)
    pair = tokens(f"{name}+", f"grant-{name}")
    await store.grants.rotate_refresh_token(fp(f"refresh {name}"), pair, b"sealed", now=NOW, window=WINDOW)
    assert await store.grants.find_access_token(fp(f"access {name}"), now=NOW) is not None
    assert await store.grants.find_refresh(fp(f"refresh {name}")) is not None
    assert await store.grants.revoke_grant(f"grant-{name}", reason="asked", now=NOW)
    kept = await find_grant(store, f"grant-{name}")
    assert kept is not None
    assert kept.revoked_reason == "asked"
    await store.clients.register_client(client(f"client-{name}"))
    assert await store.clients.update_client(client(f"client-{name}", client_name=name))
    assert await store.clients.find_client(f"client-{name}") == client(f"client-{name}", client_name=name)
    await store.users.add_user(user(f"person-{name}", f"name-{name}"))
    assert await store.users.find_user(f"name-{name}") == user(f"person-{name}", f"name-{name}")
    assert await store.browser_sessions.start_session(session(name, subject=f"person-{name}"))
    assert await store.users.disable_user(f"person-{name}", now=NOW)
    assert await store.approvals.take_back(f"person-{name}", grant_id=None, reason="asked", now=NOW) == []
    await store.grants.delete_grants(before=NOW, limit=2)


async def test_a_server_that_runs_goes_on_when_the_next_version_has_migrated(url: str) -> None:
    async with opened(url) as store:
        await fill(store)
        # Each connection of a pool has prepared its statements.
        for number in range(3):
            await use(store, f"before-{number}")

        await migrate_as_tomorrow(url, oldest_code=OLDEST_CODE)

        for number in range(3):
            await use(store, f"after-{number}")


async def test_a_server_starts_beside_the_next_version_that_only_added(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    await migrate_as_tomorrow(url, oldest_code=OLDEST_CODE)

    async with opened(url) as store:
        await fill(store)
        await use(store, "beside")

    assert (
        f"the store has schema version {len(MIGRATIONS) + 1}, newer than this Gatepost, which works with it"
        in caplog.messages
    )
    assert list(rows_of(url, "SELECT version FROM schema_version")) == [(len(MIGRATIONS) + 1,)]
    assert (await status_of(locate(url))).state == "newer"


async def test_what_the_next_version_notes_in_the_audit_trail_is_read_by_its_code(url: str) -> None:
    async with opened(url) as store:
        await store.audit.append_events([audit_record()])
        run_in(url, "UPDATE audit_events SET event = 'of_tomorrow'")

        assert [event.event for event in await store.audit.list_events(AuditQuery(), before=None, limit=9)] == [
            "of_tomorrow"
        ]


async def test_a_file_that_the_next_version_has_migrated_is_backed_up(new_place: NewPlace, tmp_path: Path) -> None:
    url = new_place("sqlite")
    copying = locate(url).copying
    assert copying is not None
    await migrate_as_tomorrow(url, oldest_code=OLDEST_CODE)

    copying.back_up(tmp_path / "copy.db", lambda _done, _total: None)

    found = await status_of(locate(f"sqlite:///{tmp_path / 'copy.db'}"))
    assert (found.schema_version, found.state) == (len(MIGRATIONS) + 1, "newer")


async def test_a_server_does_not_start_where_the_next_version_took_something_away(url: str) -> None:
    await migrate_as_tomorrow(url, oldest_code=len(MIGRATIONS) + 1)

    with pytest.raises(StoreMisconfigured, match=f"schema version {len(MIGRATIONS) + 1} and this Gatepost knows"):
        async with opened(url):
            pass


def test_sqlite_adds_a_column_beside_a_statement_that_was_prepared() -> None:
    """What the rule rests on there; PostgreSQL refuses such a statement once, which is repeated."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("CREATE TABLE one (a)")
        connection.execute("INSERT INTO one VALUES (1)")
        assert dict(connection.execute("SELECT * FROM one").fetchone()) == {"a": 1}
        connection.execute("ALTER TABLE one ADD COLUMN b DEFAULT 2")
        assert dict(connection.execute("SELECT * FROM one").fetchone()) == {"a": 1, "b": 2}

"""What a store says at a look, and how it is brought up to date."""

from __future__ import annotations

import asyncio
import os

import pytest

from gatepost.stores.care.state import KNOWN_VERSION, migrate_store, status_of
from gatepost.stores.conformance.records import user
from gatepost.stores.contract.errors import StoreMisconfigured
from gatepost.stores.sql.schema.catalogue import TABLES
from gatepost.stores.urls import locate
from tests.stores.care.conftest import NewPlace
from tests.stores.care.filled import fill
from tests.stores.care.places import make_older, opened, rows_of, run_in


async def test_a_look_says_where_the_store_is_and_what_it_holds(url: str) -> None:
    async with opened(url) as store:
        await fill(store)

    found = await status_of(locate(url))

    assert (found.schema_version, found.known_version, found.state) == (KNOWN_VERSION, KNOWN_VERSION, "current")
    assert found.place in url or found.place.startswith("postgresql://127.0.0.1:5432/")
    assert found.database.startswith(("SQLite 3.", "PostgreSQL "))
    assert found.size > 0
    assert set(found.rows) == {table.name for table in TABLES}
    assert (found.rows["users"], found.rows["grants"], found.rows["setup_link"]) == (2, 2, 0)


async def test_a_look_at_an_older_store_leaves_it_as_it_is(url: str) -> None:
    await make_older(url, 4)

    found = await status_of(locate(url))

    assert (found.schema_version, found.state) == (4, "older")
    assert "passkeys" not in found.rows
    assert list(rows_of(url, "SELECT version FROM schema_version")) == [(4,)]


async def test_a_look_makes_nothing(new_place: NewPlace) -> None:
    file = new_place("sqlite")
    with pytest.raises(StoreMisconfigured, match="there is no store at"):
        await status_of(locate(file))
    assert not os.path.exists(file.removeprefix("sqlite:///"))  # noqa: ASYNC240, PTH110 - nothing else runs here

    found = await status_of(locate(new_place("postgresql")))
    assert (found.schema_version, found.state, found.rows, found.size) == (0, "empty", {}, 0)


async def test_a_migration_says_from_where_to_where_and_does_it_once(url: str) -> None:
    await make_older(url, 4)
    run_in(
        url,
        "INSERT INTO users (subject, issuer, external_subject, username, created_at) "
        "VALUES ('user-1', 'local', 'user-1', 'ada', 1)",
    )

    assert await migrate_store(locate(url)) == (4, KNOWN_VERSION)
    assert await migrate_store(locate(url)) == (KNOWN_VERSION, KNOWN_VERSION)

    async with opened(url) as store:
        assert await store.users.find_user("ada") == user(created_at=1, password_hash=None)


async def test_migrating_where_nothing_is_makes_a_store(url: str) -> None:
    assert await migrate_store(locate(url)) == (0, KNOWN_VERSION)
    assert (await status_of(locate(url))).state == "current"


async def test_migrations_at_the_same_time_happen_once(url: str) -> None:
    done = await asyncio.gather(*(migrate_store(locate(url)) for _ in range(4)))

    assert sorted(done) == [(0, KNOWN_VERSION), *[(KNOWN_VERSION, KNOWN_VERSION)] * 3]
    assert list(rows_of(url, "SELECT version FROM schema_version")) == [(KNOWN_VERSION,)]


async def test_a_store_that_this_code_does_not_work_with_is_not_migrated(url: str) -> None:
    await migrate_store(locate(url))
    run_in(url, "UPDATE schema_version SET version = 1000, oldest_code = 1000")

    assert (await status_of(locate(url))).state == "unusable"
    with pytest.raises(StoreMisconfigured, match="schema version 1000 and this Gatepost knows versions up to"):
        await migrate_store(locate(url))


async def test_tables_of_another_program_are_left_alone(new_place: NewPlace) -> None:
    url = new_place("postgresql")
    run_in(url, "CREATE TABLE users (name TEXT)")

    with pytest.raises(StoreMisconfigured, match="tables of another program"):
        await migrate_store(locate(url))
    with pytest.raises(StoreMisconfigured, match="tables of another program"):
        await status_of(locate(url))

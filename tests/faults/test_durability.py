"""What PostgreSQL acknowledged outlives its crash, and an attempt takes no longer than its caller waits."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator

import pytest

from gatepost.stores.contract.busy import PATIENCE, Until
from gatepost.stores.contract.errors import StoreBusy, StoreUnavailable
from gatepost.stores.sql.database import Transaction
from gatepost.stores.sql.postgresql import database as module
from gatepost.stores.sql.postgresql.database import PostgresqlDatabase
from gatepost.stores.sql.postgresql.maintenance import PostgresqlMaintenance
from tests.faults.wire import Wire
from tests.postgresql_instance import Instances, PostgresqlInstance


@pytest.fixture(scope="module")
def primary(instances: Instances) -> PostgresqlInstance:
    return instances.primary()


@pytest.fixture
async def watched(primary: PostgresqlInstance) -> AsyncIterator[PostgresqlInstance]:
    """A server that notes how each transaction commits that writes to `store_probe`, as it is then."""
    database = PostgresqlDatabase(primary.url, busy_timeout=5)
    await database.open()
    await database.close()
    primary.execute(
        "CREATE TABLE commits_seen (synchronous_commit text)",
        "CREATE FUNCTION note_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO commits_seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$",
        "CREATE CONSTRAINT TRIGGER notes_commit AFTER INSERT OR UPDATE ON store_probe DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION note_commit()",
    )
    yield primary
    primary.execute("ALTER SYSTEM RESET synchronous_commit", "SELECT pg_reload_conf()")
    primary.execute("DROP FUNCTION note_commit CASCADE", "DROP TABLE commits_seen")


def by_default(server: PostgresqlInstance, how: str) -> None:
    """Have transactions commit so from now on, on connections that there are, too."""
    server.configure(synchronous_commit=how)
    while server.rows("SHOW synchronous_commit") != [(how,)]:
        pass


async def answers(transaction: Transaction) -> bool:
    return await transaction.one("SELECT 1") is not None


async def commit(transaction: Transaction) -> int:
    return await transaction.run(
        "INSERT INTO store_probe (slot, written) VALUES (9, 9) ON CONFLICT (slot) DO UPDATE SET written = 9"
    )


@pytest.mark.parametrize(
    ("default", "used"), [("off", "on"), ("on", "on"), ("local", "local"), ("remote_apply", "remote_apply")]
)
async def test_a_commit_waits_for_the_disk_whatever_the_default_of_the_database(
    watched: PostgresqlInstance, default: str, used: str
) -> None:
    by_default(watched, default)
    database = PostgresqlDatabase(watched.url, busy_timeout=5)
    await database.open()
    await database.write(commit)
    await database.close()
    async with PostgresqlMaintenance(watched.url) as maintenance:
        await maintenance.write(commit)
    assert watched.rows("SELECT synchronous_commit FROM commits_seen") == [(used,)] * 2


@pytest.mark.parametrize(
    ("at_first", "later", "used"),
    [
        ("on", "off", "on"),
        ("remote_apply", "off", "on"),
        ("on", "remote_apply", "remote_apply"),
        ("off", "remote_apply", "remote_apply"),
    ],
)
async def test_commits_follow_a_default_that_changes_as_with_a_host_that_takes_over_but_for_asynchronous_ones(
    watched: PostgresqlInstance, at_first: str, later: str, used: str
) -> None:
    by_default(watched, at_first)
    database = PostgresqlDatabase(watched.url, busy_timeout=5)
    await database.open()
    by_default(watched, later)
    for _ in range(3):
        await database.write(commit)
    await database.close()
    assert watched.rows("SELECT synchronous_commit FROM commits_seen") == [(used,)] * 3


async def test_no_limit_of_the_database_ends_the_wait_of_a_commit_for_a_standby(primary: PostgresqlInstance) -> None:
    """It would be answered as done."""
    database = PostgresqlDatabase(primary.url, busy_timeout=5)
    await database.open()
    primary.execute(
        "CREATE TABLE limits_seen (statement_timeout text)",
        "CREATE FUNCTION note_limit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO limits_seen VALUES (current_setting('statement_timeout')); RETURN NULL; END $$",
        "CREATE CONSTRAINT TRIGGER notes AFTER INSERT ON store_probe DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION note_limit()",
    )
    try:
        await database.write(lambda transaction: transaction.run("INSERT INTO store_probe VALUES (8, 8)"))
    finally:
        primary.execute("DROP TRIGGER notes ON store_probe")
        await database.close()
    assert primary.rows("SELECT statement_timeout FROM limits_seen") == [("0",)]


async def test_a_url_that_asks_for_asynchronous_commits_gets_them_with_a_warning(
    watched: PostgresqlInstance, caplog: pytest.LogCaptureFixture
) -> None:
    database = PostgresqlDatabase(f"{watched.url}?synchronous_commit=off", busy_timeout=5)
    with caplog.at_level(logging.WARNING, "gatepost.stores"):
        await database.open()
    await database.write(commit)
    await database.close()
    assert watched.rows("SELECT synchronous_commit FROM commits_seen") == [("off",)]
    (warning,) = caplog.records
    assert "synchronous_commit off" in warning.getMessage()


async def test_an_attempt_at_a_database_that_hangs_ends_with_the_patience_of_its_caller(
    primary: PostgresqlInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a connection that is there, on one that cannot be made, and for what is known to be slow."""
    monkeypatch.setattr(module, "LONGEST_STATEMENT", 10_000.0)
    database = PostgresqlDatabase(primary.url, busy_timeout=5)
    await database.open()
    primary.freeze()
    token = PATIENCE.set(Until(time.monotonic() + 0.5))
    try:
        for operation in (database.write, database.read, database.write, database.read):
            with pytest.raises(StoreBusy, match="cannot answer"):
                await operation(answers)
    finally:
        PATIENCE.reset(token)
        primary.thaw()
    assert await database.write(answers)
    await database.close()


async def test_a_commit_that_is_not_answered_in_time_is_not_said_to_have_failed(primary: PostgresqlInstance) -> None:
    with Wire(primary.port) as wire:
        database = PostgresqlDatabase(primary.url.replace(str(primary.port), str(wire.port)), busy_timeout=5)
        await database.open()

        async def hold_the_commit(transaction: Transaction) -> None:
            await transaction.run("INSERT INTO store_probe (slot, written) VALUES (7, 7)")
            wire.delay = 60.0

        token = PATIENCE.set(Until(time.monotonic() + 1))
        try:
            with pytest.raises(StoreUnavailable) as fault:
                await database.write(hold_the_commit)
            assert not isinstance(fault.value, StoreBusy)
        finally:
            PATIENCE.reset(token)
            wire.delay = 0.0
            await database.close()
    assert primary.rows("SELECT written FROM store_probe WHERE slot = 7") == [(7,)]

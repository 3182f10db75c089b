"""What PostgreSQL acknowledged outlives its crash, and an attempt takes no longer than its caller waits."""

from __future__ import annotations

import logging
import time

import pytest

from gatepost.stores.contract.busy import PATIENCE, Until
from gatepost.stores.contract.errors import StoreBusy, StoreUnavailable
from gatepost.stores.sql.database import Transaction
from gatepost.stores.sql.postgresql import database as module
from gatepost.stores.sql.postgresql.database import PostgresqlDatabase
from tests.faults.wire import Wire
from tests.postgresql_instance import Instances, PostgresqlInstance


@pytest.fixture(scope="module")
def primary(instances: Instances) -> PostgresqlInstance:
    return instances.primary()


async def commits_by(transaction: Transaction) -> str:
    row = await transaction.one("SELECT current_setting('synchronous_commit') AS how")
    assert row is not None
    how: str = row["how"]
    return how


async def commits_of(url: str) -> str:
    """Return how a store at this URL commits."""
    database = PostgresqlDatabase(url, busy_timeout=5)
    await database.open()
    try:
        return await database.write(commits_by)
    finally:
        await database.close()


@pytest.mark.parametrize(
    ("default", "used"), [("off", "on"), ("on", "on"), ("local", "local"), ("remote_apply", "remote_apply")]
)
async def test_a_commit_waits_for_the_disk_whatever_the_default_of_the_database(
    primary: PostgresqlInstance, default: str, used: str
) -> None:
    primary.execute(f"ALTER DATABASE test SET synchronous_commit = {default}")
    try:
        assert await commits_of(primary.url) == used
    finally:
        primary.execute("ALTER DATABASE test RESET synchronous_commit")


async def test_a_database_that_turns_to_asynchronous_commits_while_it_is_used_does_not_change_ours(
    primary: PostgresqlInstance,
) -> None:
    database = PostgresqlDatabase(primary.url, busy_timeout=5)
    await database.open()
    try:
        primary.configure(synchronous_commit="off")
        while primary.rows("SHOW synchronous_commit") != [("off",)]:
            pass
        assert {await database.write(commits_by) for _ in range(3)} == {"on"}
    finally:
        primary.execute("ALTER SYSTEM RESET synchronous_commit", "SELECT pg_reload_conf()")
        await database.close()


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
    primary: PostgresqlInstance, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "gatepost.stores"):
        assert await commits_of(f"{primary.url}?synchronous_commit=off") == "off"
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
                await operation(commits_by)
    finally:
        PATIENCE.reset(token)
        primary.thaw()
    assert await database.write(commits_by) == "on"
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

"""PostgreSQL that is down, hangs, is read-only, locked, or has no connection to spare: one server lives through all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.end_to_end.running_server import RunningServer
from tests.faults.requests import READING, assert_unavailable
from tests.faults.world import IMPATIENT, SETTINGS, World
from tests.postgresql_instance import Instances, PostgresqlInstance, connected

ROLE = "gatepost"
END_CONNECTIONS = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}'"  # noqa: S608 - ours


@pytest.fixture(scope="module")
def primary(instances: Instances) -> PostgresqlInstance:
    """A database whose owner is no superuser, as it should be."""
    made = instances.primary()
    made.execute(f"CREATE ROLE {ROLE} LOGIN", f"ALTER DATABASE test OWNER TO {ROLE}")
    return made


@pytest.fixture(scope="module")
def world(primary: PostgresqlInstance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One server for all of this file's faults."""
    url = primary.url.replace("postgres@", f"{ROLE}@")
    environment = {**SETTINGS, "MCP_STORAGE_URL": url}
    folder = tmp_path_factory.mktemp("data")
    with RunningServer("", folder, module=IMPATIENT, environment=environment) as server:
        yield World(server, url)


@pytest.mark.parametrize("mode", ["fast", "immediate", "kill -9"])
def test_a_database_that_is_down_is_503_until_it_is_back(world: World, primary: PostgresqlInstance, mode: str) -> None:
    requests = world.requests()
    if mode == "kill -9":
        primary.crash()
    else:
        primary.stop(mode)
    try:
        assert_unavailable(requests.send())
        world.assert_not_ready()
    finally:
        primary.start()
    world.assert_whole(requests)


def test_a_database_that_hangs_is_503_until_it_goes_on(world: World, primary: PostgresqlInstance) -> None:
    requests = world.requests()
    primary.freeze()
    try:
        assert_unavailable(requests.send())
        world.assert_not_ready()
    finally:
        primary.thaw()
    world.assert_whole(requests)


def test_a_database_that_became_read_only_answers_what_only_reads(world: World, primary: PostgresqlInstance) -> None:
    """As platforms make it whose disk is nearly full."""
    requests = world.requests()
    primary.configure(default_transaction_read_only="on")
    try:
        assert_unavailable(requests.send(), but=READING)
        world.assert_not_ready()
    finally:
        primary.execute("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")
    world.assert_whole(requests)


def test_a_database_that_gives_no_connection_is_503_until_it_does(world: World, primary: PostgresqlInstance) -> None:
    """Others have taken all that it may have (SQLSTATE 53300)."""
    requests = world.requests()
    primary.execute(f"ALTER ROLE {ROLE} CONNECTION LIMIT 0", END_CONNECTIONS)
    try:
        assert_unavailable(requests.send())
        world.assert_not_ready()
    finally:
        primary.execute(f"ALTER ROLE {ROLE} CONNECTION LIMIT -1")
    world.assert_whole(requests)


def test_tables_that_somebody_has_locked_are_503_until_they_are_free(world: World, primary: PostgresqlInstance) -> None:
    """All connections of the pool wait for the lock, and requests for a connection."""
    requests = world.requests()
    names = ", ".join(name for (name,) in primary.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
    with connected(primary.url) as run:
        run("BEGIN")
        run(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")
        assert_unavailable(requests.send())
        world.assert_not_ready()
        run("ROLLBACK")
    world.assert_whole(requests)

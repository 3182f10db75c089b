"""PostgreSQL fails over to its standby: what was acknowledged is there, as far as the standby had it.

With synchronous replication it had all of it, and nothing is lost. Without, a standby that lags lacks the last writes
of the primary: then what was acknowledged in them is lost, as docs/postgresql.md says, and no client is worse off than
one whose answer got lost.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.attacks.tokens.seeding import alive, refresh_form, revoke_form
from tests.end_to_end import local_http
from tests.end_to_end.running_server import RunningServer
from tests.faults.requests import READING, assert_done, assert_unavailable, give, with_store
from tests.faults.world import IMPATIENT, SETTINGS, TARGET, World
from tests.postgresql_instance import Instances, PostgresqlInstance


@pytest.fixture
def pair(instances: Instances) -> tuple[PostgresqlInstance, PostgresqlInstance]:
    """A primary, and a standby that has all of it."""
    primary = instances.primary()
    return primary, instances.standby(primary)


def url_of(*hosts: PostgresqlInstance) -> str:
    """Return the URL of whichever of them takes writes."""
    names = ",".join(f"127.0.0.1:{host.port}" for host in hosts)
    return f"postgresql://postgres@{names}/test?target_session_attrs=read-write"


def world_of(
    pair: tuple[PostgresqlInstance, PostgresqlInstance], folder: Path, *, is_patient: bool = True
) -> RunningServer:
    environment = {**SETTINGS, "MCP_STORAGE_URL": url_of(*pair)}
    if is_patient:
        return RunningServer(TARGET, folder, environment=environment)
    return RunningServer("", folder, module=IMPATIENT, environment=environment)


def test_with_synchronous_replication_a_failover_loses_nothing_and_clients_wait_it_out(
    pair: tuple[PostgresqlInstance, PostgresqlInstance], tmp_path: Path
) -> None:
    primary, standby = pair
    primary.configure(synchronous_standby_names=f"standby_{standby.port}")
    with world_of(pair, tmp_path) as server:
        world = World(server, url_of(*pair))
        done, waiting = world.requests(), world.requests()
        assert_done(done.send("refresh", "revoke", "register"))
        primary.crash()
        with ThreadPoolExecutor(1) as thread:
            sending = thread.submit(waiting.send, "authorize", "register", "code", "refresh", "revoke", "introspect")
            standby.promote()
            assert_done(sending.result(local_http.PATIENCE))
        assert not any(with_store(world.place, lambda store: alive(store, [done.revoked.access_token])))
        world.assert_whole(world.requests())


def test_a_synchronous_standby_that_is_gone_holds_commits_back_and_nothing_is_acknowledged(
    pair: tuple[PostgresqlInstance, PostgresqlInstance], tmp_path: Path
) -> None:
    """A commit that waits has happened on the primary: reads see it, and it is not promised."""
    primary, standby = pair
    primary.configure(synchronous_standby_names=f"standby_{standby.port}")
    with world_of(pair, tmp_path, is_patient=False) as server:
        world = World(server, primary.url)
        requests = world.requests()
        standby.stop()
        assert_unavailable(requests.send("register", "revoke", "refresh", "assertion", "initialize"))
        assert world.probe("/healthz") == 503
        assert_done(requests.send(*READING))
        standby.start()
        world.wait_until_ready()
        assert_done(requests.send("revoke", "refresh", "register", "initialize"))


def test_a_standby_that_lags_takes_over_without_the_last_writes_and_clients_go_on(
    pair: tuple[PostgresqlInstance, PostgresqlInstance], tmp_path: Path
) -> None:
    primary, standby = pair
    with world_of(pair, tmp_path) as server, local_http.client(base_url=server.origin) as http:
        world = World(server, url_of(*pair))
        requests = world.requests()
        refreshing, revoked, kept = [
            with_store(world.place, lambda store: give(store, server.mcp_url)) for _ in range(3)
        ]
        assert http.post("/oauth/revoke", data=revoke_form(kept.refresh_token)).status_code == 200
        wait_until_there(primary, standby)
        standby.cut_off()
        lost = http.post("/oauth/token", data=refresh_form(refreshing.refresh_token))
        assert lost.status_code == 200
        assert http.post("/oauth/revoke", data=revoke_form(revoked.refresh_token)).status_code == 200
        primary.crash()
        standby.promote()
        world.wait_until_ready()

        # What the standby had counts: the revocation that it had heard of, and the tokens from before.
        assert not any(with_store(world.place, lambda store: alive(store, [kept.access_token])))
        # What it had not is lost, and no more than that: the token of the lost rotation is unknown, and the one before
        # it is good again; the revocation has to be asked for again.
        assert http.post("/oauth/token", data=refresh_form(lost.json()["refresh_token"])).status_code == 400
        assert http.post("/oauth/token", data=refresh_form(refreshing.refresh_token)).status_code == 200
        assert http.post("/oauth/revoke", data=revoke_form(revoked.refresh_token)).status_code == 200
        assert not any(with_store(world.place, lambda store: alive(store, [revoked.access_token])))
        world.assert_whole(requests)


def wait_until_there(primary: PostgresqlInstance, standby: PostgresqlInstance) -> None:
    """Wait until the standby has all that the primary has written so far."""
    ((position,),) = primary.rows("SELECT pg_current_wal_lsn()::text")
    standby.until(f"SELECT pg_last_wal_replay_lsn() >= '{position}'")


def test_while_none_of_the_hosts_takes_writes_all_is_503_until_one_does(
    pair: tuple[PostgresqlInstance, PostgresqlInstance], tmp_path: Path
) -> None:
    """Such as between the death of the primary and the promotion of the standby, however long that takes."""
    primary, standby = pair
    with world_of(pair, tmp_path, is_patient=False) as server:
        world = World(server, primary.url)
        requests = world.requests()
        wait_until_there(primary, standby)
        primary.stop()
        assert_unavailable(requests.send())
        standby.promote()
        World(server, standby.url).assert_whole(requests)

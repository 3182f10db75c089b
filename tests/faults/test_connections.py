"""Connections to PostgreSQL that are slow, and ones that are cut at each message of each request.

A proxy stands between. A cut before the database has heard a message, and one that swallows its answer, look the same
to the server; which of the two it was, the client finds out by asking again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx2
import pytest

from gatepost.tokens.opaque import fingerprint
from tests.attacks.tokens.seeding import alive, code_form, refresh_form, revoke_form
from tests.end_to_end import local_http
from tests.end_to_end.running_server import RunningServer
from tests.faults.requests import approve, give, with_store
from tests.faults.wire import Wire
from tests.faults.world import SETTINGS, TARGET, World
from tests.postgresql_instance import Instances, PostgresqlInstance, rows_of

MOST_MESSAGES = 40
"""Of one request; more are a mistake of this test."""


@pytest.fixture(scope="module")
def primary(instances: Instances) -> PostgresqlInstance:
    return instances.primary()


@pytest.fixture(scope="module")
def wire(primary: PostgresqlInstance) -> Iterator[Wire]:
    with Wire(primary.port) as between:
        yield between


@pytest.fixture(scope="module")
def world(primary: PostgresqlInstance, wire: Wire, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server as it is, which waits for as long as clients do."""
    url = primary.url.replace(f":{primary.port}/", f":{wire.port}/")
    environment = {**SETTINGS, "MCP_STORAGE_URL": url}
    with RunningServer(TARGET, tmp_path_factory.mktemp("data"), environment=environment) as server:
        yield World(server, primary.url)


def test_a_restart_of_the_database_shorter_than_clients_wait_is_seen_by_nobody(
    world: World, primary: PostgresqlInstance
) -> None:
    requests = world.requests()
    primary.stop()
    with ThreadPoolExecutor(1) as thread:
        sending = thread.submit(world.assert_whole, requests, waits=False)
        primary.start()
        sending.result(local_http.PATIENCE)


def test_a_slow_way_to_the_database_costs_time_and_no_answer(world: World, wire: Wire) -> None:
    requests = world.requests()
    wire.delay = 0.05
    try:
        world.assert_whole(requests)
    finally:
        wire.delay = 0.0


@dataclass
class Sending:
    """What is sent while a connection is cut, and what must hold once it was sent again until it was answered."""

    form: dict[str, str]
    path: str
    check: Callable[[httpx2.Response, httpx2.Response], None]
    """Takes the first answer, and the one to the same request after the cut."""


def count_live(place: str, *tokens: str) -> int:
    return sum(with_store(place, lambda store: alive(store, list(tokens))))


def sending_code(world: World) -> Sending:
    secret = with_store(world.place, lambda store: approve(store, world.server.mcp_url))

    def check(first: httpx2.Response, again: httpx2.Response) -> None:
        if first.status_code == 200:
            assert again.json()["error"] == "invalid_grant"
            assert count_live(world.place, first.json()["access_token"]) == 0  # which a replay ends
        elif again.status_code == 200:
            assert count_live(world.place, again.json()["access_token"]) == 1
        else:  # it was spent for an answer that nobody got, and sending it again has ended what it gave
            assert again.json()["error"] == "invalid_grant"
            assert live_grants_of(world.place, secret) == 0

    return Sending(code_form(secret), "/oauth/token", check)


def live_grants_of(place: str, code: str) -> int:
    """Return how many grants that a code has given are alive."""
    query = (
        "SELECT count(*) FROM authorization_codes JOIN grants USING (grant_id) "  # noqa: S608 - hexadecimal digits
        f"WHERE code_fingerprint = '\\x{fingerprint(code).hex()}' AND revoked_at IS NULL"
    )
    ((count,),) = rows_of(query, url=place)
    assert isinstance(count, int)
    return count


def sending_refresh(world: World) -> Sending:
    given = with_store(world.place, lambda store: give(store, world.server.mcp_url))

    def check(first: httpx2.Response, again: httpx2.Response) -> None:
        assert again.status_code == 200, again.text
        if first.status_code == 200:
            assert again.json()["refresh_token"] == first.json()["refresh_token"]
        assert count_live(world.place, again.json()["access_token"]) == 1

    return Sending(refresh_form(given.refresh_token), "/oauth/token", check)


def sending_revocation(world: World) -> Sending:
    given = with_store(world.place, lambda store: give(store, world.server.mcp_url))

    def check(_first: httpx2.Response, again: httpx2.Response) -> None:
        assert again.status_code == 200
        assert count_live(world.place, given.access_token) == 0

    return Sending(revoke_form(given.refresh_token), "/oauth/revoke", check)


@pytest.mark.parametrize("lets_through", [False, True], ids=["unheard", "unanswered"])
@pytest.mark.parametrize("prepare", [sending_code, sending_refresh, sending_revocation])
def test_a_connection_that_is_cut_at_any_message_loses_nothing_and_honours_nothing_twice(
    world: World, wire: Wire, prepare: Callable[[World], Sending], *, lets_through: bool
) -> None:
    world.requests()  # whose clients the forms name
    with local_http.client(base_url=world.server.origin) as http:
        for message in range(1, MOST_MESSAGES):
            sending = prepare(world)
            http.get("/healthz")  # so that there is a connection
            wire.arm(message, lets_through=lets_through)
            first = http.post(sending.path, data=sending.form)
            was_cut = wire.disarm()
            assert first.status_code in {200, 503}, first.text
            sending.check(first, http.post(sending.path, data=sending.form))
            if not was_cut:
                assert message > 1, "nothing was cut"
                return
    raise AssertionError("a request of so many messages")

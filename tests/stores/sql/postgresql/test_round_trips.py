"""How often a request asks PostgreSQL, counted on the wire, once its statements are prepared on the connection.

What runs beside a request (what processes tell each other, events that are written behind) only ever adds to a count,
so each is the smallest of several.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from gatepost import Server, create_app
from gatepost.configuration.settings import load_settings
from gatepost.oauth.limits import Rate, Use
from gatepost.stores.conformance.records import NOW, WINDOW, audit_record, fp, redeem, tokens
from gatepost.stores.contract.grants import RotateOutcome
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.postgresql import postgresql_store
from gatepost.stores.sql.postgresql.grants import PostgresqlGrantStore
from tests.attacks.installed import VERIFIER
from tests.seeds.person import CALLBACK, Person, person_at
from tests.stores import postgresql_server
from tests.stores.sql.postgresql.wire import Wire

PASSWORD: Final = "a long enough passphrase"
HANDSHAKE: Final = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "app", "version": "1"}}
RUNS: Final = 5


@pytest.fixture
async def wire(postgresql_url: str) -> AsyncIterator[Wire]:
    await postgresql_server.empty(postgresql_url)
    async with Wire(postgresql_url).open() as opened:
        yield opened


@pytest.fixture
async def store(wire: Wire) -> AsyncIterator[Store]:
    """An empty store through the proxy, of one connection, so that statements are prepared once."""
    opened = postgresql_store(wire.url, connections=1)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def person(wire: Wire) -> AsyncIterator[Person]:
    """Somebody at a whole server over such a store, whose app has tokens."""
    settings = load_settings({"ADMIN_PASSWORD": PASSWORD, "MCP_STORAGE_URL": "memory:"}, env_file=None)
    server = Server("notes")

    @server.tool
    def add(text: str) -> str:
        """Add a note."""
        return text

    app = create_app(
        server, settings=settings, store=postgresql_store(wire.url, connections=1), announce=lambda _: None
    )
    async with person_at(app) as anybody:
        await anybody.allow(await anybody.submit(await anybody.arrive(), password=PASSWORD))
        yield anybody


async def fewest(wire: Wire, ask: Callable[[], Awaitable[Any]]) -> int:
    """Return how many round trips it takes, the first time not counted."""
    await ask()
    counts = []
    for _ in range(RUNS):
        before = wire.round_trips
        await ask()
        counts.append(wire.round_trips - before)
    return min(counts)


async def test_a_refresh_takes_two_round_trips(wire: Wire, person: Person) -> None:
    async def refresh() -> None:
        assert (await person.refresh()).status_code == 200

    assert await fewest(wire, refresh) == 2


async def test_a_code_exchange_takes_four_round_trips(wire: Wire, person: Person) -> None:
    codes = []
    for _ in range(1 + RUNS):
        logged_in = await person.submit(await person.arrive(), password=PASSWORD)
        approved = await person.submit(await person.http.get(logged_in.headers["location"]), decision="approve")
        codes.append(parse_qs(urlsplit(approved.headers["location"]).query)["code"][0])
    grant = {"grant_type": "authorization_code", "client_id": person.client_id, "redirect_uri": CALLBACK}

    async def redeem() -> None:
        form = {**grant, "code": codes.pop(), "code_verifier": VERIFIER}
        assert (await person.http.post("/oauth/token", data=form)).status_code == 200

    assert await fewest(wire, redeem) == 4


async def test_a_token_check_takes_one_round_trip_and_then_none_for_seconds(wire: Wire, person: Person) -> None:
    checks: list[int] = []
    for _ in range(RUNS):
        await person.refresh()
        before = wire.round_trips
        assert await person.call(person.tokens["access_token"], "add", text="x") == "x"
        checks.append(wire.round_trips - before)
    assert min(checks) == 1

    async def call() -> None:
        assert await person.call(person.tokens["access_token"], "add", text="x") == "x"

    assert await fewest(wire, call) == 0


async def test_a_call_of_the_handshake_era_takes_no_round_trip_once_its_session_is_known(
    wire: Wire, person: Person
) -> None:
    headers = {
        "Accept": "application/json, text/event-stream",
        "Authorization": f"Bearer {person.tokens['access_token']}",
    }

    async def send(method: str, params: dict[str, Any]) -> httpx2.Response:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = await person.http.post("/mcp", json=message, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer

    began = await send("initialize", HANDSHAKE)
    headers |= {"Mcp-Session-Id": began.headers["mcp-session-id"], "MCP-Protocol-Version": "2025-06-18"}
    assert await fewest(wire, lambda: send("tools/call", {"name": "add", "arguments": {"text": "x"}})) == 0


async def test_a_use_of_a_limit_takes_one_round_trip(wire: Wire, store: Store) -> None:
    async def take() -> None:
        assert await store.limits.take([Use("token:address:192.0.2.1", Rate(100, 60))], now=NOW) == 0

    assert await fewest(wire, take) == 1


async def test_an_audit_event_that_is_written_behind_takes_a_small_part_of_one(wire: Wire, store: Store) -> None:
    numbers = iter(range(1000))

    async def append() -> None:
        await store.audit.append_events([audit_record(next(numbers)) for _ in range(100)])

    assert await fewest(wire, append) == 2 + 1 + 36 // 8 + 36 % 8


async def test_a_connection_that_may_be_dead_is_asked_before_a_token_is_spent_on_it(
    wire: Wire, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await redeem(store)
    monkeypatch.setattr("gatepost.stores.sql.postgresql.database._FRESH_SECONDS", -1)
    before = wire.round_trips
    rotation = await store.grants.rotate_refresh_token(fp("refresh 1"), tokens("2"), b"sealed", now=NOW, window=WINDOW)
    # The question, and the statement with its preparation.
    assert (rotation.outcome, wire.round_trips - before) == (RotateOutcome.ROTATED, 3)


async def test_where_no_statement_is_kept_a_refresh_takes_fourteen(wire: Wire, store: Store) -> None:
    assert isinstance(store.grants, PostgresqlGrantStore)
    await store.grants._database._lent.prepare_no_more()
    await redeem(store)
    names = [str(number) for number in range(1, 10)]

    async def refresh() -> None:
        name, following = names.pop(0), names[0]
        assert await store.grants.find_refresh(fp(f"refresh {name}")) is not None
        rotation = await store.grants.rotate_refresh_token(
            fp(f"refresh {name}"), tokens(following), b"sealed", now=NOW, window=WINDOW
        )
        assert rotation.outcome is RotateOutcome.ROTATED

    assert await fewest(wire, refresh) == 14


async def test_a_batch_of_ended_grants_takes_eight_round_trips_however_many_they_are(wire: Wire, store: Store) -> None:
    """A beginning, two looks, four deletions and an end."""
    taken: list[int] = []
    for many in (1, 40, 40, 40):
        for number in range(many):
            await redeem(store, f"{len(taken)}-{number}")
        before = wire.round_trips
        assert await store.grants.delete_grants(before=NOW + 100_000, limit=200) == 3 * many
        taken.append(wire.round_trips - before)

    assert min(taken[1:]) == 8

"""A busy store is waited out inside the token endpoints for as long as clients wait; only then it is a 503."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from gatepost.stores.contract.busy import PATIENCE
from gatepost.stores.contract.errors import StoreBusy, StoreOverloaded
from gatepost.stores.sql.database import Operation, T
from gatepost.stores.sql.sqlite.memory import MemoryDatabase
from gatepost.stores.sql.store import sql_store
from gatepost.web.site.patience import Waiting
from gatepost.web.site.routing import Route
from tests.web.oauth.token_harness import ISSUER, Harness, refusal, token_harness
from tests.web.served import Served

FOR_EVER = 1_000_000


class BusyDatabase(MemoryDatabase):
    """A database that cannot begin so many writes, or so many reads."""

    writes = 0
    reads = 0
    fault: Callable[[str], Exception] = StoreBusy

    async def write(self, operation: Operation[T]) -> T:
        self.writes -= 1
        if self.writes >= 0:
            raise self.fault("another process has locked it")
        return await super().write(operation)

    async def read(self, operation: Operation[T]) -> T:
        self.reads -= 1
        if self.reads >= 0:
            raise self.fault("too many wait")
        return await super().read(operation)


class Clock:
    """Only sleeping moves it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.on_sleep: Callable[[], None] = lambda: None

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.on_sleep()
        await asyncio.sleep(0)


@dataclass
class World:
    """A token endpoint whose store can be busy."""

    harness: Harness
    database: BusyDatabase
    clock: Clock
    waiting: Waiting


@pytest.fixture
async def world() -> AsyncIterator[World]:
    database, clock = BusyDatabase(), Clock()
    waiting = Waiting(clock, clock.sleep)
    async with token_harness(sql_store(database), waiting=waiting, is_limited=True) as harness:
        yield World(harness, database, clock, waiting)


@pytest.mark.parametrize("fault", [StoreBusy, StoreOverloaded])
async def test_a_refresh_waits_until_the_store_answers(world: World, fault: Callable[[str], Exception]) -> None:
    client = await world.harness.register()
    tokens = await world.harness.begin(client)
    world.database.fault = fault
    world.database.writes = 402

    response = await world.harness.refresh(client, tokens["refresh_token"])

    assert response.status_code == 200
    assert await world.harness.is_alive(response.json()["access_token"])
    assert world.clock.now == pytest.approx(402 * 0.05)
    assert world.waiting.count == 0


@pytest.mark.parametrize(("grant_type", "seconds"), [("refresh_token", 28), ("authorization_code", 9)])
async def test_the_wait_ends_before_clients_give_up_and_nothing_is_spent(
    world: World, grant_type: str, seconds: int
) -> None:
    client = await world.harness.register()
    tokens = await world.harness.begin(client)
    code = await world.harness.approve(client)

    async def exchange() -> tuple[int, str]:
        harness = world.harness
        if grant_type == "refresh_token":
            response = await harness.refresh(client, tokens["refresh_token"])
        else:
            response = await harness.redeem(client, code)
        return response.status_code, response.headers.get("retry-after", "")

    world.database.writes = FOR_EVER
    assert await exchange() == (503, "5")
    assert world.clock.now == pytest.approx(seconds, abs=0.06)
    world.database.writes = 0
    assert await exchange() == (200, "")


async def test_the_wait_is_for_the_whole_request_and_not_for_each_of_its_operations(world: World) -> None:
    client = await world.harness.register()
    code = await world.harness.approve(client)
    world.database.reads, world.database.writes = 20 * 5, FOR_EVER

    assert refusal(await world.harness.redeem(client, code)) == (503, "temporarily_unavailable")

    assert world.clock.now == pytest.approx(9, abs=0.06)


async def test_a_revocation_waits_too(world: World) -> None:
    client = await world.harness.register()
    tokens = await world.harness.begin(client)
    world.database.writes = 100

    assert (await world.harness.revoke(client, tokens["refresh_token"])).status_code == 200

    assert not await world.harness.is_alive(tokens["access_token"])


async def test_nobody_waits_once_the_server_stops(world: World) -> None:
    client = await world.harness.register()
    tokens = await world.harness.begin(client)
    world.database.writes = FOR_EVER

    def stop() -> None:
        world.waiting.is_stopped = True

    world.clock.on_sleep = stop
    assert refusal(await world.harness.refresh(client, tokens["refresh_token"])) == (503, "temporarily_unavailable")
    assert world.clock.now == pytest.approx(0.05)


async def test_one_more_than_may_wait_is_refused_at_once(world: World) -> None:
    client = await world.harness.register()
    tokens = await world.harness.begin(client)
    world.waiting.most = 0
    world.database.writes = FOR_EVER

    assert refusal(await world.harness.refresh(client, tokens["refresh_token"])) == (503, "temporarily_unavailable")

    assert (world.clock.now, world.waiting.count) == (0.0, 0)


async def test_a_client_that_has_left_is_not_waited_for(world: World) -> None:
    client = await world.harness.register()
    tokens = await world.harness.begin(client)
    world.database.writes = FOR_EVER
    body = f"grant_type=refresh_token&refresh_token={tokens['refresh_token']}&client_id={client.client_id}".encode()
    incoming: list[Message] = [{"type": "http.request", "body": body}, {"type": "http.disconnect"}]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/oauth/token",
        "query_string": b"",
        "headers": [(b"content-type", b"application/x-www-form-urlencoded"), (b"host", ISSUER.encode())],
    }

    async def receive() -> Message:
        return incoming.pop(0)

    async def send(_message: Message) -> None:
        pass

    await world.harness.app(scope, receive, send)

    assert world.clock.now == pytest.approx(0.05)
    assert world.waiting.count == 0
    world.database.writes = 0
    assert (await world.harness.refresh(client, tokens["refresh_token"])).status_code == 200


async def test_looking_whether_the_client_is_there_loses_nothing_of_the_body() -> None:
    clock = Clock()

    async def echo(request: Request) -> Response:
        patience = PATIENCE.get()
        assert patience is not None
        assert await patience.lasts()
        assert await patience.lasts()
        return Response(await request.body())

    app = Served([Route("POST", "/echo", echo)], Waiting(clock, clock.sleep))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=ISSUER) as http:
        assert (await http.post("/echo", content=b"the body")).content == b"the body"

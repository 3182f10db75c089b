"""What a process counts by itself, and what an address that asks too often is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from gatepost.oauth.errors import TooManyRequests
from gatepost.oauth.limits import REGISTRATIONS, REGISTRATIONS_OF_ALL, TOKEN_REQUESTS, Rate, RegistrationBudget, Use
from gatepost.stores.conformance.records import client, grant, tokens
from gatepost.stores.contract.errors import StoreBusy, StoreUnavailable
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.sqlite import memory_store
from gatepost.web.pages.rendering import Pages
from gatepost.web.site import limits as module
from gatepost.web.site.client_address import ClientAddresses
from gatepost.web.site.errors import ErrorResponses
from gatepost.web.site.limits import AddressLimit, AddressLimits, Limits
from gatepost.web.site.routing import Route, RoutingTable


@dataclass
class Counted:
    """A limit store that notes what it is asked for."""

    store: Store = field(default_factory=memory_store)
    asked: list[tuple[str, int]] = field(default_factory=list)
    fault: bool = False
    busy: asyncio.Event | None = None

    async def take(self, uses: Sequence[Use], *, now: int) -> int:
        self.asked += [(use.key, use.count) for use in uses]
        if self.busy is not None:
            await self.busy.wait()
            raise StoreBusy("another process has locked it")
        if self.fault:
            raise StoreUnavailable("down")
        return await self.store.limits.take(uses, now=now)

    async def give_back(self, uses: Sequence[Use], *, now: int) -> None:
        await self.store.limits.give_back(uses, now=now)

    async def delete_limits(self, *, before: int, limit: int) -> int:
        return await self.store.limits.delete_limits(before=before, limit=limit)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits(counted: Counted, clock: Clock) -> Limits:
    return Limits(store=counted, now=clock)


async def refused_for(limits: Limits, key: str, rate: Rate) -> int:
    """Return for how many seconds a use is refused; 0 when it is allowed."""
    try:
        await limits.admit(key, rate)
    except TooManyRequests as error:
        return error.retry_after
    return 0


async def test_a_busy_key_is_asked_for_once_in_a_while(limits: Limits, counted: Counted) -> None:
    for _ in range(12):
        await limits.admit("a", Rate(1000, 100))

    assert counted.asked == [("a", 10), ("a", 10)]


async def test_what_was_taken_ahead_is_not_kept_for_long(limits: Limits, counted: Counted, clock: Clock) -> None:
    await limits.admit("a", Rate(1000, 100))
    clock.now += 10
    await limits.admit("a", Rate(1000, 100))

    assert counted.asked == [("a", 10), ("a", 10)]


async def refilled(limits: Limits, rate: Rate) -> None:
    """Have more taken ahead where little is left, and wait for what comes of it."""
    for _ in range(2):
        limits.refill("key", rate)
    await asyncio.gather(*limits._refilling.values())


async def test_uses_that_are_left_are_taken_at_once_and_no_others(limits: Limits, clock: Clock) -> None:
    rate = Rate(400, 100)
    assert not limits.take_ahead("key")
    await limits.admit("key", rate)
    assert [limits.take_ahead("key") for _ in range(4)] == [True, True, True, False]
    await limits.admit("key", rate)
    clock.now += 10
    assert not limits.take_ahead("key")


async def test_more_is_taken_ahead_before_nothing_is_left(limits: Limits, counted: Counted) -> None:
    rate = Rate(1000, 100)
    await refilled(limits, rate)
    assert counted.asked == []  # by nobody who has not had one
    await limits.admit("key", rate)
    for _ in range(4):
        assert limits.take_ahead("key")
        await refilled(limits, rate)
    assert counted.asked == [("key", 10)]
    assert limits.take_ahead("key")

    await refilled(limits, rate)

    assert counted.asked == [("key", 10)] * 2
    assert [limits.take_ahead("key") for _ in range(14)].count(True) == 13


async def test_tokens_are_given_whatever_comes_of_taking_more_ahead(limits: Limits, counted: Counted) -> None:
    rate = Rate(1000, 100)
    await limits.admit("key", rate)
    while limits.remembered["key"].uses > 1:
        assert limits.take_ahead("key")
    counted.fault = True
    await refilled(limits, rate)
    assert limits.take_ahead("key")


async def test_a_small_limit_is_exact(limits: Limits) -> None:
    assert [await refused_for(limits, "a", Rate(3, 30)) for _ in range(4)] == [0, 0, 0, 10]


async def test_a_refusal_is_remembered_so_that_a_flood_costs_the_store_nothing(
    limits: Limits, counted: Counted, clock: Clock
) -> None:
    for _ in range(3):
        await refused_for(limits, "a", Rate(1, 30))

    assert len(counted.asked) == 2
    clock.now += 20
    assert await refused_for(limits, "a", Rate(1, 30)) == 10
    clock.now += 10
    assert await refused_for(limits, "a", Rate(1, 30)) == 0
    assert len(counted.asked) == 3


async def test_processes_count_together(counted: Counted, clock: Clock) -> None:
    one, two = (Limits(store=counted, now=clock) for _ in range(2))

    answers = [await refused_for(process, "a", Rate(3, 30)) for process in (one, two, one, two, one)]

    assert answers == [0, 0, 0, 10, 10]


async def test_the_factor_multiplies_and_zero_switches_off(counted: Counted, clock: Clock) -> None:
    double, off = Limits(store=counted, now=clock, factor=2), Limits(store=counted, now=clock, factor=0)

    assert [await refused_for(double, "a", Rate(1, 30)) for _ in range(3)] == [0, 0, 15]
    assert [await refused_for(off, "b", Rate(1, 30)) for _ in range(3)] == [0, 0, 0]
    await off.admit_exactly({"b": Rate(1, 30)})
    assert "b" not in {key for key, _ in counted.asked}


async def test_several_keys_are_taken_together(limits: Limits) -> None:
    await limits.admit_exactly({"a": Rate(1, 30), "b": Rate(2, 30)})
    with pytest.raises(TooManyRequests) as caught:
        await limits.admit_exactly({"a": Rate(1, 30), "b": Rate(2, 30)})

    assert caught.value.retry_after == 30
    await limits.admit_exactly({"b": Rate(2, 30)})


async def test_what_is_remembered_is_bounded(limits: Limits, counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_REMEMBERED", 2)
    for key in "abc":
        await limits.admit(key, Rate(1000, 100))

    await limits.admit("c", Rate(1000, 100))
    await limits.admit("a", Rate(1000, 100))
    assert [key for key, _ in counted.asked] == ["a", "b", "c", "a"]


# --- per address ---


@dataclass
class Front:
    """A server of which some routes are counted."""

    http: httpx2.AsyncClient
    counted: Counted
    read: list[str]


@pytest.fixture
def front(limits: Limits, counted: Counted) -> Front:
    read: list[str] = []

    async def answer(request: Request) -> Response:
        read.append(request.url.path)
        return JSONResponse({"path": request.url.path})

    few = Rate(2, 60)
    token, registration, page = (AddressLimit(kind, few) for kind in ("token", "register", "pages"))
    pages = Pages(server_name="Notes", secure=True)
    table = RoutingTable(
        PlainTextResponse("nothing here", 404),
        routes=[
            Route("POST", "/oauth/token", answer, limit=token),
            Route("POST", "/oauth/revoke", answer, limit=token),
            Route("POST", "/oauth/register", answer, limit=registration),
            *pages.routes(Route("GET", "/oauth/login", answer, limit=page)),
            Route("GET", "/health", answer),
        ],
        errors=ErrorResponses(),
        limits=AddressLimits(limits=limits, addresses=ClientAddresses(["127.0.0.1"])),
    )
    transport = httpx2.ASGITransport(app=table)
    return Front(httpx2.AsyncClient(transport=transport, base_url="https://mcp.example"), counted, read)


def of(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


async def test_an_address_that_asks_too_often_gets_429_with_retry_after(front: Front) -> None:
    answers = [await front.http.post("/oauth/token", headers=of("192.0.2.1")) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    refused = answers[-1]
    assert refused.json() == {
        "error": "temporarily_unavailable",
        "error_description": "Too many requests; try again in 30 seconds.",
    }
    assert refused.headers["retry-after"] == "30"
    assert refused.headers["cache-control"] == "no-store"
    assert len(front.read) == 2


async def test_other_addresses_and_other_kinds_of_endpoint_go_on(front: Front) -> None:
    for _ in range(3):
        await front.http.post("/oauth/token", headers=of("192.0.2.1"))

    assert (await front.http.post("/oauth/revoke", headers=of("192.0.2.1"))).status_code == 429
    assert (await front.http.post("/oauth/token", headers=of("192.0.2.2"))).status_code == 200
    assert (await front.http.post("/oauth/register", headers=of("192.0.2.1"))).status_code == 200
    assert (await front.http.get("/health", headers=of("192.0.2.1"))).status_code == 200


async def test_a_person_gets_a_page(front: Front) -> None:
    for _ in range(2):
        await front.http.head("/oauth/login", headers=of("192.0.2.1"))
    refused = await front.http.get("/oauth/login", headers=of("192.0.2.1"))

    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "30"
    assert refused.headers["content-type"].startswith("text/html")
    assert "Please wait a moment" in refused.text
    assert refused.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(("path", "kind"), [("/oauth/token", "application/json"), ("/oauth/login", "text/html")])
async def test_what_cannot_be_counted_is_not_done(front: Front, path: str, kind: str) -> None:
    """A store that reads and does not write must not become an unlimited password oracle."""
    front.counted.fault = True
    method = "GET" if path == "/oauth/login" else "POST"

    refused = await front.http.request(method, path)

    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "5"
    assert refused.headers["content-type"].startswith(kind)
    assert front.read == []


def test_the_limits_are_generous_for_a_vendor_of_many_users_and_no_address_has_it_all() -> None:
    """60 people connect within ten minutes from one address of a client that registers twice."""
    assert REGISTRATIONS.uses >= 120
    assert 20 * REGISTRATIONS.uses <= REGISTRATIONS_OF_ALL.uses
    assert TOKEN_REQUESTS.uses >= 3 * 10_000 / 6


@pytest.mark.parametrize("connections", [1, 8, 64])
async def test_no_allowed_request_is_refused_because_others_arrive_at_the_same_moment(
    limits: Limits, counted: Counted, connections: int
) -> None:
    rate = Rate(2000, 600)
    refused: list[int] = []

    async def client() -> None:
        refused.extend([await refused_for(limits, "busy", rate) for _ in range(1920 // connections)])

    await asyncio.gather(*(client() for _ in range(connections)))

    assert len(refused) == 1920
    assert set(refused) == {0}
    assert len(counted.asked) == 96  # a batch of twenty each


async def test_the_last_uses_of_a_limit_are_given_out_one_by_one(
    limits: Limits, counted: Counted, clock: Clock
) -> None:
    rate = Rate(1000, 100)
    await counted.store.limits.take([Use("a", rate, 995)], now=clock.now)

    answers = await asyncio.gather(*(refused_for(limits, "a", rate) for _ in range(8)))

    assert (answers.count(0), {answer for answer in answers if answer}) == (5, {1})


async def test_a_waiter_that_is_cancelled_takes_nothing_from_the_others(limits: Limits) -> None:
    rate = Rate(100, 100)
    waiters = [asyncio.create_task(limits.admit("a", rate)) for _ in range(10)]
    await asyncio.sleep(0)
    for waiter in waiters[:5]:  # the one that asks the store among them
        waiter.cancel()

    results = await asyncio.gather(*waiters, return_exceptions=True)

    assert [result for result in results[5:] if result is not None] == []
    assert limits.asking == {}


async def test_what_is_remembered_is_forgotten_when_the_clock_steps_back(limits: Limits, clock: Clock) -> None:
    rate = Rate(1, 60)
    assert [await refused_for(limits, "a", rate) for _ in range(2)] == [0, 60]

    clock.now -= 3600

    assert await refused_for(limits, "a", rate) == 60  # a period from now, and no hour
    clock.now += 60
    assert await refused_for(limits, "a", rate) == 0


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(1, 40), st.sampled_from((0, 1, 7, 60, 3600, -1, -3600))), max_size=12),
    st.integers(1, 3),
    st.sampled_from((Rate(5, 60), Rate(300, 600), Rate(1000, 100))),
)
async def test_processes_with_a_stepping_clock_give_out_no_more_than_the_rate_and_refuse_no_longer_than_its_period(
    bursts: list[tuple[int, int]], processes: int, rate: Rate
) -> None:
    store, clock = memory_store(), Clock()
    all_limits = [Limits(store=store.limits, now=clock) for _ in range(processes)]
    allowed, forward = 0, 0

    for size, step in bursts:
        answers = await asyncio.gather(
            *(refused_for(all_limits[number % processes], "key", rate) for number in range(size))
        )
        allowed += answers.count(0)
        assert max(answers) <= rate.period
        clock.now += step
        forward += max(step, 0)
        # A step back gives nothing, a step forward what has come back meanwhile; each step may cost what was ahead.
        assert allowed <= rate.uses + forward * rate.uses // rate.period + len(bursts) * processes * max(
            1, rate.uses // 100
        )
    await store.close()


async def test_those_who_wait_for_one_that_asks_a_busy_store_are_not_kept_waiting_one_after_the_other(
    limits: Limits, counted: Counted
) -> None:
    counted.busy = asyncio.Event()
    together = [asyncio.ensure_future(limits.admit("token:address:a", TOKEN_REQUESTS)) for _ in range(20)]
    await asyncio.sleep(0)
    counted.busy.set()

    assert [type(fault) for fault in await asyncio.gather(*together, return_exceptions=True)] == [StoreBusy] * 20
    assert len(counted.asked) == 1


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(1, 20), st.sampled_from((0, 1, 60, 3600, -1, -3600)), st.booleans()), max_size=12),
    st.integers(1, 3),
    st.sampled_from((RegistrationBudget(Rate(5, 60), 12), RegistrationBudget(Rate(1000, 60), 7, 600))),
)
async def test_processes_with_a_stepping_clock_register_no_more_than_all_strangers_may(
    bursts: list[tuple[int, int, bool]], processes: int, budget: RegistrationBudget
) -> None:
    store, clock = memory_store(), Clock()
    all_limits = [Limits(store=store.limits, now=clock) for _ in range(processes)]
    added, forward = 0, 0
    used: set[str] = set()

    async def register(number: int) -> int:
        new = client(f"{number}", created_at=clock.now)
        try:
            await all_limits[number % processes].attempt(
                "all", partial(store.clients.register_client, new, budget=budget)
            )
        except TooManyRequests as error:
            return error.retry_after
        return 0

    numbers = iter(range(10_000))
    for size, step, is_used in bursts:
        answers = await asyncio.gather(*(register(next(numbers)) for _ in range(size)))
        assert max(answers) <= max(budget.rate.period, budget.spared_seconds)
        added += answers.count(0)
        clients = await store.clients.list_clients()
        assert len(clients) <= budget.most_unused + len(used)
        assert added <= budget.rate.uses * (1 + forward / budget.rate.period)
        assert {one.client_id for one in clients} >= used
        if is_used and clients and (one := clients[-1].client_id) not in used:
            await store.approvals.give_grant(grant(one, client_id=one), tokens(one, one))
            used.add(one)
        clock.now += step
        forward += max(step, 0)
    await store.close()

"""The way out: whose failure it is, when it counts as gone, and how it comes back."""

import asyncio
import logging
from dataclasses import dataclass, field

import pytest

from gatepost.outbound.egress import FAILURES, LATELY, PROBE_PAUSE, Egress, EgressFailed
from gatepost.outbound.fetching import Fault, Fetched, FetchFailed
from gatepost.outbound.proxy import ForwardProxy

URL, OTHER = "https://app.example/c", "https://other.example/c"
PROXY = ForwardProxy("http://user:s3cret@proxy.corp.example:3128", "proxy.corp.example:3128", "ALL_PROXY")


@dataclass
class World:
    """A clock and what becomes of each fetch; None is a success."""

    fault: Fault | None = None
    now: int = 1_000_000
    fetched: list[str] = field(default_factory=list)
    noted: int = 0
    proxy: ForwardProxy | None = None
    egress: Egress = field(init=False)

    def __post_init__(self) -> None:
        self.egress = Egress(fetcher=self, now=lambda: self.now, proxy=self.proxy, note=self._note)

    async def fetch(self, url: str, *, limit: int) -> Fetched:
        assert limit == 5120
        self.fetched.append(url)
        if self.fault is not None:
            raise FetchFailed("cause", self.fault)
        return Fetched(b"{}", 300)

    async def ask(self, url: str = URL) -> type[Exception] | None:
        """Fetch, and return what it failed with."""
        try:
            await self.egress.fetch(url, limit=5120)
        except FetchFailed as failure:
            return type(failure)
        return None

    async def lose_the_way_out(self) -> None:
        self.fault = Fault.EGRESS
        for _ in range(FAILURES):
            assert not self.egress.is_gone()
            assert await self.ask() is EgressFailed

    def _note(self) -> None:
        self.noted += 1


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault.DOCUMENT, FetchFailed),
        (Fault.ANSWER, FetchFailed),
        (Fault.CONNECTION, EgressFailed),
        (Fault.EGRESS, EgressFailed),
    ],
)
async def test_a_failure_is_ours_when_no_server_was_ever_reached(fault: Fault, expected: type[Exception]) -> None:
    world = World(fault)
    assert await world.ask() is expected
    assert world.noted == int(expected is EgressFailed)


@pytest.mark.parametrize("reaching", [None, Fault.ANSWER])
async def test_a_host_that_is_down_is_its_own_fault_while_others_were_reached_lately(reaching: Fault | None) -> None:
    world = World(reaching)
    await world.ask()
    world.fault = Fault.CONNECTION
    world.now += LATELY - 1
    assert await world.ask(OTHER) is FetchFailed
    assert world.noted == 0
    world.now += 1
    assert await world.ask(OTHER) is EgressFailed
    assert world.noted == 1


async def test_the_way_out_is_gone_after_some_failures_and_back_after_one_success() -> None:
    world = World()
    await world.lose_the_way_out()
    assert (world.egress.is_gone(), world.egress.serves()) == (True, False)
    world.fault = None
    assert await world.ask() is None
    assert (world.egress.is_gone(), world.egress.serves()) == (False, True)


async def test_failures_of_documents_take_no_way_out() -> None:
    world = World(Fault.DOCUMENT)
    for _ in range(FAILURES * 2):
        await world.ask()
    assert world.egress.serves()


async def test_the_way_out_is_not_gone_while_something_was_reached_lately() -> None:
    world = World()
    await world.ask()
    await world.lose_the_way_out()
    assert not world.egress.is_gone()
    world.now += LATELY
    assert world.egress.is_gone()


async def test_one_success_between_failures_begins_the_count_anew() -> None:
    world = World(Fault.EGRESS)
    for _ in range(FAILURES - 1):
        await world.ask()
    world.fault = None
    await world.ask()
    world.fault, world.now = Fault.EGRESS, world.now + LATELY
    await world.ask()
    assert not world.egress.is_gone()


async def test_whoever_asks_while_it_is_gone_starts_one_fetch_a_minute() -> None:
    world = World()
    await world.lose_the_way_out()
    world.fetched.clear()
    assert not world.egress.serves()
    await _probes()
    assert world.fetched == []
    world.now += PROBE_PAUSE
    for _ in range(3):
        assert not world.egress.serves()
    await _probes()
    assert world.fetched == [URL]
    world.fault, world.now = None, world.now + PROBE_PAUSE
    assert not world.egress.serves()
    await _probes()
    assert world.fetched == [URL, URL]
    assert world.egress.serves()


async def test_a_document_that_was_fetched_once_is_what_a_probe_fetches() -> None:
    """A stranger's host that is down does not keep the way out closed."""
    world = World()
    await world.ask(OTHER)
    world.fault, world.now = Fault.CONNECTION, world.now + LATELY
    for _ in range(FAILURES):
        await world.ask()
    world.now += PROBE_PAUSE
    world.egress.serves()
    await _probes()
    assert world.fetched[-1] == OTHER


@pytest.mark.parametrize(
    ("proxy", "words"),
    [(None, ["HTTPS_PROXY"]), (PROXY, ["proxy.corp.example:3128", "ALL_PROXY", "OAUTH_PROXY_RESOLVES_NAMES"])],
)
async def test_the_log_names_cause_proxy_and_setting_and_no_secret(
    proxy: ForwardProxy | None, words: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    world = World(Fault.EGRESS, proxy=proxy)
    await world.ask()
    (record,) = caplog.records
    assert (record.levelno, record.__dict__["reason"]) == (logging.WARNING, "egress_unavailable")
    assert all(word in record.getMessage() for word in ["cause", *words])
    assert "s3cret" not in caplog.text


async def _probes() -> None:
    for _ in range(3):
        await asyncio.sleep(0)

"""One fetch for all who ask, and what a failure comes to."""

import asyncio
from dataclasses import dataclass, field

import pytest

from gatepost.oauth.errors import InvalidClient
from gatepost.oauth.reasons import Reason
from gatepost.outbound.document_cache import PAUSE, STALE, DocumentCache, Loaded
from gatepost.outbound.fetching import FetchFailed

URL = "https://app.example/c"
INVALID = InvalidClient(Reason.CLIENT_DOCUMENT_INVALID, "Not valid.")


@dataclass
class World:
    """A clock, a cache and a web server that counts."""

    now: int = 1000
    loads: list[str] = field(default_factory=list)
    error: Exception | None = None
    gate: asyncio.Event | None = None
    entries: int = 10
    fetches: int = 2
    fetches_of_site: int = 2
    cache: DocumentCache[str] = field(init=False)

    def __post_init__(self) -> None:
        self.cache = DocumentCache(
            now=lambda: self.now, entries=self.entries, fetches=self.fetches, fetches_of_site=self.fetches_of_site
        )

    async def get(self, url: str = URL, *, newer_than: int | None = None) -> str:
        async def load() -> Loaded[str]:
            self.loads.append(url)
            if self.gate is not None:
                await self.gate.wait()
            if self.error is not None:
                raise self.error
            return Loaded(f"{url} #{len(self.loads)}", 100)

        return await self.cache.get(url, load, newer_than=newer_than)


async def begun() -> None:
    """Let every task that has just been made come to where it waits."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_fresh_document_is_not_fetched_again() -> None:
    world = World()
    assert await world.get() == f"{URL} #1"
    world.now += 99
    assert await world.get() == f"{URL} #1"
    world.now += 1
    assert await world.get() == f"{URL} #2"


async def test_a_clock_that_was_set_back_makes_no_document_last() -> None:
    world = World()
    await world.get()
    world.now -= 1
    assert await world.get() == f"{URL} #2"


async def test_a_caller_may_demand_a_newer_one() -> None:
    world = World()
    await world.get()
    assert await world.get(newer_than=999) == f"{URL} #1"
    assert await world.get(newer_than=1000) == f"{URL} #2"


async def test_any_number_of_callers_at_once_cause_one_fetch() -> None:
    world = World(gate=asyncio.Event())
    asking = [asyncio.create_task(world.get()) for _ in range(50)]
    await asyncio.sleep(0)
    assert world.gate is not None
    world.gate.set()
    assert set(await asyncio.gather(*asking)) == {f"{URL} #1"}
    assert world.loads == [URL]


async def test_the_fetch_goes_on_when_a_caller_leaves() -> None:
    world = World(gate=asyncio.Event())
    first, second = asyncio.create_task(world.get()), asyncio.create_task(world.get())
    await asyncio.sleep(0)
    first.cancel()
    assert world.gate is not None
    world.gate.set()
    assert await second == f"{URL} #1"
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_failure_that_nobody_waits_for_is_no_fault() -> None:
    world = World(gate=asyncio.Event(), error=FetchFailed("status"))
    asking = asyncio.create_task(world.get())
    await asyncio.sleep(0)
    asking.cancel()
    assert world.gate is not None
    world.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.sleep(0)


@pytest.mark.parametrize("error", [FetchFailed("status"), INVALID])
async def test_after_a_failure_there_is_a_pause_and_no_longer(error: Exception) -> None:
    world = World(error=error)
    for _ in range(3):
        with pytest.raises(type(error)):
            await world.get()
    assert len(world.loads) == 1
    world.error = None
    world.now += PAUSE
    assert await world.get() == f"{URL} #2"


async def test_a_document_that_is_over_serves_for_an_hour_while_it_cannot_be_fetched() -> None:
    world = World()
    await world.get()
    world.error = FetchFailed("timeout")
    world.now += 100
    assert await world.get() == f"{URL} #1"
    assert await world.get() == f"{URL} #1"
    assert len(world.loads) == 2
    world.now += STALE
    with pytest.raises(FetchFailed):
        await world.get()


async def test_a_document_that_has_become_invalid_serves_no_more() -> None:
    world = World()
    await world.get()
    world.error = INVALID
    world.now += 100
    with pytest.raises(InvalidClient):
        await world.get()
    world.error = FetchFailed("timeout")
    world.now += PAUSE
    with pytest.raises(FetchFailed):
        await world.get()


async def test_the_number_of_documents_is_bounded_and_the_least_asked_for_goes_first() -> None:
    world = World(entries=2)
    for url in ("a", "b", "a", "c", "a"):
        await world.get(url)
    assert world.loads == ["a", "b", "c"]
    await world.get("b")
    assert world.loads == ["a", "b", "c", "b"]


async def test_too_many_fetches_at_once_are_refused_and_old_documents_go_on() -> None:
    world = World(fetches=1)
    await world.get("old")
    world.now += 100
    world.gate = asyncio.Event()
    slow = asyncio.create_task(world.get("slow"))
    await asyncio.sleep(0)
    with pytest.raises(FetchFailed) as refused:
        await world.get("another")
    assert refused.value.cause == "busy"
    assert await world.get("old") == "old #1"
    world.gate.set()
    await slow
    assert (await world.get("another")).startswith("another")


async def test_a_site_that_is_slow_under_many_names_keeps_no_other_from_being_fetched() -> None:
    world = World(fetches=10, gate=asyncio.Event())
    assert world.gate is not None
    slow = [asyncio.create_task(world.get(f"https://{name}.slow.example:8443/c")) for name in ("a", "b.c")]
    await begun()
    for url in ("https://d.slow.example/c", "https://slow.example/e", "https://a.slow.example:8443/f"):
        with pytest.raises(FetchFailed, match="busy"):
            await world.get(url)

    other = asyncio.create_task(world.get("https://app.fast.example/c"))
    await begun()
    assert len(world.loads) == len(slow) + 1
    world.gate.set()
    assert [*await asyncio.gather(*slow, other)][-1].startswith("https://app.fast.example/c")
    assert await world.get("https://d.slow.example/c")


async def test_a_fetch_that_is_cancelled_leaves_nothing_behind() -> None:
    world = World(gate=asyncio.Event())
    asking = asyncio.create_task(world.get())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    (loading,) = (task for task in asyncio.all_tasks() if "DocumentCache._load" in repr(task))
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    world.gate = None
    assert await world.get() == f"{URL} #2"

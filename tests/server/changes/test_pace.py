"""When a process looks at the change log: at once for what it hears, and else once a second at most."""

from __future__ import annotations

import asyncio

import pytest

from gatepost.server.changes import pace as module
from gatepost.server.changes.bus import Change
from gatepost.server.changes.pace import LEAST_SECONDS, ChangePace
from tests.ears import Ears
from tests.patience import PATIENCE


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that polls waited for; none passes."""
    seconds: list[float] = []

    async def wait(event: asyncio.Event, how_long: float) -> bool:
        seconds.append(how_long)
        return event.is_set()

    monkeypatch.setattr(module, "wait", wait)
    return seconds


async def pause(seconds: float) -> None:
    assert seconds == LEAST_SECONDS


@pytest.mark.parametrize(("are_heard", "between"), [(False, 1.0), (True, 5.0)])
async def test_an_idle_process_polls_once_a_second_and_less_often_where_others_are_heard(
    waits: list[float], *, are_heard: bool, between: float
) -> None:
    pace = ChangePace(Ears(are_heard), pause=pause)
    await pace.next_poll()
    assert waits == [pytest.approx(between - LEAST_SECONDS)]


async def test_what_is_published_is_appended_at_once_where_others_hear_of_it() -> None:
    pace = ChangePace(Ears(), pause=pause)
    await asyncio.to_thread(pace.on_change, Change("tools"))
    async with asyncio.timeout(PATIENCE / 4):  # less than the pause between two polls
        await pace.next_poll()


async def test_what_is_published_waits_for_the_next_poll_where_nobody_hears_of_it(waits: list[float]) -> None:
    pace = ChangePace(Ears(are_heard=False), pause=pause)
    await asyncio.to_thread(pace.on_change, Change("tools"))
    await asyncio.sleep(0)
    assert pace._news.is_set() is False
    await pace.next_poll()
    assert len(waits) == 1


async def test_what_is_published_many_times_is_appended_no_more_than_ten_times_a_second() -> None:
    passed: list[float] = []

    async def noted(seconds: float) -> None:
        passed.append(seconds)

    pace = ChangePace(Ears(), pause=noted)
    for _ in range(3):
        pace.wake()
        await pace.next_poll()
    assert passed == [LEAST_SECONDS] * 3


async def test_a_process_that_is_woken_looks_once(waits: list[float]) -> None:
    pace = ChangePace(Ears(), pause=pause)
    pace.wake()
    await pace.next_poll()
    assert pace._news.is_set() is False
    assert len(waits) == 1

"""Who waits for a change in the store is woken by what it waits for, or with everybody else."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

from gatepost.server.calls.waiters import Pace, Waiters, wait
from tests.ears import Ears
from tests.patience import PATIENCE


async def test_all_who_wait_are_woken_a_part_at_a_time() -> None:
    waiters = Waiters()
    with ExitStack() as stack:
        events = [stack.enter_context(waiters.expected(number)) for number in range(250)]
        late = stack.enter_context(waiters.expected(0))
        waiters.wake_all()
        woken = sum(event.is_set() for event in events)
        assert woken < len(events)
        for event in (*events, late):
            assert await wait(event, PATIENCE)


async def test_only_who_waits_is_expected() -> None:
    waiters = Waiters()
    with waiters.expected("a") as event:
        assert (waiters.is_expected("a"), waiters.is_expected("b")) == (True, False)
        waiters.wake("b")
        assert not event.is_set()
        waiters.wake("a")
        assert await asyncio.wait_for(event.wait(), PATIENCE)
    assert not waiters.is_expected("a")


def test_who_is_told_looks_less_often() -> None:
    assert (Pace(1.0).seconds, Pace(1.0, Ears()).seconds) == (1.0, 5.0)

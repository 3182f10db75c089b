"""A start waits for a store that is not there yet, within bounds, and says so."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace

import pytest

from gatepost.stores.contract.errors import StoreBusy, StoreMisconfigured
from gatepost.stores.opening import open_when_there
from gatepost.stores.sql.sqlite import memory_store


@dataclass
class Starting:
    """A store that can be opened at its so-manyth attempt, and time that passes while it is waited for."""

    fault: Exception
    opens_at: int
    attempts: int = 0
    now: float = 0.0
    paused: list[float] = field(default_factory=list)

    async def open(self) -> None:
        self.attempts += 1
        if self.attempts < self.opens_at:
            raise self.fault

    async def sleep(self, seconds: float) -> None:
        self.paused.append(seconds)
        self.now += seconds

    async def wait(self, seconds: float) -> None:
        store = replace(memory_store(), open=self.open)
        await open_when_there(store, seconds=seconds, clock=lambda: self.now, sleep=self.sleep)


async def test_a_store_that_comes_within_the_time_is_opened_and_the_wait_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    starting = Starting(StoreBusy("the store cannot answer: it is starting or stopping"), opens_at=4)
    with caplog.at_level(logging.INFO, "gatepost.stores"):
        await starting.wait(60)
    assert starting.attempts == 4
    waiting, there = (record.getMessage() for record in caplog.records)
    assert waiting.startswith("waiting for the store, at most 60 seconds (MCP_STORAGE_WAIT_SECONDS): ")
    assert waiting.endswith("the store cannot answer: it is starting or stopping")
    assert there == "the store is there now"


async def test_a_store_that_does_not_come_is_given_up_when_the_time_is_over() -> None:
    starting = Starting(StoreBusy("down"), opens_at=1000)
    with pytest.raises(StoreBusy, match="down"):
        await starting.wait(60)
    assert sum(starting.paused) == 60


async def test_without_time_it_is_tried_once() -> None:
    starting = Starting(StoreBusy("down"), opens_at=2)
    with pytest.raises(StoreBusy):
        await starting.wait(0)
    assert (starting.attempts, starting.paused) == (1, [])


async def test_what_waiting_does_not_cure_is_not_waited_for() -> None:
    starting = Starting(StoreMisconfigured("the password is wrong"), opens_at=2)
    with pytest.raises(StoreMisconfigured):
        await starting.wait(60)
    assert (starting.attempts, starting.paused) == (1, [])

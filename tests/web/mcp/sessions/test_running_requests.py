"""The requests that are being served: what is looked up for them, when, and what that stops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from gatepost.server.calls.waiters import Pace
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.mcp import McpSession
from gatepost.web.mcp.sessions.running_requests import MOST_ID_BYTES, RunningRequests
from tests.patience import PATIENCE

NOW = 1_000
SESSION = McpSession(b"s" * 32, "owner", "2025-11-25", b"{}", NOW, NOW + 60)
OTHER = replace(SESSION, session_fingerprint=b"o" * 32)
KEY, OTHER_KEY = SESSION.session_fingerprint, OTHER.session_fingerprint


@dataclass(eq=False)
class Run:
    """A request that knows whether it was stopped."""

    record: McpSession = SESSION
    request_id: int | str = 1
    is_watched: bool = False
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True


@dataclass
class Cancellations:
    """What other processes were told; whoever looks waits until the test lets it."""

    cancelled: dict[bytes, frozenset[str]] = field(default_factory=lambda: {KEY: frozenset(), OTHER_KEY: frozenset()})
    kept: list[tuple[bytes, str, int, int]] = field(default_factory=list)
    looks: list[list[bytes]] = field(default_factory=list)
    fault: StoreUnavailable | None = None
    looked: asyncio.Event = field(default_factory=asyncio.Event)

    async def cancel_request(
        self, session_fingerprint: bytes, request_id: str, *, now: int, expires_at: int, most: int
    ) -> None:
        assert most > 0
        self.kept.append((session_fingerprint, request_id, now, expires_at))

    async def cancelled_requests(
        self, session_fingerprints: Sequence[bytes], *, now: int
    ) -> dict[bytes, frozenset[str]]:
        assert now == NOW
        self.looks.append(sorted(session_fingerprints))
        self.looked.set()
        if self.fault is not None:
            raise self.fault
        return {key: ids for key, ids in self.cancelled.items() if key in session_fingerprints}

    async def next_look(self) -> list[bytes]:
        """Wait for a look that begins from now on, and for what it led to."""
        self.looked.clear()
        async with asyncio.timeout(PATIENCE):
            await self.looked.wait()
        await asyncio.sleep(0)
        return self.looks[-1]


async def keep_all(_keys: object) -> None:
    """Detach no stream."""


async def as_it_is(session: McpSession) -> McpSession:
    return session


def running(
    cancellations: Cancellations,
    *,
    ended: list[bytes] | None = None,
    in_use: Callable[[McpSession], Awaitable[McpSession]] = as_it_is,
) -> RunningRequests:
    over = [] if ended is None else ended
    return RunningRequests(
        cancellations=cancellations,
        in_use=in_use,
        end=over.append,
        detach_resumed=keep_all,
        now=lambda: NOW,
        pace=Pace(0.001),
    )


async def test_what_runs_here_is_stopped_at_once_and_others_are_not_told() -> None:
    cancellations = Cancellations()
    requests, run, twin, other = running(cancellations), Run(), Run(request_id="1"), Run(record=OTHER)
    for one in (run, twin, other):
        requests.add(one)
    await requests.cancel(SESSION, 1)
    assert (run.is_cancelled, twin.is_cancelled, other.is_cancelled) == (True, False, False)
    assert cancellations.kept == []


async def test_others_are_told_of_what_does_not_run_here_by_its_id_as_json() -> None:
    cancellations = Cancellations()
    requests = running(cancellations)
    for request_id in (1, "1", "é"):
        await requests.cancel(SESSION, request_id)
    assert cancellations.kept == [(KEY, known_as, NOW, NOW + 30) for known_as in ("1", '"1"', '"é"')]


async def test_others_are_not_told_of_an_id_without_end() -> None:
    cancellations = Cancellations()
    await running(cancellations).cancel(SESSION, "x" * (MOST_ID_BYTES - 2))
    await running(cancellations).cancel(SESSION, "x" * (MOST_ID_BYTES - 1))
    assert len(cancellations.kept) == 1


async def test_one_look_serves_all_that_runs() -> None:
    cancellations = Cancellations()
    requests = running(cancellations)
    for run in (Run(), Run(request_id=2), Run(record=OTHER)):
        requests.add(run)
    assert await cancellations.next_look() == [OTHER_KEY, KEY]


async def test_many_sessions_are_looked_up_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatepost.web.mcp.sessions.running_requests._AT_ONCE", 1)
    cancellations = Cancellations()
    requests = running(cancellations)
    for run in (Run(), Run(record=OTHER)):
        requests.add(run)
    await cancellations.next_look()
    await cancellations.next_look()
    assert cancellations.looks[:2] == [[KEY], [OTHER_KEY]]


async def test_what_was_not_there_at_the_look_before_is_left_out() -> None:
    cancellations = Cancellations()
    requests = running(cancellations)
    requests.add(Run())
    await cancellations.next_look()
    late = Run(record=OTHER)
    requests.add(late)
    looks = [await cancellations.next_look() for _ in range(2)]
    assert looks == [[KEY], [OTHER_KEY, KEY]]


async def test_nobody_looks_when_nothing_runs() -> None:
    requests, before = running(Cancellations()), asyncio.all_tasks()
    for _ in range(2):
        run = Run()
        requests.add(run)
        (watching,) = asyncio.all_tasks() - before
        requests.remove(run)
        async with asyncio.timeout(PATIENCE):
            await watching


async def test_a_request_that_another_process_was_told_of_is_stopped() -> None:
    cancellations = Cancellations()
    requests, run, text, other = running(cancellations), Run(), Run(request_id="1"), Run(record=OTHER)
    for one in (run, text, other):
        requests.add(one)
    cancellations.cancelled[KEY] = frozenset({"1", "17"})
    await cancellations.next_look()
    assert (run.is_cancelled, text.is_cancelled, other.is_cancelled) == (True, False, False)


async def test_a_session_that_is_gone_from_the_store_is_over_here() -> None:
    cancellations, ended = Cancellations(), list[bytes]()
    requests = running(cancellations, ended=ended)
    for run in (Run(), Run(record=OTHER)):
        requests.add(run)
    del cancellations.cancelled[KEY]
    await cancellations.next_look()
    assert ended == [KEY]


async def test_the_end_of_a_session_stops_its_requests_and_no_others() -> None:
    requests, runs = running(Cancellations()), [Run(), Run(request_id=2), Run(record=OTHER)]
    for run in runs:
        requests.add(run)
    requests.stop(KEY)
    assert [run.is_cancelled for run in runs] == [True, True, False]


async def test_a_store_that_cannot_say_is_complained_of_once_and_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    cancellations = Cancellations()
    requests, run = running(cancellations), Run()
    requests.add(run)
    for _outage in range(2):
        cancellations.fault = StoreUnavailable("gone")
        for _ in range(3):
            await cancellations.next_look()
        cancellations.fault = None
        await cancellations.next_look()
    cancellations.cancelled[KEY] = frozenset({"1"})
    await cancellations.next_look()
    assert run.is_cancelled
    assert caplog.messages == ["what was cancelled in other processes cannot be looked up"] * 2


async def test_what_runs_uses_its_session() -> None:
    used: list[McpSession] = []

    async def in_use(session: McpSession) -> McpSession:
        used.append(session)
        return replace(session, expires_at=session.expires_at + 1)

    cancellations = Cancellations()
    requests, newer = running(cancellations, in_use=in_use), replace(SESSION, expires_at=NOW + 100)
    runs = [Run(), Run(newer, request_id=2)]
    for run in runs:
        requests.add(run)
    await cancellations.next_look()
    await cancellations.next_look()
    assert used[:2] == [newer, replace(newer, expires_at=NOW + 101)]
    assert runs[0].record is runs[1].record

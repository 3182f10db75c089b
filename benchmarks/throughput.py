"""Requests per second: every server stays up and the runs take turns, so that a change of the machine hits all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.load import CONNECTIONS, FEW_CONNECTIONS, ID_PLACEHOLDER, Load, LoadFailed, Plan, run_load
from benchmarks.machine import resident_bytes
from benchmarks.messages import Caller, Connection, Era, Request, WrongAnswer
from benchmarks.peers import MANY_TOOLS, Peer, Prepared
from benchmarks.processes import ServerFailed, ServerProcess

_REQUESTS: Final = 64
_SESSIONS: Final = 32
"""In the handshake era: as many clients as connections."""
_WARM_UP_SECONDS: Final = 1


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of request."""

    key: str
    title: str
    eras: Sequence[Era]
    """The first of these that a peer speaks is used."""
    tool: str | None = None
    """What is called; None lists all tools instead."""
    fits: Callable[[Peer], bool] = lambda _: True
    of_guard: bool = False
    """Whether it is about what stands behind the guard; the others are about servers by themselves."""

    @property
    def tools(self) -> int:
        """How many tools the servers have, see `Prepared`."""
        return MANY_TOOLS if self.tool is None else 0

    def era_for(self, peer: Peer) -> Era | None:
        """Return the era in which `peer` is measured, or None if it is not."""
        if not self.fits(peer) or self.of_guard is (peer.behind is None):
            return None
        return next((era for era in self.eras if era in peer.eras), None)

    def checked_requests(self, connection: Connection, callers: Sequence[Caller]) -> list[Request]:
        """Return what is sent in turn, with a placeholder as id, after each was sent once and answered rightly.

        Raises:
            WrongAnswer: one was not.
        """
        if self.tool is None:
            return [
                callers[0].list_tools(ID_PLACEHOLDER, cursor) for cursor in connection.pages(callers[0], MANY_TOOLS)
            ]
        for n in range(_REQUESTS):
            connection.check(callers[n % len(callers)].call(self.tool, 1000 + n, n, 7 * n))
        return [callers[n % len(callers)].call(self.tool, ID_PLACEHOLDER, n, 7 * n) for n in range(_REQUESTS)]


SCENARIOS: Final = (
    Scenario("modern", "tools/call, modern era (2026-07-28)", [Era.MODERN], "add"),
    Scenario("handshake", "tools/call in a session, handshake era (2025-11-25)", [Era.HANDSHAKE], "add"),
    Scenario("sync", "tools/call of a sync tool, modern era", [Era.MODERN], "add_sync", lambda peer: peer.has_sync),
    Scenario("guard", "tools/call of another library's server, modern era", [Era.MODERN], "add", of_guard=True),
    Scenario("list", f"tools/list, {MANY_TOOLS} tools", [Era.MODERN, Era.HANDSHAKE]),
)


@dataclass(slots=True)
class Series:
    """All rounds of one peer in one scenario."""

    rounds: dict[int, Load] = field(default_factory=dict)
    failure: str | None = None
    """Why it was not measured, or why a round of it is missing."""
    resident_after: int | None = None
    """Bytes, when the load was over."""


Results = dict[tuple[str, str], Series]
"""By the keys of scenario and peer."""


def measure(
    scenarios: Sequence[Scenario],
    peers: Sequence[Peer],
    *,
    rounds: int,
    seconds: float,
    directory: Path,
    until: float,
    say: Callable[[str], None],
) -> Results:
    """Run everything, scenario by scenario.

    Args:
        scenarios: what is asked.
        peers: who is asked; the ceiling has to be among them for ratios.
        rounds: how often each pair is timed.
        seconds: how long each time.
        directory: for the servers' data.
        until: `time.monotonic()` at which nothing new begins.
        say: gets a line of progress.
    """
    results: Results = {}
    for tools in sorted({scenario.tools for scenario in scenarios}):
        with _running(peers, tools, directory, say) as servers:
            for scenario in scenarios:
                if scenario.tools == tools:
                    results |= _rounds(scenario, servers, rounds=rounds, seconds=seconds, until=until, say=say)
    return results


@contextmanager
def _running(
    peers: Sequence[Peer], tools: int, directory: Path, say: Callable[[str], None]
) -> Iterator[dict[str, tuple[Prepared, ServerProcess | str]]]:
    """Start every peer; one that cannot be started is there with the reason."""
    with ExitStack() as stack:
        servers: dict[str, tuple[Prepared, ServerProcess | str]] = {}
        for peer in peers:
            own = directory / f"{peer.key}-{tools}"
            own.mkdir()
            prepared = Prepared(peer, own, tools=tools)
            process = stack.enter_context(prepared.start())
            try:
                process.wait_until_listening()
            except ServerFailed as error:
                say(f"{peer.title} did not start: {error}")
                servers[peer.key] = (prepared, str(error))
            else:
                servers[peer.key] = (prepared, process)
        yield servers


def _rounds(
    scenario: Scenario,
    servers: dict[str, tuple[Prepared, ServerProcess | str]],
    *,
    rounds: int,
    seconds: float,
    until: float,
    say: Callable[[str], None],
) -> Results:
    results: Results = {}
    plans: dict[str, Plan] = {}
    for key, (prepared, process) in servers.items():
        era = scenario.era_for(prepared.peer)
        if era is None:
            continue
        series = results[scenario.key, key] = Series()
        if isinstance(process, str):
            series.failure = process
            continue
        try:
            plan = checked_plan(prepared, scenario, era)
            run_load(plan, port=prepared.port, pid=process.pid, seconds=_WARM_UP_SECONDS)
            plans[key] = plan
        except (WrongAnswer, LoadFailed, OSError) as error:
            series.failure = f"{error}: {process.printed()}" if isinstance(error, OSError) else str(error)
            say(f"{scenario.key}: {prepared.peer.title} is left out: {error}")
    for round_ in range(rounds):
        # Every other round backwards: what warms up or tires between two neighbours hits both.
        for key in list(plans)[:: -1 if round_ % 2 else 1]:
            prepared, process = servers[key]
            series = results[scenario.key, key]
            if time.monotonic() < until and isinstance(process, ServerProcess):
                _time(plans[key], process, series, round_=round_, seconds=seconds)
                _tell(scenario, prepared.peer, series, round_, say)
    return results


def _time(plan: Plan, process: ServerProcess, series: Series, *, round_: int, seconds: float) -> None:
    try:
        series.rounds[round_] = run_load(plan, port=process.port, pid=process.pid, seconds=seconds)
        series.resident_after = resident_bytes(process.pid)
    except (LoadFailed, OSError) as error:
        series.failure = str(error)


def checked_plan(prepared: Prepared, scenario: Scenario, era: Era, *, connections: int = CONNECTIONS) -> Plan:
    """Return the load for a server after looking at every answer that it will give under it.

    Raises:
        WrongAnswer: an answer is wrong, or the server takes a token that it does not know.
    """
    connection = prepared.connect()
    try:
        callers = [prepared.caller(connection, era) for _ in range(_SESSIONS if era is Era.HANDSHAKE else 1)]
        requests = scenario.checked_requests(connection, callers)
        stranger = Caller("stranger-" + prepared.token[9:], era, callers[0].session)
        if prepared.checks_tokens and not connection.refuses(stranger.list_tools(1)):
            raise WrongAnswer("it takes a token that it has never seen")
    finally:
        connection.close()
    return Plan(
        kind="calls",
        path=prepared.peer.path,
        headers=[request.headers for request in requests],
        bodies=[request.body for request in requests],
        # A long list would be copied into the load generator's language just to be looked at.
        marker=None if scenario.tools else '"result"',
        # A list that comes in pages is one answer to its reader, so all pages count as one.
        requests_per_answer=len(requests) if scenario.tools else 1,
        connections=FEW_CONNECTIONS if scenario.tools else connections,
    )


def _tell(scenario: Scenario, peer: Peer, series: Series, round_: int, say: Callable[[str], None]) -> None:
    load = series.rounds.get(round_)
    if load is None:
        say(f"{scenario.key} {round_ + 1}: {peer.title}: void: {series.failure}")
        return
    say(
        f"{scenario.key} {round_ + 1}: {peer.title}: {load.per_second:,.0f}/s, p99 {load.p99 / 1000:.1f} ms, "
        f"server's core {load.server_share:.0%}, others {load.others_share:.0%}"
    )

"""Cold start and memory: from the start of the process to the first right answer to an authorised call of a tool.

Bytecode is compiled and files are in the page cache: each server is started once before anything counts.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.machine import resident_bytes
from benchmarks.messages import Era, WrongAnswer
from benchmarks.peers import Peer, Prepared
from benchmarks.processes import ServerFailed


@dataclass(slots=True)
class ColdStarts:
    """All starts of one peer."""

    seconds: list[float] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)
    """Bytes after the first answer."""
    failure: str | None = None

    @property
    def median_resident(self) -> float:
        """Bytes."""
        return statistics.median(self.resident)


def measure(
    peers: Sequence[Peer], *, repeats: int, directory: Path, until: float, say: Callable[[str], None]
) -> dict[str, ColdStarts]:
    """Start each peer `repeats` times, in turn, after once for nothing."""
    results = {peer.key: ColdStarts() for peer in peers}
    prepared = {}
    for peer in peers:
        own = directory / f"{peer.key}-start"
        own.mkdir()
        prepared[peer.key] = Prepared(peer, own)
    for repeat in range(repeats + 1):
        for key, server in prepared.items():
            result = results[key]
            if result.failure is not None or time.monotonic() >= until:
                continue
            try:
                seconds, resident = _once(server)
            except (ServerFailed, WrongAnswer) as error:
                result.failure = str(error)
                say(f"start: {server.peer.title}: {error}")
                continue
            if repeat:
                result.seconds.append(seconds)
                result.resident.append(resident)
    for key, result in results.items():
        if result.seconds:
            say(
                f"start: {prepared[key].peer.title}: {statistics.median(result.seconds):.2f} s, "
                f"{result.median_resident / 1e6:.0f} MB"
            )
    return results


def _once(prepared: Prepared) -> tuple[float, int]:
    """Start, ask, stop; return seconds and bytes."""
    era = Era.MODERN if Era.MODERN in prepared.peer.eras else Era.HANDSHAKE
    with prepared.start() as process:
        process.wait_until_listening()
        connection = prepared.connect()
        try:
            connection.check(prepared.caller(connection, era).call("add", 1, 20, 22))
        except OSError as error:
            raise ServerFailed(f"{error}: {process.printed()}") from None
        finally:
            connection.close()
        return time.perf_counter() - process.started_at, resident_bytes(process.pid)

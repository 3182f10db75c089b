"""The machine: what it is, which core does what, and whether somebody else used it while we measured."""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SERVER_CORE: Final = 0
LOAD_CORE: Final = 1
"""Where the load comes from, and this program with it."""

QUIET_LOAD: Final = 0.5
"""A load average (one minute) above this before the run means that others are at work."""

_CORES: Final = os.sched_getaffinity(0)
"""What we were given; later this program keeps to one of them."""
_SYNCS: Final = 51
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def has_two_cores() -> bool:
    """Say whether server and load can have a core each."""
    return {SERVER_CORE, LOAD_CORE} <= _CORES


def description() -> str:
    """Return processor, cores, memory and kernel in one line."""
    facts = dict(_facts(Path("/proc/cpuinfo")))
    memory = int(dict(_facts(Path("/proc/meminfo")))["MemTotal"].split()[0]) / 1024 / 1024
    model = facts.get("model name", platform.machine())
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB of memory, Linux {platform.release()}"


def load_average() -> float:
    """Return the load average of the last minute."""
    return os.getloadavg()[0]


@dataclass(frozen=True, slots=True)
class BusyTime:
    """Processor seconds so far: of the whole machine, taken from us by the hypervisor, and of given processes."""

    at: float
    everybody: float
    stolen: float
    ours: float


def busy_time(*pids: int) -> BusyTime:
    """Read the counters; `ours` are `pids` and this program with the children that it has waited for."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    user, nice, system, _idle, _waiting, hard, soft, stolen = fields
    own = os.times()
    ours = own.user + own.system + own.children_user + own.children_system + sum(cpu_seconds(pid) for pid in pids)
    everybody = (user + nice + system + hard + soft) / _TICKS
    return BusyTime(time.monotonic(), everybody=everybody, stolen=stolen / _TICKS, ours=ours)


def others_share(before: BusyTime, after: BusyTime) -> float:
    """Return what others took between two readings, in cores: 0.05 is a twentieth of one core."""
    foreign = (after.everybody - before.everybody) - (after.ours - before.ours) + (after.stolen - before.stolen)
    return max(0.0, foreign / (after.at - before.at))


def cpu_seconds(pid: int) -> float:
    """Return the processor seconds that a process has used, its threads included; 0 when it has gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_bytes(pid: int) -> int:
    """Return how much memory a process holds (VmRSS)."""
    return int(dict(_facts(Path(f"/proc/{pid}/status")))["VmRSS"].split()[0]) * 1024


def _facts(file: Path) -> list[tuple[str, str]]:
    pairs = (line.partition(":") for line in file.read_text().splitlines())
    return [(name.strip(), value.strip()) for name, _, value in pairs]


def sync_seconds(directory: Path) -> float:
    """Return how long this disk takes to keep 4 KB for good: what bounds a durable store. The median of a few."""
    taken = []
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(_SYNCS):
            began = time.perf_counter()
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    return statistics.median(taken)

"""Load: prepared requests through `wrk`, one thread on its own core, a fixed number of connections, a bounded time.

Why wrk: a load generator in Python would be the slower half of what it measures.
"""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from benchmarks.environments import HERE
from benchmarks.machine import LOAD_CORE, BusyTime, busy_time, cpu_seconds, has_two_cores, others_share

CONNECTIONS: Final = 32
FEW_CONNECTIONS: Final = 8
"""For answers so long that some servers need a second for 32 of them."""
ID_PLACEHOLDER: Final = 9_999_999_999
"""The id of prepared calls. Each time one is sent, the next number takes its place, of as many digits."""

_first_ids: Final = itertools.count(1_000_000_000, 10_000_000)
"""Far enough apart that no two loads of one run send the same id."""
_GRACE_SECONDS: Final = 20
_REPORT: Final = "REPORT "


class LoadFailed(Exception):
    """The load generator is missing, or did not report, or an answer was wrong."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sent.

    `bodies` are sent with `headers` in turn. `tokens` is for `kind` "refresh"; `before` and `after` stand around a
    token in that, and around the id of a task in "tasks", where results are fetched once so many tasks are `waiting`.
    """

    kind: str
    path: str
    headers: Sequence[Mapping[str, str]]
    bodies: Sequence[bytes] = ()
    marker: str | None = None
    """What every right answer contains. Looking costs time on the load's core, so only where answers are short."""
    requests_per_answer: int = 1
    connections: int = CONNECTIONS
    tokens: Sequence[str] = ()
    before: str = ""
    after: str = ""
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Load:
    """What came of it. Latencies in microseconds; shares in cores."""

    per_second: float
    p50: float
    p99: float
    answers: int
    server_share: float
    """How much of its core the server used. Clearly below 1 means that something else was the limit."""
    whole_share: float
    """The same of the server and all that works for it."""
    others_share: float
    """How much of the machine others used meanwhile."""


def require_wrk() -> None:
    """Check that the load generator is there.

    Raises:
        LoadFailed: it is not; the message says how to get it.
    """
    if shutil.which("wrk") is None:
        raise LoadFailed("The benchmark needs wrk and did not find it (Debian and Ubuntu: apt-get install wrk).")


def run_load(plan: Plan, *, port: int, pid: int, seconds: float, with_it: Sequence[int] = ()) -> Load:
    """Send `plan` to the server with process id `pid` for whole `seconds`, at least 1.

    The processes `with_it` work for it, and are nobody else at work; the server's share is its own alone.

    Raises:
        LoadFailed: an answer was wrong or missing.
    """
    whole = max(1, round(seconds))
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "plan.lua")
        file.write_text(_lua(plan))
        command = [
            "wrk",
            "-t1",
            f"-c{plan.connections}",
            f"-d{whole}s",
            "--timeout",
            "5s",
            "-s",
            str(HERE / "load.lua"),
        ]
        pinned = ["taskset", "--cpu-list", str(LOAD_CORE), *command] if has_two_cores() else command
        target = f"http://127.0.0.1:{port}{plan.path}"
        before, server_before, helpers_before = busy_time(pid, *with_it), cpu_seconds(pid), _seconds_of(with_it)
        finished = subprocess.run(
            [*pinned, target, "--", str(file)],
            capture_output=True,
            text=True,
            check=False,
            timeout=whole + _GRACE_SECONDS,
        )
        after, server_after = busy_time(pid, *with_it), cpu_seconds(pid)
        used = server_after - server_before
        load = _judged(finished, before, after, server_seconds=used)
        of_all = (used + _seconds_of(with_it) - helpers_before) / (after.at - before.at)
        load = replace(load, whole_share=of_all)
    return replace(load, per_second=load.per_second / plan.requests_per_answer)


def _seconds_of(pids: Iterable[int]) -> float:
    return sum((cpu_seconds(pid) for pid in pids), 0.0)


def _judged(
    finished: subprocess.CompletedProcess[str], before: BusyTime, after: BusyTime, *, server_seconds: float
) -> Load:
    lines = [line for line in finished.stdout.splitlines() if line.startswith(_REPORT)]
    if not lines:
        raise LoadFailed(f"wrk did not report: {finished.stdout[-300:]} {finished.stderr[-300:]}")
    report = json.loads(lines[-1].removeprefix(_REPORT))
    if report["wrong"] or report["broken"] or not report["right"]:
        wrong = f"{report['wrong']} wrong ones" + (f" (status {report['status']})" if report["wrong"] else "")
        raise LoadFailed(f"{report['right']} right answers, {wrong}, {report['broken']} missing")
    return Load(
        per_second=report["right"] / report["seconds"],
        p50=report["p50"],
        p99=report["p99"],
        answers=report["right"],
        server_share=server_seconds / (after.at - before.at),
        whole_share=server_seconds / (after.at - before.at),
        others_share=others_share(before, after),
    )


def _lua(plan: Plan) -> str:
    """Return the plan as a Lua table."""
    members = {
        "kind": _text(plan.kind),
        "path": _text(plan.path),
        "marker": "nil" if plan.marker is None else _text(plan.marker),
        "headers": _list(
            "{" + ", ".join(f"[{_text(name)}] = {_text(value)}" for name, value in headers.items()) + "}"
            for headers in plan.headers
        ),
        "bodies": _list(_text(body.decode("ascii")) for body in plan.bodies),
        "tokens": _list(_text(token) for token in plan.tokens),
        "placeholder": _text(str(ID_PLACEHOLDER)),
        "first_id": str(next(_first_ids)),
        "before": _text(plan.before),
        "after": _text(plan.after),
        "waiting": str(plan.waiting),
    }
    return "return {\n" + "".join(f"{name} = {value},\n" for name, value in members.items()) + "}\n"


def _list(items: Iterable[str]) -> str:
    return "{" + ",\n".join(items) + "}"


def _text(text: str) -> str:
    """Return a Lua string. JSON's and Lua's agree on printable ASCII, quotes and backslashes."""
    if not (text.isascii() and (text.isprintable() or not text)):
        raise ValueError("plans are printable ASCII")
    return json.dumps(text)

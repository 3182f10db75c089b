"""A server on standard input and output driven by its bare pipe: what a front before it is compared with."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.load import Load, LoadFailed
from benchmarks.machine import SERVER_CORE, busy_time, cpu_seconds, has_two_cores, others_share
from benchmarks.messages import Era, WrongAnswer

_ANSWER_SECONDS: Final = 30


class Pipe:
    """One process and its two pipes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._last_id = 0
        self._begun = b""

    def shake_hands(self) -> None:
        """Begin the session; raises WrongAnswer."""
        client = {"name": "benchmark", "version": "1.0.0"}
        params = {"protocolVersion": Era.HANDSHAKE.value, "capabilities": {}, "clientInfo": client}
        self._send("initialize", params)
        if "result" not in self._answers()[0]:
            raise WrongAnswer("initialize was not answered")
        self._write({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def timed(self, seconds: float, *, at_once: int) -> Load:
        """Keep so many calls of `add` under way for so long; raises LoadFailed, WrongAnswer."""
        sums: dict[int, int] = {}
        sent: dict[int, float] = {}
        taken: list[float] = []
        pid = self._process.pid
        before, server_before, began = busy_time(pid), cpu_seconds(pid), time.perf_counter()
        while sums or not taken:
            while len(sums) < at_once and time.perf_counter() - began < seconds:
                a, b = self._last_id, 7 * self._last_id
                number = self._send("tools/call", {"name": "add", "arguments": {"a": a, "b": b}})
                sums[number], sent[number] = a + b, time.perf_counter()
            for answer in self._answers():
                total = sums.pop(answer["id"])
                if answer["result"]["structuredContent"] != {"result": total}:
                    raise WrongAnswer(f"not {total}: {answer}")
                taken.append(time.perf_counter() - sent.pop(answer["id"]))
        after, passed = busy_time(pid), time.perf_counter() - began
        share = (cpu_seconds(pid) - server_before) / passed
        taken.sort()
        return Load(
            per_second=len(taken) / passed,
            p50=taken[len(taken) // 2] * 1e6,
            p99=taken[len(taken) * 99 // 100] * 1e6,
            answers=len(taken),
            server_share=share,
            whole_share=share,
            others_share=others_share(before, after),
        )

    def _send(self, method: str, params: Mapping[str, Any]) -> int:
        self._last_id += 1
        self._write({"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params})
        return self._last_id

    def _write(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe; tells mypy
        os.write(self._process.stdin.fileno(), json.dumps(message, separators=(",", ":")).encode() + b"\n")

    def _answers(self) -> list[dict[str, Any]]:
        """Return the answers that come next, one at least."""
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe; tells mypy
        found: list[dict[str, Any]] = []
        while not found:
            if not select.select([self._process.stdout], [], [], _ANSWER_SECONDS)[0]:
                raise LoadFailed(f"no answer within {_ANSWER_SECONDS} s")
            chunk = os.read(self._process.stdout.fileno(), 65_536)
            if not chunk:
                raise LoadFailed("it ended")
            *lines, self._begun = (self._begun + chunk).split(b"\n")
            found = [message for line in lines if line.strip() and "id" in (message := json.loads(line))]
        return found


@contextmanager
def pipe_to(command: Sequence[str], cwd: Path) -> Iterator[Pipe]:
    """Start a server on the servers' core, shake hands, and end it with the block."""
    pinned = ["taskset", "--cpu-list", str(SERVER_CORE), *command] if has_two_cores() else list(command)
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "TERM", *pinned],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"]},
        cwd=cwd,
    )
    try:
        pipe = Pipe(process)
        pipe.shake_hands()
        yield pipe
    finally:
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)

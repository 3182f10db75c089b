"""What figures and traces cost a call: `python -m benchmarks.telemetry_cost [--beside CHECKOUT]`.

A modern `tools/call` is answered in process, by the app that our own server serves, so that neither a socket nor a load
generator is in the figure. Each run is a process of its own, and the kinds take turns: telemetry off here, the same in
another checkout (`--beside`, such as the commit before), figures for Prometheus, and spans and figures for a
collector. The least CPU time of a kind is compared, since all that disturbs a run adds to it. With `perf` installed and
allowed the instructions of a call are counted, too, which repeat to a fraction of a per cent.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.messages import META

_HERE: Final = Path(__file__).parents[1]
_BASE: Final = {"MCP_REQUIRE_AUTH": "false", "MCP_STORAGE_URL": "memory:", "PYTHONHASHSEED": "0"}
# A port that nobody listens on: exporting fails in its own threads, as with a collector that is away.
_COLLECTOR: Final = {"MCP_TELEMETRY": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
_KINDS: Final[Mapping[str, Mapping[str, str]]] = {
    "off": {},
    "before": {},
    "prometheus": {"MCP_METRICS_LISTEN": "127.0.0.1:0"},
    "otlp, no trace sampled": {**_COLLECTOR, "OTEL_TRACES_SAMPLER": "always_off"},
    "otlp": _COLLECTOR,
}
_WARM_UP: Final = 500


def main() -> None:
    """Print the CPU time and, where they can be counted, the instructions of a call, for each kind."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--beside", type=Path, help="another checkout, to compare what a call costs with telemetry off")
    parser.add_argument("--calls", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(asyncio.run(_calls(options.calls)))  # noqa: T201 - for the parent
        return
    kinds = [kind for kind in _KINDS if kind != "before" or options.beside]
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(options.rounds):
        for kind in kinds:
            taken[kind].append(float(_run(kind, options.beside, options.calls)))
    base = min(taken["before" if options.beside else "off"])
    for kind in kinds:
        least = min(taken[kind])
        counted = _instructions(kind, options.beside, options.calls)
        print(f"{kind:<24}{least:8.2f} µs{least / base:8.3f} ×   {counted}")  # noqa: T201 - the result


def _command(calls: int) -> list[str]:
    return [sys.executable, str(Path(__file__)), "--child", "--calls", str(calls)]


def _environment(kind: str, beside: Path | None) -> dict[str, str]:
    checkout = beside if kind == "before" and beside is not None else _HERE
    path = os.pathsep.join([str(checkout / "src"), str(_HERE)])
    return {**os.environ, **_BASE, **_KINDS[kind], "PYTHONPATH": path}


def _run(kind: str, beside: Path | None, calls: int) -> str:
    environment = _environment(kind, beside)
    done = subprocess.run(_command(calls), env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def _instructions(kind: str, beside: Path | None, calls: int) -> str:
    """Return the instructions of a call, from the difference of a long and a short run; empty where nobody counts."""
    if shutil.which("perf") is None:
        return ""
    counts = list[int]()
    for number in (calls // 5, calls):
        command = ["perf", "stat", "-x", ";", "-e", "instructions:u", *_command(number)]
        done = subprocess.run(command, env=_environment(kind, beside), capture_output=True, text=True, check=False)
        counted = [line.split(";")[0] for line in done.stderr.splitlines() if "instructions" in line]
        if not counted or not counted[0].isdigit():
            return ""
        counts.append(int(counted[0]))
    return f"{(counts[1] - counts[0]) / (calls - calls // 5):,.0f} instructions"


async def _calls(count: int) -> float:
    """Return the CPU time of one call in µs."""
    from gatepost import Server  # noqa: PLC0415 - of the checkout that is measured
    from gatepost.assembly.installation import install  # noqa: PLC0415 - likewise
    from gatepost.assembly.site import served_app_for  # noqa: PLC0415 - likewise
    from gatepost.configuration.settings import load_settings  # noqa: PLC0415 - likewise

    server = Server("notes")

    @server.tool()
    async def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    installation = install(server, load_settings(env_file=None))
    app = served_app_for(installation, announce=lambda _: None)
    async with installation.running():
        for _ in range(_WARM_UP):
            await _call(app)
        began = time.thread_time()
        for _ in range(count):
            await _call(app)
        return (time.thread_time() - began) / count * 1e6


_BODY: Final = json.dumps(
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "add", "arguments": {"a": 1, "b": 2}, "_meta": META},
    }
).encode()
_HEADERS: Final[Sequence[tuple[bytes, bytes]]] = (
    (b"host", b"127.0.0.1:8000"),
    (b"content-type", b"application/json"),
    (b"accept", b"application/json, text/event-stream"),
    (b"mcp-protocol-version", b"2026-07-28"),
    (b"mcp-method", b"tools/call"),
    (b"mcp-name", b"add"),
)


async def _call(app: Any) -> None:
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/mcp",
        "query_string": b"",
        "headers": list(_HEADERS),
        "client": ("127.0.0.1", 1),
        "state": {},
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": _BODY}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:  # noqa: PLR2004 - it went well
            raise AssertionError(message)

    await app(scope, receive, send)


if __name__ == "__main__":
    main()

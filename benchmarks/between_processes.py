"""`python -m benchmarks.between_processes [URL]`: how long a change at one server takes to the listeners of another.

Two servers over one store: a new SQLite file, or the database that a `postgresql://` URL names, which should be empty.
A tool of the first changes its list of tools; the time goes from sending that call until `subscriptions/listen` at the
second says so. The calls come at random moments, which have nothing to do with when a server polls.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from benchmarks.processes import ServerFailed, ServerProcess, free_port

_SERVER: Final = Path(__file__).parent / "servers" / "gatepost_server.py"
_META: Final = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "benchmark", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
_SEALING_KEY: Final = "of-a-benchmark-that-keeps-nothing-which-anybody-could-want"
"""The same each time, so that a database can be measured again."""
_PATIENCE: Final = 30
"""Seconds until a change is taken for lost."""
_SETTLE: Final = 3
"""Seconds after the start, in which the servers begin to hear each other."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.between_processes", description=__doc__)
    parser.add_argument("url", nargs="?", help="postgresql://user@host/database; a new SQLite file by default")
    parser.add_argument("--changes", type=int, default=100, help="how many; 100 by default")
    choice = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory:
        seconds = measure(choice.url, changes=choice.changes, directory=Path(directory))
    ordered = sorted(seconds)
    sys.stdout.write(
        f"{choice.changes} changes, {'SQLite' if choice.url is None else 'PostgreSQL'}: "
        f"median {statistics.median(ordered) * 1000:.1f} ms, "
        f"95 % {ordered[int(len(ordered) * 0.95)] * 1000:.1f} ms, longest {ordered[-1] * 1000:.1f} ms\n"
    )
    return 0


def measure(url: str | None, *, changes: int, directory: Path) -> list[float]:
    """Return the seconds that each change took.

    Raises:
        ServerFailed: a server does not start, or a change never came.
    """
    ports = free_port(), free_port()
    environment = {
        "MCP_REQUIRE_AUTH": "false",
        "OAUTH_ENABLED": "false",
        "OAUTH_STORAGE_DIR": str(directory),
        "MCP_PUBLIC_URL": f"http://127.0.0.1:{ports[0]}",
        "MCP_SEALING_KEYS": _SEALING_KEY,
        "BENCHMARK_TOOLS": "0",
        **({} if url is None else {"MCP_STORAGE_URL": url}),
    }
    with ExitStack() as stack:
        for port in ports:
            command = [sys.executable, "-m", "gatepost", "serve", f"{_SERVER}:server", "--port", str(port)]
            server = ServerProcess(command, port=port, environment=environment, cwd=directory)
            stack.enter_context(server).wait_until_listening()
        time.sleep(_SETTLE)
        host = f"127.0.0.1:{ports[0]}"
        heard: list[float] = []
        arrived = threading.Semaphore(0)

        def listen(messages: Iterator[Any]) -> None:
            for _ in messages:
                heard.append(time.perf_counter())
                arrived.release()

        wanted = {"notifications": {"toolsListChanged": True}}
        messages = _messages(_post(ports[1], host, "subscriptions/listen", wanted))
        next(messages)  # the acknowledgement
        threading.Thread(target=listen, args=(messages,), daemon=True).start()
        chance = random.Random(1)  # noqa: S311 - when to measure is no secret
        seconds = []
        for _ in range(changes):
            time.sleep(0.2 + chance.random())
            began = time.perf_counter()
            _post(ports[0], host, "tools/call", {"name": "announce", "arguments": {}}).read()
            if not arrived.acquire(timeout=_PATIENCE):
                raise ServerFailed("a change was never heard at the other server")
            seconds.append(heard[-1] - began)
        return seconds


def _post(port: int, host: str, method: str, params: dict[str, Any]) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2 * _PATIENCE)
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": _META}}
    headers = {
        "Host": host,
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": method,
        **({"Mcp-Name": params["name"]} if "name" in params else {}),
    }
    connection.request("POST", "/mcp", json.dumps(message), headers)
    return connection.getresponse()


def _messages(response: http.client.HTTPResponse) -> Iterator[Any]:
    for line in response:
        if line.startswith(b"data: {"):
            yield json.loads(line.removeprefix(b"data: "))


if __name__ == "__main__":
    sys.exit(main())

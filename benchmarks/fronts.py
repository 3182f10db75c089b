"""Fronts: what stands behind `gatepost front`, and another front, beside what they could be at best.

All processes of a contender, what is behind included, share the servers' core: the figures are about what a machine
does for one call. How much of it is the front's own is in the column of core-seconds, which counts the front alone.

`python -m benchmarks.fronts` runs this alone; it needs npm once, to install what is pinned in `front_peers`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.bare_pipe import pipe_to
from benchmarks.comparisons import FAILURES, Comparison, Contender, Promise, in_turns
from benchmarks.environments import CEILING, ENVIRONMENTS, GATEPOST, HERE, OFFICIAL_SDK, install_pinned, node_binary
from benchmarks.load import FEW_CONNECTIONS, ID_PLACEHOLDER, Load, Plan, run_load
from benchmarks.messages import MCP_PATH, Caller, Connection, Era
from benchmarks.peers import SERVERS, fill_store
from benchmarks.processes import ServerProcess, descendants, free_port

_PACKAGES: Final = ENVIRONMENTS / "front-peers"
_EVERYTHING: Final = _PACKAGES / "node_modules" / "@modelcontextprotocol" / "server-everything" / "dist" / "index.js"
_SUPERGATEWAY: Final = _PACKAGES / "node_modules" / "supergateway" / "dist" / "index.js"
_SDK: Final = SERVERS / "official_sdk_plain.py"
_REQUESTS: Final = 64
_WARM_UP_SECONDS: Final = 1

_STDIO: Final = (
    "The reference server for Node (`server-everything`, `get-sum`), a process on standard input and output. The "
    "empty ASGI app answers by itself."
)
_PYTHON: Final = "A server on the official Python SDK, a process on standard input and output."
_REMOTE: Final = (
    "A server on the official Python SDK on Streamable HTTP, answering by streams as it does by default. The front "
    "speaks the handshake with it, whatever its own client speaks, so it is compared with both."
)


def build() -> None:
    """Install what `front_peers/package-lock.json` pins by hash; raises EnvironmentFailed."""
    install_pinned(HERE / "front_peers", _PACKAGES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A server that runs, and the load for it."""

    process: ServerProcess
    plan: Plan

    def measure(self, seconds: float) -> Load:
        """Time it; what it started counts as part of it, and not as somebody else at work."""
        pid = self.process.pid
        return run_load(self.plan, port=self.process.port, pid=pid, seconds=seconds, with_it=descendants(pid))


def measure(
    *, rounds: int, seconds: float, directory: Path, until: float, say: Callable[[str], None]
) -> list[Comparison]:
    """Run all three comparisons."""
    found: list[Comparison] = []
    for comparison, contenders in ((_stdio(), _of_stdio), (_python(), _of_python), (_remote(), _of_remote)):
        own = directory / f"front-{len(found)}"
        own.mkdir()
        found.append(comparison)
        try:
            with contenders(own) as those:
                in_turns(comparison, those, rounds=rounds, seconds=seconds, until=until, say=say)
        except FAILURES as error:
            comparison.failed("all of them", error, say)
    return found


def _stdio() -> Comparison:
    what = "a call through a front, Node behind"
    return Comparison(
        "Front of a process: Node",
        "ceiling",
        _STDIO,
        [
            Promise("front-modern", "ceiling", 0.6, what, "of the empty ASGI app"),
            Promise("front-handshake", "supergateway", 1.5, f"{what}, in a session", "× supergateway, stateful"),
        ],
    )


def _python() -> Comparison:
    promise = Promise("front-modern", "pipe", 0.6, "a call through a front, Python SDK behind", "of its own pipe")
    return Comparison("Front of a process: Python", "pipe", _PYTHON, [promise])


def _remote() -> Comparison:
    what = "a call through a front, a remote server behind"
    return Comparison(
        "Front of a remote server",
        "own-handshake",
        _REMOTE,
        [
            Promise("front-modern", "own-modern", 0.5, what, "of its own HTTP"),
            Promise("front-handshake", "own-handshake", 0.5, f"{what}, in a session", "of its own HTTP"),
        ],
    )


@contextmanager
def _of_stdio(directory: Path) -> Iterator[Sequence[Contender]]:
    behind = [node_binary(), str(_EVERYTHING)]
    with ExitStack() as stack:
        serve = partial(served, stack, tool="get-sum")
        port = free_port()
        ceiling = ServerProcess(
            [CEILING.python, str(SERVERS / "ceiling.py"), str(port)],
            port=port,
            environment={"BENCHMARK_TOOLS": "0"},
            cwd=directory,
        )
        front, token = _front(["--", *behind], directory)
        port = free_port()
        # It takes the command as one text, which a shell reads.
        options = ["--stdio", f"'{behind[0]}' '{behind[1]}'", "--outputTransport", "streamableHttp", "--stateful"]
        supergateway = ServerProcess(
            [node_binary(), str(_SUPERGATEWAY), *options, "--logLevel", "none", "--port", str(port)],
            port=port,
            environment={},
            cwd=directory,
        )
        bare = serve(ceiling, Caller("none", Era.MODERN))
        modern = serve(front, Caller(token, Era.MODERN))
        in_session = serve(front, token)
        other = serve(supergateway, "none")
        yield [
            Contender("ceiling", "empty ASGI app (ceiling)", bare.measure),
            Contender("front-modern", "Gatepost's front, modern era", modern.measure),
            Contender("front-handshake", "Gatepost's front, handshake era", in_session.measure),
            Contender("supergateway", "supergateway, stateful, handshake era", other.measure),
        ]


@contextmanager
def _of_python(directory: Path) -> Iterator[Sequence[Contender]]:
    behind = [OFFICIAL_SDK.python, str(_SDK), "stdio"]
    with ExitStack() as stack:
        front, token = _front(["--", *behind], directory)
        modern = served(stack, front, Caller(token, Era.MODERN))
        pipe = stack.enter_context(pipe_to(behind, directory))
        pipe.timed(_WARM_UP_SECONDS, at_once=FEW_CONNECTIONS)
        yield [
            Contender("pipe", "its own pipe", partial(pipe.timed, at_once=FEW_CONNECTIONS)),
            Contender("front-modern", "Gatepost's front, modern era", modern.measure),
        ]


@contextmanager
def _of_remote(directory: Path) -> Iterator[Sequence[Contender]]:
    with ExitStack() as stack:
        serve = partial(served, stack)
        port = free_port()
        remote = ServerProcess([OFFICIAL_SDK.python, str(_SDK), str(port)], port=port, environment={}, cwd=directory)
        own = serve(remote, Caller("none", Era.MODERN)), serve(remote, "none")
        front, token = _front([f"http://127.0.0.1:{port}{MCP_PATH}"], directory)
        through = serve(front, Caller(token, Era.MODERN)), serve(front, token)

        def with_remote(front: Served) -> Callable[[float], Load]:
            plan, pid, pids = front.plan, front.process.pid, (remote.pid,)
            return lambda seconds: run_load(plan, port=front.process.port, pid=pid, seconds=seconds, with_it=pids)

        yield [
            Contender("own-modern", "its own HTTP, modern era", own[0].measure),
            Contender("own-handshake", "its own HTTP, handshake era", own[1].measure),
            Contender("front-modern", "Gatepost's front, modern era", with_remote(through[0])),
            Contender("front-handshake", "Gatepost's front, handshake era", with_remote(through[1])),
        ]


def _front(behind: Sequence[str], directory: Path) -> tuple[ServerProcess, str]:
    """Start a front, and return it with a token for it."""
    port = free_port()
    (token,) = fill_store(directory, resource=f"http://127.0.0.1:{port}{MCP_PATH}", tokens=1)
    command = [GATEPOST.python, "-m", "gatepost", "front", "--port", str(port), *behind]
    return ServerProcess(command, port=port, environment={"OAUTH_STORAGE_DIR": str(directory)}, cwd=directory), token


def served(stack: ExitStack, process: ServerProcess, who: Caller | str, tool: str = "add") -> Served:
    """Have a server ready, with a caller or a token for a session of its own, every answer looked at once."""
    stack.enter_context(process)  # once more for a second caller, and stopping twice is fine
    process.wait_until_listening()
    connection = Connection(process.port)
    try:
        caller = connection.open_session(who) if isinstance(who, str) else who
        for n in range(_REQUESTS):
            connection.check(caller.call(tool, 1000 + n, n, 7 * n))
    finally:
        connection.close()
    requests = [caller.call(tool, ID_PLACEHOLDER, n, 7 * n) for n in range(_REQUESTS)]
    plan = Plan(
        kind="calls",
        path=MCP_PATH,
        headers=[request.headers for request in requests],
        bodies=[request.body for request in requests],
        marker='"result"',
        connections=FEW_CONNECTIONS,
    )
    ready = Served(process=process, plan=plan)
    ready.measure(_WARM_UP_SECONDS)
    return ready


if __name__ == "__main__":
    from benchmarks.__main__ import main

    sys.exit(main(["--only", "front", *sys.argv[1:]]))

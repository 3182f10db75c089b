"""Who is measured: how each server is started, and what it can do."""

from __future__ import annotations

import secrets
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.environments import (
    CEILING,
    FASTMCP,
    GATEPOST,
    GATEPOST_AND_SDK,
    HERE,
    HTTP_MCP,
    NODE,
    NODE_SERVERS,
    OFFICIAL_SDK,
    PythonEnvironment,
    node_binary,
)
from benchmarks.messages import MCP_PATH, Caller, Connection, Era
from benchmarks.processes import ServerProcess, free_port

SERVERS: Final = HERE / "servers"
MANY_TOOLS: Final = 500
_FILL_SECONDS: Final = 120
_BOTH: Final = frozenset(Era)


@dataclass(frozen=True, slots=True)
class Peer:
    """One server under test."""

    key: str
    title: str
    environment: PythonEnvironment
    server: str
    """Its file below `servers/`."""
    eras: frozenset[Era]
    is_python: bool = True
    has_sync: bool = True
    path: str = MCP_PATH
    """Of its MCP endpoint."""
    behind: str | None = None
    """What `gatepost serve` serves of its file; empty where it runs by itself, to compare with. None for all others."""
    streams: int = 0
    """How many `subscriptions/listen` streams it can be asked to keep at once; 0 if it has none."""


THE_CEILING: Final = Peer("ceiling", "empty ASGI app (ceiling)", CEILING, "ceiling.py", _BOTH)
THE_GATEPOST: Final = Peer("gatepost", "Gatepost", GATEPOST, "gatepost_server.py", _BOTH, streams=20_000)
THE_OFFICIAL_SDK: Final = Peer(
    # Its own bound is 1,024, and `MCPServer` has no argument for it.
    "official-sdk",
    "official Python SDK",
    OFFICIAL_SDK,
    "official_sdk.py",
    _BOTH,
    streams=1000,
)
_BEHIND: Final = "sdk_behind_guard.py"
BEHIND_THE_GUARD: Final = (
    Peer("sdk-bare", "SDK server, bare", GATEPOST_AND_SDK, _BEHIND, frozenset({Era.MODERN}), behind=""),
    Peer(
        "sdk-guarded",
        "SDK server behind the guard",
        GATEPOST_AND_SDK,
        _BEHIND,
        frozenset({Era.MODERN}),
        behind="server",
    ),
    Peer(
        "sdk-scoped",
        "SDK server with scopes by name",
        GATEPOST_AND_SDK,
        _BEHIND,
        frozenset({Era.MODERN}),
        behind="scoped",
    ),
)
"""The same server three times: what the guard in front of it costs."""
PEERS: Final = (
    THE_CEILING,
    THE_GATEPOST,
    THE_OFFICIAL_SDK,
    Peer("fastmcp", "FastMCP", FASTMCP, "fastmcp_server.py", _BOTH),
    Peer("http-mcp", "http-mcp", HTTP_MCP, "http_mcp_server.py", frozenset({Era.MODERN}), path=f"{MCP_PATH}/"),
    # Node has no thread pool for functions that block, so nothing corresponds to a sync tool.
    Peer(
        "typescript-1",
        "TypeScript SDK 1 (Express)",
        NODE,
        "typescript_sdk_1.mjs",
        frozenset({Era.HANDSHAKE}),
        is_python=False,
        has_sync=False,
    ),
    Peer(
        "typescript-2",
        "TypeScript SDK 2 (Express)",
        NODE,
        "typescript_sdk_2.mjs",
        frozenset({Era.MODERN}),
        is_python=False,
        has_sync=False,
        streams=20_000,
    ),
    *BEHIND_THE_GUARD,
)


class Prepared:
    """A peer that can be started any number of times, always on the same port and with the same data."""

    def __init__(
        self, peer: Peer, directory: Path, *, tools: int = 0, environment: Mapping[str, str] | None = None
    ) -> None:
        """Give it a port, a token that it will take and, where it has one, a filled store.

        Args:
            peer: who.
            directory: an existing directory of its own.
            tools: 0 for the adding tools, or how many tools of the same kind.
            environment: further variables.
        """
        self.peer = peer
        self.port = free_port()
        self.tools = tools
        self._directory = directory
        self._environment = dict(environment or {})
        self.tokens = tuple(self._tokens())

    @property
    def checks_tokens(self) -> bool:
        """Whether it refuses a token that it does not know."""
        return self.peer is not THE_CEILING and self.peer.behind != ""

    @property
    def token(self) -> str:
        """A token that counts."""
        return self.tokens[0]

    def connect(self) -> Connection:
        """Return a connection for requests that are looked at; the caller closes it."""
        return Connection(self.port, self.peer.path)

    def start(self) -> ServerProcess:
        """Start it; the caller stops it."""
        environment = {
            "BENCHMARK_TOOLS": str(self.tools),
            "BENCHMARK_TOKEN": self.token,
            "OAUTH_STORAGE_DIR": str(self._directory),
            **self._environment,
        }
        if self.peer.behind:
            environment["MCP_API_KEY"] = self.token
        return ServerProcess(self._command(), port=self.port, environment=environment, cwd=self._directory)

    def caller(self, connection: Connection, era: Era) -> Caller:
        """Return a caller of an era; in the handshake era with a session of its own."""
        if era is Era.MODERN or self.peer is THE_CEILING:
            return Caller(self.token, era)
        return connection.open_session(self.token)

    def _command(self) -> Sequence[str]:
        if self.peer is THE_GATEPOST:
            target = f"{SERVERS / self.peer.server}:server"
            return [GATEPOST.python, "-m", "gatepost", "serve", target, "--port", str(self.port)]
        if self.peer.behind:
            target = f"{SERVERS / self.peer.server}:{self.peer.behind}"
            return [self.peer.environment.python, "-m", "gatepost", "serve", target, "--port", str(self.port)]
        if self.peer.is_python:
            return [self.peer.environment.python, str(SERVERS / self.peer.server), str(self.port)]
        return [node_binary(), str(NODE_SERVERS / self.peer.server), str(self.port)]

    def _tokens(self) -> Sequence[str]:
        """Return tokens: Gatepost's are rows of its store, the others take what they are told."""
        if self.peer is not THE_GATEPOST:
            return [f"benchmark-{secrets.token_urlsafe(32)}"]
        resource = f"http://127.0.0.1:{self.port}{MCP_PATH}"
        return fill_store(self._directory, resource=resource, tokens=256)


def fill_store(directory: Path, *, resource: str, tokens: int = 0, codes: int = 0, clones: int = 0) -> Sequence[str]:
    """Fill Gatepost's store and return what `servers/gatepost_store.py` prints, line by line."""
    wanted = [f"--tokens={tokens}", f"--codes={codes}", f"--clones={clones}", f"--resource={resource}"]
    with tempfile.TemporaryFile("w+") as printed:
        subprocess.run(
            [GATEPOST.python, str(SERVERS / "gatepost_store.py"), str(directory / "gatepost.db"), *wanted],
            stdout=printed,
            check=True,
            timeout=_FILL_SECONDS,
        )
        printed.seek(0)
        return printed.read().splitlines()

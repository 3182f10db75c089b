"""A front in this process, before the recording server in processes of its own, and clients of both eras."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gatepost.fronts.introduction import Introduction
from gatepost.fronts.sharing import Sharing
from gatepost.fronts.stdio_backend import StdioBackend
from gatepost.fronts.target import FrontTarget
from gatepost.resource.scope_map import ScopeMap
from gatepost.stores.contract.grants import LiveAccessToken
from gatepost.tokens.opaque import SecretKind, fingerprint, mint
from tests.fronts.recording_server import INTRODUCTION
from tests.patience import PATIENCE
from tests.web.mcp.mcp_harness import READER, RESOURCE
from tests.web.mcp.sessions.session_world import Connection, SessionWorld, request

SERVER = Path(__file__).with_name("recording_server.py")
CARL = mint(SecretKind.ACCESS_TOKEN, lambda count: b"c" * count)
"""A token of another user than `READER`'s, good for the same."""
ALL: dict[str, Any] = {"elicitation": {}, "sampling": {}, "roots": {}}
"""What a client declares that can answer everything."""


class Front(SessionWorld):
    """An endpoint with a front behind it."""

    def __init__(self, target: FrontTarget, record: Path, *, is_guarded: bool) -> None:
        super().__init__(target=target, is_guarded=is_guarded)
        self.front = target
        self.record = record

    @property
    def lines(self) -> list[str]:
        """What all processes have read, each line without the id of its process."""
        return [line.partition(" ")[2] for line in self._record()]

    @property
    def messages(self) -> list[Any]:
        """The messages that all processes have read."""
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    @property
    def processes(self) -> list[int]:
        """The ids of those that have read anything, in order."""
        return list(dict.fromkeys(int(line.partition(" ")[0]) for line in self._record()))

    def sent(self, method: str) -> list[Any]:
        """The messages of one method that processes have read."""
        return [message for message in self.messages if message.get("method") == method]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so that other processes do."""
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - what another process does sets no event here
                await asyncio.sleep(0.005)

    def open_modern(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        request_id: int | str = 1,
        meta: Mapping[str, Any] | None = None,
        capabilities: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Connection:
        """Send a request of the modern era."""
        given = dict(params or {})
        given["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "modern", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": capabilities or {},
            **(meta or {}),
        }
        name = given.get("name") or given.get("uri")
        headers = {"mcp_protocol_version": "2026-07-28", "mcp_method": method, "mcp_name": name}
        return self.open(request(method, given, request_id), **{**headers, **more})

    async def modern(self, method: str, params: Mapping[str, Any] | None = None, **more: Any) -> Any:
        """Send a request of the modern era and return the JSON of its answer."""
        connection = await self.open_modern(method, params, **more).ended()
        return connection.body if connection.raw.startswith(b"{") else connection.messages[-1]

    async def modern_call(self, tool: str, arguments: Mapping[str, Any] | None = None, **more: Any) -> Any:
        """Call a tool in the modern era."""
        return await self.modern("tools/call", {"name": tool, "arguments": arguments or {}}, **more)

    def open_call(self, session: str | None, tool: str, arguments: Any = None, **more: Any) -> Connection:
        """Call a tool in a session."""
        meta = {"_meta": more.pop("meta")} if "meta" in more else {}
        params = {"name": tool, "arguments": arguments or {}, **meta}
        return self.open(request("tools/call", params, more.pop("request_id", 1)), session=session, **more)

    async def call(self, session: str | None, tool: str, arguments: Any = None, **more: Any) -> Any:
        """Call a tool in a session and return the answer."""
        connection = await self.open_call(session, tool, arguments, **more).ended()
        return connection.body if connection.raw.startswith(b"{") else connection.messages[-1]

    async def respond(self, session: str, question: Any, result: Mapping[str, Any]) -> None:
        """Answer a request of the server's."""
        answer = {"jsonrpc": "2.0", "id": question["id"], "result": result}
        assert (await self.send(answer, session=session)).status == 202

    def _record(self) -> list[str]:
        return self.record.read_text().splitlines() if self.record.exists() else []


class TwoUsers:
    """The one operation of `GrantStore` that the guard uses: two people have a token each."""

    async def find_access_token(self, token_fingerprint: bytes, *, now: int) -> LiveAccessToken | None:
        del now
        for token, subject in ((READER, "ann"), (CARL, "carl")):
            if fingerprint(token) == token_fingerprint:
                return LiveAccessToken(
                    subject=subject,
                    client_id="client-1",
                    client_name="App",
                    scopes=("base", "notes:read"),
                    resource=RESOURCE.identifier,
                    grant_id=f"grant-{subject}",
                    expires_at=10_000,
                    grant_revoked=False,
                    user_disabled=False,
                    display_name=None,
                    user_issuer="local",
                )
        return None


@asynccontextmanager
async def fronting(
    tmp_path: Path,
    *flags: str,
    environment: Mapping[str, str] | None = None,
    scope_map: ScopeMap | None = None,
    is_guarded: bool = True,
    is_known: bool = True,
    **sharing: Any,
) -> AsyncIterator[Front]:
    """Put the recording server behind a front; one that it does not know yet is tried first."""
    record = tmp_path / "record"
    backend = StdioBackend(
        arguments=(sys.executable, str(SERVER), str(record), *flags), environment=environment or {"PATH": "/usr/bin"}
    )
    target = FrontTarget(
        backend,
        Sharing(**{"spares": 0, **sharing}),
        introduction=Introduction({"protocolVersion": "2025-11-25", **INTRODUCTION}) if is_known else None,
        scope_map=scope_map,
        random_bytes=lambda count: b"\xab" * count,
    )
    async with target.lifespan():
        record.unlink(missing_ok=True)  # of the trial
        front = Front(target, record, is_guarded=is_guarded)
        if front.guard is not None:
            front.grants.find_access_token = TwoUsers().find_access_token  # type: ignore[method-assign] # as it is asked
        yield front


def is_alive(pid: int) -> bool:
    """Say whether a process runs, zombies not counted."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False

"""Several servers behind one endpoint in this process: stdio servers in processes, functions, and servers of ours."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gatepost.fronts.backend import Backend
from gatepost.fronts.introduction import Introduction
from gatepost.fronts.merging.names import Names
from gatepost.fronts.merging.part import Part
from gatepost.fronts.merging.target import MergedTarget
from gatepost.fronts.sharing import Sharing
from gatepost.fronts.stdio_backend import StdioBackend
from gatepost.fronts.target import FrontTarget
from gatepost.resource.scope_map import ScopeMap
from gatepost.server.dispatch import ServerTarget
from gatepost.server.handler_target import HandlerTarget
from gatepost.server.server import Server
from tests.fronts.front_world import SERVER, Front, TwoUsers
from tests.fronts.recording_server import INTRODUCTION

Merging = Front
"""An endpoint with several servers behind it."""


@dataclass(slots=True)
class Scripted:
    """A JSON-RPC function that answers by method: with a result, an error, or what a function of the params returns."""

    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)
    capabilities: dict[str, Any] = field(default_factory=lambda: {"tools": {}})
    instructions: str | None = None

    async def __call__(self, message: dict[str, Any]) -> dict[str, Any] | None:
        self.asked.append(message)
        if "id" not in message:
            return None
        method = message["method"]
        if method in ("initialize", "server/discover"):
            given = {} if self.instructions is None else {"instructions": self.instructions}
            who = {"serverInfo": {"name": "s"}} if method == "initialize" else {"supportedVersions": ["2026-07-28"]}
            return self._result(message, {"capabilities": self.capabilities, **who, **given})
        answer = self.answers.get(method)
        if callable(answer):
            answer = answer(message["params"])
            if hasattr(answer, "__await__"):
                answer = await answer
        if answer is None:
            answer = {"error": {"code": -32601, "message": "Method not found"}}
        if "error" in answer:
            return {"jsonrpc": "2.0", "id": message["id"], **answer}
        return self._result(message, answer)

    def sent(self, method: str) -> list[dict[str, Any]]:
        """The params that it was asked a method with, without what the era adds."""
        return [
            {name: value for name, value in message["params"].items() if name != "_meta"}
            for message in self.asked
            if message["method"] == method
        ]

    def _result(self, message: Mapping[str, Any], result: Any) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": message["id"], "result": result}


def tools(*names: str, **more: Any) -> dict[str, Any]:
    """A page of tools."""
    return {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in names], **more}


def resources(*uris: str, **more: Any) -> dict[str, Any]:
    """A page of resources."""
    return {"resources": [{"uri": uri, "name": uri} for uri in uris], **more}


def said(text: str) -> dict[str, Any]:
    """The result of a tool."""
    return {"content": [{"type": "text", "text": text}]}


def failing(code: int) -> dict[str, Any]:
    """An error."""
    return {"error": {"code": code, "message": "No."}}


def stdio(record: Path, *flags: str, is_known: bool = True, **sharing: Any) -> FrontTarget:
    """The recording server, in processes of its own."""
    backend = StdioBackend(
        arguments=(sys.executable, str(SERVER), str(record), *flags), environment={"PATH": "/usr/bin"}
    )
    return front_of(backend, is_known=is_known, **sharing)


def front_of(backend: Backend, *, is_known: bool = True, **sharing: Any) -> FrontTarget:
    """A server of somebody else's."""
    return FrontTarget(
        backend,
        Sharing(**{"spares": 0, **sharing}),
        introduction=Introduction({"protocolVersion": "2025-11-25", **INTRODUCTION}) if is_known else None,
        is_tried=True,
        random_bytes=lambda count: b"\xab" * count,
        raises_outages=True,
    )


def merged_target(targets: Mapping[str, Any], **more: Any) -> MergedTarget:
    """Put them behind one endpoint."""
    parts = {prefix: _part(prefix, target) for prefix, target in targets.items()}
    own = frozenset(prefix for prefix, part in parts.items() if part.is_own)
    given: dict[str, Any] = {"instructions": None, "own_instructions": {}, "scope_map": None, "wait_seconds": 60.0}
    info = {"name": "merged", "version": "1"}
    return MergedTarget(tuple(parts.values()), Names(parts, own), info=info, **{**given, **more})


def _part(prefix: str, target: Any) -> Part:
    made: Any = target
    if isinstance(target, Server):
        made = ServerTarget(target)
    elif isinstance(target, Scripted):
        made = HandlerTarget(target, name=prefix)
    return Part(
        target=made,
        prefix=prefix,
        label=prefix or "plain",
        random_bytes=lambda count: b"\xcd" * count,
        is_own=isinstance(target, Server),
    )


@asynccontextmanager
async def merging(
    tmp_path: Path,
    targets: Mapping[str, Any],
    *,
    scope_map: ScopeMap | None = None,
    is_guarded: bool = True,
    **more: Any,
) -> AsyncIterator[Merging]:
    """Serve several servers."""
    target = merged_target(targets, scope_map=scope_map, **more)
    async with target.lifespan():
        world = Front(target, tmp_path / "record", is_guarded=is_guarded)  # type: ignore[arg-type] # of another class
        if world.guard is not None:
            world.grants.find_access_token = TwoUsers().find_access_token  # type: ignore[method-assign] # as it is asked
        yield world


def names_in(result: Mapping[str, Any], member: str = "tools") -> Sequence[str]:
    """The names of a list."""
    return [entry["name"] for entry in result[member]]

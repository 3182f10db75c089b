"""From a request to a result: the methods of MCP, answered by a `Server`'s tools.

One function per method, found by name in a table; a method that a later feature brings is one more line there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import orjson

from gatepost.protocol.errors import InvalidParams, MethodNotFound
from gatepost.protocol.handshake import initialize_result
from gatepost.protocol.messages import Notification, Request
from gatepost.protocol.modern import finish_result
from gatepost.protocol.versions import SUPPORTED, Revision
from gatepost.server.errors import InvalidArguments
from gatepost.server.request_run import RequestRun
from gatepost.server.sealed_state import StateSeal, process_seal
from gatepost.server.server import Server
from gatepost.server.target import Caller, Result

LIST_FRESHNESS_MS: Final = 300_000
"""How long clients may take a list or a discovery for fresh, in milliseconds: a new tool shows within five minutes."""
_MOST_LISTS = 64
"""How many serialised lists are kept: one per revision and set of scopes that callers really have."""

_CAPABILITIES: Final[Mapping[str, Any]] = {"tools": {}}
_EMPTY: Final[frozenset[str]] = frozenset()
# The specification's own characters for names (server/tools, "Tool Names"): safe to repeat in an error.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")


_Method = Callable[[Request, Revision, Caller], Coroutine[Any, Any, Result]]


class InsufficientScope(Exception):
    """The caller's token lacks a scope: HTTP 403 with a challenge, not a JSON-RPC answer alone."""

    def __init__(self, scopes: frozenset[str]) -> None:
        super().__init__("the caller's token lacks a scope")
        self.scopes = scopes
        """All that the operation needs, granted or not."""


class ServerTarget:
    """A `Server` behind an endpoint."""

    def __init__(self, server: Server, *, seal: StateSeal | None = None) -> None:
        """Prepare what no request changes.

        Args:
            server: whose tools are served.
            seal: writes and reads the state of requests that ask their client something. By default one of this
                process alone, which is not enough where several share the requests.
        """
        self._server = server
        self._seal = process_seal() if seal is None else seal
        self._tools = server.tools
        self._server_info = _implementation(server)
        self._methods: Mapping[str, _Method] = {
            "tools/call": self._call_tool,
            "tools/list": self._list_tools,
            "server/discover": self._discover,
            "initialize": self._initialize,
            "ping": self._ping,
        }
        self._generation = -1
        self._known_scopes = _EMPTY
        self._lists: dict[tuple[Revision, frozenset[str] | None], orjson.Fragment] = {}

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """Open the server's own lifespan."""
        return self._server.run_lifespan()

    def answer(self, request: Request, revision: Revision, caller: Caller) -> Coroutine[Any, Any, Result]:
        """Return the result of `request`; see `Target.answer`."""
        # A plain function that hands the method's own coroutine on: one less to go through on every step.
        return self._methods.get(request.method, _not_found)(request, revision, caller)

    async def notice(self, notification: Notification, revision: Revision, caller: Caller) -> None:
        """Do nothing: `notifications/initialized` asks for nothing, and others are about what is not offered."""

    async def _call_tool(self, request: Request, revision: Revision, caller: Caller) -> Result:
        # 1. Which tool?
        name = request.params.get("name")
        if type(name) is not str:
            raise InvalidParams('"params.name" must be a string.')
        tool = self._tools.get(name)
        if tool is None:
            raise InvalidParams(f"Unknown tool: {name}" if _PLAIN_NAME.fullmatch(name) else "Unknown tool")
        # 2. May the caller? All scopes are needed.
        if caller.granted is not None and not tool.scopes <= caller.granted:
            raise InsufficientScope(tool.scopes)
        # 3. With which arguments? A tool whose schema has `x-mcp-header` will compare `caller.headers` here.
        arguments = request.params.get("arguments")
        if arguments is None:
            arguments = {}
        elif type(arguments) is not dict:
            raise InvalidParams('"params.arguments" must be an object.')

        # 4. Call it.
        run = RequestRun(request, revision, caller, name=name, state=self._server.state, seal=self._seal)
        try:
            result = await tool.call(arguments, run.context)
        except InvalidArguments as error:
            if not revision.wrong_arguments_are_results:
                raise InvalidParams(str(error)) from error
            result = {"content": [{"type": "text", "text": str(error)}], "isError": True}
        except BaseException as error:  # noqa: BLE001 - raised again unless it means that the client is asked something
            result = run.result_after(error)
        else:
            result = tool.result_for(revision.version, run.result_or_questions(result))
        return finish_result("tools/call", result, self._server_info) if revision.modern else result

    async def _list_tools(self, request: Request, revision: Revision, caller: Caller) -> Result:
        if request.params.get("cursor") is not None:
            # The list comes in one piece, so no cursor was ever given out (server/utilities/pagination).
            raise InvalidParams("This cursor is not one of this server's.")
        if self._generation != self._server.generation:
            self._lists.clear()
            self._known_scopes = _EMPTY.union(*(tool.scopes for tool in self._tools.values()))
            self._generation = self._server.generation
        granted = None if caller.granted is None else caller.granted & self._known_scopes
        listed = self._lists.get((revision, granted))
        if listed is None:
            while len(self._lists) >= _MOST_LISTS:
                del self._lists[next(iter(self._lists))]
            listed = self._lists[revision, granted] = orjson.Fragment(orjson.dumps(self._tool_list(revision, granted)))
        return listed

    def _tool_list(self, revision: Revision, granted: frozenset[str] | None) -> dict[str, Any]:
        """Return a `ListToolsResult` in the order in which the tools were added, which never changes."""
        tools = [
            tool.definition_for(revision.version)
            for tool in self._tools.values()
            if granted is None or tool.scopes <= granted
        ]
        if not revision.modern:
            return {"tools": tools}
        # A list that depends on who asks must not be shown to another (server/utilities/caching, "Cache Scope Field").
        hints = {"ttlMs": LIST_FRESHNESS_MS, "cacheScope": "private" if self._known_scopes else "public"}
        return finish_result("tools/list", {"tools": tools, **hints}, self._server_info)

    async def _discover(self, _request: Request, revision: Revision, _caller: Caller) -> Result:
        if not revision.modern:
            raise MethodNotFound("This revision has no such method.")
        return finish_result(
            "server/discover",
            discover_result(capabilities=_CAPABILITIES, instructions=self._server.instructions),
            self._server_info,
        )

    async def _initialize(self, _request: Request, revision: Revision, _caller: Caller) -> Result:
        return initialize_result(
            revision,
            capabilities=_CAPABILITIES,
            server_info=self._server_info,
            instructions=self._server.instructions,
        )

    async def _ping(self, _request: Request, _revision: Revision, _caller: Caller) -> Result:
        return {}


async def _not_found(_request: Request, _revision: Revision, _caller: Caller) -> Result:
    raise MethodNotFound("This server has no such method.")


def discover_result(*, capabilities: Mapping[str, Any], instructions: str | None) -> dict[str, Any]:
    """Return a `DiscoverResult` without what `finish_result` adds; it is the same for everybody."""
    result: dict[str, Any] = {
        "supportedVersions": list(SUPPORTED),
        "capabilities": capabilities,
        "ttlMs": LIST_FRESHNESS_MS,
        "cacheScope": "public",
    }
    if instructions is not None:
        result["instructions"] = instructions
    return result


def _implementation(server: Server) -> dict[str, Any]:
    """Return the server's `Implementation` object in the newest revision's shape."""
    optional = {"title": server.title, "websiteUrl": server.website_url, "icons": server.icons}
    return {
        "name": server.name,
        "version": server.version,
        **{member: value for member, value in optional.items() if value},
    }

"""From a request to a result: the methods of MCP, answered by a `Server`.

One function per method, found by name in a table. Those of resources, prompts and completion stand in `features`.
"""

from __future__ import annotations

import re
from collections.abc import Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from gatepost.protocol.errors import InvalidParams, MethodNotFound
from gatepost.protocol.handshake import initialize_result
from gatepost.protocol.messages import Notification, Request
from gatepost.protocol.mirrored_arguments import check_mirrors
from gatepost.protocol.modern import finish_result
from gatepost.protocol.versions import SUPPORTED, Revision
from gatepost.server.calls.request_run import RequestRun
from gatepost.server.calls.request_state import StateSeal, process_seal
from gatepost.server.changes.bus import ChangeBus
from gatepost.server.changes.subscriptions import Subscriptions, with_notifications
from gatepost.server.declared.revisions import result_in
from gatepost.server.declared.tools import Tool
from gatepost.server.errors import InsufficientScope, InvalidArguments
from gatepost.server.features import FeatureMethods, Method, capabilities_of
from gatepost.server.listing import LIST_FRESHNESS_MS, Listing
from gatepost.server.server import Server
from gatepost.server.session import set_level
from gatepost.server.target import Caller, Result

__all__ = ["LIST_FRESHNESS_MS", "InsufficientScope", "ServerTarget", "discover_result"]

# The specification's own characters for names (server/tools, "Tool Names"): safe to repeat in an error.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")

_MIRRORING = b"mcp-method"
"""The header that every HTTP request of the modern era has."""


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
        features = FeatureMethods(server, server_info=self._server_info, seal=self._seal)
        self._may_read = features.may_read
        self._subscriptions = Subscriptions(server.changes, server_info=self._server_info)
        self._tool_list = Listing(
            "tools/list",
            "tools",
            entries=self._tools.values,
            generation=lambda: server.generation,
            page_size=server.page_size,
            server_info=self._server_info,
        )
        self._methods: Mapping[str, Method] = {
            **features.methods,
            "tools/call": self._call_tool,
            "tools/list": self._list_tools,
            "server/discover": self._discover,
            "subscriptions/listen": self._listen,
            "initialize": self._initialize,
            "ping": self._ping,
            "logging/setLevel": self._set_level,
        }

    @property
    def changes(self) -> ChangeBus:
        """Carries what changes at run time."""
        return self._server.changes

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """Open the server's own lifespan."""
        return self._server.run_lifespan()

    def answer(self, request: Request, revision: Revision, caller: Caller) -> Coroutine[Any, Any, Result]:
        """Return the result of `request`; see `Target.answer`."""
        # A plain function that hands the method's own coroutine on: one less to go through on every step.
        return self._methods.get(request.method, _not_found)(request, revision, caller)

    async def drain(self) -> None:
        """End what lasts until the server stops: subscriptions, each with its result."""
        await self._subscriptions.end_all()

    async def notice(self, notification: Notification, revision: Revision, caller: Caller) -> None:
        """Do nothing: `notifications/initialized` asks for nothing, and others are about what is not offered."""

    async def _call_tool(self, request: Request, revision: Revision, caller: Caller) -> Result:
        # 1. to 3. Which tool, and with which arguments?
        tool, arguments = self._tool_and_arguments(request, revision, caller)
        # 4. Call it. A tool that takes no context has no way to ask its client, so there is no run to keep.
        params = request.params
        run: RequestRun | None = None
        if tool.takes_context or "requestState" in params or "inputResponses" in params:
            run = RequestRun(request, revision, caller, name=tool.name, state=self._server.state, seal=self._seal)
        try:
            result = await tool.call(arguments, caller.context if run is None else run.context)
        except InvalidArguments as error:
            if not revision.wrong_arguments_are_results:
                raise InvalidParams(str(error)) from error
            result = {"content": [{"type": "text", "text": str(error)}], "isError": True}
        except BaseException as error:
            if run is None:
                raise
            result = run.result_after(error)
        else:
            if run is not None:
                result = run.result_or_questions(result)
            if not revision.modern:
                result = result_in(revision.version, result)
        return finish_result("tools/call", result, self._server_info) if revision.modern else result

    def _tool_and_arguments(self, request: Request, revision: Revision, caller: Caller) -> tuple[Tool, dict[str, Any]]:
        # 1. Which tool?
        params = request.params
        name = params.get("name")
        if type(name) is not str:
            raise InvalidParams('"params.name" must be a string.')
        tool = self._tools.get(name)
        if tool is None:
            raise InvalidParams(f"Unknown tool: {name}" if _PLAIN_NAME.fullmatch(name) else "Unknown tool")
        # 2. May the caller? All scopes are needed.
        if caller.granted is not None and not tool.scopes <= caller.granted:
            raise InsufficientScope(tool.scopes)
        # 3. With which arguments?
        arguments = params.get("arguments")
        if arguments is None:
            arguments = {}
        elif type(arguments) is not dict:
            raise InvalidParams('"params.arguments" must be an object.')
        # Without headers that mirror the request, as on stdio and in the handshake era, nothing can disagree.
        if tool.mirrored and revision.modern and _MIRRORING in caller.headers:
            check_mirrors(tool.mirrored, arguments, caller.headers)
        return tool, arguments

    async def _list_tools(self, request: Request, revision: Revision, caller: Caller) -> Result:
        return self._tool_list.page(request.params, revision, caller.granted)

    async def _discover(self, _request: Request, revision: Revision, _caller: Caller) -> Result:
        if not revision.modern:
            raise MethodNotFound("This revision has no such method.")
        return finish_result(
            "server/discover",
            discover_result(
                capabilities=with_notifications(capabilities_of(self._server)), instructions=self._server.instructions
            ),
            self._server_info,
        )

    async def _listen(self, request: Request, revision: Revision, caller: Caller) -> Result:
        if not revision.modern:
            raise MethodNotFound("This revision has no such method.")
        return self._subscriptions.prepare(
            request,
            caller.principal,
            caller.granted,
            offered=capabilities_of(self._server),
            may_see=lambda uri: self._may_read(uri, caller.granted),
        )

    async def _initialize(self, _request: Request, revision: Revision, _caller: Caller) -> Result:
        return initialize_result(
            revision,
            capabilities=with_notifications(capabilities_of(self._server)),
            server_info=self._server_info,
            instructions=self._server.instructions,
        )

    async def _set_level(self, request: Request, revision: Revision, caller: Caller) -> Result:
        if revision.modern:
            # There, each request says what it wants to be told (server/utilities/logging).
            raise MethodNotFound("This revision has no such method.")
        return await set_level(request, caller.session)

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

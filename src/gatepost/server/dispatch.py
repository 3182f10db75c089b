"""From a request to a result: the methods of MCP, answered by a `Server`."""

from __future__ import annotations

import secrets
from collections.abc import Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from gatepost.protocol.errors import MethodNotFound
from gatepost.protocol.messages import Notification, Request
from gatepost.protocol.versions import Revision
from gatepost.server.calls.exchange import Exchange
from gatepost.server.calls.request_state import RequestStateSeal, process_seal
from gatepost.server.changes.bus import ChangeBus
from gatepost.server.methods import completion, lifecycle, prompts, resources, tools
from gatepost.server.methods.served_server import Method, ServedServer
from gatepost.server.server import Server
from gatepost.server.target import Result
from gatepost.tokens.opaque import RandomBytes

_BOTH_ERAS: Final[Mapping[str, Method]] = {
    "tools/call": tools.call_tool,
    "tools/list": tools.list_tools,
    "resources/list": resources.list_resources,
    "resources/templates/list": resources.list_templates,
    "resources/read": resources.read_resource,
    "prompts/list": prompts.list_prompts,
    "prompts/get": prompts.get_prompt,
    "completion/complete": completion.complete,
}
_MODERN: Final[Mapping[str, Method]] = {
    **_BOTH_ERAS,
    "server/discover": lifecycle.discover,
    "subscriptions/listen": lifecycle.listen,
}
_HANDSHAKE: Final[Mapping[str, Method]] = {
    **_BOTH_ERAS,
    "initialize": lifecycle.initialize,
    "ping": lifecycle.ping,
    "logging/setLevel": lifecycle.set_log_level,
    "resources/subscribe": resources.subscribe,
    "resources/unsubscribe": resources.unsubscribe,
}


class ServerTarget:
    """A `Server` behind an endpoint.

    Args:
        server: what is served.
        seal: writes and reads the state of requests that ask their client something. By default one of this process
            alone, which is not enough where several share the requests.
        random_bytes: gives incident ids their bytes.
    """

    def __init__(
        self, server: Server, *, seal: RequestStateSeal | None = None, random_bytes: RandomBytes = secrets.token_bytes
    ) -> None:
        self._server = server
        self._served = ServedServer(server, seal=seal or process_seal(), random_bytes=random_bytes)

    @property
    def changes(self) -> ChangeBus:
        """Carries what changes at run time."""
        return self._server.changes

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """Open the server's own lifespan."""
        return self._server.run_lifespan()

    def answer(self, request: Request, revision: Revision, exchange: Exchange) -> Coroutine[Any, Any, Result]:
        """Return the result of `request`; see `Target.answer`."""
        # A plain function that hands the method's own coroutine on: one less to go through on every step.
        method = (_MODERN if revision.modern else _HANDSHAKE).get(request.method, _not_found)
        return method(self._served, request, revision, exchange)

    async def drain(self) -> None:
        """End what lasts until the server stops: subscriptions, each with its result."""
        await self._served.subscriptions.end_all()

    async def notice(self, notification: Notification, revision: Revision, exchange: Exchange) -> None:
        """Do nothing: `notifications/initialized` asks for nothing, and others are about what is not offered."""


async def _not_found(_served: ServedServer, _request: Request, _revision: Revision, _exchange: Exchange) -> Result:
    raise MethodNotFound("This revision or this server has no such method.")

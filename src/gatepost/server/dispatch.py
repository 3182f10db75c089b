"""Dispatch: from a request to the method that answers it for a `Server`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from gatepost.protocol.errors import MethodNotFound
from gatepost.protocol.messages import Notification, Request
from gatepost.protocol.versions import Revision
from gatepost.server.calls.exchange import Exchange
from gatepost.server.extension import Extension
from gatepost.server.methods import lifecycle, prompts, resources, tools
from gatepost.server.methods.added_methods import with_extensions, wrapped
from gatepost.server.methods.served_server import Method, ServedServer
from gatepost.server.target import Result

_BOTH_ERAS: Final[Mapping[str, Method]] = {
    "tools/call": tools.call_tool,
    "tools/list": tools.list_tools,
    "resources/list": resources.list_resources,
    "resources/templates/list": resources.list_templates,
    "resources/read": resources.read_resource,
    "prompts/list": prompts.list_prompts,
    "prompts/get": prompts.get_prompt,
    "completion/complete": prompts.complete,
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
METHODS: Final = frozenset(_MODERN) | frozenset(_HANDSHAKE)
"""Every method that there is."""


class ServerTarget(ServedServer):
    """The `Target` that a `Server` is behind an endpoint."""

    _modern: Mapping[str, Method] = _MODERN
    _handshake: Mapping[str, Method] = _HANDSHAKE
    _dispatched: tuple[Extension, ...] = ()

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Open the server's, and in it those of its extensions. Raises ToolDefinitionError if one takes a method."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.server.run_lifespan())
            self._dispatch()
            for extension in self.extensions:
                await stack.enter_async_context(extension.lifespan(self))
            yield

    def answer(self, request: Request, revision: Revision, exchange: Exchange) -> Coroutine[Any, Any, Result]:
        """Return the coroutine of the method itself: one less to go through on every step."""
        if self._dispatched is not self.registry.extensions:
            self._dispatch()
        method = (self._modern if revision.modern else self._handshake).get(request.method, _not_found)
        return method(self, request, revision, exchange)

    def _dispatch(self) -> None:
        used = self.registry.extensions
        older = tuple(extension for extension in used if extension.is_in_handshake)
        self._modern = with_extensions(_MODERN, used)
        others = [each for each in used if each.wraps_handshake and not each.is_in_handshake]
        self._handshake = wrapped(with_extensions(_HANDSHAKE, older), others)
        self._dispatched = used

    def has_method(self, name: str) -> bool:
        """Say whether there is a method of this name in any revision."""
        return name in METHODS or any(name in extension.methods() for extension in self.registry.extensions)

    async def drain(self) -> None:
        """End what lasts until the server stops: subscriptions, each with its result."""
        await self.subscriptions.end_all()

    async def notice(self, notification: Notification, revision: Revision, exchange: Exchange) -> None:
        """Do nothing: `notifications/initialized` asks for nothing, and others are about what is not offered."""


async def _not_found(_served: ServedServer, _request: Request, _revision: Revision, _exchange: Exchange) -> Result:
    raise MethodNotFound("This revision or this server has no such method.")

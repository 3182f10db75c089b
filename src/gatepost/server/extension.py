"""Extensions of the protocol: what one adds to a server, so that the engine names none of them (MCP SEP-2133).

An extension is optional, has an identifier, and is there where both sides declare it in `capabilities.extensions`. A
server has one once it uses it, `server.use(extension)`; until then it costs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, ClassVar, Final, Literal, Protocol

from gatepost.protocol.errors import MissingRequiredClientCapability
from gatepost.protocol.messages import Request
from gatepost.protocol.modern import CLIENT_CAPABILITIES
from gatepost.protocol.versions import Revision
from gatepost.server.calls.exchange import Exchange
from gatepost.server.errors import ToolDefinitionError

Stage = Literal["experimental", "beta", "stable"]
"""How settled the specification is (SEP-3392, "Stages"): what may change, and how soon. It stands on no wire."""
Method = Callable[[Any, Request, Revision, Exchange], Coroutine[Any, Any, Any]]
"""Answers a request of one method: given the served server, the request, its revision and its exchange."""
Wrap = Callable[[Method], Method]
"""Returns what answers a method in place of what answered it, which it is given."""

Tell = Callable[[], Awaitable[tuple[str, dict[str, Any]] | None]]
"""Returns a notification, method and parameters, as things are by now; None if there is nothing to tell after all."""


class SubscriptionWatch(Protocol):
    """What an extension notifies one subscription of."""

    @property
    def honoured(self) -> Mapping[str, Any]:
        """What it adds to the filter that is acknowledged."""
        ...

    def begin(self, offer: Callable[[Hashable, Tell], None]) -> None:
        """Call `offer` from now on, in the event loop, with what there is to tell of what."""
        ...

    def leave(self) -> None:
        """Call it no more; it may have left already, or not have begun."""
        ...


# The specification's form of a key in `_meta`, whose prefix is mandatory here (basic, "_meta"; SEP-2133, "Definition").
_LABEL: Final = r"[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_IDENTIFIER: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*/[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?")


class Extension:
    """An extension of the protocol, as one server has it. Subclasses say what they add; by default nothing.

        class Weather(Extension):
            identifier = "com.example/weather"
            stage = "experimental"

            def methods(self):
                return {"weather/forecast": forecast}

        server.use(Weather())

    Clients find it in `capabilities.extensions`. Its methods are those of the modern era, unless it says otherwise, and
    answer clients that declare it in the same revision; others get the error -32021, which names what they lack.
    """

    identifier: ClassVar[str]
    """Such as `com.example/weather`: a domain name backwards that is yours, and a name."""
    stage: ClassVar[Stage]
    revision: ClassVar[str | None] = None
    """The `revision` in its settings, on both sides, since a change that breaks; None for the initial one (SEP-3392,
    "Identifiers and compatibility")."""
    is_in_handshake: ClassVar[bool] = False
    """Whether the handshake era has it, too: `initialize` advertises it, and its methods and wraps are there."""
    needs_client: ClassVar[bool] = True
    """Whether its methods answer only clients that declare it."""
    wraps_handshake: ClassVar[bool] = False
    """Whether its wraps stand around the methods of the handshake era, too; its methods are of the modern one alone."""
    named_by: ClassVar[Mapping[str, str]] = {}
    """By method, which of its parameters the header `Mcp-Name` mirrors."""

    def settings(self) -> Mapping[str, Any]:
        """Return what the capabilities say of it beside its revision, a JSON object. Asked again each time."""
        return {}

    def methods(self) -> Mapping[str, Method]:
        """Return what answers each method that it adds; there is none of that name otherwise."""
        return {}

    def wraps(self) -> Mapping[str, Wrap]:
        """Return what stands around methods that there are, such as `tools/call`, by name."""
        return {}

    async def watch(self, served: Any, request: Request, exchange: Exchange) -> SubscriptionWatch | None:  # noqa: ARG002 - likewise
        """Return what a `subscriptions/listen` request asks for that is the extension's; None if there is nothing.

        Raises ProtocolError if it cannot be.
        """
        return None

    def lifespan(self, served: Any) -> AbstractAsyncContextManager[None]:  # noqa: ARG002 - for subclasses
        """Open what it needs while the server runs, inside of the server's own lifespan."""
        return nullcontext()

    def include(self, other: Extension, prefix: str) -> None:
        """Take in what an included server has of the same extension.

        Args:
            other: the included server's, of the same identifier. Some of it may have been taken in before.
            prefix: what names of the included server begin with here.
        """


def check_extension(extension: Extension) -> None:
    """Raise ToolDefinitionError if this cannot be an extension; the message says what to change."""
    identifier = getattr(extension, "identifier", None)
    if not isinstance(identifier, str) or not _IDENTIFIER.fullmatch(identifier):
        raise ToolDefinitionError(
            f"{identifier!r} is no identifier of an extension, which is a domain name backwards, a slash and a name: "
            "com.example/weather"
        )


def declared_settings(extension: Extension, capabilities: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return a client's settings of an extension; None where it does not declare it, or in another revision."""
    extensions = capabilities.get("extensions")
    settings = extensions.get(extension.identifier) if type(extensions) is dict else None
    return settings if type(settings) is dict and settings.get("revision") == extension.revision else None


def settings_in(extension: Extension, request: Request, exchange: Exchange) -> Mapping[str, Any] | None:
    """Return `declared_settings` of the client that sends a request.

    In the modern era the request says it, and in the handshake era its session knows; without one nothing is declared.
    """
    if exchange.session is not None:
        return declared_settings(extension, exchange.session.client_capabilities)
    meta = request.params.get("_meta")
    capabilities = meta.get(CLIENT_CAPABILITIES) if type(meta) is dict else None
    return declared_settings(extension, capabilities) if type(capabilities) is dict else None


def missing_extension(extension: Extension) -> MissingRequiredClientCapability:
    """Return the error for a request that needs an extension which its client does not declare."""
    needed = {} if extension.revision is None else {"revision": extension.revision}
    return MissingRequiredClientCapability({"extensions": {extension.identifier: needed}})


def advertised(extensions: tuple[Extension, ...], *, modern: bool) -> dict[str, Any]:
    """Return the member of the server's capabilities that says which extensions it has; empty where it has none."""
    found: dict[str, Any] = {}
    for each in extensions:
        if modern or each.is_in_handshake:
            said = {} if each.revision is None else {"revision": each.revision}
            found[each.identifier] = {**said, **each.settings()}
    return {"extensions": found} if found else {}

"""What a target can do to the session that a request belongs to (handshake era), and the methods that do just that."""

from __future__ import annotations

from typing import Any, Final, Protocol

from gatepost.protocol.errors import InvalidJsonRpcRequest, InvalidParams
from gatepost.protocol.messages import Request
from gatepost.protocol.modern import LOG_LEVELS

LONGEST_URI: Final = 2048
"""Characters of a URI that a session subscribes to; each is kept."""


class Session(Protocol):
    """The session of one request."""

    async def set_log_level(self, level: str) -> None:
        """Keep the least severe level that the client wants as `notifications/message`."""
        ...

    async def subscribe(self, uri: str) -> bool:
        """Subscribe to changes of a resource; False when the session has as many subscriptions as it may."""
        ...

    async def unsubscribe(self, uri: str) -> None:
        """End a subscription; ending none is fine."""
        ...


async def set_level(request: Request, session: Session | None) -> dict[str, Any]:
    """Answer `logging/setLevel` (2025-11-25 server/utilities/logging).

    Raises:
        InvalidParams: there is no such level.
        InvalidJsonRpcRequest: the request belongs to no session, so there is nothing to keep the level for.
    """
    level = request.params.get("level")
    if level not in LOG_LEVELS:
        raise InvalidParams(f'"params.level" must be one of {", ".join(LOG_LEVELS)}.')
    await _required(session).set_log_level(level)
    return {}


async def subscribe(request: Request, session: Session | None) -> dict[str, Any]:
    """Answer `resources/subscribe`. The caller has made sure that the resource is there for this client.

    Raises:
        InvalidParams: no resource is named, its URI is too long, or the session has as many subscriptions as it may.
        InvalidJsonRpcRequest: the request belongs to no session.
    """
    uri = resource_uri(request)
    if len(uri) > LONGEST_URI:
        raise InvalidParams(f'"params.uri" may have {LONGEST_URI} characters.')
    if not await _required(session).subscribe(uri):
        raise InvalidParams("This session has as many subscriptions as it may.")
    return {}


async def unsubscribe(request: Request, session: Session | None) -> dict[str, Any]:
    """Answer `resources/unsubscribe`; raises as `subscribe` does."""
    await _required(session).unsubscribe(resource_uri(request))
    return {}


def resource_uri(request: Request) -> str:
    """Return the resource that a request names.

    Raises:
        InvalidParams: it names none.
    """
    uri = request.params.get("uri")
    if type(uri) is not str:
        raise InvalidParams('"params.uri" must be a string.')
    return uri


def _required(session: Session | None) -> Session:
    if session is None:
        raise InvalidJsonRpcRequest("This needs a session: send the Mcp-Session-Id that initialize was answered with.")
    return session

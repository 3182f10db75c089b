"""Callers: who hears of a request while it is under way at the server, and who can be asked for it.

SessionCaller   a request of the handshake era, on its own stream
HeldCall        a request of the modern era, which may be answered with questions first (held_calls.py)
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final, Protocol

from gatepost.protocol.errors import MethodNotFound, ProtocolError, RequestId
from gatepost.server.calls.exchange import Exchange, InputRequests, Results
from gatepost.server.calls.pending_client_requests import ClientError, TooManyClientRequests

PROGRESS: Final = "notifications/progress"

_CAPABILITY_OF: Final = {
    "elicitation/create": "elicitation",
    "sampling/createMessage": "sampling",
    "roots/list": "roots",
}

QUESTIONS: Final = tuple(_CAPABILITY_OF)
"""What a server can ask clients of either era."""

logger = logging.getLogger("gatepost.front")


class NotAnswered(Exception):
    """A request of the server's to its client gets this error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Askable(Protocol):
    """A client of the handshake era: `McpClient`, or the channel of its session."""

    async def request(self, requests: InputRequests) -> Results: ...


class Caller(Protocol):
    """Who hears of one request."""

    @property
    def progress_token(self) -> RequestId | None:
        """What the client calls its progress; None for a client that wants none."""
        ...

    def hear(self, method: str, params: Mapping[str, Any], raw: bytes | None) -> None:
        """Take a notification that belongs to the request; `raw` is the whole message, if it can go out as it is."""
        ...

    def can_be_asked(self, method: str) -> bool:
        """Say whether the client has declared that it answers requests of this method, and can be reached now."""
        ...

    async def ask(self, method: str, params: dict[str, Any]) -> Mapping[str, Any]:
        """Return the client's result; raises NotAnswered."""
        ...


def is_declared(method: str, capabilities: Mapping[str, Any], *, others: bool) -> bool:
    """Say whether a client with these capabilities answers a method; `others`: methods that no capability is for."""
    name = _CAPABILITY_OF.get(method)
    return others if name is None else type(capabilities.get(name)) is dict


async def ask_client(client: Askable, method: str, params: dict[str, Any]) -> Mapping[str, Any]:
    """Ask a client of the handshake era; raises NotAnswered."""
    try:
        results = await client.request({"0": {"method": method, "params": params}})
    except ClientError as error:
        raise NotAnswered(error.code, error.message) from None
    except ProtocolError as error:
        raise NotAnswered(error.body()["code"], error.message) from None
    except (TimeoutError, TooManyClientRequests) as error:
        raise NotAnswered(-32603, f"The client did not answer: {error}.") from None
    return results["0"]


def unknown_here(method: str) -> NotAnswered:
    """Return the error for a request that the client did not declare that it answers."""
    declared = "" if method in _CAPABILITY_OF else "; it is none that a client of this era answers"
    return NotAnswered(MethodNotFound.code, f"The client has not declared that it answers this{declared}.")


class SessionCaller:
    """A request of the handshake era.

    Args:
        exchange: of the request.
        params: of the request.
    """

    __slots__ = ("exchange", "progress_token")

    def __init__(self, exchange: Exchange, params: Mapping[str, Any]) -> None:
        meta = params.get("_meta")
        self.exchange = exchange
        self.progress_token: RequestId | None = meta.get("progressToken") if type(meta) is dict else None

    @property
    def session_key(self) -> bytes | None:
        """The session of the request."""
        return self.exchange.session_key

    def hear(self, method: str, params: Mapping[str, Any], raw: bytes | None) -> None:
        if raw is None:
            self.exchange.post(method, params)
        else:
            self.exchange.post_message(raw)

    def can_be_asked(self, method: str) -> bool:
        client = self.exchange.session
        return client is not None and is_declared(method, client.client_capabilities, others=True)

    async def ask(self, method: str, params: dict[str, Any]) -> Mapping[str, Any]:
        client = self.exchange.session
        if client is None:
            raise unknown_here(method)
        return await ask_client(client, method, params)

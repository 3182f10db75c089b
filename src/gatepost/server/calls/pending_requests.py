"""Requests to the client that wait for their responses: what the handshake era has in common on every transport."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from gatepost.protocol.messages import request_message
from gatepost.server.calls.exchange import InputRequests, Results

RESPONSE_SECONDS: Final = 3600
"""How long a response is waited for: people are asked, and they may be away."""
MOST_PENDING: Final = 64
"""How many requests of one session may wait for a response at a time."""
DEFAULT_LOG_LEVEL: Final = "info"
"""What a client gets that never sent `logging/setLevel`: for the server to choose (server/utilities/logging)."""


class ClientError(Exception):
    """The client answered a request with a JSON-RPC error.

    Args:
        code: the error's code, `-1` for a user who said no to sampling, say.
        message: the client's words; not to be trusted, nor to be logged.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"the client answered with error {code}")
        self.code = code
        self.message = message


class TooManyClientRequests(RuntimeError):
    """More requests would wait for a response than the client may have open."""

    def __init__(self) -> None:
        super().__init__("the client has too many unanswered requests")


async def send_all(
    requests: InputRequests, send: Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
) -> Results:
    """Send requests side by side with `send` and return the results by key; if one fails, the others are cancelled."""
    sent = [asyncio.ensure_future(send(request)) for request in requests.values()]
    try:
        results = await asyncio.gather(*sent)
    except BaseException:
        for waiting in sent:
            waiting.cancel()
        await asyncio.gather(*sent, return_exceptions=True)
        raise
    return dict(zip(requests, results, strict=True))


def message_of(request_id: str, request: Mapping[str, Any]) -> bytes:
    """Return a request as it is sent; one that sends the user to a page repeats its id.

    2025-11-25 client/elicitation#url-mode-elicitation-requests: `elicitationId` must be there; later it is not.
    """
    params = request["params"]
    if params.get("mode") == "url":
        params = {**params, "elicitationId": request_id}
    return request_message(request_id, request["method"], params)


def result_of(result: Mapping[str, Any] | None, error: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the result of a response.

    Raises:
        ClientError: it is an error.
    """
    if error is None:
        return result or {}
    code, message = error.get("code"), error.get("message")
    raise ClientError(code if type(code) is int else -1, message if type(message) is str else "")

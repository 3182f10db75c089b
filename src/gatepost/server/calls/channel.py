"""The way back: how a request that is being served talks to its client before its result is there.

    Line        notifications on the stream that answers one request          every transport, both eras
    CallerLine  a line that says whether anybody still waits at its end       likewise
    Channel     a line, and questions to the client with what it can do       the handshake era's sessions, stdio;
                                                                              `ModernChannel` over any line

A transport offers a request's line or channel in `Caller`: a line as an object that costs next to nothing until it is
used, a channel as a function that is called at most once per request, in the event loop. Both live as long as the
request. The order of what is sent holds: all that `post` and `notify` took goes out before the result.

What an implementation of `Channel` promises:

- `ask` waits until every question has its answer, and returns the results by key. Other requests go on meanwhile.
  Cancelling the request cancels the wait; an implementation may then tell the client with `notifications/cancelled`.
- The caller of `ask` has checked `client_capabilities` and will check the shape of each result. The implementation
  gives the questions request ids; keys never reach a client of the handshake era.
- A client that answers a question with a JSON-RPC error makes `ask` raise `ClientError`.
- `ask` may instead end the run with `Interrupted`, which is how the modern era asks: the request is answered
  `input_required` and runs again from its beginning when the client sends it again with the answers. So code above a
  channel must let `Interrupted` through; it is no `Exception`, so that code which catches those does not swallow it.
- `memory` outlasts such a run. Where every request runs once it is just an empty dictionary.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gatepost.protocol.errors import MissingRequiredClientCapability

__all__ = ["CallerLine", "Channel", "ClientError", "Interrupted", "Line", "MissingRequiredClientCapability", "Question"]


@dataclass(frozen=True, slots=True)
class Question:
    """A request to the client."""

    key: str
    """What the answer is known by; unique within its request."""
    method: str
    """`elicitation/create`, `sampling/createMessage` or `roots/list`."""
    params: Mapping[str, Any]
    """Plain JSON values, in the shape of the newest revision."""

    def params_as(self, request_id: str) -> Mapping[str, Any]:
        """Return `params` for a request of the handshake era with this id, which names a page to visit as well.

        2025-11-25 client/elicitation#url-mode-elicitation-requests: `elicitationId` must be there; later it is not.
        """
        return {**self.params, "elicitationId": request_id} if self.params.get("mode") == "url" else self.params


class ClientError(Exception):
    """The client answered a question with a JSON-RPC error.

    Args:
        code: the error's code, `-1` for a user who said no to sampling, say.
        message: the client's words; not to be trusted, nor to be logged.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"the client answered with error {code}")
        self.code = code
        self.message = message


class Interrupted(BaseException):
    """Ends a run whose questions the client has yet to answer. The channel knows the questions."""


class Line(Protocol):
    """The stream that answers one request."""

    async def notify(self, method: str, params: Mapping[str, Any]) -> None:
        """Send a notification, and wait while the client is slow to read. Only in the event loop.

        Args:
            method: such as `notifications/progress`.
            params: plain JSON values; not changed afterwards.

        Raises:
            TypeError: JSON has no form for the parameters.
        """
        ...

    def post(self, method: str, params: Mapping[str, Any]) -> None:
        """Send a notification soon, without waiting for anything. From any thread; the client may be gone already.

        Raises:
            TypeError: JSON has no form for the parameters.
        """
        ...


class CallerLine(Line, Protocol):
    """A request's line as its transport offers it: it also knows when there is no way back any more."""

    is_cancelled: bool
    """Whether nobody waits for the request's result any more. The transport sets it; it is read from any thread."""


class Channel(Line, Protocol):
    """A line on which the client can also be asked."""

    @property
    def client_capabilities(self) -> Mapping[str, Any]:
        """What the client declared: a `ClientCapabilities` object of its own revision."""
        ...

    @property
    def log_level(self) -> str | None:
        """The least severe level that the client wants as `notifications/message`; None when it wants none.

        One of `protocol.modern.LOG_LEVELS`. In the modern era the request says it, in the handshake era
        `logging/setLevel` did, or else the server chooses.
        """
        ...

    @property
    def memory(self) -> MutableMapping[str, Any]:
        """What outlasts the run when the request runs again: JSON values by key."""
        ...

    async def ask(self, questions: Sequence[Question]) -> Mapping[str, Mapping[str, Any]]:
        """Ask the client, all at once, and return its results by key.

        Raises:
            ClientError: the client answered one of them with an error.
            Interrupted: the answers will come with another run.
        """
        ...

    async def close_stream(self) -> None:
        """End the HTTP response of this request early; a client that resumes gets the rest (2025-11-25, SEP-1699).

        Does nothing where streams cannot be resumed: in the modern era, on stdio, without a session.
        """
        ...

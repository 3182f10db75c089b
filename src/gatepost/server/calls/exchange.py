"""The exchange of a request: the one object that a transport makes for a client's message and hands to its target.

It says who sends the message, with what, and whether anybody still waits for the result; notifications go out on it,
and in a session requests to the client. What an implementation promises:

- The order holds: all that `post` and `notify` took goes out before the result.
- `McpClient.request` waits until every request has its response. Other requests go on meanwhile. Cancelling the
  exchange cancels the wait; an implementation may then tell the client with `notifications/cancelled`.
- Who calls `McpClient.request` has checked `client_capabilities` and will check the shape of each result. The
  implementation gives the requests their ids; keys never reach a client of the handshake era.
- `McpClient.request` may instead end the run with `InputRequired`, as the modern era has it: the request is answered
  `input_required` and runs again from its beginning when the client sends it again with the responses.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, runtime_checkable

from gatepost.protocol.messages import notification
from gatepost.resource.principal import Principal
from gatepost.server.calls.upstream import shows

if TYPE_CHECKING:
    # For the annotation alone: this package runs without a web framework, over stdio for instance.
    from starlette.requests import Request as HTTPRequest

_log: Final = logging.getLogger("gatepost.server")

NO_HEADERS: Final[Mapping[bytes, bytes]] = {}

InputRequests = Mapping[str, Mapping[str, Any]]
"""Requests to the client by key, `{"method": ..., "params": ...}` each, as they stand in an `InputRequiredResult`.

Plain JSON values in the newest revision's shape. A method is `elicitation/create`, `sampling/createMessage` or
`roots/list`.
"""
Results = Mapping[str, Mapping[str, Any]]
"""The client's results by key."""
SendMessage = Callable[[bytes], Awaitable[None]]
"""Sends a JSON-RPC message to the client, after all that was given before."""


class Exchange:
    """A message of a client, from one who cannot be sent anything before the result. Transports extend it.

    Args:
        principal: who sends it; None where nobody asks for a token.
        headers: the request's headers, names in lower case; among them those that mirror a tool's arguments
            (`mcp-param-...`).
    """

    __slots__ = ("handed_out", "headers", "is_closed", "principal")

    takes_progress: ClassVar[bool] = False
    """Whether progress goes out also where the client did not ask for it by a token."""

    def __init__(self, principal: Principal | None = None, headers: Mapping[bytes, bytes] = NO_HEADERS) -> None:
        self.principal = principal
        self.headers = headers
        self.handed_out: tuple[str, ...] = ()
        """Access tokens of login providers that the user's code has got. Nothing that holds one is sent."""
        self.is_closed = False
        """Whether nobody waits for the result any more, because the request was cancelled or has been answered.

        Nothing is sent then. The transport sets it; it is read from any thread.
        """

    @property
    def granted(self) -> frozenset[str] | None:
        """The scopes that decide what is shown and done; None where there are no tokens, and so scopes do not count."""
        return None if self.principal is None else self.principal.scopes

    @property
    def shown(self) -> frozenset[str] | None:
        """The scopes that decide what lists show; None for all."""
        return self.granted

    @property
    def session(self) -> Session | None:
        """The session that the request belongs to: handshake era. None where it belongs to none."""
        return None

    def client_of(self, run: McpClient | None) -> McpClient | None:
        """Return whom the user's code asks: `run` in the modern era, or else the client of the session."""
        return self.session if run is None else run

    @property
    def session_key(self) -> bytes | None:
        """What this process knows the session by, also for a notification; None without one (handshake era)."""
        return None

    def http_request(self) -> HTTPRequest | None:
        """Build the HTTP request for those who ask for it; None where there is none. Its body has been read."""
        return None

    @property
    def outer_state(self) -> Mapping[str, Any]:
        """What the lifespan of an app around yielded (ASGI, "Lifespan State"); empty without one."""
        request = self.http_request()
        return {} if request is None else request.scope.get("state") or {}

    def notify(self, method: str, params: Mapping[str, Any]) -> Coroutine[Any, Any, None]:
        """Send a notification, and wait while the client is slow to read. Only in the event loop.

        Args:
            method: such as `notifications/progress`.
            params: plain JSON values; not changed afterwards.

        Raises:
            TypeError: JSON has no form for the parameters.
        """
        # A plain function that hands the coroutine on: one less to go through on every step.
        return self.send(notification(method, params)) if self._may_leave(params) else _nothing()

    def post(self, method: str, params: Mapping[str, Any]) -> None:
        """Send a notification soon, without waiting for anything. From any thread; the client may be gone already.

        Raises TypeError: JSON has no form for the parameters.
        """
        if self._may_leave(params):
            self.post_message(notification(method, params))

    def _may_leave(self, params: Mapping[str, Any]) -> bool:
        if not self.handed_out or not shows(params, self.handed_out):
            return True
        _log.error("a notification that holds an access token of a login provider was not sent")
        return False

    async def send(self, message: bytes) -> None:
        """Send a JSON-RPC message, as `notify` does."""

    def send_at_once(self, message: bytes) -> bool:
        """Send a JSON-RPC message if nothing has to be waited for; say whether it was sent. In the event loop."""
        del message
        return False

    def post_message(self, message: bytes) -> None:
        """Send a JSON-RPC message, as `post` does."""

    def sink(self) -> SendMessage | None:
        """Return what sends messages for as long as the stream is open, the exchange closed or not; None once it is."""
        return None

    async def close_stream(self) -> None:
        """End the HTTP response of this request early; a client that resumes gets the rest (2025-11-25, SEP-1699).

        Does nothing where streams cannot be resumed: in the modern era, on stdio, without a session.
        """


async def _nothing() -> None:
    pass


class McpClient(Protocol):
    """The client of one request, where it can be sent requests."""

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

    async def request(self, requests: InputRequests) -> Results:
        """Send requests to the client, all at once, and return its results by key.

        Raises:
            ClientError: the client answered one of them with an error; the others are cancelled.
            InputRequired: the responses will come with another run.
            TimeoutError: the client did not answer in time.
            TooManyClientRequests: too many are open.
            CancelledError: the exchange is closed, which a task or thread that it left behind may be the last to know.
        """
        ...


@runtime_checkable
class Remembering(Protocol):
    """A client whose request may run again, and finds then what an earlier run kept (`Context.once`)."""

    @property
    def memory(self) -> MutableMapping[str, Any]:
        """What outlasts the run: JSON values by key."""
        ...

    async def keep(self, key: str) -> None:
        """Keep what the memory has got under this key, before the run goes on."""
        ...


class Session(McpClient, Protocol):
    """The session of one request (handshake era)."""

    async def set_log_level(self, level: str) -> None:
        """Keep the least severe level that the client wants as `notifications/message`."""
        ...

    async def subscribe(self, uri: str, *, as_sent: str) -> bool:
        """Subscribe to changes of a resource; False when the session has as many subscriptions as it may.

        `uri` is in normal form, and `as_sent` is how the client spells it.
        """
        ...

    async def unsubscribe(self, uri: str) -> None:
        """End the subscription to a URI in normal form; ending none is fine."""
        ...

"""What a kind of server behind a front has to do: begin a connection, send on it, close it.

A backend knows no sessions, ids or eras. `Backend.connect` gives a `Link`, which takes whole JSON-RPC messages; what
the server sends goes to the `Receiver`, message by message, in order, in the event loop:

    link = await backend.connect(receiver, user)
    await link.send(message)            what BackendSession has to say, `initialize` first
    receiver.take(raw, about=None)      one message of the server's, as it came
    receiver.failed(7, error)           one request will have no answer; the connection goes on
    receiver.lost("it has ended")       once, when nothing will come any more, unless `close` was called
    await link.close()                  ends the connection in good order, and does not wait for answers

`about` is the id of the request on whose stream the message came, where the transport has such streams (Streamable
HTTP); on stdio nothing says it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Protocol

from gatepost.late_dataclass import dataclass
from gatepost.protocol.errors import RequestId
from gatepost.resource.principal import Principal


class BackendUnavailable(Exception):
    """The server cannot be reached, or did not answer `initialize`; one sentence for the operator.

    Args:
        why: the sentence.
        retry_after: seconds after which it may be otherwise; None where nobody can say.
    """

    def __init__(self, why: str, *, retry_after: int | None = None) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class BackendLost(Exception):
    """The connection is over, and what was asked on it will have no answer; one sentence for the operator."""


class RequestNotTaken(BackendLost):
    """The session was over before the request came to it, so that it may be sent in another one."""


@dataclass(frozen=True, slots=True)
class SessionUser:
    """For whom a connection is."""

    issuer: str
    subject: str
    principal: Principal | None = field(default=None, compare=False, repr=False)
    """Who it was when the connection was begun, for backends that act as the user elsewhere."""


def user_of_session(principal: Principal | None) -> SessionUser | None:
    """Return for whom a connection is that is begun for a caller."""
    return None if principal is None else SessionUser(principal.issuer, principal.subject, principal)


@dataclass(slots=True)
class Outgoing:
    """One JSON-RPC message to the server."""

    data: bytes
    """All of it, without a line end."""
    method: str | None = None
    """None for a response."""
    id: RequestId | None = None
    """Of a request or a response; None for a notification."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Those of a request or notification, for transports that look at some of them (Streamable HTTP)."""


class Receiver(Protocol):
    """Takes what comes from the server."""

    def take(self, message: bytes, about: RequestId | None = None) -> None:
        """Take one JSON-RPC message; raises nothing, whatever it is."""
        ...

    def awaits(self, request_id: RequestId) -> bool:
        """Say whether a request has yet to be answered."""
        ...

    def failed(self, request_id: RequestId, error: Exception) -> None:
        """Note that one request will have no answer; a BackendLost or BackendUnavailable says why, for the log."""
        ...

    def lost(self, why: str, *, are_calls_over: bool = True) -> None:
        """Note that nothing can be asked any more; `why` is a sentence for the log.

        Unless `are_calls_over`, each request that is under way will still be answered, or fail.
        """
        ...


class Link(Protocol):
    """One connection to a server."""

    async def send(self, message: Outgoing) -> None:
        """Send a message, and wait while the server is slow to read; raises BackendLost: it cannot be sent."""
        ...

    async def close(self) -> None:
        """End the connection, in good order if the server lets it. Closing twice is fine; raises nothing."""
        ...


class Backend(Protocol):
    """What stands behind a front."""

    @property
    def name(self) -> str:
        """What to call it in logs and to people, before it has said its own name."""
        ...

    @property
    def is_same_for_all(self) -> bool:
        """Whether a connection is the same whoever it is for, so that it may be begun before that is known."""
        ...

    @property
    def is_needed_at_start(self) -> bool:
        """Whether one that cannot be begun at the start is the operator's mistake, and not an outage that passes."""
        ...

    async def connect(self, receiver: Receiver, user: SessionUser | None) -> Link:
        """Begin a connection for a user; None for one that is nobody's in particular.

        Raises:
            BackendUnavailable: it cannot be begun.
        """
        ...

    def last_words(self) -> str:
        """Return what the server said last outside of the protocol, for an operator whose server does not start."""
        ...

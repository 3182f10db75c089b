"""Sessions, streams, open client requests and cancellations of the handshake era (MCP 2025-11-25 basic/transports).

Nothing of a session lives in a process, so any replica answers any request.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from gatepost.late_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class McpSession:
    """What `initialize` agreed on. The session id is kept only as `session_fingerprint`."""

    session_fingerprint: bytes
    owner: str
    """Resource, issuer and subject that the session is bound to; a request by anybody else does not find it."""
    revision: str
    client_capabilities: bytes
    """JSON, as the client sent it."""
    created_at: int
    expires_at: int
    """Seconds UTC; each use moves it on."""
    log_level: str | None = None
    """What `logging/setLevel` asked for; None: the client never did."""
    app: str = ""
    """The client that began it, for which it is counted; empty where there are no tokens."""


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One message of a stream, as it is sent again to a client that comes back."""

    number: int
    """Counts up within its stream, from 1."""
    message: bytes
    """A JSON-RPC message; empty for the event that only gives the client something to come back with."""


MOST_APPS: Final = 4
"""Times the most sessions with one app that an owner may have with all of them together."""


class McpSessionStore(Protocol):
    """Sessions and their resource subscriptions."""

    async def start_session(self, session: McpSession, *, most: int, makes_room: bool) -> list[bytes] | None:
        """Keep a new session if its owner then has at most `most` with its app, and `MOST_APPS` times that in all.

        Those that have expired do not count.

        If there would be more, those used longest ago are ended with all that is theirs when `makes_room`; when not,
        nothing is kept. Return the fingerprints of the sessions that were ended, None when nothing was kept. When
        `most` has been lowered, it may take several calls until no more than that are left.

        Repeated: the key of the record is there already, which is an error of the backend, and nothing is written. It
        is made for one call; who does not know what came of that makes another record.
        """

    async def find_session(self, session_fingerprint: bytes, *, owner: str, now: int) -> McpSession | None:
        """Return the session if it is this owner's and has not expired."""

    async def prolong_session(self, session_fingerprint: bytes, *, expires_at: int) -> None:
        """Move the session's end on; never back.

        Repeated: fine.
        """

    async def end_session(self, session_fingerprint: bytes, *, owner: str) -> bool:
        """End this owner's session with its streams, client requests and subscriptions; False when there is none.

        Repeated: False.
        """

    async def set_log_level(self, session_fingerprint: bytes, level: str) -> None:
        """Keep the level from which on the client wants log messages.

        Repeated: fine.
        """

    async def subscribe(self, session_fingerprint: bytes, uri: str, *, as_sent: str, limit: int) -> bool:
        """Subscribe the session to a resource; False when it would be one more than `limit`. Twice is once.

        `as_sent` is how the client spells the URI; that of the first time is kept.

        Repeated: True.
        """

    async def unsubscribe(self, session_fingerprint: bytes, uri: str) -> None:
        """End the subscription; ending none is fine.

        Repeated: fine.
        """

    async def subscribed_as(self, session_fingerprint: bytes, uri: str) -> str | None:
        """Return how the client spells the URI of a resource that the session is subscribed to; None if it is not."""

    async def delete_sessions(self, *, before: int, limit: int) -> int:
        """Delete sessions that ended, with all that is theirs; `limit` counts the sessions."""


class McpStreamStore(Protocol):
    """The events of streams, kept so that a broken stream can be resumed, and which connection a stream is attached to.

    A connection is named by the process that serves it. Attaching a stream detaches it from the connection before,
    which finds out at its next operation. This is no lease: nothing is renewed, so nothing has to expire when a process
    is gone.

    Other processes are woken (`Wakeups`) by what they may wait for: an event that is appended without naming a
    connection, and the end, while the stream is attached to one; and the attachment of a stream that had any of these.
    """

    async def append_event(
        self,
        session_fingerprint: bytes,
        stream_id: str,
        message: bytes,
        *,
        connection: str | None = None,
        most: int | None = None,
    ) -> int:
        """Keep the stream's next event and return its number; 0, and nothing kept, when the session is over.

        Repeated: the event is there twice, under two numbers, and the client gets it twice. So it is not to be
        repeated.

        Args:
            session_fingerprint: whose stream it is.
            stream_id: unique within the session.
            message: the event.
            connection: keep it only if the stream is attached to this one, else return 0: of several processes that
                are notified of one change, one keeps the event.
            most: how many of the stream's events stay, the latest ones, at least 1. None: all.
        """

    async def finish_stream(self, session_fingerprint: bytes, stream_id: str) -> None:
        """Mark that no event will follow.

        Repeated: fine.
        """

    async def forget_stream(self, session_fingerprint: bytes, stream_id: str) -> None:
        """Forget the stream with its events; nobody will resume it any more.

        Repeated: fine.
        """

    async def events_after(
        self, session_fingerprint: bytes, stream_id: str, number: int, *, limit: int, connection: str | None = None
    ) -> tuple[list[StreamEvent], bool]:
        """Return up to `limit` events behind `number`, in order, and whether the stream ends with them.

        For a `connection` that the stream is not attached to any more it has ended, and there are none.
        """

    async def attach_stream(self, session_fingerprint: bytes, stream_id: str, connection: str) -> bool:
        """Attach the stream to `connection` and to no other one; False when the session is over.

        Repeated: True; a connection that was attached in between is detached.
        """

    async def attached_streams(self, session_fingerprints: Sequence[bytes]) -> set[tuple[bytes, str]]:
        """Return which streams of these sessions are attached to a connection."""


class McpCancellationStore(Protocol):
    """Requests that clients took back, for the process that serves them (MCP 2025-11-25 basic/utilities/cancellation).

    A request itself leaves no trace here, so that it costs nothing; and it does not matter whether its cancellation
    comes before it.
    """

    async def cancel_request(
        self, session_fingerprint: bytes, request_id: str, *, now: int, expires_at: int, most: int
    ) -> None:
        """Keep until `expires_at` that the client took this request back; nothing when the session is over.

        `request_id` is the id as JSON, since 1 and "1" are two. While `most` of the session are kept, no other one is.

        Repeated: fine.
        """

    async def cancelled_requests(
        self, session_fingerprints: Sequence[bytes], *, now: int
    ) -> dict[bytes, frozenset[str]]:
        """Return what of these sessions was cancelled, each as of one moment; a session that is over is missing."""


class McpClientRequestStore(Protocol):
    """Requests of the server to its client (sampling, elicitation, roots) that wait for a response."""

    async def open(self, session_fingerprint: bytes, request_id: str, *, expires_at: int) -> None:
        """Keep that a response to this request is awaited; opened again, it is awaited anew and an old one is gone.

        Repeated: awaited anew.
        """

    async def respond(
        self, session_fingerprint: bytes, request_id: str, message: bytes, *, now: int, wakes: bool = True
    ) -> bool:
        """Keep the response; False when nothing waits for it or there is one: the first one counts.

        `wakes` says whether other processes are told, of which one may wait for it.

        Repeated: False; the response is kept.
        """

    async def find_response(self, session_fingerprint: bytes, request_id: str) -> bytes | None:
        """Return the response, also after its `expires_at`; None while there is none.

        It stays until the request is withdrawn, so that none is lost with an answer of the store.
        """

    async def withdraw(self, session_fingerprint: bytes, request_id: str) -> None:
        """Delete the request, answered or not.

        Repeated: fine.
        """

"""Sessions, streams and questions of the handshake era, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from gatepost.stores.contract.mcp import McpSession, StreamEvent


@dataclass(slots=True)
class _Stream:
    events: list[StreamEvent] = field(default_factory=list)
    is_finished: bool = False
    connection: str | None = None


@dataclass(slots=True)
class _Question:
    expires_at: int
    answer: bytes | None = None


@dataclass(slots=True)
class McpRecords:
    """What belongs to sessions, by the session's fingerprint."""

    sessions: dict[bytes, McpSession] = field(default_factory=dict)
    subscriptions: dict[bytes, set[str]] = field(default_factory=dict)
    streams: dict[bytes, dict[str, _Stream]] = field(default_factory=dict)
    questions: dict[bytes, dict[str, _Question]] = field(default_factory=dict)
    cancellations: dict[bytes, dict[str, int]] = field(default_factory=dict)

    def forget(self, session_fingerprint: bytes) -> None:
        """Forget the session and everything of it."""
        for of_session in (self.sessions, self.subscriptions, self.streams, self.questions, self.cancellations):
            of_session.pop(session_fingerprint, None)


class MemoryMcpSessionStore:
    """`McpSessionStore` in memory."""

    def __init__(self, records: McpRecords) -> None:
        self._records = records

    async def start_session(self, session: McpSession, *, most: int, makes_room: bool) -> list[bytes] | None:
        """See `McpSessionStore.start_session`."""
        sessions = self._records.sessions.values()
        live = [one for one in sessions if one.owner == session.owner and one.expires_at > session.created_at]
        excess = max(0, len(live) + 1 - most)
        if excess and not makes_room:
            return None
        live.sort(key=lambda one: (one.expires_at, one.created_at))
        ended = [one.session_fingerprint for one in live[:excess]]
        for session_fingerprint in ended:
            self._records.forget(session_fingerprint)
        self._records.sessions[session.session_fingerprint] = session
        return ended

    async def find_session(self, session_fingerprint: bytes, *, owner: str, now: int) -> McpSession | None:
        """See `McpSessionStore.find_session`."""
        session = self._records.sessions.get(session_fingerprint)
        is_found = session is not None and session.owner == owner and session.expires_at > now
        return session if is_found else None

    async def prolong_session(self, session_fingerprint: bytes, *, expires_at: int) -> None:
        """See `McpSessionStore.prolong_session`."""
        session = self._records.sessions.get(session_fingerprint)
        if session is not None and session.expires_at < expires_at:
            self._records.sessions[session_fingerprint] = replace(session, expires_at=expires_at)

    async def end_session(self, session_fingerprint: bytes, *, owner: str) -> bool:
        """See `McpSessionStore.end_session`."""
        session = self._records.sessions.get(session_fingerprint)
        if session is None or session.owner != owner:
            return False
        self._records.forget(session_fingerprint)
        return True

    async def set_log_level(self, session_fingerprint: bytes, level: str) -> None:
        """See `McpSessionStore.set_log_level`."""
        session = self._records.sessions.get(session_fingerprint)
        if session is not None:
            self._records.sessions[session_fingerprint] = replace(session, log_level=level)

    async def subscribe(self, session_fingerprint: bytes, uri: str, *, limit: int) -> bool:
        """See `McpSessionStore.subscribe`."""
        if session_fingerprint not in self._records.sessions:
            return False
        uris = self._records.subscriptions.setdefault(session_fingerprint, set())
        if uri not in uris and len(uris) >= limit:
            return False
        uris.add(uri)
        return True

    async def unsubscribe(self, session_fingerprint: bytes, uri: str) -> None:
        """See `McpSessionStore.unsubscribe`."""
        self._records.subscriptions.get(session_fingerprint, set()).discard(uri)

    async def is_subscribed(self, session_fingerprint: bytes, uri: str) -> bool:
        """See `McpSessionStore.is_subscribed`."""
        return uri in self._records.subscriptions.get(session_fingerprint, set())

    async def delete_sessions(self, *, before: int, limit: int) -> int:
        """See `McpSessionStore.delete_sessions`."""
        over = [key for key, session in self._records.sessions.items() if session.expires_at <= before][:limit]
        for session_fingerprint in over:
            self._records.forget(session_fingerprint)
        return len(over)


class MemoryMcpStreamStore:
    """`McpStreamStore` in memory."""

    def __init__(self, records: McpRecords) -> None:
        self._records = records

    async def append_event(
        self,
        session_fingerprint: bytes,
        stream_id: str,
        message: bytes,
        *,
        connection: str | None = None,
        most: int | None = None,
    ) -> int:
        """See `McpStreamStore.append_event`."""
        if session_fingerprint not in self._records.sessions:
            return 0
        if connection is not None and not self._is_attached(session_fingerprint, stream_id, connection):
            return 0
        events = self._stream(session_fingerprint, stream_id).events
        number = events[-1].number + 1 if events else 1
        events.append(StreamEvent(number, message))
        if most is not None:
            del events[:-most]
        return number

    async def finish_stream(self, session_fingerprint: bytes, stream_id: str) -> None:
        """See `McpStreamStore.finish_stream`."""
        if session_fingerprint in self._records.sessions:
            self._stream(session_fingerprint, stream_id).is_finished = True

    async def forget_stream(self, session_fingerprint: bytes, stream_id: str) -> None:
        """See `McpStreamStore.forget_stream`."""
        self._records.streams.get(session_fingerprint, {}).pop(stream_id, None)

    async def events_after(
        self, session_fingerprint: bytes, stream_id: str, number: int, *, limit: int, connection: str | None = None
    ) -> tuple[list[StreamEvent], bool]:
        """See `McpStreamStore.events_after`."""
        if connection is not None and not self._is_attached(session_fingerprint, stream_id, connection):
            return [], True
        stream = self._records.streams.get(session_fingerprint, {}).get(stream_id, _Stream())
        # Numbers have no gaps, so they say where an event lies.
        start = max(0, number + 1 - stream.events[0].number) if stream.events else 0
        events = stream.events[start : start + limit]
        return events, stream.is_finished and start + len(events) >= len(stream.events)

    async def attach_stream(self, session_fingerprint: bytes, stream_id: str, connection: str) -> bool:
        """See `McpStreamStore.attach_stream`."""
        if session_fingerprint not in self._records.sessions:
            return False
        self._stream(session_fingerprint, stream_id).connection = connection
        return True

    async def attached_streams(self, session_fingerprints: Sequence[bytes]) -> set[tuple[bytes, str]]:
        """See `McpStreamStore.attached_streams`."""
        return {
            (key, stream_id)
            for key in session_fingerprints
            for stream_id, stream in self._records.streams.get(key, {}).items()
            if stream.connection is not None
        }

    def _is_attached(self, session_fingerprint: bytes, stream_id: str, connection: str) -> bool:
        stream = self._records.streams.get(session_fingerprint, {}).get(stream_id)
        return stream is not None and stream.connection == connection

    def _stream(self, session_fingerprint: bytes, stream_id: str) -> _Stream:
        return self._records.streams.setdefault(session_fingerprint, {}).setdefault(stream_id, _Stream())


class MemoryMcpClientRequestStore:
    """`McpClientRequestStore` in memory."""

    def __init__(self, records: McpRecords) -> None:
        self._records = records

    async def open(self, session_fingerprint: bytes, request_id: str, *, expires_at: int) -> None:
        """See `McpClientRequestStore.open`."""
        if session_fingerprint in self._records.sessions:
            self._records.questions.setdefault(session_fingerprint, {})[request_id] = _Question(expires_at)

    async def respond(self, session_fingerprint: bytes, request_id: str, message: bytes, *, now: int) -> bool:
        """See `McpClientRequestStore.respond`."""
        question = self._records.questions.get(session_fingerprint, {}).get(request_id)
        if question is None or question.answer is not None or question.expires_at <= now:
            return False
        question.answer = message
        return True

    async def take_response(self, session_fingerprint: bytes, request_id: str) -> bytes | None:
        """See `McpClientRequestStore.take_response`."""
        questions = self._records.questions.get(session_fingerprint, {})
        question = questions.get(request_id)
        if question is None or question.answer is None:
            return None
        del questions[request_id]
        return question.answer

    async def withdraw(self, session_fingerprint: bytes, request_id: str) -> None:
        """See `McpClientRequestStore.withdraw`."""
        self._records.questions.get(session_fingerprint, {}).pop(request_id, None)


class MemoryMcpCancellationStore:
    """`McpCancellationStore` in memory."""

    def __init__(self, records: McpRecords) -> None:
        self._records = records

    async def cancel_request(
        self, session_fingerprint: bytes, request_id: str, *, now: int, expires_at: int, most: int
    ) -> None:
        """See `McpCancellationStore.cancel_request`."""
        if session_fingerprint not in self._records.sessions:
            return
        before = self._records.cancellations.get(session_fingerprint, {})
        kept = {cancelled: end for cancelled, end in before.items() if end > now}
        if len(kept) < most:
            kept[request_id] = expires_at
        self._records.cancellations[session_fingerprint] = kept

    async def cancelled_requests(
        self, session_fingerprints: Sequence[bytes], *, now: int
    ) -> dict[bytes, frozenset[str]]:
        """See `McpCancellationStore.cancelled_requests`."""
        cancelled: dict[bytes, frozenset[str]] = {}
        for key in session_fingerprints:
            session = self._records.sessions.get(key)
            if session is not None and session.expires_at > now:
                kept = self._records.cancellations.get(key, {})
                cancelled[key] = frozenset(request_id for request_id, end in kept.items() if end > now)
        return cancelled

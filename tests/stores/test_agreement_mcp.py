"""Whatever is done to MCP sessions, streams, client requests and cancellations, SQL answers as the model does."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from gatepost.stores.conformance.records import fp
from gatepost.stores.contract.mcp import McpSession
from tests.stores.both_stores import BothStores, text

OWNERS = ("ada", "bob")
STREAMS = QUESTIONS = ("1", "2")
URIS = ("notes://1", "notes://2", "notes://3")
CONNECTIONS = (None, "one", "two")

owners = st.sampled_from(OWNERS)
streams = st.sampled_from(STREAMS)
questions = st.sampled_from(QUESTIONS)
uris = st.sampled_from(URIS)
connections = st.sampled_from(CONNECTIONS)
messages = st.binary(max_size=20)
# Which of the sessions made so far is meant, the latest first; beyond the last one it is an unknown one.
picks = st.sampled_from((0, 0, 1, 2))


class McpAgrees(BothStores):
    """Does everything of the handshake era to both stores."""

    def __init__(self) -> None:
        super().__init__()
        self.sessions = 0

    def key(self, pick: int) -> bytes:
        """Return the fingerprint of the latest session but `pick`."""
        return fp(f"session {max(self.sessions - 1 - pick, -1)}")

    @rule(
        owner=owners,
        capabilities=messages,
        level=st.none() | text,
        lifetime=st.sampled_from((60, 3600)),
        makes_room=st.booleans(),
    )
    def start_session(
        self, owner: str, capabilities: bytes, level: str | None, lifetime: int, *, makes_room: bool
    ) -> None:
        self.now += 1  # of two sessions used in one second, either may be ended
        started = McpSession(
            session_fingerprint=fp(f"session {self.sessions}"),
            owner=owner,
            revision="2025-11-25",
            client_capabilities=capabilities,
            created_at=self.now,
            expires_at=self.now + lifetime,
            log_level=level,
        )
        self.sessions += 1
        self.both(lambda store: store.mcp_sessions.start_session(started, most=2, makes_room=makes_room))

    @rule(pick=picks, seconds=st.sampled_from((10, 3600)))
    def prolong_session(self, pick: int, seconds: int) -> None:
        expires_at = self.now + seconds
        self.both(lambda store: store.mcp_sessions.prolong_session(self.key(pick), expires_at=expires_at))

    @rule(pick=picks, owner=owners)
    def end_session(self, pick: int, owner: str) -> None:
        self.both(lambda store: store.mcp_sessions.end_session(self.key(pick), owner=owner))

    @rule(pick=picks, level=text)
    def set_log_level(self, pick: int, level: str) -> None:
        self.both(lambda store: store.mcp_sessions.set_log_level(self.key(pick), level))

    @rule(pick=picks, wanted=st.lists(uris, min_size=1, max_size=3), limit=st.integers(0, 2))
    def subscribe(self, pick: int, wanted: list[str], limit: int) -> None:
        for uri in wanted:
            self.subscribe_once(pick, uri, limit)

    def subscribe_once(self, pick: int, uri: str, limit: int) -> None:
        self.both(lambda store: store.mcp_sessions.subscribe(self.key(pick), uri, as_sent=uri.upper(), limit=limit))

    @rule(pick=picks, uri=uris)
    def unsubscribe(self, pick: int, uri: str) -> None:
        self.both(lambda store: store.mcp_sessions.unsubscribe(self.key(pick), uri))

    @rule(limit=st.integers(0, 3))
    def delete_sessions(self, limit: int) -> None:
        self.delete(lambda store: store.mcp_sessions.delete_sessions, before=self.now, limit=limit)

    @rule(
        pick=picks,
        stream=streams,
        sent=st.lists(messages, min_size=1, max_size=3),
        connection=connections,
        most=st.none() | st.integers(1, 3),
    )
    def append_events(
        self, pick: int, stream: str, sent: list[bytes], connection: str | None, most: int | None
    ) -> None:
        for message in sent:
            self.append_event(pick, stream, message, connection, most)

    def append_event(self, pick: int, stream: str, message: bytes, connection: str | None, most: int | None) -> None:
        self.both(
            lambda store: store.mcp_streams.append_event(
                self.key(pick), stream, message, connection=connection, most=most
            )
        )

    @rule(pick=picks, stream=streams, connection=st.sampled_from(CONNECTIONS[1:]))
    def attach_stream(self, pick: int, stream: str, connection: str) -> None:
        self.both(lambda store: store.mcp_streams.attach_stream(self.key(pick), stream, connection))

    @rule(pick=picks, stream=streams)
    def finish_stream(self, pick: int, stream: str) -> None:
        self.both(lambda store: store.mcp_streams.finish_stream(self.key(pick), stream))

    @rule(pick=picks, stream=streams)
    def forget_stream(self, pick: int, stream: str) -> None:
        self.both(lambda store: store.mcp_streams.forget_stream(self.key(pick), stream))

    @rule(pick=picks, stream=streams, number=st.integers(0, 9), limit=st.integers(1, 3), connection=connections)
    def events_after(self, pick: int, stream: str, number: int, limit: int, connection: str | None) -> None:
        self.both(
            lambda store: store.mcp_streams.events_after(
                self.key(pick), stream, number, limit=limit, connection=connection
            )
        )

    @rule(pick=picks, question=questions, lifetime=st.sampled_from((1, 600)), most=st.integers(0, 2))
    def cancel_request(self, pick: int, question: str, lifetime: int, most: int) -> None:
        self.both(
            lambda store: store.mcp_cancellations.cancel_request(
                self.key(pick), question, now=self.now, expires_at=self.now + lifetime, most=most
            )
        )

    @rule(pick=picks, question=questions, seconds=st.sampled_from((1, 600)))
    def ask(self, pick: int, question: str, seconds: int) -> None:
        expires_at = self.now + seconds
        self.both(lambda store: store.mcp_client_requests.open(self.key(pick), question, expires_at=expires_at))

    @rule(pick=picks, question=questions, message=messages)
    def answer(self, pick: int, question: str, message: bytes) -> None:
        self.both(lambda store: store.mcp_client_requests.respond(self.key(pick), question, message, now=self.now))

    @rule(pick=picks, question=questions)
    def find_answer(self, pick: int, question: str) -> None:
        self.both(lambda store: store.mcp_client_requests.find_response(self.key(pick), question))

    @rule(pick=picks, question=questions)
    def withdraw(self, pick: int, question: str) -> None:
        self.both(lambda store: store.mcp_client_requests.withdraw(self.key(pick), question))

    def look_everything_up(self) -> None:
        keys = [self.key(pick) for pick in range(self.sessions + 1)]
        self.both(lambda store: store.mcp_cancellations.cancelled_requests(keys, now=self.now))
        self.both(lambda store: store.mcp_streams.attached_streams(keys))
        for pick in range(self.sessions + 1):
            for owner in OWNERS:
                self.find_session(pick, owner)
            for uri in URIS:
                self.is_subscribed(pick, uri)
            for stream in STREAMS:
                for connection in CONNECTIONS:
                    self.events_after(pick, stream, 0, 100, connection)
            for question in QUESTIONS:
                self.find_answer(pick, question)

    def find_session(self, pick: int, owner: str) -> None:
        self.both(lambda store: store.mcp_sessions.find_session(self.key(pick), owner=owner, now=self.now))

    def is_subscribed(self, pick: int, uri: str) -> None:
        self.both(lambda store: store.mcp_sessions.subscribed_as(self.key(pick), uri))


TestMcpAgrees = McpAgrees.TestCase
TestMcpAgrees.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)

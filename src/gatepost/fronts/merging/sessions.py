"""What one client session has with each of the servers that are merged (handshake era).

A session with each is begun when the client begins its own, side by side. One whose server is late is joined when it is
there, one that is over is begun again at the next request, and what the client has said meanwhile is said to it, too.
The client's own session ends with none of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any, Final

from gatepost.fronts.merging.part import Part
from gatepost.fronts.merging.progress_tokens import ProgressTokens
from gatepost.fronts.raw_json import decoded
from gatepost.late_dataclass import dataclass
from gatepost.protocol.errors import InvalidParams, ProtocolError
from gatepost.protocol.json_encoding import encode
from gatepost.protocol.messages import Notification, Request, notification
from gatepost.protocol.versions import Revision
from gatepost.resource.principal import Principal
from gatepost.server.calls.exchange import Exchange, InputRequests, Results, SendMessage, Session
from gatepost.server.target import Result, SessionChannel, SessionLost

INITIALIZED: Final = "notifications/initialized"
MOST_WATCHED: Final = 1_000
"""How many resources one client session may subscribe to."""
_LONGEST_WATCHED: Final = 2_048
LARGEST_INTRODUCTION: Final = 64 * 1024
"""Bytes of what a client says in `initialize`; it is kept, for servers that come later."""
LINGERING_SECONDS: Final = 3600.0
"""How long a session without one at any server is kept; nobody notes the end of one that was not used for long."""
_SWEEP_FROM: Final = 1_000
_LISTS: Final = ("tools", "prompts", "resources")

logger = logging.getLogger("gatepost.front")


@dataclass(slots=True, eq=False)
class _Joining:
    """A session with one of the servers."""

    exchange: Exchange
    """Of the `initialize` that began it."""
    task: asyncio.Task[None]
    is_told: bool = False
    """Whether the server knows which client session it is of."""


@dataclass(slots=True, eq=False)
class ClientSession:
    """One session of a client."""

    params: Mapping[str, Any]
    """Of its `initialize`; likewise the next two."""
    revision: Revision
    principal: Principal | None
    channel: SessionChannel | None = None
    """None until the client has its session, and for one that gets none."""
    is_begun: bool = False
    """Whether that is decided."""
    is_over: bool = False
    is_initialized: bool = False
    """Whether the client has said so."""
    log_level: Mapping[str, Any] | None = None
    """The params of its last `logging/setLevel`."""
    watched: dict[str, tuple[Part, ...]] = field(default_factory=dict[str, tuple[Part, ...]])
    """At which servers it has subscribed to a resource."""
    tokens: ProgressTokens[Part] = field(default_factory=ProgressTokens[Part])
    joined: dict[Part, _Joining] = field(default_factory=dict[Part, _Joining])
    said: dict[Part, Mapping[str, Any]] = field(default_factory=dict[Part, Mapping[str, Any]])
    """What servers have answered its `initialize` with, until it is answered itself."""
    used_at: float = 0.0
    """By the event loop's clock."""

    def watch(self, uri: str, parts: Iterable[Part]) -> None:
        """Note a subscription; raises InvalidParams: there are too many."""
        if uri not in self.watched and (len(self.watched) >= MOST_WATCHED or len(uri) > _LONGEST_WATCHED):
            raise InvalidParams("This session has as many subscriptions as it may.")
        self.watched[uri] = tuple(parts)


class MergedSessions:
    """The sessions of one endpoint."""

    def __init__(self) -> None:
        self._unclaimed: dict[Exchange, ClientSession] = {}
        self._sessions: dict[bytes, ClientSession] = {}
        self._joining: set[asyncio.Task[None]] = set()
        self._sweep_at = _SWEEP_FROM

    def open(self, request: Request, revision: Revision, exchange: Exchange) -> ClientSession:
        """Return the session that a client begins with an `initialize`; raises InvalidParams: it says too much."""
        if len(encode(request.params)) > LARGEST_INTRODUCTION:
            raise InvalidParams(f'"params" may have {LARGEST_INTRODUCTION} bytes.')
        if len(self._sessions) >= self._sweep_at:
            self._sweep()
        session = ClientSession(request.params, revision, exchange.principal)
        self._unclaimed[exchange] = session
        return session

    def find(self, exchange: Exchange) -> ClientSession | None:
        """Return the session that a message belongs to; None for one that belongs to none that is known."""
        key = exchange.session_key
        session = None if key is None else self._sessions.get(key)
        if session is not None:
            session.used_at = asyncio.get_running_loop().time()
        return session

    async def join(self, session: ClientSession, part: Part) -> None:
        """Wait until there is a session with a server, begun now if there is none; raises as `Part.ask`."""
        joining = session.joined.get(part)
        if joining is None or (joining.task.done() and (joining.task.cancelled() or joining.task.exception())):
            exchange = Exchange(session.principal)
            task = asyncio.get_running_loop().create_task(self._join(session, part, exchange))
            self._joining.add(task)
            task.add_done_callback(self._has_joined)
            joining = session.joined[part] = _Joining(exchange, task)
        # Others wait for it, too, and it goes on when this client is gone.
        await asyncio.shield(joining.task)

    async def ask(self, part: Part, request: Request, revision: Revision, exchange: Exchange) -> Result:
        """Have a server answer a request, in its session with this client where the request belongs to one.

        Raises:
            SessionLost: the client's session is unknown here.
            Exception: as `Part.ask`.
        """
        if part.session_target is None or revision.modern or exchange.session_key is None:
            return await part.ask(request, revision, exchange)
        session = self.find(exchange)
        if session is None:
            raise SessionLost
        await self.join(session, part)
        joining = session.joined.get(part)
        try:
            return await part.ask(request, revision, PartExchange(exchange, session, part))
        except SessionLost:
            # It was over before the request came to it, so the request may be sent in another one.
            _drop(session, part, joining)
        await self.join(session, part)
        return await part.ask(request, revision, PartExchange(exchange, session, part))

    def began(self, exchange: Exchange, channel: SessionChannel | None) -> None:
        """Take the session that a client has got; None for none."""
        session = self._unclaimed.pop(exchange, None)
        if session is None:
            return
        session.channel, session.is_begun, session.is_over = channel, True, channel is None
        session.said.clear()
        if channel is not None:
            session.used_at = asyncio.get_running_loop().time()
            self._sessions[channel.key] = session
        for part, joining in tuple(session.joined.items()):
            if joining.task.done() and not joining.task.cancelled() and joining.task.exception() is None:
                self._tell(session, part, joining)
            elif session.is_over:
                joining.task.cancel()

    def ended(self, key: bytes) -> None:
        """Note that a client's session is over."""
        session = self._sessions.pop(key, None)
        if session is None:
            return
        session.is_over = True
        for part, joining in session.joined.items():
            if joining.is_told and part.session_target is not None:
                part.session_target.session_ended(key)
            else:
                joining.task.cancel()

    async def initialized(self, session: ClientSession) -> None:
        """Take the client's word that it has its session."""
        session.is_initialized = True
        told = [part for part, joining in session.joined.items() if joining.is_told]
        await asyncio.gather(*(self.notice(part, Notification(INITIALIZED, {}), session) for part in told))

    async def notice(self, part: Part, message: Notification, session: ClientSession) -> None:
        """Pass a notification on to the session with a server."""
        if session.channel is not None:
            exchange = _Keyed(session.principal, session.channel.key)
            await part.target.notice(message, session.revision, exchange)

    async def close(self) -> None:
        """Begin no more sessions: those that are being begun are given up."""
        for task in tuple(self._joining):
            task.cancel()
        while self._joining:
            await asyncio.wait(tuple(self._joining))

    def _sweep(self) -> None:
        before = asyncio.get_running_loop().time() - LINGERING_SECONDS
        for key, session in tuple(self._sessions.items()):
            if not session.joined and session.used_at < before:
                del self._sessions[key]
        self._sweep_at = max(_SWEEP_FROM, 2 * len(self._sessions))

    def _has_joined(self, done: asyncio.Task[None]) -> None:
        self._joining.discard(done)
        # Looked at here, for whoever began it may be gone.
        _ = done.cancelled() or done.exception()

    async def _join(self, session: ClientSession, part: Part, exchange: Exchange) -> None:
        request = Request("initialize", "initialize", dict(session.params))
        result = await part.ask(request, session.revision, exchange)
        said = decoded(encode(result))
        part.introduced(said)
        if not session.is_begun:
            session.said[part] = said
        joining = session.joined.get(part)
        if joining is None or joining.exchange is not exchange:
            return
        if session.is_begun:
            self._tell(session, part, joining)
            if session.is_initialized:
                await self._catch_up(session, part)

    def _tell(self, session: ClientSession, part: Part, joining: _Joining) -> None:
        """Tell a server which client session its own is of."""
        target = part.session_target
        if target is not None and not joining.is_told:
            joining.is_told = not session.is_over
            is_left = session.is_over or session.channel is None
            target.session_began(joining.exchange, None if is_left else PartChannel(session, part, joining))

    async def _catch_up(self, session: ClientSession, part: Part) -> None:
        """Say to a server what the client has said before it was there, and to the client that there is more now."""
        await self.notice(part, Notification(INITIALIZED, {}), session)
        said = [
            Request("uri", "resources/subscribe", {"uri": uri}) for uri, at in session.watched.items() if part in at
        ]
        if session.log_level is not None and part.may_offer("logging"):
            said.insert(0, Request("level", "logging/setLevel", dict(session.log_level)))
        if session.channel is None:
            return
        for request in said:
            with contextlib.suppress(ProtocolError):
                await part.ask(request, session.revision, _Keyed(session.principal, session.channel.key))
        for kind in _LISTS:
            if part.offers is not None and kind in part.offers:
                session.channel.post_message(notification(f"notifications/{kind}/list_changed", {}))


def _drop(session: ClientSession, part: Part, joining: _Joining | None) -> None:
    """Forget a session with a server that is over, unless there is another one in its place."""
    if joining is not None and session.joined.get(part) is joining:
        del session.joined[part]


class _Keyed(Exchange):
    """A message of a session that its client has not sent."""

    __slots__ = ("_key",)

    def __init__(self, principal: Principal | None, key: bytes) -> None:
        super().__init__(principal)
        self._key = key

    @property
    def session_key(self) -> bytes:
        return self._key


class PartExchange(Exchange):
    """The exchange of a request in a session, as one of the servers sees it."""

    __slots__ = ("_of", "_part", "_session")

    def __init__(self, of: Exchange, session: ClientSession, part: Part) -> None:
        super().__init__(of.principal, of.headers)
        self._of, self._session, self._part = of, session, part

    @property
    def granted(self) -> frozenset[str] | None:
        return self._of.granted

    @property
    def shown(self) -> frozenset[str] | None:
        return self._of.shown

    @property
    def session(self) -> Session | None:
        session = self._of.session
        return None if session is None else _PartClient(session, self._session, self._part)

    @property
    def session_key(self) -> bytes | None:
        return self._of.session_key

    async def send(self, message: bytes) -> None:
        await self._of.send(message)

    def post_message(self, message: bytes) -> None:
        self._of.post_message(message)

    def sink(self) -> SendMessage | None:
        return self._of.sink()

    async def close_stream(self) -> None:
        await self._of.close_stream()


class _PartClient:
    """The client of a session, as one of the servers asks it."""

    def __init__(self, client: Session, session: ClientSession, part: Part) -> None:
        self._client, self._session, self._part = client, session, part

    @property
    def client_capabilities(self) -> Mapping[str, Any]:
        return self._client.client_capabilities

    @property
    def log_level(self) -> str | None:
        return self._client.log_level

    async def request(self, requests: InputRequests) -> Results:
        with self._session.tokens.standing_in(self._part, requests) as sent:
            return await self._client.request(sent)

    async def set_log_level(self, level: str) -> None:
        await self._client.set_log_level(level)

    async def subscribe(self, uri: str, *, as_sent: str) -> bool:
        return await self._client.subscribe(uri, as_sent=as_sent)

    async def unsubscribe(self, uri: str) -> None:
        await self._client.unsubscribe(uri)


class PartChannel:
    """The client of a session, as one of the servers reaches it; see `SessionChannel`."""

    def __init__(self, session: ClientSession, part: Part, joining: _Joining) -> None:
        assert session.channel is not None  # noqa: S101 - or there is nobody to reach; tells mypy
        self._channel, self._session, self._part, self._joining = session.channel, session, part, joining

    @property
    def key(self) -> bytes:
        return self._channel.key

    @property
    def client_capabilities(self) -> Mapping[str, Any]:
        return self._channel.client_capabilities

    @property
    def is_listening(self) -> bool:
        return self._channel.is_listening

    def post_message(self, message: bytes) -> None:
        self._channel.post_message(message)

    async def request(self, requests: InputRequests) -> Results:
        with self._session.tokens.standing_in(self._part, requests) as sent:
            return await self._channel.request(sent)

    async def end(self) -> None:
        # The session with this server is over, and the client's goes on.
        _drop(self._session, self._part, self._joining)

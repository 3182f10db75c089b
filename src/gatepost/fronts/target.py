"""A front as the target of an endpoint: which session with the server answers a request, and in which era's words."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Coroutine, Hashable, Mapping
from contextlib import asynccontextmanager
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Final

import orjson

from gatepost.fronts.backend import Backend, BackendLost, BackendUnavailable, RequestNotTaken, user_of_session
from gatepost.fronts.bridging import Finishing, discovery, error_for_modern, params_for_session
from gatepost.fronts.callers import SessionCaller
from gatepost.fronts.changes import KIND_OF
from gatepost.fronts.held_calls import HeldCall, HeldCalls
from gatepost.fronts.introduction import Introduction, Silent, initialize_params, introduce
from gatepost.fronts.mirrored_headers import MirroredHeaders
from gatepost.fronts.pool import Pool, PooledSession
from gatepost.fronts.raw_json import made_private, with_entries
from gatepost.fronts.sharing import Sharing
from gatepost.protocol.errors import ApplicationError, InternalError, InvalidParams, MethodNotFound
from gatepost.protocol.messages import Notification, Request
from gatepost.protocol.modern import CLIENT_CAPABILITIES, CLIENT_INFO, LOG_LEVEL, LOG_LEVELS, finish_result
from gatepost.protocol.versions import HANDSHAKE, Revision
from gatepost.resource.principal import Principal
from gatepost.resource.scope_map import LISTS, ScopeMap
from gatepost.server.calls.callers import user_of
from gatepost.server.calls.exchange import Exchange
from gatepost.server.calls.request_state import (
    RequestState,
    RequestStateSeal,
    binding_of,
    input_responses_of,
    process_seal,
)
from gatepost.server.declared.results import error_result
from gatepost.server.errors import InsufficientScope, ToolError
from gatepost.server.target import Result, SessionChannel, SessionLost
from gatepost.telemetry.request_ids import incident_id
from gatepost.tokens.opaque import RandomBytes

_HELD: Final = "held"
"""What a held call's handle is called in the request state."""

_EVERYTHING: Final[Mapping[str, Any]] = {"elicitation": {}, "sampling": {}, "roots": {}}
"""What a client declares that can answer whatever a server asks."""

logger = logging.getLogger("gatepost.front")


@dataclass(slots=True, eq=False)
class FrontTarget:
    """A server behind a front; see `Target` and `SessionTarget`."""

    backend: Backend
    sharing: Sharing
    _: KW_ONLY
    introduction: Introduction | None = None
    """What the server says of itself; learned when the lifespan begins if None, or else of the first session."""
    is_tried: bool = False
    """Whether it was asked already."""
    scope_map: ScopeMap | None = None
    """What needs which scopes; None where nothing needs any."""
    seal: RequestStateSeal = field(default_factory=process_seal)
    """Seals handles to held calls."""
    random_bytes: RandomBytes = secrets.token_bytes
    """Where incident ids come from."""
    raises_outages: bool = False
    """Whether it is for whoever asks to say that the server has no answer."""
    _pool: Pool = field(init=False)
    _held: HeldCalls = field(default_factory=HeldCalls, init=False)
    _unclaimed: dict[Exchange, PooledSession] = field(default_factory=dict[Exchange, PooledSession], init=False)
    """Sessions whose client has yet to be given one of ours, by the exchange of its `initialize`."""
    _joined: dict[bytes, PooledSession] = field(default_factory=dict[bytes, PooledSession], init=False)
    """By the client's session, where it has one."""
    _finishing: Finishing | None = field(default=None, init=False)
    """Of the introduction that was used last, which is mostly the only one."""
    _mirrored: MirroredHeaders = field(default_factory=MirroredHeaders, init=False)
    _ending: set[asyncio.Task[None]] = field(default_factory=set["asyncio.Task[None]"], init=False)
    _is_stopping: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._pool = Pool(self.backend, self.sharing, self._forget)

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Learn who the server is, if nobody has yet; at the end, end what was begun.

        Raises BackendUnavailable: it does not start, which is the operator's mistake.
        """
        if self.introduction is None and not self.is_tried:
            try:
                self.introduction = await introduce(self.backend, self.sharing.start_seconds)
            except BackendUnavailable as error:
                if self.backend.is_needed_at_start:
                    raise
                logger.warning("%s behind does not answer yet: %s", self.backend.name, error)
        self._pool.prepare()
        try:
            yield
        finally:
            self._is_stopping = True
            self._held.end_all()
            await self._pool.close()
            if self._ending:
                await asyncio.wait(self._ending)

    async def drain(self) -> None:
        """End what would last until the clients leave."""
        self._held.end_all()
        await self._pool.drain()

    async def answer(self, request: Request, revision: Revision, exchange: Exchange) -> Result:
        """Have the server answer a request.

        Raises:
            ProtocolError: the server's own error, or a fault of it.
            InsufficientScope: the caller may not.
            SessionLost: the client's session with the server is over.
            BackendLost: there is no answer, where `raises_outages`; likewise BackendUnavailable.
        """
        if request.method.startswith("notifications/"):
            # A server that looks at the method alone would take it for the front's own, which name requests of others.
            raise MethodNotFound("Method not found")
        if not self._may(request, exchange):
            assert self.scope_map is not None  # noqa: S101 - or the caller might; tells mypy
            raise InsufficientScope(self.scope_map.needed(request.method, request.params))
        try:
            try:
                return await self._answering(request, revision, exchange)
            except RequestNotTaken:
                if not revision.modern and exchange.session_key is not None:
                    raise SessionLost from None
                return await self._answering(request, revision, exchange)
        except ApplicationError as error:
            self._doubt_lists(request, revision, exchange)
            raise error_for_modern(error) if revision.modern else error from None
        except (BackendLost, BackendUnavailable) as error:
            if self.raises_outages:
                raise
            raise self._incident(error) from None
        except ToolError as error:
            # What the caller has to do first, before the server behind can be asked in their name.
            if request.method == "tools/call":
                return self._undone(error, revision)
            raise InternalError(str(error)) from None

    def _doubt_lists(self, request: Request, revision: Revision, exchange: Exchange) -> None:
        """Keep no list that led a client to a request which the server refuses: it may have changed."""
        kind, key = KIND_OF.get(request.method), exchange.session_key
        if kind is None:
            return
        if revision.modern:
            pooled = self._pool.find(self._key_of(exchange.principal, request.params["_meta"][CLIENT_CAPABILITIES]))
        else:
            pooled = None if key is None else self._joined.get(key)
        if pooled is not None:
            pooled.forget_lists(kind)

    def _answering(self, request: Request, revision: Revision, exchange: Exchange) -> Coroutine[Any, Any, Result]:
        # A plain function that hands the coroutine on: one less to go through on every step.
        if revision.modern:
            return self._answer_modern(request, exchange)
        if request.method == "initialize":
            return self._initialize(request, revision, exchange)
        return self._answer_in_session(request, exchange)

    async def notice(self, notification: Notification, revision: Revision, exchange: Exchange) -> None:
        """Pass a notification on to a server that has this client alone; others are nobody's in particular."""
        key = exchange.session_key if self._may(notification, exchange) else None
        pooled = None if key is None or revision.modern else self._joined.get(key)
        if pooled is not None and self.sharing.share == "session":
            try:
                await pooled.session.notify(notification.method, notification.params)
            except BackendLost as error:
                logger.debug("a notification could not be passed on: %s", error)

    def session_began(self, exchange: Exchange, channel: SessionChannel | None) -> None:
        pooled = self._unclaimed.pop(exchange, None)
        if pooled is None or pooled.session.why_lost is not None:
            return
        if channel is not None:
            pooled.clients.channels[channel.key] = channel
            self._joined[channel.key] = pooled
        elif self.sharing.share == "session":
            self._pool.end(pooled.key)

    def session_ended(self, key: bytes) -> None:
        pooled = self._joined.pop(key, None)
        if pooled is None:
            return
        unwatched = pooled.clients.leave(key)
        if self.sharing.share == "session":
            self._pool.end(pooled.key)
        else:
            pooled.subscriptions.leave(unwatched)

    def _forget(self, pooled: PooledSession) -> None:
        """Forget a session with the server that is over, and end those of its clients, so that they begin anew."""
        for key, channel in pooled.clients.channels.items():
            self._joined.pop(key, None)
            # What is still to be answered would be cut off; those answers say it, or the next one does.
            if not self._is_stopping and not pooled.session.awaits_any:
                ending = asyncio.get_running_loop().create_task(channel.end())
                # The loop itself holds tasks weakly.
                self._ending.add(ending)
                ending.add_done_callback(self._ending.discard)
        for exchange in [exchange for exchange, its in self._unclaimed.items() if its is pooled]:
            del self._unclaimed[exchange]

    async def _initialize(self, request: Request, revision: Revision, exchange: Exchange) -> Result:
        """Begin a session with the server for a client that begins one with us, or let it join one."""
        if self.sharing.share == "session":
            params = {**request.params, "protocolVersion": revision.version}
            caller = SessionCaller(exchange, request.params)
            pooled = await self._pool.open(object(), user_of_session(exchange.principal), params, caller)
        else:
            capabilities, info = request.params.get("capabilities"), request.params.get("clientInfo")
            pooled = await self._common_session(
                exchange.principal, capabilities if type(capabilities) is dict else {}, info
            )
        self._unclaimed[exchange] = pooled
        result = pooled.session.initialize_result
        if result.get("protocolVersion") not in HANDSHAKE or self.sharing.share != "session":
            # The endpoint speaks the protocol, so a version that it does not speak cannot be agreed on.
            result = {**result, "protocolVersion": revision.version}
        return result

    async def _answer_in_session(self, request: Request, exchange: Exchange) -> Result:
        """Answer a request of the handshake era."""
        if request.method == "ping":
            return {}
        key = exchange.session_key
        if key is None:
            pooled = await self._common_session(exchange.principal, {}, None)
        elif (joined := self._joined.get(key)) is not None:
            pooled = joined
            self._pool.use(pooled)
        else:
            raise SessionLost
        if self.sharing.share != "session" and key is not None and not pooled.note(request, key):
            return {}
        caller = SessionCaller(exchange, request.params)
        asking = pooled.listed if request.method in LISTS else pooled.session.request
        raw = await asking(request.method, request.params, caller)
        return orjson.Fragment(self._shown(request, raw, exchange))

    async def _common_session(
        self, principal: Principal | None, capabilities: Mapping[str, Any], client_info: Mapping[str, Any] | None
    ) -> PooledSession:
        """Return the session with the server that a client shares with others.

        Those are the user's own clients that declare the same, for servers show and do more for clients that can more.
        Where one user's share, whatever they declare, the server is told of one that can answer everything, and each
        is asked what it can answer. Where everybody does, nobody can be asked, since one might see another's question.
        """
        key = self._key_of(principal, capabilities)
        found = self._pool.find(key)
        if found is not None:
            return found
        if self.sharing.share == "all":
            params = initialize_params({}, None)
            return await self._pool.shared(key, None, params, Silent(), is_everybodys=True)
        params = initialize_params(_EVERYTHING if self.sharing.share == "user" else capabilities, client_info)
        return await self._pool.shared(key, user_of_session(principal), params, Silent(), is_everybodys=False)

    def _key_of(self, principal: Principal | None, capabilities: Mapping[str, Any]) -> Hashable:
        """Return what a session is found by that clients share."""
        if self.sharing.share == "all":
            return None
        user = None if principal is None else (principal.issuer, principal.subject)
        if self.sharing.share == "user":
            return user, None
        return user, orjson.dumps(capabilities, option=orjson.OPT_SORT_KEYS) if capabilities else b"{}"

    async def _answer_modern(self, request: Request, exchange: Exchange) -> Result:
        introduction = self.introduction or await self._introduced(request, exchange)
        if request.method == "server/discover":
            return discovery(introduction, is_same_for_all=self.backend.is_same_for_all)
        meta: Mapping[str, Any] = request.params["_meta"]
        if request.method == "tools/call":
            self._mirrored.check(self._whose(exchange), request.params, exchange.headers)
        call = self._held_call(request, exchange)
        if call is None:
            capabilities = meta[CLIENT_CAPABILITIES]
            pooled = await self._common_session(exchange.principal, capabilities, meta.get(CLIENT_INFO))
            if request.method == "subscriptions/listen":
                return pooled.subscriptions.prepare(request, exchange, introduction.info)
            wanted = meta.get(LOG_LEVEL)
            if wanted is not None:
                await self._set_log_level(pooled, wanted)
            params = params_for_session(request.params)
            call = HeldCall(pooled.clients.questions, exchange, request)
            asking = pooled.listed if request.method in LISTS else pooled.session.request
            work = asking(request.method, params, call)
            if not call.is_askable:
                return self._finished(request, await work, exchange, introduction)
            call.start(work)
        outcome = await call.outcome()
        if isinstance(outcome, bytes):
            return self._finished(request, outcome, exchange, introduction)
        state = RequestState(memory={_HELD: self._held.hold(call, user_of(exchange.principal))})
        return {
            "resultType": "input_required",
            "inputRequests": outcome,
            "requestState": self.seal.write(state, binding_of(request, exchange.principal)),
        }

    async def _set_log_level(self, pooled: PooledSession, wanted: str) -> None:
        """Have the server log as much as a client wants to hear; `HeldCall` leaves out what others want."""
        if self.sharing.share == "all" or "logging" not in pooled.session.capabilities:
            return
        if pooled.log_level is None or LOG_LEVELS.index(wanted) < LOG_LEVELS.index(pooled.log_level):
            pooled.log_level = wanted
            try:
                await pooled.session.request("logging/setLevel", {"level": wanted}, Silent())
            except ApplicationError as error:
                logger.debug("the server behind refused a log level: %d", error.body()["code"])

    async def _introduced(self, request: Request, exchange: Exchange) -> Introduction:
        """Learn who the server is from the session of a client of the modern era."""
        meta: Mapping[str, Any] = request.params["_meta"]
        pooled = await self._common_session(exchange.principal, meta[CLIENT_CAPABILITIES], meta.get(CLIENT_INFO))
        introduction = Introduction(pooled.session.initialize_result)
        if self.backend.is_same_for_all:
            self.introduction = introduction
        return introduction

    def _held_call(self, request: Request, exchange: Exchange) -> HeldCall | None:
        """Return the call that a client comes back to; None for a new one.

        Raises InvalidParams: what it comes back with is none, or counts no more.
        """
        responses = input_responses_of(request.params)
        text = request.params.get("requestState")
        if text is None:
            return None
        state = self.seal.read(text, binding_of(request, exchange.principal))
        call = self._held.take(str(state.memory.get(_HELD)))
        if call is None:
            raise InvalidParams('"requestState" names a call that is over; send the request again without it.')
        call.answers(exchange, request.params["_meta"])
        call.questions.respond(call, responses)
        return call

    def _finished(
        self, request: Request, raw: bytes, exchange: Exchange, introduction: Introduction
    ) -> orjson.Fragment:
        if request.method == "tools/list":
            self._mirrored.note(self._whose(exchange), raw)
        finishing = self._finishing
        if finishing is None or finishing.introduction is not introduction:
            finishing = self._finishing = Finishing(introduction)
        return orjson.Fragment(finishing.finished(request.method, self._shown(request, raw, exchange)))

    def _whose(self, exchange: Exchange) -> tuple[str, str] | None:
        """Return whose tools the caller's are; None where they are everybody's."""
        return None if self.backend.is_same_for_all else user_of(exchange.principal)

    def _may(self, message: Request | Notification, exchange: Exchange) -> bool:
        if self.scope_map is None or exchange.granted is None:
            return True
        return self.scope_map.needed(message.method, message.params) <= exchange.granted

    def _shown(self, request: Request, raw: bytes, exchange: Exchange) -> bytes:
        """Return a result, a list without what the caller may not use. A page may become empty, and others follow."""
        scope_map, shown = self.scope_map, exchange.shown
        if scope_map is None:
            return raw
        member = LISTS.get(request.method)
        if member is not None and shown is not None:
            raw = with_entries(raw, member, lambda entry: scope_map.shows(member, entry, shown))
        return made_private(raw) if scope_map.is_private(request.method, request.params) else raw

    def _undone(self, error: ToolError, revision: Revision) -> dict[str, Any]:
        """Return the result of a call that was not made."""
        result = error_result(str(error))
        info = {} if self.introduction is None else self.introduction.info
        return finish_result("tools/call", result, info) if revision.modern else result

    def _incident(self, error: Exception) -> InternalError:
        """Log why the server behind has no answer, and return the error that says no more than where to look."""
        incident, words = incident_id(self.random_bytes), self.backend.last_words()
        logger.error(
            "incident %s: %s behind has no answer: %s%s",
            incident,
            self.backend.name,
            error,
            f"\n{words}" if words else "",
            extra={"incident": incident},
        )
        wait = error.retry_after if isinstance(error, BackendUnavailable) else None
        return InternalError(
            f"The server behind has no answer; the log explains it as incident {incident}.",
            data=None if wait is None else {"retryAfter": wait},
        )

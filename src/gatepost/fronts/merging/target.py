"""Several servers as the target of one endpoint: which of them answers a request, and in what words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import orjson

from gatepost.fronts.backend import BackendUnavailable
from gatepost.fronts.bridging import Finishing
from gatepost.fronts.introduction import Introduction, introduce
from gatepost.fronts.merging.asking import Asking, code_of, first_error
from gatepost.fronts.merging.introductions import joined_instructions, united_capabilities
from gatepost.fronts.merging.listening import MergedListening
from gatepost.fronts.merging.merged_lists import MergedLists
from gatepost.fronts.merging.names import Names
from gatepost.fronts.merging.part import Part, PartUnavailable
from gatepost.fronts.merging.resources import MergedResources
from gatepost.fronts.merging.sessions import INITIALIZED, MergedSessions
from gatepost.fronts.merging.tasks import TaskOwners
from gatepost.fronts.raw_json import decoded, made_private
from gatepost.fronts.target import FrontTarget
from gatepost.protocol.errors import InvalidParams, MethodNotFound, ProtocolError
from gatepost.protocol.handshake import initialize_result
from gatepost.protocol.json_encoding import encode
from gatepost.protocol.messages import Notification, Request
from gatepost.protocol.modern import discover_result
from gatepost.protocol.versions import Revision
from gatepost.resource.scope_map import LISTS, ScopeMap
from gatepost.server.calls.exchange import Exchange
from gatepost.server.errors import InsufficientScope
from gatepost.server.target import Result, SessionChannel

MERGED_LISTS: Final[Mapping[str, str]] = {**LISTS, "tasks/list": "tasks"}
_OF_RESOURCES: Final = frozenset({"resources/read", "resources/subscribe", "resources/unsubscribe"})
_KINDS: Final = {"tools/call": "tool", "prompts/get": "prompt"}
_UNKNOWN: Final = frozenset({-32601, -32602})
"""What servers answer to a method that they do not know; those on version 1 of the Python SDK with the second."""


class MergedTarget:
    """Several servers behind one endpoint; see `Target` and `SessionTarget`.

    Args:
        parts: the servers, in order.
        names: whose a name is.
        info: who all of them are together: an `Implementation`.
        instructions: for models; what each says when None.
        own_instructions: what our own say, by prefix.
        scope_map: what needs which scopes, by the names here; not for our own, which declare theirs.
        wait_seconds: how long lists and beginnings wait for a server before they go on without it.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        names: Names[Part],
        *,
        info: Mapping[str, Any],
        instructions: str | None,
        own_instructions: Mapping[str, str],
        scope_map: ScopeMap | None,
        wait_seconds: float,
    ) -> None:
        self.parts = tuple(parts)
        self._names, self._info, self._scope_map = names, info, scope_map
        self._instructions, self._own_instructions = instructions, own_instructions
        self._finishing = Finishing(Introduction({"serverInfo": info}))
        self._asking = Asking(wait_seconds)
        self._sessions = MergedSessions()
        self._lists = MergedLists(names, scope_map)
        self._tasks = TaskOwners()
        self._resources = MergedResources(self.parts, self._lists.uris, self._sessions, self._asking, self._ask)
        self._listening = MergedListening(self.parts, info, self._resources.owner)

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Learn who the servers are, as far as nobody has; one that does not answer is asked again by whoever comes."""
        async with AsyncExitStack() as stack:
            await self._asking.all(self.parts, _introduce)
            for part in self.parts:
                await stack.enter_async_context(part.target.lifespan())
            try:
                yield
            finally:
                await self._asking.close()
                await self._sessions.close()

    async def drain(self) -> None:
        """End what would last until the clients leave."""
        await self._listening.end_all()
        for part in self.parts:
            await part.target.drain()

    async def answer(self, request: Request, revision: Revision, exchange: Exchange) -> Result:
        """Have the server answer a request whose it is.

        Raises:
            ProtocolError: the server's own error; or it has no answer, or there is none for this.
            InsufficientScope: the caller may not.
            SessionLost: the client's session is unknown here.
        """
        method = request.method
        if method.startswith("notifications/"):
            raise MethodNotFound("Method not found")
        if method in MERGED_LISTS:
            return await self._list(request, revision, exchange)
        if method in _KINDS:
            return await self._call(request, revision, exchange)
        if method in _OF_RESOURCES:
            return await self._resources.answer(request, revision, exchange)
        if method == "completion/complete":
            return await self._complete(request, revision, exchange)
        whole = (_OF_MODERN if revision.modern else _OF_HANDSHAKE).get(method)
        if whole is not None:
            return await whole(self, request, revision, exchange)
        if method in _OF_MODERN or method in _OF_HANDSHAKE:
            # To some servers, those of another era's methods are more than unknown.
            raise MethodNotFound("This revision has no such method.")
        return await self._other(request, revision, exchange)

    async def notice(self, notification: Notification, revision: Revision, exchange: Exchange) -> None:
        """Pass a notification on to the servers that it may be for."""
        session = None if revision.modern else self._sessions.find(exchange)
        if notification.method == INITIALIZED and session is not None:
            await self._sessions.initialized(session)
        elif notification.method == "notifications/progress" and session is not None:
            found = session.tokens.find(notification.params.get("progressToken"))
            if found is not None:
                params = {**notification.params, "progressToken": found[1]}
                await self._sessions.notice(found[0], Notification(notification.method, params), session)
        else:
            for part in self.parts:
                if self._may(part, notification, exchange):
                    await part.target.notice(notification, revision, exchange)

    def session_began(self, exchange: Exchange, channel: SessionChannel | None) -> None:
        self._sessions.began(exchange, channel)

    def session_ended(self, key: bytes) -> None:
        self._sessions.ended(key)

    # One server answers.

    async def _ask(
        self, part: Part, request: Request, revision: Revision, exchange: Exchange, *, given: Request | None = None
    ) -> Result:
        """Have a server answer; `given` is the request as its client sent it, where that says another name."""
        self._check(part, given or request, exchange)
        result = await self._sessions.ask(part, request, revision, exchange)
        scope_map = None if part.is_own else self._scope_map
        if request.method == "resources/read" and scope_map and scope_map.is_private(request.method, request.params):
            return orjson.Fragment(made_private(encode(result)))
        return result

    async def _call(self, request: Request, revision: Revision, exchange: Exchange) -> Result:
        """Answer a request that names a tool or a prompt."""
        name = request.params.get("name")
        if type(name) is not str:
            raise InvalidParams('"params.name" must be a string.')
        found = self._names.find(name)
        if found is None:
            raise InvalidParams(f"This server has no such {_KINDS[request.method]}.")
        asked = Request(request.id, request.method, {**request.params, "name": found.bare})
        result = await self._ask(found.part, asked, revision, exchange, given=request)
        if found.part.offers is not None and "tasks" in found.part.offers:
            self._tasks.note(found.part, result, exchange)
        return result

    async def _complete(self, request: Request, revision: Revision, exchange: Exchange) -> Result:
        reference = request.params.get("ref")
        given = reference if type(reference) is dict else {}
        name, uri = given.get("name"), given.get("uri")
        if given.get("type") == "ref/resource" and type(uri) is str:
            return await self._resources.answer(request, revision, exchange, uri=uri)
        found = self._names.find(name) if given.get("type") == "ref/prompt" and type(name) is str else None
        if found is None:
            raise InvalidParams('"params.ref" names nothing that can be completed here.')
        params = {**request.params, "ref": {**given, "name": found.bare}}
        asked = Request(request.id, request.method, params)
        return await self._ask(found.part, asked, revision, exchange, given=request)

    async def _other(self, request: Request, revision: Revision, exchange: Exchange) -> Result:
        """Have the server answer that knows the method, or the task: none of the specification says whose it is."""
        known = self._tasks.owner(request, exchange)
        refusals: list[ProtocolError] = []
        for part in self.parts if known is None else (known,):
            if request.method.startswith("tasks/") and not part.may_offer("tasks"):
                continue
            try:
                return await self._ask(part, request, revision, exchange)
            except ProtocolError as error:
                if code_of(error) not in _UNKNOWN and not isinstance(error, PartUnavailable):
                    raise
                refusals.append(error)
        raise first_error(refusals) if refusals else MethodNotFound("Method not found")

    # All answer.

    async def _list(self, request: Request, revision: Revision, exchange: Exchange) -> Result:
        pages = self._lists.begin(request, self.parts)
        answers = await self._asking.all(
            pages.parts, lambda part: self._ask(part, pages.request_for(part), revision, exchange)
        )
        raw = self._lists.merged(pages, answers, exchange)
        return orjson.Fragment(self._finishing.finished(request.method, raw) if revision.modern else raw)

    async def _initialize(self, request: Request, revision: Revision, exchange: Exchange) -> Result:
        """Begin a session with each server for a client that begins one here."""
        session = self._sessions.open(request, revision, exchange)

        async def begin(part: Part) -> None:
            if part.session_target is not None:
                await self._sessions.join(session, part)
            else:
                said = session.said[part] = _said(await part.ask(request, revision, Exchange(exchange.principal)))
                part.introduced(said)

        try:
            await self._asking.all(self.parts, begin)
        except BaseException:
            # The client is gone before it has a session.
            self._sessions.began(exchange, None)
            raise
        return initialize_result(revision, **self._introduction(session.said))

    async def _discover(self, request: Request, revision: Revision, exchange: Exchange) -> Result:
        async def ask(part: Part) -> dict[str, Any]:
            said = _said(await part.ask(request, revision, exchange))
            part.introduced(said)
            return said

        answers = await self._asking.all(self.parts, ask)
        result = discover_result(**self._introduction(answers.found))
        if not all(part.is_same_for_all for part in self.parts):
            result = {**result, "cacheScope": "private"}
        return result if answers.is_whole else {**result, "ttlMs": 0}

    async def _set_log_level(self, request: Request, revision: Revision, exchange: Exchange) -> Result:
        session = self._sessions.find(exchange)
        parts = [part for part in self.parts if part.may_offer("logging")]
        answers = await self._asking.all(parts, lambda part: self._ask(part, request, revision, exchange))
        if not answers.found:
            raise first_error(answers.refused.values()) if answers.refused else MethodNotFound("Method not found")
        if session is not None:
            session.log_level = request.params
        return {}

    async def _listen(self, request: Request, _revision: Revision, exchange: Exchange) -> Result:
        for part in self.parts:
            # Whose the resources are that it names may be known only later.
            self._check(part, request, exchange)
        offered: dict[str, Any] = {capability: {} for part in self.parts for capability in part.offers or ()}
        return self._listening.prepare(request, exchange, {**offered, **self._introduction({})["capabilities"]})

    async def _ping(self, _request: Request, _revision: Revision, _exchange: Exchange) -> Result:
        return {}

    def _introduction(self, said: Mapping[Part, Mapping[str, Any]]) -> dict[str, Any]:
        """Return what all of them are together, by what each says now, or else has said last."""
        known = {part: said.get(part) or part.introduction for part in self.parts}
        said_by = {part: introduction for part, introduction in known.items() if introduction is not None}
        declared = [introduction.get("capabilities") for introduction in said_by.values()]
        return {
            "capabilities": united_capabilities(each for each in declared if type(each) is dict),
            "server_info": self._info,
            "instructions": self._instructions or joined_instructions(said_by, self._own_instructions),
        }

    def _check(self, part: Part, request: Request, exchange: Exchange) -> None:
        if not self._may(part, request, exchange):
            assert self._scope_map is not None  # noqa: S101 - or the caller might; tells mypy
            raise InsufficientScope(self._scope_map.needed(request.method, request.params))

    def _may(self, part: Part, message: Request | Notification, exchange: Exchange) -> bool:
        if part.is_own or self._scope_map is None or exchange.granted is None:
            return True
        return self._scope_map.needed(message.method, message.params) <= exchange.granted


Whole = Callable[[MergedTarget, Request, Revision, Exchange], Awaitable[Result]]
_OF_MODERN: Final[Mapping[str, Whole]] = {
    "server/discover": MergedTarget._discover,  # noqa: SLF001 - a table of its own methods
    "subscriptions/listen": MergedTarget._listen,  # noqa: SLF001 - likewise
}
_OF_HANDSHAKE: Final[Mapping[str, Whole]] = {
    "initialize": MergedTarget._initialize,  # noqa: SLF001 - likewise
    "ping": MergedTarget._ping,  # noqa: SLF001 - likewise
    "logging/setLevel": MergedTarget._set_log_level,  # noqa: SLF001 - likewise
}


async def _introduce(part: Part) -> None:
    """Learn who a server is, if nobody has yet; one that is not there is in the log."""
    front = part.target
    if not isinstance(front, FrontTarget):
        return
    if front.introduction is None and not front.is_tried:
        front.is_tried = True
        try:
            front.introduction = await introduce(front.backend, front.sharing.start_seconds)
        except BackendUnavailable as error:
            part.away(str(error))
    if front.introduction is not None:
        part.introduced(front.introduction.result)
        part.introduction = front.introduction.result


def _said(result: Result) -> dict[str, Any]:
    """Return what a result says that is no stream."""
    return decoded(encode(result))

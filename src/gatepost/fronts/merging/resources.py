"""Requests that name a resource: the server answers whose it is, or else the first that has it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from gatepost.fronts.merging.asking import Asking, code_of, first_error
from gatepost.fronts.merging.part import Part, PartUnavailable
from gatepost.fronts.merging.sessions import MergedSessions
from gatepost.fronts.merging.uris import Uris
from gatepost.protocol.errors import InvalidParams, MethodNotFound, ProtocolError, UnknownResource
from gatepost.protocol.messages import Request
from gatepost.protocol.versions import Revision
from gatepost.server.calls.callers import user_of
from gatepost.server.calls.exchange import Exchange
from gatepost.server.target import Result

Ask = Callable[[Part, Request, Revision, Exchange], Awaitable[Result]]

_NOT_FOUND: Final = frozenset({UnknownResource.code, InvalidParams.code, MethodNotFound.code})
"""What a server says of a resource that it does not have."""


class MergedResources:
    """The resources of several servers.

    Args:
        parts: the servers, in order.
        uris: whose URIs are.
        sessions: of clients.
        asking: asks several at once.
        ask: has one answer, if the caller may.
    """

    def __init__(
        self, parts: Sequence[Part], uris: Uris[Part], sessions: MergedSessions, asking: Asking, ask: Ask
    ) -> None:
        self._parts, self._uris, self._sessions = parts, uris, sessions
        self._asking, self._ask = asking, ask

    def owner(self, exchange: Exchange, uri: str) -> Part | None:
        """Return whose a URI or template is, as far as the caller's lists have said."""
        return self._uris.owner(user_of(exchange.principal), uri)

    async def answer(self, request: Request, revision: Revision, exchange: Exchange, uri: str | None = None) -> Result:
        """Answer a request that names a resource, by `uri` or its own parameter.

        Raises:
            InvalidParams: it names none, or nobody has it (handshake era: UnknownResource).
            Exception: as `ask` does.
        """
        named = request.params.get("uri") if uri is None else uri
        if type(named) is not str:
            raise InvalidParams('"params.uri" must be a string.')
        if request.method in ("resources/subscribe", "resources/unsubscribe"):
            return await self._watch(named, request, revision, exchange)
        owner = self.owner(exchange, named)
        if owner is not None:
            try:
                return await self._ask(owner, request, revision, exchange)
            except ProtocolError as error:
                # While it is away, another one that has something by the same URI would be taken for this one.
                if code_of(error) not in _NOT_FOUND:
                    raise
                refusals: list[ProtocolError] = [error]
        else:
            refusals = []
        others = [part for part in self._with_resources() if part is not owner]
        for part in others:
            try:
                result = await self._ask_one(part, request, revision, exchange, is_last=part is others[-1])
            except ProtocolError as error:
                refusals.append(error)
                continue
            if request.method == "resources/read" and not any(isinstance(each, PartUnavailable) for each in refusals):
                self._uris.learn(user_of(exchange.principal), named, part)
            return result
        # Where one of those is away that may have it, it may be that one's.
        away = next((error for error in refusals if isinstance(error, PartUnavailable)), None)
        raise away or (first_error(refusals) if refusals else _missing(named, revision))

    async def _ask_one(
        self, part: Part, request: Request, revision: Revision, exchange: Exchange, *, is_last: bool
    ) -> Result:
        """Have one answer of several; one that does not, and perhaps does not have it, keeps nobody from the next."""
        if is_last:
            return await self._ask(part, request, revision, exchange)
        return await self._asking.one(part, lambda part: self._ask(part, request, revision, exchange))

    async def _watch(self, uri: str, request: Request, revision: Revision, exchange: Exchange) -> Result:
        """Subscribe, or unsubscribe: at the server whose it is, or at all that may have it."""
        session, owner = self._sessions.find(exchange), self.owner(exchange, uri)
        known = None if session is None else session.watched.get(uri)
        is_end = request.method == "resources/unsubscribe"
        parts: Iterable[Part] = known if is_end and known else self._with_resources() if owner is None else (owner,)
        answers = await self._asking.all(parts, lambda part: self._ask(part, request, revision, exchange))
        if session is not None and is_end:
            session.watched.pop(uri, None)
        elif session is not None and answers.found:
            session.watch(uri, answers.found)
        if answers.found:
            return {}
        raise first_error(answers.refused.values()) if answers.refused else _missing(uri, revision)

    def _with_resources(self) -> list[Part]:
        return [part for part in self._parts if part.may_offer("resources")]


def _missing(uri: str, revision: Revision) -> ProtocolError:
    """Return the error for what is not there (server/resources, "Error Handling", of either era)."""
    return InvalidParams("Resource not found", data={"uri": uri}) if revision.modern else UnknownResource(uri)

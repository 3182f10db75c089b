"""What methods share: the server as it is served, which no request changes, and checks of parameters and callers."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from gatepost.protocol.errors import InternalError, InvalidJsonRpcRequest, InvalidParams, MethodNotFound, ProtocolError
from gatepost.protocol.messages import Request
from gatepost.protocol.modern import finish_result
from gatepost.protocol.versions import Revision
from gatepost.server.calls.cancellation import is_cancellation
from gatepost.server.calls.context import Context
from gatepost.server.calls.exchange import Exchange, Session
from gatepost.server.calls.multi_round_trip import MultiRoundTrip
from gatepost.server.calls.request_state import RequestStateSeal, process_seal
from gatepost.server.calls.upstream import SHOWN, Upstream, shows
from gatepost.server.changes.subscriptions import Subscriptions
from gatepost.server.declared.declaration import Declaration, MakeContext, failure_text
from gatepost.server.errors import InsufficientScope, InvalidArguments, InvalidResult
from gatepost.server.extension import Extension
from gatepost.server.extension_host import ExtensionHost
from gatepost.server.listing import Listing
from gatepost.server.server import Server
from gatepost.server.target import Result
from gatepost.tokens.opaque import RandomBytes

if TYPE_CHECKING:
    # Imported where a server has hooks, or a tool a rate.
    from gatepost.oauth.limits import Rate
    from gatepost.server.calls.around import Around, CallKind
    from gatepost.server.calls.rates import CallLimits


class ServedServer:
    """A `Server` behind an endpoint.

    Args:
        server: what is served.
        seal: writes and reads the state of requests that ask their client something. By default one of this process
            alone, which is not enough where several share the requests.
        random_bytes: gives incident ids their bytes.
        upstream: gives calls the tokens of login providers.
        limits: counts the calls of tools that have a rate; by default those of this process alone.
        extensions: those that the server has for reasons of its deployment, which add no methods.
        host: what the extensions find here; None where nothing outlasts the process, as on stdio.
    """

    def __init__(
        self,
        server: Server,
        *,
        seal: RequestStateSeal | None = None,
        random_bytes: RandomBytes = secrets.token_bytes,
        upstream: Upstream | None = None,
        limits: CallLimits | None = None,
        extensions: tuple[Extension, ...] = (),
        host: ExtensionHost | None = None,
    ) -> None:
        optional = {
            "title": server.title,
            "description": server.description,
            "websiteUrl": server.website_url,
            "icons": server.icons,
        }
        self.server = server
        self.seal = seal or process_seal()
        self.random_bytes = random_bytes
        self.upstream = upstream
        self.limits = limits or _LateLimits()
        self._deployed = extensions
        self.host = host
        self.info: Mapping[str, Any] = {
            "name": server.name,
            "version": server.version,
            **{member: value for member, value in optional.items() if value},
        }
        """Who answers: an `Implementation` object in the newest revision's shape."""
        self.registry = server.registry
        self.tools = server.registry.tools
        registry = server.registry
        self.tool_list = self.listing("tools/list", "tools", self.tools.listed)
        self.resource_list = self.listing("resources/list", "resources", registry.resources.listed)
        self.template_list = self.listing(
            "resources/templates/list", "resourceTemplates", registry.resource_templates.listed
        )
        self.prompt_list = self.listing("prompts/list", "prompts", registry.prompts.listed)
        self.subscriptions = Subscriptions(server.changes, server_info=self.info)

    @property
    def extensions(self) -> tuple[Extension, ...]:
        """All extensions of the protocol that there are."""
        return (*self.registry.extensions, *self._deployed)

    def listing(
        self,
        method: str,
        member: str,
        entries: Callable[[], Iterable[Declaration]],
        written: Callable[[Any, str], Mapping[str, Any]] | None = None,
        *,
        is_private: bool = False,
    ) -> Listing:
        """Return a list of declarations, for the method and in the member of its result; see `Listing`."""
        page_size = self.server.page_size
        return Listing(method, member, entries, self.registry, page_size, self.info, written, is_private)

    async def run(
        self,
        request: Request,
        revision: Revision,
        exchange: Exchange,
        *,
        what: str,
        declaration: Declaration,
        work: Callable[[MakeContext], Awaitable[dict[str, Any]]],
    ) -> Result:
        """Return the result of `work`, which takes what builds the context, and may ask the client as a tool may.

        Raises ProtocolError if it fails; the log says that `what` did, such as `prompt review`. Raises
        InsufficientScope, with the scopes of `declaration` among those it names, if the caller may do less than it
        found to be needed.
        """
        round_trip = MultiRoundTrip(request, exchange.principal, self.seal) if revision.modern else None
        client = round_trip or exchange.session
        try:
            result = await work(
                partial(
                    Context,
                    client=client,
                    params=request.params,
                    state=self.server.state if declaration.origin is None else declaration.origin.state,
                    tool=what,
                    upstream=self.upstream,
                )
            )
        except InvalidArguments as error:
            raise InvalidParams(str(error)) from None
        except ProtocolError:
            raise
        except InsufficientScope as error:
            raise error.beside(declaration.scopes) from None
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            # Whatever user code raises becomes an answer.
            if is_cancellation(error):
                raise
            # One that failed after it asked its client is answered with what it asked.
            result = {} if round_trip is None else round_trip.result({})
            if not result:
                text = failure_text(what, error, exchange, self.random_bytes)
                self._check_shows_no_token(what, text, exchange)
                raise InternalError(text) from None
        except BaseException as error:
            if round_trip is None:
                raise
            result = round_trip.result_after(error)
        else:
            result = result if round_trip is None else round_trip.result(result)
        self._check_shows_no_token(what, result, exchange)
        return self.finished(request, revision, result)

    def around(self, kind: CallKind, declaration: Declaration, uri: str | None = None) -> Around | None:
        """Return the hooks around a call of something, of a resource by `uri`; None where none is around this."""
        from gatepost.server.calls.around import Around  # noqa: PLC0415 - most servers have no hooks

        hooks = tuple((hook, uri or declaration.name) for hook in self.registry.hooks)
        further = () if declaration.origin is None else tuple(declaration.origin.hooks(uri))
        return Around(kind, (*hooks, *further)) if hooks or further else None

    async def hooked_list(
        self, listing: Listing, request: Request, revision: Revision, exchange: Exchange
    ) -> dict[str, Any]:
        """Return the page of a list that a request asks for, of those that the hooks leave.

        Raises InternalError if a hook fails, InvalidParams if the cursor is not one of this list.
        """
        found = await self.left_by_hooks(listing.member, listing.shown(exchange.shown), request, exchange)
        return self.finished(request, revision, listing.result(found, request.params, revision))

    async def left_by_hooks(
        self, member: str, shown: Sequence[Declaration], request: Request, exchange: Exchange
    ) -> list[Declaration]:
        """Return what the hooks leave of these declarations in a list; raises InternalError if a hook fails."""
        from gatepost.server.list_hooks import left_of  # noqa: PLC0415 - as in `around`

        what = f"list of {member}"

        def context_of(state: Mapping[str, Any]) -> Context:
            return Context(exchange, params=request.params, state=state, tool=what, upstream=self.upstream)

        try:
            return await left_of(self.registry, member, shown, context_of)
        except (ProtocolError, InsufficientScope):
            raise
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            if is_cancellation(error):
                raise
            raise InternalError(failure_text(what, error, exchange, self.random_bytes)) from None

    def _check_shows_no_token(self, what: str, answer: object, exchange: Exchange) -> None:
        if exchange.handed_out and shows(answer, exchange.handed_out):
            raise InternalError(failure_text(what, InvalidResult(SHOWN), exchange, self.random_bytes))

    def finished(self, request: Request, revision: Revision, result: dict[str, Any]) -> dict[str, Any]:
        """Return a result with what every one of its era has."""
        return finish_result(request.method, result, self.info) if revision.modern else result


class _LateLimits:
    """Counts calls in this process; imported at the first one that is to be counted."""

    def __init__(self) -> None:
        self._limits: CallLimits | None = None

    async def admit(self, key: str, rate: Rate) -> None:
        """See `CallLimits`."""
        if self._limits is None:
            from gatepost.server.calls.rates import ProcessLimits  # noqa: PLC0415 - see above

            self._limits = ProcessLimits()
        await self._limits.admit(key, rate)


Method = Callable[[ServedServer, Request, Revision, Exchange], Coroutine[Any, Any, Result]]
"""Answers a request of one method; its revision is one that has it."""


def string_in(given: Mapping[str, Any], member: str, *, within: str = "params") -> str:
    """Return a member of `given`, which is what `within` says, or raise InvalidParams: it is no string."""
    value = given.get(member)
    if type(value) is not str:
        raise InvalidParams(f'"{within}.{member}" must be a string.')
    return value


def object_in(params: Mapping[str, Any], member: str) -> dict[str, Any]:
    """Return a member of the parameters, or raise InvalidParams: it is no object."""
    value = params.get(member)
    if type(value) is not dict:
        raise InvalidParams(f'"params.{member}" must be an object.')
    return value


def strings_in(given: Mapping[str, Any], member: str, *, within: str = "params") -> dict[str, str]:
    """Return a member of `given`; none is empty. Raises InvalidParams if it is no object of strings."""
    value = given.get(member)
    if value is None:
        return {}
    if type(value) is not dict or not all(type(text) is str for text in value.values()):
        raise InvalidParams(f'"{within}.{member}" must be an object of strings.')
    return value


def check_offered(entries: object) -> None:
    """Raise MethodNotFound if there are none."""
    if not entries:
        raise MethodNotFound("This server has no such method.")


def check_scopes(exchange: Exchange, declaration: Declaration) -> None:
    """Raise InsufficientScope unless the caller has all of a declaration's scopes."""
    if exchange.granted is not None and not declaration.scopes <= exchange.granted:
        raise InsufficientScope(declaration.scopes)


def session_of(exchange: Exchange) -> Session:
    """Return the session of a request (handshake era), or raise InvalidJsonRpcRequest: it belongs to none."""
    if exchange.session is None:
        raise InvalidJsonRpcRequest("This needs a session: send the Mcp-Session-Id that initialize was answered with.")
    return exchange.session

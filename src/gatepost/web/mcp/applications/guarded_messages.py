"""Scopes by name in front of an ASGI application that speaks MCP: Streamable HTTP of both eras.

A message is read within the bounds of our own endpoint, and passed on byte for byte. What is refused never reaches the
application; of the lists that it answers the caller gets what it may use.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from dataclasses import KW_ONLY, field
from functools import partial
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatepost.late_dataclass import dataclass
from gatepost.oauth.reasons import Reason
from gatepost.protocol import eras, modern
from gatepost.protocol.errors import InternalError, RequestId
from gatepost.protocol.list_results import cut_lists
from gatepost.protocol.messages import Request, Response, error_response, parse_message
from gatepost.resource.principal import Principal
from gatepost.resource.resources import ProtectedResource
from gatepost.resource.scope_map import LISTS, ScopeMap
from gatepost.resource.scope_needs import to_ask_for
from gatepost.telemetry.request_ids import incident_id
from gatepost.tokens.opaque import RandomBytes
from gatepost.web.mcp.applications.filtered_lists import FilteredLists, quiet_about_encodings
from gatepost.web.mcp.exchange.answers import ACCEPTED, Answer, Refused, check_media_types, error_answer, send_answer
from gatepost.web.mcp.exchange.headers import single_values
from gatepost.web.mcp.exchange.step_up import step_up
from gatepost.web.resource.bearer_guard import BearerGuard
from gatepost.web.resource.outer_authentication import GRANTED, NOTHING, PRINCIPAL, UNKNOWN_CALLER, outer_principal
from gatepost.web.site.client_address import ClientAddresses
from gatepost.web.site.front_door import ORDINARY_HEADERS
from gatepost.web.site.request_body import ClientDisconnected, read_body

BODY_LIMIT: Final = 4 * 1024 * 1024
"""The longest message that is read, in bytes, as at our own endpoint."""

_METHODS: Final = ("GET", "HEAD", "POST", "DELETE", "OPTIONS")
_BAD_GATEWAY: Final = 502

logger = logging.getLogger("gatepost.mcp")


@dataclass(frozen=True, slots=True, eq=False)
class GuardedMessages:
    """An ASGI callable in front of an application; the caller stands in the scope already."""

    app: ASGIApp
    scopes: ScopeMap
    _: KW_ONLY
    guard: BearerGuard | None
    """Writes challenges; None where an application around this one grants scopes, or nobody does."""
    resource: ProtectedResource | None = None
    """Says which scopes imply others."""
    ignores_scopes: bool = False
    """Whether everybody may do everything where nobody grants scopes."""
    addresses: ClientAddresses = field(default_factory=ClientAddresses)
    """Say from where a request comes that is refused."""
    random_bytes: RandomBytes = secrets.token_bytes
    """Where incident ids come from."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        granted, method = self._granted(scope), scope["method"]
        if method == "GET":
            # A stream may repeat the answer to a list, and in the transport of 2024-11-05 every answer comes on one.
            await self._list(scope, receive, send, granted=granted, members=tuple(LISTS.values()))
        elif method == "POST":
            await self._message(scope, receive, send, granted)
        elif method in _METHODS:
            await self.app(scope, receive, send)
        else:
            allow = (b"allow", ", ".join(_METHODS).encode())
            refused = Refused(405, Reason.HTTP_METHOD_NOT_ALLOWED, f"Send {', '.join(_METHODS)}.", headers=(allow,))
            await send_answer(send, self._refusal(scope, refused, None))

    def _granted(self, scope: Scope) -> frozenset[str] | None:
        """Return the scopes that decide what lists show; None for all."""
        if UNKNOWN_CALLER in scope:
            return None
        principal: Principal | None = scope.get(PRINCIPAL)
        if principal is None and self.guard is None:
            principal = outer_principal(scope, self.resource, ignores_scopes=self.ignores_scopes)
            if principal is None:
                return scope[GRANTED]  # type: ignore[no-any-return] # what it is set to
        return frozenset() if principal is None else principal.scopes

    async def _message(self, scope: Scope, receive: Receive, send: Send, granted: frozenset[str] | None) -> None:
        request_id: RequestId | None = None
        try:
            # 1. One message, of which nobody else can think that it is another one.
            headers = scope.get(ORDINARY_HEADERS) or single_values(scope["headers"])
            check_media_types(headers)
            body = await read_body(receive, limit=BODY_LIMIT)
            message = parse_message(body)
            if isinstance(message, Request):
                request_id = message.id
                method_header, name_header = headers.get(b"mcp-method"), headers.get(b"mcp-name")
                if method_header is not None or name_header is not None:
                    modern.check_mirrored_names(message, method_header, name_header)
            # 2. May the caller? Who is not known yet may do what needs nothing, and sees what there is.
            may = NOTHING if UNKNOWN_CALLER in scope else granted
            if not isinstance(message, Response):
                needs = self.scopes.needed(message.method, message.params)
                if may is not None and not needs <= may:
                    await send_answer(send, self._insufficient(scope, needs, message))
                    return
        except ClientDisconnected:
            return
        except Exception as error:
            answer = self._refusal(scope, error, request_id)
            if answer is None:
                raise
            await send_answer(send, answer)
            return
        # 3. On, as it came.
        replay = _Replay(body, receive)
        if not isinstance(message, Request) or not self._is_looked_at(message, headers):
            await self.app(scope, replay, send)
        else:
            members = tuple(member for method, member in LISTS.items() if method == message.method)
            await self._list(scope, replay, send, granted=granted, members=members, request_id=message.id)

    def _is_looked_at(self, request: Request, headers: Mapping[bytes, bytes]) -> bool:
        """Say whether the answer to a request is a list, or of the era that says who may cache it."""
        if request.method in LISTS:
            return True
        version = eras.version_in_header(headers.get(b"mcp-protocol-version"))
        return self.scopes.is_private(request.method, request.params) and eras.is_modern(request, version)

    def _insufficient(self, scope: Scope, needs: frozenset[str], message: Any) -> Answer:
        if not isinstance(message, Request):
            return ACCEPTED  # a notification is owed no answer, and has none
        return step_up(self.guard, to_ask_for(needs), message.id, partial(self.addresses.of, scope), scope=scope)

    async def _list(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        granted: frozenset[str] | None,
        members: tuple[str, ...],
        request_id: RequestId | None = None,
    ) -> None:
        """Pass a request on whose answer may have lists, or be another's; it is such a one where it has an id."""
        cut = partial(cut_lists, members=members, keep=lambda member, entry: self.scopes.shows(member, entry, granted))
        filtered = FilteredLists(send, cut, partial(self._withhold, send, request_id), is_answer=request_id is not None)
        await self.app({**scope, "headers": quiet_about_encodings(scope["headers"])}, receive, filtered)

    async def _withhold(self, send: Send, request_id: RequestId | None) -> None:
        incident = incident_id(self.random_bytes)
        logger.error(
            "incident %s: an application's answer cannot be read, and may hold what its caller may not see",
            incident,
            extra={"reason": Reason.INTERNAL_ERROR.value, "incident": incident},
        )
        error = InternalError(f"Something went wrong on the server; its log explains it as incident {incident}.")
        await send_answer(
            send, (200 if request_id is not None else _BAD_GATEWAY, error_response(error, request_id), ())
        )

    def _refusal(self, scope: Scope, error: Exception, request_id: RequestId | None) -> Any:
        return error_answer(
            error,
            request_id,
            is_modern=True,
            random_bytes=self.random_bytes,
            address=partial(self.addresses.of, scope),
        )


class _Replay:
    """In place of `receive`: the body that was read, in one piece, then whatever else comes."""

    __slots__ = ("_body", "_receive")

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

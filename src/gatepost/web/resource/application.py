"""Any ASGI application as a protected resource: the bearer guard in front, the principal in the scope (RFC 6750).

The application never sees the client's token (MCP 2026-07-28 basic/authorization, "Access Token Privilege
Restriction"): the headers `Authorization` and `MCP-API-Key` are taken out of what it gets.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import field
from functools import partial
from typing import Any, Final

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatepost.late_dataclass import dataclass
from gatepost.oauth.reasons import Reason
from gatepost.oauth.scopes import is_scope_token
from gatepost.resource.api_keys import API_KEY_HEADER
from gatepost.resource.principal import Principal
from gatepost.resource.scope_map import ScopeMap
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.telemetry.request_ids import CURRENT_REQUEST, UNASKED, RandomRequestIds, RequestIds
from gatepost.web.resource.bearer_guard import BearerGuard
from gatepost.web.resource.bound_tokens import BOUND_CALLER, came_bound
from gatepost.web.resource.lifespan import AsgiLifespan
from gatepost.web.resource.open_streams import ending_with_token
from gatepost.web.resource.other_servers import ServerApplication, server_application
from gatepost.web.resource.outer_authentication import NOTHING, PRINCIPAL, UNKNOWN_CALLER
from gatepost.web.resource.refused import BearerRefused
from gatepost.web.resource.sdk_callers import SdkCallers
from gatepost.web.site.base_path import outer_scope
from gatepost.web.site.client_address import ClientAddresses
from gatepost.web.site.errors import log_refusal, oauth_error_response, store_unavailable
from gatepost.web.site.plain_answers import FAST_PATH, NO_STORE
from gatepost.wording.phrase import Phrase, Words

_UNKEPT: Final = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
"""Headers of every answer of a server that speaks MCP."""
_OURS: Final = frozenset(name for name, _ in _UNKEPT)
_CREDENTIALS: Final = frozenset({b"authorization", API_KEY_HEADER})
_KEPT_BACK: Final = _CREDENTIALS | {b"dpop"}
"""What an application does not see."""
_POLICY_VIOLATION: Final = 1008  # RFC 6455 section 7.4.1
# What one router takes for another path than the next one does: empty and dot segments, backslashes, and separators
# that are percent-encoded. A rule about paths must never be asked about another path than the application is.
_AMBIGUOUS: Final = re.compile(r"//|/\.{1,2}(?:/|$)|[\\\x00-\x1f\x7f]")
_AMBIGUOUS_ENCODED: Final = re.compile(rb"%(?:2[fF]|5[cC])")


@dataclass(frozen=True, slots=True)
class Protected:
    """An ASGI application, or a server of another library, that is served to those who show an access token for it.

        create_app({
            "/mcp": notes,
            "/reports": Protected(app, scopes={"/": ["reports:read"], "/admin": ["reports:admin"]}),
            "/mail/mcp": Protected(mcp_server, scopes=ScopeMap(tools={"send_*": ["mail:send"]})),
        })

    The application finds the path it is served under in `scope["root_path"]`, as it does under Starlette's `Mount`, and
    the caller as a `Principal` in `scope["gatepost.principal"]`; `get_current_sub()` works too. WebSockets are closed
    before they open.

    Args:
        app: the application, whose ASGI lifespan runs with the server; or a server of FastMCP or the official Python
            SDK, whose endpoint is the path that it is served under.
        scopes: the scopes that are needed, by path below the application's own. A path covers itself and everything
            below it, and a request needs the scopes of **every** path that covers it: above, `/reports/admin/users`
            needs both. Of what speaks MCP a `ScopeMap`: then messages are read, and lists show what the caller may use.
        descriptions: what the consent page says of a scope, by scope; beside those of a `ScopeMap`.
        scope_groups: headings for scopes whose names begin alike, by that: `{"reports": "Your reports"}`.
        title: the resource's name for people; its path when None.

    Raises:
        ValueError: a path or a scope cannot be one; the sentence says which.
        TypeError: `app` cannot be called, or scopes are no list.
    """

    app: Any
    scopes: Mapping[str, Sequence[str]] | ScopeMap = field(default_factory=dict)
    descriptions: Mapping[str, str] = field(default_factory=dict)
    title: str | None = None
    scope_groups: Mapping[str, str] = field(default_factory=dict)
    _lifespan: AsgiLifespan = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        app = server_application(self.app) or self.app
        if not callable(app):
            raise TypeError(f"Protected takes an ASGI application, and a {type(app).__name__} cannot be called.")
        object.__setattr__(self, "app", app)  # the way to set a field of a frozen dataclass
        object.__setattr__(self, "_lifespan", AsgiLifespan(app))
        if isinstance(self.scopes, ScopeMap):
            object.__setattr__(self, "scope_groups", {**self.scopes.scope_groups, **self.scope_groups})
        for path, scopes in self.path_scopes.items():
            if not path.startswith("/") or _AMBIGUOUS.search(path):
                raise ValueError(f"scopes: {path!r} is no path; write one such as '/' or '/admin'.")
            if isinstance(scopes, str):
                raise TypeError(f"scopes: {path!r} takes a list; write [{scopes!r}].")
            for scope in scopes:
                if not is_scope_token(scope):
                    raise ValueError(f"scopes: {scope!r} is no scope (RFC 6749 section 3.3).")

    @property
    def path_scopes(self) -> Mapping[str, Sequence[str]]:
        """The scopes that are needed by path."""
        return {} if isinstance(self.scopes, ScopeMap) else self.scopes

    @property
    def scope_map(self) -> ScopeMap | None:
        """The scopes that are needed by name; None where no message has to be read."""
        return self.scopes if isinstance(self.scopes, ScopeMap) and self.scopes else None

    @property
    def is_mcp_endpoint(self) -> bool:
        """Whether it is a server of MCP at its own path."""
        return isinstance(self.app, ServerApplication)

    @property
    def name(self) -> str | None:
        """Its name for people, where it has one."""
        return self.title or (self.app.name if isinstance(self.app, ServerApplication) else None)

    @property
    def scope_descriptions(self) -> dict[str, Words]:
        """Every scope that any path needs, with its words for people."""
        said = dict(self.descriptions)
        if isinstance(self.scopes, ScopeMap):
            named, said = dict.fromkeys(self.scopes.scopes), {**self.scopes.descriptions, **said}
        else:
            named = dict.fromkeys(scope for scopes in self.scopes.values() for scope in scopes)
        if not named and self.is_mcp_endpoint:
            return {}
        if not named:
            # Tokens are for some scope; here any token for this resource will do.
            return {"access": said.get("access", Phrase("Use this application"))}
        return {scope: said.get(scope, Phrase("Use “%(scope)s”", scope=scope)) for scope in named}

    @property
    def state(self) -> dict[str, Any]:
        """What the application's lifespan keeps for its requests."""
        return self._lifespan.state

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """Run the application's lifespan, for as long as the server runs."""
        return self._lifespan.running()

    async def drain(self) -> None:
        """Do nothing: what the application has under way ends with its connections."""


class GuardedApplication:
    """A `Protected` application at one origin: a plain ASGI callable for its path and everything below."""

    def __init__(
        self,
        protected: Protected,
        *,
        path: str,
        guard: BearerGuard | None,
        addresses: ClientAddresses,
        behind: Callable[[ASGIApp], ASGIApp] | None = None,
        is_lazy: bool = False,
        request_ids: RequestIds | None = None,
    ) -> None:
        """Prepare everything that does not depend on a request.

        Args:
            protected: what is served.
            path: where, without a slash at its end.
            guard: verifies bearer tokens; None serves everybody, and scopes then count for nothing.
            addresses: say from where a request comes that is refused.
            behind: puts what else a request passes in front of the application, once its caller is known.
            is_lazy: whether a request without a token is passed on as nobody's (`UNKNOWN_CALLER`), for what is `behind`
                to ask for one where it needs more.
            request_ids: gives requests their ids; random ones by default.
        """
        self._request_ids = request_ids or RandomRequestIds(secrets.token_bytes)
        self._addresses = addresses
        app = SdkCallers(protected.app)
        self._app = app if behind is None else behind(app)
        self._speaks_mcp = protected.is_mcp_endpoint or behind is not None
        self._state = protected.state
        self._path = path
        self._guard = guard
        self._is_lazy = is_lazy and behind is not None
        self._needed = tuple(
            (prefix.rstrip("/"), frozenset(scopes)) for prefix, scopes in protected.path_scopes.items()
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "websocket":
            # Closing before accepting makes the server answer the handshake 403 (ASGI, "WebSocket").
            await receive()
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            return
        # 1. Every router has to understand the path alike.
        if _AMBIGUOUS.search(scope["path"]) or _AMBIGUOUS_ENCODED.search(scope.get("raw_path") or b""):
            await self._refused_path(scope)(scope, receive, send)
            return
        # 2. Who is it, and do the scopes suffice?
        CURRENT_REQUEST.set((self._request_ids, scope, UNASKED))
        try:
            principal = await self._principal(scope)
        except BearerRefused as refused:
            await self._challenge(scope, refused)(scope, receive, send)
            return
        except StoreUnavailable as error:
            unavailable = oauth_error_response(store_unavailable(HTTPConnection(scope), error))
            await unavailable(scope, receive, send)
            return
        if principal is not None and (fast_path := scope.get(FAST_PATH)) is not None:
            fast_path.is_verified = True
        # 3. On to the application, without the token.
        CURRENT_REQUEST.set((self._request_ids, scope, principal))
        if principal is not None:
            send = ending_with_token(send, partial(self._still_counts, scope, principal))
        if self._speaks_mcp:
            send = _unkept(send)
        await self._app(self._scope_for(scope, principal), receive, send)

    async def _still_counts(self, scope: Scope, opened_by: Principal) -> bool:
        """Say whether the token that opened a stream counts for all it did; so it is while the store cannot say."""
        try:
            principal = await self._principal(scope, is_again=True)
        except BearerRefused:
            return False
        except StoreUnavailable:
            return True
        return principal is not None and opened_by.scopes <= principal.scopes

    async def _principal(self, scope: Scope, *, is_again: bool = False) -> Principal | None:
        if self._guard is None:
            return None
        raw_headers, query_string = scope["headers"], scope.get("query_string", b"")
        given = [header for header in raw_headers if header[0] in _CREDENTIALS]
        if self._is_lazy and not given and not query_string:
            scope[UNKNOWN_CALLER] = True
            return None
        # A token that was verified a moment ago costs one look-up.
        is_plain = not query_string and len(given) == 1 and given[0][0] == b"authorization"
        principal = self._guard.cached(given[0][1]) if is_plain else None
        if principal is None:
            principal = await self._guard.verify(raw_headers, query_string, None if is_again else scope)
        needed = self._scopes_for(scope)
        if not principal.has(needed):
            raise self._guard.insufficient_scope(needed, is_bound=came_bound(scope))
        return principal

    def _scopes_for(self, scope: Scope) -> frozenset[str]:
        if not self._needed:
            return NOTHING
        below: str = scope["path"].removeprefix(self._path)
        covering = (scopes for prefix, scopes in self._needed if below == prefix or below.startswith(prefix + "/"))
        return frozenset[str]().union(*covering)

    def _scope_for(self, scope: Scope, principal: Principal | None) -> Scope:
        given = {**outer_scope(scope, below=self._path)}
        for name in ("router", "app_root_path"):  # of an app of Starlette's around ours: this one has its own
            given.pop(name, None)
        if came_bound(scope):
            given[BOUND_CALLER] = True
        given["headers"] = [header for header in scope["headers"] if header[0] not in _KEPT_BACK]
        given["state"] = self._state.copy()
        given[PRINCIPAL] = principal
        return given

    def _challenge(self, scope: Scope, refused: BearerRefused) -> Response:
        self._log_refusal(scope, refused.body.get("error", "unauthorized"), refused.reason)
        headers = {**NO_STORE, **dict(refused.headers)}
        return JSONResponse(refused.body, status_code=refused.status, headers=headers)

    def _refused_path(self, scope: Scope) -> Response:
        self._log_refusal(scope, "invalid_request", Reason.PATH_AMBIGUOUS)
        description = "Empty and dot segments, backslashes and encoded slashes do not belong into a path here."
        body = {"error": "invalid_request", "error_description": description}
        return JSONResponse(body, status_code=400, headers=NO_STORE)

    def _log_refusal(self, scope: Scope, error: str, reason: Reason) -> None:
        connection = HTTPConnection(scope)
        connection.state.address = self._addresses.of(scope)
        log_refusal(connection, error=error, reason=reason)


def _unkept(send: Send) -> Send:
    """Return what sends answers with the headers that those of our own endpoints have: kept by nobody, and no page."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = [header for header in message.get("headers", ()) if header[0].lower() not in _OURS]
            message = {**message, "headers": [*own, *_UNKEPT]}
        await send(message)

    return sending

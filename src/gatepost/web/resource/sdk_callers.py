"""The caller as servers of the official Python SDK know one, and FastMCP, which is built on it.

Their `get_access_token()`, the `user` of their requests, and what they bind sessions and request state to: client,
issuer and subject. None of it holds the client's token (MCP basic/authorization, "Access Token Privilege Restriction").
"""

from __future__ import annotations

import functools
import hashlib
import json
import sys
from typing import Any, Final

from starlette.authentication import AuthCredentials
from starlette.types import ASGIApp, Receive, Scope, Send

from gatepost.oauth.token_exchange import act_claim
from gatepost.resource.principal import Principal
from gatepost.resource.profile import Profile
from gatepost.web.resource.outer_authentication import PRINCIPAL

_CONTEXT: Final = "mcp.server.auth.middleware.auth_context"
_KNOWN: Final = 1024
"""Callers that are remembered, so that most requests cost a look-up."""


class SdkCallers:
    """An ASGI callable that says who calls in the SDK's words, where that has been imported.

    Args:
        app: what is served.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._user_of = functools.lru_cache(maxsize=_KNOWN)(_user)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        principal: Principal | None = scope.get(PRINCIPAL)
        context: Any = sys.modules.get(_CONTEXT)
        if principal is None or context is None:
            await self._app(scope, receive, send)
            return
        user = self._user_of(principal)
        token = context.auth_context_var.set(user)
        try:
            await self._app({**scope, "user": user, "auth": AuthCredentials(user.scopes)}, receive, send)
        finally:
            context.auth_context_var.reset(token)


def _user(principal: Principal) -> Any:
    # Their user has imported them: `SdkCallers` looks.
    from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser  # noqa: PLC0415 - see above
    from mcp.server.auth.provider import AccessToken  # noqa: PLC0415 - see above

    return AuthenticatedUser(
        AccessToken(
            token=stand_in(principal),
            client_id=principal.client_id,
            scopes=sorted(principal.scopes),
            expires_at=principal.expires_at,
            resource=principal.resource,
            subject=principal.subject,
            claims=claims_of(principal),
        )
    )


def claims_of(principal: Principal) -> dict[str, Any]:
    """Return what a token of this caller would say (RFC 9068 section 2.2), and what is known of the person."""
    profile = Profile.from_text(principal.profile)
    said = {
        "email": profile.email,
        "email_verified": profile.email_verified if profile.email else None,
        "groups": list(profile.groups) or None,
        "name": principal.display_name,
        "roles": sorted(principal.roles) or None,
        "exp": principal.expires_at,
        "act": act_claim(principal.actors),
    }
    return {
        # Who acts here is ours to say, and nobody's elsewhere.
        **{name: value for name, value in profile.claims.items() if name != "act"},
        **{name: value for name, value in said.items() if value is not None},
        "iss": principal.issuer,
        "sub": principal.subject,
        "aud": principal.resource,
        "client_id": principal.client_id,
        "scope": " ".join(sorted(principal.scopes)),
    }


def stand_in(principal: Principal) -> str:
    """Return what stands in the place of the token's text.

    It is none, opens nothing, and is refused wherever it is sent. It differs from caller to caller and with what was
    granted: there is code that keeps things by the text of the token, such as FastMCP's cache of answers, which with
    one text for all would show one person what is another's.
    """
    scopes = sorted(principal.scopes)
    of: list[object] = [principal.issuer, principal.subject, principal.client_id, principal.grant_id]
    of += [principal.resource, scopes, *principal.actors]
    return "withheld-" + hashlib.sha256(json.dumps(of).encode()).hexdigest()[:32]

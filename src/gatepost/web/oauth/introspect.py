"""POST /oauth/introspect: resource servers and confidential clients ask whether an access token counts (RFC 7662)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from starlette.requests import Request
from starlette.responses import Response

from gatepost.identity.entry import Entry
from gatepost.identity.roles import Roles
from gatepost.late_dataclass import dataclass
from gatepost.oauth.introspection import INACTIVE, active_token, check_caller, may_know
from gatepost.oauth.records import Client
from gatepost.resource.resources import ProtectedResource, implied_scopes_at
from gatepost.stores.contract.grants import GrantStore
from gatepost.tokens.opaque import token_fingerprint
from gatepost.web.oauth.client_form import ClientForms
from gatepost.web.site import api_description as api
from gatepost.web.site.limits import INTROSPECTION_LIMIT
from gatepost.web.site.responses import json_response
from gatepost.web.site.routing import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class IntrospectEndpoint:
    """The introspection endpoint."""

    client_forms: ClientForms
    entry: Entry
    """Whom its words name no more has no tokens that count."""
    roles: Roles
    """What persons may still have."""
    grants: GrantStore
    """Where access tokens are looked up, at each request anew."""
    issuer: str
    resources: Sequence[ProtectedResource]
    """Those whose tokens are this authorization server's own."""
    resource_servers: Collection[str]
    """The ids of the clients that may ask about every token."""
    now: Callable[[], int]

    def routes(self) -> tuple[Route, ...]:
        return (Route("POST", "/oauth/introspect", self.post, _INTROSPECT, limit=INTROSPECTION_LIMIT),)

    async def post(self, request: Request) -> Response:
        # 1. Who asks, and about what?
        form = await self.client_forms.read(request)
        check_caller(form.client)
        token = form.required("token")

        # 2. Look the token up; the rule decides what the caller may know.
        answer = await self._answer(form.client, token)

        # 3. Answer. Whatever is wrong with a token is not for the caller to know (RFC 7662 section 2.2).
        return json_response(answer)

    async def _answer(self, caller: Client, token: str) -> dict[str, object]:
        now = self.now()
        live = await self.grants.find_access_token(token_fingerprint(token, is_bound=False), now=now)
        if live is None:
            live = await self.grants.find_access_token(token_fingerprint(token, is_bound=True), now=now)
        if live is None or live.grant_revoked or live.user_disabled or self.entry.shuts_out(live.person):
            return INACTIVE
        is_ours = any(live.resource == resource.identifier for resource in self.resources)
        if not is_ours or not may_know(caller, owner=live.client_id, resource_servers=self.resource_servers):
            return INACTIVE
        return active_token(
            issuer=self.issuer,
            subject=live.subject,
            client_id=live.client_id,
            resource=live.resource,
            scopes=self.roles.permit_to(live.scopes, live.person, implied_scopes_at(self.resources, live.resource)),
            expires_at=live.expires_at,
            dpop_jkt=live.dpop_jkt,
            actors=live.actors,
        )


_INTROSPECT = api.Operation(
    "introspect",
    "Ask whether an access token counts (RFC 7662); clients with a secret only",
    request_body=api.form(
        {
            "token": api.text("an access token"),
            "token_type_hint": api.text("not needed"),
            **api.CLIENT_FIELDS,
        },
        required=["token"],
    ),
    responses={
        200: api.json_answer(
            "`active` says whether it counts; the rest is there only if it does.",
            api.record(
                {
                    "active": {"type": "boolean"},
                    "scope": api.TEXT,
                    "client_id": api.TEXT,
                    "token_type": {"type": "string", "enum": ["Bearer", "DPoP"]},
                    "exp": {"type": "integer", "description": "Seconds UTC."},
                    "sub": api.TEXT,
                    "aud": api.TEXT,
                    "iss": api.TEXT,
                    "cnf": {"type": "object", "description": "The key that it is bound to (RFC 9449 section 6.2)."},
                    "act": {"type": "object", "description": "Who acts with it for `sub` (RFC 8693 section 4.1)."},
                },
                required=["active"],
            ),
        ),
        **api.CLIENT_FORM_REFUSALS,
        401: api.challenged(api.refusal("The caller is unknown, public, or failed to authenticate: `invalid_client`.")),
    },
)

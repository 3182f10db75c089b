"""POST /oauth/par: a client pushes an authorization request ahead of the browser (RFC 9126, RFC 9449 10.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response

from gatepost.late_dataclass import dataclass
from gatepost.oauth.authorization import MAX_QUERY, requested_scopes
from gatepost.oauth.errors import InvalidTarget
from gatepost.oauth.pushed_requests import check_pushed, pushed_request
from gatepost.oauth.reasons import Reason
from gatepost.resource.resources import ProtectedResource, find_resource
from gatepost.stores.contract.pushed_requests import PushedRequestStore
from gatepost.tokens.opaque import RandomBytes
from gatepost.web.oauth.client_form import ClientForms
from gatepost.web.oauth.token_proofs import TokenProofs
from gatepost.web.site import api_description as api
from gatepost.web.site.limits import PUSHED_REQUEST_LIMIT
from gatepost.web.site.request_body import BodyTooLarge
from gatepost.web.site.responses import json_response
from gatepost.web.site.routing import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedRequestEndpoint:
    """The pushed authorization request endpoint."""

    client_forms: ClientForms
    proofs: TokenProofs
    """Judges DPoP proofs, to whose key the code is bound."""
    pushed: PushedRequestStore
    resources: Sequence[ProtectedResource]
    """Those that tokens can be for."""
    lifetime: int
    """Seconds in which a browser has to bring the reference."""
    now: Callable[[], int]
    random_bytes: RandomBytes

    def routes(self) -> tuple[Route, ...]:
        return (Route("POST", "/oauth/par", self.post, _PUSH, limit=PUSHED_REQUEST_LIMIT),)

    async def post(self, request: Request) -> Response:
        # 1. Who asks? As at the token endpoint.
        parameters = await self.client_forms.parse(request)
        self.proofs.check_nonce(request)
        form = await self.client_forms.authenticate(request, parameters)
        dpop_jkt = await self.proofs.key_given(request)

        # 2. Judge it as the authorization endpoint would; that judges it again, of what has changed until then.
        asked = check_pushed(form.client, form.parameters, dpop_jkt=dpop_jkt)
        resource = find_resource(self.resources, form.parameters.get("resource"))
        if resource is None:
            raise InvalidTarget(Reason.RESOURCE_UNKNOWN, "resource is not one of this server's; send it exactly.")
        requested_scopes(asked, known=resource.scopes, default=resource.default_scopes)

        # 3. Keep it, and answer with its reference (section 2.2).
        request_uri, kept = pushed_request(
            asked, now=self.now(), lifetime=self.lifetime, random_bytes=self.random_bytes
        )
        if len(kept.query) > MAX_QUERY:
            # As in an address, and with the status that section 2.3 has for it: strangers fill the store with these.
            raise BodyTooLarge(MAX_QUERY)
        await self.pushed.push_request(kept)
        return json_response({"request_uri": request_uri, "expires_in": self.lifetime}, 201)


_PUSH = api.Operation(
    "push_authorization_request",
    "Send an authorization request ahead of the browser (RFC 9126)",
    request_body=api.form(
        {
            **{
                name: api.text("as at the authorization endpoint")
                for name in (
                    "response_type",
                    "redirect_uri",
                    "code_challenge",
                    "code_challenge_method",
                    "scope",
                    "resource",
                    "dpop_jkt",
                    "state",
                )
            },
            **api.CLIENT_FIELDS,
        },
        required=["response_type", "code_challenge", "code_challenge_method"],
    ),
    responses={
        201: api.json_answer(
            "What the browser brings to the authorization endpoint, once, beside `client_id`.",
            api.record(
                {"request_uri": api.TEXT, "expires_in": {"type": "integer", "description": "In seconds."}},
                required=["request_uri", "expires_in"],
            ),
        ),
        **api.CLIENT_FORM_REFUSALS,
        413: api.refusal("The request is larger than 16 KiB."),
    },
)

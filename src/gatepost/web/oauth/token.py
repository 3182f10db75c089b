"""POST /oauth/token: what a grant type takes becomes tokens (RFC 6749 section 3.2). The grant types are in `grants`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response

from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import REFUSALS, Outcome
from gatepost.oauth.client_authentication import check_grant_type
from gatepost.oauth.errors import OAuthError, UnsupportedGrantType
from gatepost.oauth.issuing import Tokens
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client
from gatepost.web.oauth.client_form import ClientForm, ClientForms, Registered, presented_client
from gatepost.web.oauth.grants import GRANT_TYPES
from gatepost.web.oauth.grants.grant_type import BegunRequest, GrantType, TokenIssuer, TokenRequest
from gatepost.web.oauth.token_proofs import TokenProofs
from gatepost.web.site import api_description as api
from gatepost.web.site.limits import TOKEN_LIMIT
from gatepost.web.site.patience import REFRESH_SECONDS, lasts_at_most
from gatepost.web.site.responses import json_response
from gatepost.web.site.routing import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEndpoint:
    """The token endpoint."""

    client_forms: ClientForms
    issuer: TokenIssuer
    proofs: TokenProofs | None = None
    """Judges DPoP proofs; None passes over them."""
    grant_types: Sequence[GrantType] = GRANT_TYPES

    def routes(self) -> tuple[Route, ...]:
        return (
            Route(
                "POST",
                "/oauth/token",
                self.post,
                _operation(self.grant_types),
                limit=TOKEN_LIMIT,
                patience=REFRESH_SECONDS,
            ),
        )

    async def post(self, request: Request) -> Response:
        """Answer one token request.

        Raises:
            OAuthError: it is refused.
            StoreUnavailable: it cannot be decided now; nothing is lost, and the client may try again.
        """
        try:
            return await self._exchange(request)
        except OAuthError as refusal:
            if (event := REFUSALS.get(refusal.reason)) is not None:
                client_id = getattr(request.state, "client_id", None)
                self.issuer.audit.note(request, event, Outcome.REFUSED, reason=refusal.reason, client_id=client_id)
            raise

    async def _exchange(self, request: Request) -> Response:
        # 1. Parse the form. Where what it is about is looked up together with its client, that comes first, and nearly
        #    every refresh ends with it.
        parameters = await self.client_forms.parse(request)
        name, now = parameters.get("grant_type"), self.issuer.now()
        grant_type = next((known for known in self.grant_types if known.name == name), None)
        found = registered = None
        if grant_type is not None and grant_type.begin is not None:
            lasts_at_most(grant_type.patience)
            begun = await grant_type.begin(self.issuer, self._begun(request, parameters, now=now))
            if isinstance(begun, Tokens):
                return json_response(begun.answer(now=now))
            found, registered = begun, None if begun is None else Registered(begun.client_id, begun.client)

        # 2. Authenticate the client, and see whether it may use the grant type.
        if self.proofs is not None:
            self.proofs.check_nonce(request)
        proven = None
        if grant_type is not None and grant_type.client_of is not None:
            proven = await grant_type.client_of(self.issuer, request, parameters)
        if proven is None:
            form = await self.client_forms.authenticate(request, parameters, registered=registered)
        else:
            form = ClientForm(proven, parameters)
        name = form.required("grant_type")
        if grant_type is None:
            raise UnsupportedGrantType(
                Reason.GRANT_TYPE_UNSUPPORTED,
                "This grant type is unknown; grant_types_supported lists those there are.",
            )
        check_grant_type(form.client, name)
        lasts_at_most(grant_type.patience)
        dpop_jkt = None if self.proofs is None else await self.proofs.key_of(request, form.client)

        # 3. Look up, let the rule decide, and write in one atomic operation.
        asked = TokenRequest(form.client, form.parameters, now=now, request=request, found=found, dpop_jkt=dpop_jkt)
        tokens = await grant_type.exchange(self.issuer, asked)

        # 4. Answer; the tokens are durable by now.
        return json_response(tokens.answer(now=now))

    def _begun(self, request: Request, parameters: Mapping[str, str], *, now: int) -> BegunRequest:
        presented = presented_client(request, parameters)

        def authenticate(client_id: str, client: Client | None) -> Client | None:
            if client is None or (self.proofs is not None and self.proofs.are_due(request, client)):
                return None
            return self.client_forms.authenticate_at_once(request, presented, client_id, client)

        return BegunRequest(parameters, now, request, authenticate)


def _operation(grant_types: Sequence[GrantType]) -> api.Operation:
    own: Mapping[str, api.Object] = {
        name: {"type": "string", "description": what}
        for grant_type in grant_types
        for name, what in grant_type.parameters.items()
    }
    return api.Operation(
        "token",
        "Exchange a code or a refresh token for tokens",
        request_body=api.form(
            {
                "grant_type": {"type": "string", "enum": [grant_type.name for grant_type in grant_types]},
                **own,
                "scope": api.text("not with authorization_code; less than could be had"),
                "resource": api.text("the MCP endpoint's URL (RFC 8707)"),
                **api.CLIENT_FIELDS,
            },
            required=["grant_type"],
        ),
        responses={200: _TOKENS, **api.CLIENT_FORM_REFUSALS},
    )


_TOKENS = api.json_answer(
    "New tokens (RFC 6749 section 5.1).",
    api.record(
        {
            "access_token": api.TEXT,
            "token_type": {"type": "string", "enum": ["Bearer", "DPoP"]},
            "expires_in": {"type": "integer", "description": "In seconds."},
            "refresh_token": api.text("Takes the place of the one that was sent."),
            "scope": api.text("What the access token allows, space-separated."),
            "issued_token_type": api.text("After a token exchange: the type of access_token (RFC 8693)."),
        },
        required=["access_token", "token_type", "expires_in", "scope"],
    ),
)

"""POST /oauth/register: a client introduces itself (RFC 7591 section 3)."""

from __future__ import annotations

from dataclasses import field
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import AuditEvent, Outcome
from gatepost.oauth.errors import RegistrationDisabled, TooManyRequests
from gatepost.oauth.limits import RegistrationBudget
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client
from gatepost.oauth.registration import new_client, read_metadata, requires_pushed_requests
from gatepost.oauth.registration_management import check_initial_access_token
from gatepost.tokens.opaque import SecretKind, fingerprint, identifier
from gatepost.web.oauth.client_registry import (
    INFORMATION,
    METADATA,
    METADATA_REFUSED,
    REGISTER_PATH,
    ClientRegistry,
    bearer_token,
    read_document,
)
from gatepost.web.oauth.grants.grant_type import registrable
from gatepost.web.site import api_description as api
from gatepost.web.site.limits import REGISTRATION_LIMIT, Limits
from gatepost.web.site.routing import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterEndpoint:
    """The client registration endpoint."""

    registry: ClientRegistry
    limits: Limits
    registration_enabled: bool
    """False answers every request with 403."""
    initial_access_token: str | None = field(default=None, repr=False)
    """Without it nobody registers; None lets everybody."""

    def routes(self) -> tuple[Route, ...]:
        return (Route("POST", REGISTER_PATH, self.post, _REGISTER, limit=REGISTRATION_LIMIT),)

    async def post(self, request: Request) -> Response:
        # 1. May this be done at all, and by this caller?
        if not self.registration_enabled:
            raise RegistrationDisabled(
                Reason.REGISTRATION_DISABLED,
                "Dynamic client registration is switched off here; ask the operator of this server for a client_id.",
            )
        if self.initial_access_token is not None:
            check_initial_access_token(bearer_token(request), expected=fingerprint(self.initial_access_token))

        # 2. Read the body, within its limit and only as what it says it is.
        document = await read_document(request)

        # 3. The rules decide what the registration comes to.
        registry = self.registry
        metadata = read_metadata(
            document, known_scopes=registry.known_scopes, grant_types=registrable(registry.grant_types)
        )

        # 4. Keep it, secrets only as their fingerprints.
        token, token_fingerprint = registry.mint(SecretKind.REGISTRATION_ACCESS_TOKEN)
        secret, secret_fingerprint = registry.mint(SecretKind.CLIENT_SECRET) if metadata.needs_secret else (None, None)
        client = new_client(
            metadata,
            client_id=identifier("client_", registry.random_bytes),
            secret_fingerprint=secret_fingerprint,
            now=registry.now(),
            registration_token_fingerprint=token_fingerprint,
            requires_pushed_requests=requires_pushed_requests(document),
        )
        await self._keep(request, client)
        registry.audit.note(request, AuditEvent.REGISTRATION, client_id=client.client_id)

        # 5. Answer with what has been registered.
        return registry.response(client, token=token, secret=secret, status=201)

    async def _keep(self, request: Request, client: Client) -> None:
        """Keep a registration, as far as there is room for those of strangers.

        Not 503, of which load balancers conclude that a server is ill: strangers could have it taken out of service.
        429 is meant for what is counted across a server, too (RFC 6585 section 4).
        """
        registry = self.registry
        budget = RegistrationBudget().times(self.limits.factor) if self.limits.factor else None
        try:
            await self.limits.attempt("register", partial(registry.clients.register_client, client, budget=budget))
        except TooManyRequests as error:
            if error.is_first:
                registry.audit.note(request, AuditEvent.LIMIT, Outcome.REFUSED, reason=Reason.REGISTRATIONS_FULL)
            raise TooManyRequests(
                Reason.REGISTRATIONS_FULL,
                "This server takes no more registrations for now, whoever asks; "
                f"try again in {error.retry_after} seconds.",
                retry_after=error.retry_after,
            ) from None


_DESCRIPTION = """\
Dynamic client registration (RFC 7591). Members that this server does not know are ignored, lists are cut to what it
supports, and the answer says what was registered. Redirect URIs are compared character by character later on; on
`http://127.0.0.1`, `http://[::1]` and `http://localhost` the port is free.
"""
_EXAMPLE = {
    "client_name": "Example",
    "redirect_uris": ["http://127.0.0.1/callback"],
    "grant_types": ["authorization_code", "refresh_token"],
    "token_endpoint_auth_method": "none",
}
_REGISTER = api.Operation(
    "register",
    "Register a client",
    description=_DESCRIPTION,
    request_body=api.json_body(METADATA, example=_EXAMPLE),
    responses={
        201: api.json_answer("Registered.", INFORMATION),
        400: METADATA_REFUSED,
        401: api.challenged(api.refusal("The operator's initial access token is missing or wrong.")),
        403: api.refusal("Registration is switched off."),
        **api.UNREAD,
        429: api.later(api.refusal("Too many registrations, from this address or from all.")),
        **api.UNAVAILABLE,
    },
)

"""POST /oauth/register: a client introduces itself (RFC 7591 section 3)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.errors import AccessDenied, InvalidClientMetadata, InvalidToken
from gatepost.oauth.reasons import Reason
from gatepost.oauth.registration import (
    MAX_BODY,
    MAX_LIST,
    client_information,
    new_client,
    parse_metadata,
    read_metadata,
)
from gatepost.oauth.registration_management import check_initial_access_token
from gatepost.stores.contract.clients import ClientStore
from gatepost.tokens.opaque import RandomBytes, SecretKind, fingerprint, identifier, mint
from gatepost.web.oauth.grants import GRANT_TYPES
from gatepost.web.oauth.grants.grant_type import GrantType, registrable
from gatepost.web.oauth.registration_tokens import bearer_token, token_refused
from gatepost.web.site.api_description import (
    TEXT,
    TEXTS,
    UNAVAILABLE,
    UNREAD,
    URL,
    Object,
    Operation,
    challenged,
    json_answer,
    later,
    record,
    refusal,
)
from gatepost.web.site.audit import NO_AUDIT, Audit
from gatepost.web.site.errors import log_refusal, oauth_error_response
from gatepost.web.site.limits import REGISTRATION_LIMIT
from gatepost.web.site.request_body import media_type, read_body
from gatepost.web.site.routing import Route

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterEndpoint:
    """The registration endpoint."""

    clients: ClientStore
    known_scopes: Collection[str]
    """Every scope that any resource has; a client's other scopes are dropped."""
    grant_types: Sequence[GrantType] = GRANT_TYPES
    registration_enabled: bool
    """False answers every request with 403."""
    issuer: str | None = None
    """Where clients manage their registrations (RFC 7592); None: they cannot."""
    initial_access_token: str | None = field(default=None, repr=False)
    """Without it nobody registers; None lets everybody."""
    now: Callable[[], int]
    random_bytes: RandomBytes
    audit: Audit = NO_AUDIT

    def routes(self) -> tuple[Route, ...]:
        """Return its route."""
        return (Route("POST", "/oauth/register", self.post, _REGISTER, limit=REGISTRATION_LIMIT),)

    async def post(self, request: Request) -> Response:
        """Register a client."""
        # 1. May this be done at all, and by this caller?
        if not self.registration_enabled:
            return _switched_off(request)
        if self.initial_access_token is not None:
            try:
                check_initial_access_token(bearer_token(request), expected=fingerprint(self.initial_access_token))
            except InvalidToken as refusal:
                return token_refused(request, refusal)

        # 2. Read the body, within its limit and only as what it says it is.
        document = await read_document(request)

        # 3. The rules decide what the registration comes to.
        metadata = read_metadata(document, known_scopes=self.known_scopes, grant_types=registrable(self.grant_types))

        # 4. Keep it, secrets only as their fingerprints.
        token = None if self.issuer is None else mint(SecretKind.REGISTRATION_ACCESS_TOKEN, self.random_bytes)
        secret = mint(SecretKind.CLIENT_SECRET, self.random_bytes) if metadata.needs_secret else None
        client = new_client(
            metadata,
            client_id=identifier("client_", self.random_bytes),
            secret_fingerprint=None if secret is None else fingerprint(secret),
            now=self.now(),
            registration_token_fingerprint=None if token is None else fingerprint(token),
        )
        await self.clients.register_client(client)
        self.audit.note(request, AuditEvent.REGISTRATION, client_id=client.client_id)

        # 5. Answer with what has been registered.
        information = client_information(
            client,
            client_secret=secret,
            registration_access_token=token,
            registration_client_uri=None if self.issuer is None else registration_uri(self.issuer, client.client_id),
        )
        return JSONResponse(information, status_code=201, headers=NO_STORE)


def registration_uri(issuer: str, client_id: str) -> str:
    """Return where a client manages its registration (RFC 7592 section 3)."""
    return f"{issuer}/oauth/register/{client_id}"


def _switched_off(request: Request) -> Response:
    refusal = AccessDenied(
        Reason.REGISTRATION_DISABLED,
        "Dynamic client registration is switched off here; ask the operator of this server for a client_id.",
    )
    log_refusal(request, error=refusal.error, reason=refusal.reason)
    return oauth_error_response(refusal, status=403)


async def read_document(request: Request) -> dict[str, object]:
    """Return the JSON object that a client sends about itself.

    Raises:
        InvalidClientMetadata: it is something else.
        BodyTooLarge: it is longer than `MAX_BODY`.
    """
    if media_type(request.scope["headers"]) != "application/json":
        raise InvalidClientMetadata(
            Reason.CONTENT_TYPE_UNSUPPORTED, "Send the metadata as application/json (RFC 7591 section 3.1)."
        )
    return parse_metadata(await read_body(request.receive, limit=MAX_BODY))


_DESCRIPTION = """\
Dynamic client registration (RFC 7591). Members that this server does not know are ignored, lists are cut to what it
supports, and the answer says what was registered. Redirect URIs are compared character by character later on; on
`http://127.0.0.1`, `http://[::1]` and `http://localhost` the port is free.
"""

_STRINGS = {**TEXTS, "maxItems": MAX_LIST}
_METADATA: dict[str, Object] = {
    "redirect_uris": {
        **_STRINGS,
        "minItems": 1,
        "description": "https; http on loopback; or a private-use scheme such as `com.example.app:/callback`.",
    },
    "client_name": {"type": "string", "maxLength": 200, "description": "Shown to the user beside the redirect host."},
    "client_uri": {**URL, "description": "https only."},
    "logo_uri": {**URL, "description": "https only."},
    "grant_types": {**_STRINGS, "description": "Must include `authorization_code`. Absent: all that are supported."},
    "response_types": {**_STRINGS, "description": "Must include `code`. Absent: `code`."},
    "token_endpoint_auth_method": {
        "type": "string",
        "enum": ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"],
        "description": "Absent: `none`, a public client.",
    },
    "jwks": {"type": "object", "description": "Public keys (RFC 7517); `private_key_jwt` only."},
    "jwks_uri": {**URL, "description": "Where the public keys are, instead of `jwks`."},
    "application_type": {
        "type": "string",
        "enum": ["native", "web"],
        "description": "`native` as soon as a redirect URI stays on the user's device.",
    },
    "scope": {
        "type": "string",
        "description": "What to ask for when an authorization request names no scope. Absent: the server's default.",
    },
}
METADATA_BODY: Object = {
    "required": True,
    "content": {
        "application/json": {
            "schema": record(_METADATA, required=["redirect_uris"]),
            "example": {
                "client_name": "Example",
                "redirect_uris": ["http://127.0.0.1/callback"],
                "grant_types": ["authorization_code", "refresh_token"],
                "token_endpoint_auth_method": "none",
            },
        }
    },
}
INFORMATION = record(
    {
        "client_id": TEXT,
        "client_id_issued_at": {"type": "integer", "description": "Seconds UTC."},
        "client_secret": {"type": "string", "description": "Shown this once; only with an authentication by secret."},
        "registration_access_token": {"type": "string", "description": "For managing the registration (RFC 7592)."},
        "registration_client_uri": {"type": "string", "description": "Where that is done."},
        "client_secret_expires_at": {"type": "integer", "description": "0: it does not expire."},
        **_METADATA,
    },
    required=["client_id", "client_id_issued_at", "redirect_uris", "grant_types", "token_endpoint_auth_method"],
)
METADATA_REFUSED = refusal("`invalid_redirect_uri` or `invalid_client_metadata`.")
_REGISTER = Operation(
    "register",
    "Register a client",
    description=_DESCRIPTION,
    request_body=METADATA_BODY,
    responses={
        201: json_answer("Registered.", INFORMATION),
        400: METADATA_REFUSED,
        401: challenged(refusal("The operator's initial access token is missing or wrong.")),
        403: refusal("Registration is switched off."),
        **UNREAD,
        429: later(refusal("Too many registrations from this address.")),
        **UNAVAILABLE,
    },
)

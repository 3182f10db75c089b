"""What the two registration endpoints share: the registry, its documents and bearer tokens (RFC 7591, RFC 7592)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gatepost.late_dataclass import dataclass
from gatepost.oauth.errors import InvalidClientMetadata
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client
from gatepost.oauth.registration import MAX_BODY, MAX_LIST, client_information, parse_metadata
from gatepost.stores.contract.clients import ClientStore
from gatepost.tokens.opaque import RandomBytes, SecretKind, fingerprint, mint
from gatepost.web.oauth.grants import GRANT_TYPES
from gatepost.web.oauth.grants.grant_type import GrantType
from gatepost.web.site import api_description as api
from gatepost.web.site.audit import NO_AUDIT, Audit
from gatepost.web.site.request_body import media_type, read_body
from gatepost.web.site.responses import json_response

REGISTER_PATH: Final = "/oauth/register"
_LONGEST_TOKEN: Final = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRegistry:
    """Where clients register and manage what they registered."""

    clients: ClientStore
    known_scopes: Collection[str]
    """Every scope that any resource has; a client's other scopes are dropped."""
    grant_types: Sequence[GrantType] = GRANT_TYPES
    issuer: str
    """The beginning of every `registration_client_uri`."""
    now: Callable[[], int]
    random_bytes: RandomBytes
    audit: Audit = NO_AUDIT

    def mint(self, kind: SecretKind) -> tuple[str, bytes]:
        """Return a new secret, and its fingerprint, which is all that is kept."""
        secret = mint(kind, self.random_bytes)
        return secret, fingerprint(secret)

    def response(self, client: Client, *, token: str, secret: str | None, status: int = 200) -> Response:
        """Return what is registered (RFC 7591 section 3.2.1).

        Args:
            client: as the store has it.
            token: its registration access token.
            secret: its secret if it is new; otherwise it is known to nobody but the client.
            status: the HTTP status.
        """
        information = client_information(
            client,
            client_secret=secret,
            registration_access_token=token,
            registration_client_uri=f"{self.issuer}{REGISTER_PATH}/{client.client_id}",
        )
        return json_response(information, status)


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


def bearer_token(request: Request) -> str | None:
    """Return the one bearer token of a request, None when there is none, or several, or something else."""
    headers = request.headers.getlist("authorization")
    match headers[0].split() if len(headers) == 1 else []:
        case [scheme, token] if scheme.lower() == "bearer" and len(token) <= _LONGEST_TOKEN:
            return token
        case _:
            return None


_STRINGS = {**api.TEXTS, "maxItems": MAX_LIST}
_METADATA: dict[str, api.Object] = {
    "redirect_uris": {
        **_STRINGS,
        "description": "For `authorization_code`, at least one: https; http on loopback; or a private-use scheme such "
        "as `com.example.app:/callback`.",
    },
    "client_name": api.text("Shown to the user beside the redirect host.", maxLength=200),
    "client_uri": {**api.URL, "description": "https only."},
    "logo_uri": {**api.URL, "description": "https only."},
    "grant_types": {
        **_STRINGS,
        "description": "Must include one that a person answers, such as `authorization_code`. Absent: that one and "
        "`refresh_token`.",
    },
    "response_types": {**_STRINGS, "description": "Must include `code` with `authorization_code`. Absent: `code`."},
    "token_endpoint_auth_method": api.text(
        "Absent: `none`, a public client.",
        enum=["none", "client_secret_basic", "client_secret_post", "private_key_jwt"],
    ),
    "jwks": {"type": "object", "description": "Public keys (RFC 7517); `private_key_jwt` only."},
    "jwks_uri": {**api.URL, "description": "Where the public keys are, instead of `jwks`."},
    "application_type": api.text(
        "`native` as soon as a redirect URI stays on the user's device.", enum=["native", "web"]
    ),
    "require_pushed_authorization_requests": {"type": "boolean", "description": "RFC 9126 section 6."},
    "scope": api.text("What to ask for when an authorization request names no scope. Absent: the server's default."),
}
METADATA = api.record(_METADATA)
UPDATE = api.record({"client_id": api.TEXT, **_METADATA}, required=["client_id"])
INFORMATION = api.record(
    {
        "client_id": api.TEXT,
        "client_id_issued_at": {"type": "integer", "description": "Seconds UTC."},
        "client_secret": api.text("Shown this once; only with an authentication by secret."),
        "registration_access_token": api.text("For managing the registration (RFC 7592)."),
        "registration_client_uri": api.text("Where that is done."),
        "client_secret_expires_at": {"type": "integer", "description": "0: it does not expire."},
        **_METADATA,
    },
    required=["client_id", "client_id_issued_at", "redirect_uris", "grant_types", "token_endpoint_auth_method"],
)
METADATA_REFUSED = api.refusal("`invalid_redirect_uri` or `invalid_client_metadata`.")

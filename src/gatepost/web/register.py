"""POST /oauth/register: a client introduces itself (RFC 7591 section 3)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.errors import AccessDenied, InvalidClientMetadata
from gatepost.oauth.reasons import Reason
from gatepost.oauth.registration import MAX_BODY, client_information, new_client, parse_metadata, read_metadata
from gatepost.stores.client_protocols import ClientStore
from gatepost.tokens.opaque import RandomBytes, SecretKind, fingerprint, identifier, mint
from gatepost.web.audit import NO_AUDIT, Audit
from gatepost.web.errors import log_refusal, oauth_error_response
from gatepost.web.request_body import media_type, read_body

_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache", "X-Content-Type-Options": "nosniff"}


def register_router(
    *,
    clients: ClientStore,
    known_scopes: Collection[str],
    registration_enabled: bool,
    now: Callable[[], int],
    random_bytes: RandomBytes,
    audit: Audit = NO_AUDIT,
) -> APIRouter:
    """Return the route of the registration endpoint.

    Args:
        clients: where clients are kept.
        known_scopes: every scope that any resource has; a client's other scopes are dropped.
        registration_enabled: False answers every request with 403.
        now: the clock, whole seconds UTC.
        random_bytes: where identifiers and secrets come from.
        audit: is told of every registration.
    """
    router = APIRouter()

    @router.post(
        "/oauth/register",
        status_code=201,
        summary="Register a client",
        description=_DESCRIPTION,
        tags=["OAuth"],
        response_model=None,
        responses=_RESPONSES,
        openapi_extra={"requestBody": _REQUEST_BODY},
    )
    async def register(request: Request) -> Response:
        # 1. Is there registration at all?
        if not registration_enabled:
            return _switched_off(request)

        # 2. Read the body, within its limit and only as what it says it is.
        document = await _read_document(request)

        # 3. The rules decide what the registration comes to.
        metadata = read_metadata(document, known_scopes=known_scopes)

        # 4. Keep it, a secret only as its fingerprint.
        secret = mint(SecretKind.CLIENT_SECRET, random_bytes) if metadata.needs_secret else None
        client = new_client(
            metadata,
            client_id=identifier("client_", random_bytes),
            secret_fingerprint=None if secret is None else fingerprint(secret),
            now=now(),
        )
        await clients.register_client(client)
        audit.note(request, AuditEvent.REGISTRATION, client_id=client.client_id)

        # 5. Answer with what has been registered.
        return JSONResponse(client_information(client, client_secret=secret), status_code=201, headers=_NO_STORE)

    return router


def _switched_off(request: Request) -> Response:
    refusal = AccessDenied(
        Reason.REGISTRATION_DISABLED,
        "Dynamic client registration is switched off here; ask the operator of this server for a client_id.",
    )
    log_refusal(request, error=refusal.error, reason=refusal.reason)
    return oauth_error_response(refusal, status=403)


async def _read_document(request: Request) -> dict[str, object]:
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

_STRINGS = {"type": "array", "items": {"type": "string"}, "maxItems": 32}
_METADATA: dict[str, Any] = {
    "redirect_uris": {
        **_STRINGS,
        "minItems": 1,
        "description": "https; http on loopback; or a private-use scheme such as `com.example.app:/callback`.",
    },
    "client_name": {"type": "string", "maxLength": 200, "description": "Shown to the user beside the redirect host."},
    "client_uri": {"type": "string", "format": "uri", "description": "https only."},
    "logo_uri": {"type": "string", "format": "uri", "description": "https only."},
    "grant_types": {**_STRINGS, "description": "Must include `authorization_code`. Absent: all that are supported."},
    "response_types": {**_STRINGS, "description": "Must include `code`. Absent: `code`."},
    "token_endpoint_auth_method": {
        "type": "string",
        "enum": ["none", "client_secret_basic", "client_secret_post"],
        "description": "Absent: `none`, a public client.",
    },
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
_REQUEST_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"type": "object", "required": ["redirect_uris"], "properties": _METADATA},
            "example": {
                "client_name": "Example",
                "redirect_uris": ["http://127.0.0.1/callback"],
                "grant_types": ["authorization_code", "refresh_token"],
                "token_endpoint_auth_method": "none",
            },
        }
    },
}
_INFORMATION = {
    "type": "object",
    "required": ["client_id", "client_id_issued_at", "redirect_uris", "grant_types", "token_endpoint_auth_method"],
    "properties": {
        "client_id": {"type": "string"},
        "client_id_issued_at": {"type": "integer", "description": "Seconds UTC."},
        "client_secret": {"type": "string", "description": "Shown this once; only with an authentication by secret."},
        "client_secret_expires_at": {"type": "integer", "description": "0: it does not expire."},
        **_METADATA,
    },
}
_ERROR = {
    "type": "object",
    "required": ["error", "error_description"],
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
}


def _error(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _ERROR}}}


_RESPONSES: dict[int | str, dict[str, Any]] = {
    201: {"description": "Registered.", "content": {"application/json": {"schema": _INFORMATION}}},
    400: _error("`invalid_redirect_uri` or `invalid_client_metadata`."),
    403: _error("Registration is switched off."),
    413: _error("The body is larger than 64 KiB."),
    503: _error("The store cannot answer now; `Retry-After` says when to try again."),
}

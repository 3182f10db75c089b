"""What the API description says of the token endpoint."""

from __future__ import annotations

from gatepost.web.site.api_description import (
    CLIENT_FIELDS,
    CLIENT_FORM_REFUSALS,
    TEXT,
    Responses,
    form,
    json_answer,
    record,
)

REQUEST_BODY = form(
    {
        "grant_type": {"type": "string", "enum": ["authorization_code", "refresh_token", "client_credentials"]},
        "code": {"type": "string", "description": "authorization_code only"},
        "code_verifier": {"type": "string", "description": "authorization_code only (RFC 7636)"},
        "redirect_uri": {"type": "string", "description": "the one of the authorization request"},
        "refresh_token": {"type": "string", "description": "refresh_token only"},
        "scope": {"type": "string", "description": "not with authorization_code; less than could be had"},
        "resource": {"type": "string", "description": "the MCP endpoint's URL (RFC 8707)"},
        **CLIENT_FIELDS,
    },
    required=["grant_type"],
)
RESPONSES: Responses = {
    200: json_answer(
        "New tokens (RFC 6749 section 5.1).",
        record(
            {
                "access_token": TEXT,
                "token_type": {"type": "string", "enum": ["Bearer"]},
                "expires_in": {"type": "integer", "description": "In seconds."},
                "refresh_token": {"type": "string", "description": "Takes the place of the one that was sent."},
                "scope": {"type": "string", "description": "What the access token allows, space-separated."},
            },
            required=["access_token", "token_type", "expires_in", "scope"],
        ),
    ),
    **CLIENT_FORM_REFUSALS,
}

"""What the API reference says of the token endpoint."""

from __future__ import annotations


def _json(description: str, properties: dict[str, dict[str, str]], required: list[str]) -> dict[str, object]:
    schema = {"type": "object", "properties": properties, "required": required}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _error(description: str) -> dict[str, object]:
    members = {"error": {"type": "string"}, "error_description": {"type": "string"}}
    return _json(description, members, ["error", "error_description"])


REQUEST_BODY: dict[str, object] = {
    "required": True,
    "content": {
        "application/x-www-form-urlencoded": {
            "schema": {
                "type": "object",
                "required": ["grant_type"],
                "properties": {
                    "grant_type": {
                        "type": "string",
                        "description": "authorization_code, refresh_token or client_credentials",
                    },
                    "code": {"type": "string", "description": "authorization_code only"},
                    "code_verifier": {"type": "string", "description": "authorization_code only (RFC 7636)"},
                    "redirect_uri": {"type": "string", "description": "the one of the authorization request"},
                    "refresh_token": {"type": "string", "description": "refresh_token only"},
                    "scope": {"type": "string", "description": "refresh_token only: less than was granted"},
                    "resource": {"type": "string", "description": "the MCP endpoint's URL (RFC 8707)"},
                    "client_id": {"type": "string", "description": "required unless HTTP Basic is used"},
                    "client_assertion_type": {"type": "string", "description": "clients with private_key_jwt only"},
                    "client_assertion": {"type": "string", "description": "a JWT signed by the client (RFC 7523)"},
                    "client_secret": {"type": "string", "description": "clients with client_secret_post only"},
                },
            }
        }
    },
}
RESPONSES: dict[int | str, dict[str, object]] = {
    200: _json(
        "New tokens (RFC 6749 section 5.1). `expires_in` is in seconds.",
        {
            "access_token": {"type": "string"},
            "token_type": {"type": "string"},
            "expires_in": {"type": "integer"},
            "refresh_token": {"type": "string"},
            "scope": {"type": "string"},
        },
        ["access_token", "token_type", "expires_in", "scope"],
    ),
    400: _error("Refused (RFC 6749 section 5.2)."),
    401: _error("The client is unknown or failed to authenticate: `invalid_client`."),
    413: _error("The body is too large."),
    503: _error("The store cannot answer now; try again after `Retry-After` seconds."),
}

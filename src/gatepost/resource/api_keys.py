"""API keys on their way in: where they may stand, and whether they count.

A key is sent as a bearer token (RFC 6750 section 2.1) or alone in a header of its own, for clients that have one field
for a header and none for a token. Refusals are those of `bearer`, told the same way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from gatepost.resource import bearer
from gatepost.resource.bearer import Refusal, TokenRefused
from gatepost.resource.resources import names_same_endpoint
from gatepost.tokens.opaque import SecretKind, looks_like

API_KEY_HEADER: Final = b"mcp-api-key"
NAME_TAKES: Final = "letters, digits and . _ -, 64 at most, beginning with a letter or a digit"

CREDENTIALS_REPEATED: Final = Refusal(
    "credentials_repeated",
    400,
    "invalid_request",
    "There are several credentials: send one Authorization header or one MCP-API-Key header, and not both.",
)
UNKNOWN: Final = Refusal("api_key_unknown", 401, "invalid_token", "The API key is unknown.")
EXPIRED: Final = Refusal("api_key_expired", 401, "invalid_token", "The API key has expired.")
REVOKED: Final = Refusal("api_key_revoked", 401, "invalid_token", "The API key has been revoked.")

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def is_key_name(text: str) -> bool:
    """Say whether a key can be called so."""
    return _NAME.fullmatch(text) is not None


def read_api_key(values: Sequence[bytes], authorization: Sequence[bytes], query_string: bytes) -> str:
    """Return the key of a request that has `MCP-API-Key` headers; its shape is that of a bearer token.

    Args:
        values: of all `MCP-API-Key` headers, one at least.
        authorization: of all `Authorization` headers. Of two credentials none counts: whoever reads the request before
            or after might pick the other one.
        query_string: of the URL.

    Raises:
        TokenRefused: it stands in the wrong place, beside another, or has the wrong shape.
    """
    if query_string and bearer.names_a_credential(query_string):
        raise TokenRefused(bearer.IN_QUERY)
    if authorization or len(values) > 1:
        raise TokenRefused(CREDENTIALS_REPEATED)
    key = values[0].strip(b" \t").decode("latin-1")
    if not bearer.is_bearer_token(key):
        raise TokenRefused(bearer.MALFORMED)
    return key


def is_api_key(text: str) -> bool:
    """Say whether `text` can be a key of ours.

    Raises:
        TokenRefused: it begins like one and cannot be any; no look-up is worth making.
    """
    if looks_like(SecretKind.API_KEY, text):
        return True
    if text.startswith(SecretKind.API_KEY):
        raise TokenRefused(UNKNOWN)
    return False


def check_key(
    *,
    expires_at: int | None,
    revoked: bool,
    user_disabled: bool,
    audience: str,
    resource: str,
    any_loopback: bool,
    now: int,
) -> None:
    """Refuse a key that the store knows but that does not count here.

    Args:
        expires_at: seconds UTC; None for one that does not end by itself.
        revoked: whether it was revoked.
        user_disabled: whether it stands for a person who is disabled, or not there.
        audience: the endpoint that it was made for.
        resource: the endpoint that it is used at.
        any_loopback: whether the server answers to every loopback name, which then all name the same endpoint.
        now: seconds UTC.

    Raises:
        TokenRefused: it does not count.
    """
    if not (audience == resource or (any_loopback and names_same_endpoint(audience, resource))):
        raise TokenRefused(bearer.ANOTHER_RESOURCE)
    if revoked:
        raise TokenRefused(REVOKED)
    if user_disabled:
        raise TokenRefused(bearer.USER_DISABLED)
    if expires_at is not None and expires_at <= now:
        raise TokenRefused(EXPIRED)

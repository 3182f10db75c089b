"""Bearer tokens on their way in: where they may stand, whether they count, and how a refusal is told (RFC 6750).

A refusal names its status and error code by RFC 6750 section 3.1: no code when the request carried no credentials of a
kind we take, `invalid_request` (400) when it is malformed, `invalid_token` (401) when the token does not count,
`insufficient_scope` (403) when it counts for less than is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

from gatepost.late_dataclass import dataclass
from gatepost.tokens.opaque import SecretKind, looks_like

MAX_TOKEN_LENGTH = 2048
"""Characters. Ours have 49; the rest is room for signed tokens."""
MAX_EXTERNAL_LENGTH = 8192
"""Likewise where issuers elsewhere are trusted, which put every group of a person into a token."""

_B64TOKEN = re.compile(rb"[A-Za-z0-9._~+/-]+=*")  # RFC 6750 section 2.1
_OUR_PREFIX = re.compile(r"gp_[a-z]{2}_")
# RFC 6750 section 3 keeps quotes, backslashes and everything outside printable ASCII out of its attribute values,
# so nothing ever has to be escaped. It is also what keeps a line break from starting a header of its own.
_NOT_ALLOWED = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")

_TEXTS = ("iss", "sub", "aud", "client_id", "scope", "jti", "grant_id")
_TIMES = ("iat", "exp")
_CLOCKS_DIFFER = 60
"""Seconds by which the clocks of two replicas may differ."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One way in which a request is refused."""

    reason: str
    """The stable reason code, for the log."""
    status: int
    error: str | None
    """RFC 6750 section 3.1; None says nothing about the token, because there was none."""
    description: str
    """For the client's developer; never quotes what was sent."""


class TokenRefused(Exception):
    """The request may not pass as it is; `nonce` is one for the proof of the next."""

    def __init__(self, refusal: Refusal, *, nonce: str | None = None) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal
        self.nonce = nonce


MISSING = Refusal("token_missing", 401, None, "Send an access token: Authorization: Bearer TOKEN.")
SCHEME_UNSUPPORTED = Refusal(
    "authorization_scheme_unsupported", 401, None, "The Authorization header takes the scheme Bearer, or DPoP."
)
HEADER_REPEATED = Refusal(
    "authorization_header_repeated", 400, "invalid_request", "There are several Authorization headers; send one."
)
IN_QUERY = Refusal(
    "token_in_query", 400, "invalid_request", "Send the access token in the Authorization header, never in the URL."
)
MALFORMED = Refusal("token_malformed", 401, "invalid_token", "This is not the shape of an access token.")
WRONG_KIND = Refusal(
    "token_of_wrong_kind", 401, "invalid_token", "This is a secret of another kind; send the access token."
)
UNKNOWN = Refusal("token_unknown", 401, "invalid_token", "The access token is unknown or has expired.")
KEY_UNKNOWN = Refusal("token_key_unknown", 401, "invalid_token", "The access token is signed with an unknown key.")
SIGNATURE_INVALID = Refusal("token_signature_invalid", 401, "invalid_token", "The access token's signature is wrong.")
CLAIMS_INVALID = Refusal(
    "token_claims_invalid", 401, "invalid_token", "The access token lacks a claim, or one is wrong for this server."
)
EXPIRED = Refusal("token_expired", 401, "invalid_token", "The access token has expired.")
REVOKED = Refusal("grant_revoked", 401, "invalid_token", "The access token has been revoked.")
USER_DISABLED = Refusal("user_disabled", 401, "invalid_token", "The account behind the access token is disabled.")
USER_NOT_ALLOWED = Refusal(
    "user_not_allowed", 401, "invalid_token", "The account behind the access token may not enter any more."
)
ANOTHER_RESOURCE = Refusal(
    "token_of_another_resource", 401, "invalid_token", "The access token was issued for another resource."
)
ISSUER_UNAVAILABLE = Refusal(
    "issuer_unavailable",
    503,
    "temporarily_unavailable",
    "The keys of the token's issuer cannot be had now; try again later.",
)
VALIDATOR_FAILED = Refusal(
    "token_validator_failed", 503, "temporarily_unavailable", "The token cannot be checked now; try again later."
)
INSUFFICIENT_SCOPE = Refusal(
    "scope_insufficient", 403, "insufficient_scope", "The access token lacks a scope that this operation needs."
)

PROOF_INVALID = "dpop_proof_invalid"
"""The reason of a refusal whose description says what is wrong with a proof (RFC 9449 section 7.1)."""
PROOF_REPLAYED = Refusal(
    "dpop_proof_replayed",
    401,
    "invalid_dpop_proof",
    "This DPoP proof was used before; sign a new one for every request.",
)
NONCE_NEEDED = Refusal(
    "dpop_nonce_needed", 401, "use_dpop_nonce", "The DPoP proof needs the nonce of this answer's DPoP-Nonce header."
)
BOUND = Refusal(
    "token_bound", 401, "invalid_token", "The access token is bound to a key: send it with the scheme DPoP and a proof."
)
NOT_BOUND = Refusal(
    "token_not_bound",
    401,
    "invalid_token",
    "The access token is bound to no key; the scheme DPoP is for those that are.",
)
BINDING_REQUIRED = Refusal(
    "token_binding_required",
    401,
    "invalid_token",
    "This server takes access tokens that are bound to a key alone: ask for one with a DPoP proof.",
)
BOUND_TO_ANOTHER_KEY = Refusal(
    "token_bound_to_another_key", 401, "invalid_token", "The access token is bound to another key than the proof's."
)


def read_bearer_token(
    authorization: Sequence[bytes], query_string: bytes, *, longest: int = MAX_TOKEN_LENGTH, scheme: bytes = b"bearer"
) -> str:
    """Return the one access token of a request; its shape is right, and nothing else is known about it.

    `authorization` are the values of all `Authorization` headers; a token has at most `longest` characters; `scheme`
    is in lower case (RFC 9449 section 7.1 has the syntax of Bearer).

    Raises:
        TokenRefused: there is none, or it stands in the wrong place, or it has the wrong shape.
    """
    if query_string and names_a_credential(query_string):
        # Alone or beside a header: URLs end up in logs and histories (RFC 6750 section 5.3, RFC 9700 section 4.3.2).
        raise TokenRefused(IN_QUERY)
    if len(authorization) > 1:
        raise TokenRefused(HEADER_REPEATED)
    named, _, token = (authorization[0] if authorization else b"").strip(b" \t").partition(b" ")
    if not named:
        raise TokenRefused(MISSING)
    if named.lower() != scheme:
        raise TokenRefused(SCHEME_UNSUPPORTED)
    token = token.lstrip(b" ")
    if len(token) > longest or _B64TOKEN.fullmatch(token) is None:
        raise TokenRefused(MALFORMED)
    return token.decode("ascii")


def names_a_credential(query_string: bytes) -> bool:
    """Say whether a URL's query holds one: `access_token` (RFC 6750 section 2.3) or `mcp-api-key`, or a key of ours."""
    # Names are decoded one by one: an `&` that only decoding brings to light separates nothing.
    names = (parameter.partition(b"=")[0] for parameter in query_string.split(b"&") if b"=" in parameter)
    decoded = [unquote_to_bytes(name) for name in names]
    if b"access_token" in decoded or any(name.lower().replace(b"_", b"-") == b"mcp-api-key" for name in decoded):
        return True
    return SecretKind.API_KEY.value.encode() in unquote_to_bytes(query_string)


def is_bearer_token(text: str) -> bool:
    """Say whether `text` can be sent as a bearer token at all (RFC 6750 section 2.1)."""
    return len(text) <= MAX_TOKEN_LENGTH and text.isascii() and _B64TOKEN.fullmatch(text.encode("ascii")) is not None


def is_ours(token: str) -> bool:
    """Say whether a token looks like a secret of this server, of whatever kind."""
    return _OUR_PREFIX.match(token) is not None


def check_kind(token: str) -> None:
    """Refuse what cannot be one of our access tokens, before any look-up.

    Raises:
        TokenRefused: it is another of our secrets, such as a refresh token, or somebody else's token.
    """
    if looks_like(SecretKind.ACCESS_TOKEN, token):
        return
    is_other_kind = is_ours(token) and not token.startswith(SecretKind.ACCESS_TOKEN)
    raise TokenRefused(WRONG_KIND if is_other_kind else UNKNOWN)


def check_live(*, expires_at: int, revoked: bool, user_disabled: bool, audience: str, resource: str, now: int) -> None:
    """Refuse an access token that the store knows but that does not count here.

    It was issued for `audience` and is used at `resource` (RFC 8707 section 2, RFC 9068 section 4); times are seconds
    UTC.

    Raises:
        TokenRefused: it does not count.
    """
    if audience != resource:
        raise TokenRefused(ANOTHER_RESOURCE)
    if revoked:
        raise TokenRefused(REVOKED)
    if user_disabled:
        raise TokenRefused(USER_DISABLED)
    if expires_at <= now:
        raise TokenRefused(EXPIRED)


def check_claims(claims: Mapping[str, Any], *, issuer: str, resource: str, now: int) -> None:
    """Refuse a signed access token of ours that does not count at this resource now (RFC 9068 section 4, RFC 8725).

    All that this server puts into its tokens has to be there, each of the type it gives it. `aud` is one string:
    a token for several resources is never issued.

    Raises:
        TokenRefused: it does not count.
    """
    if not all(isinstance(claims.get(name), str) for name in _TEXTS):
        raise TokenRefused(CLAIMS_INVALID)
    if not all(type(claims.get(name)) is int for name in _TIMES):
        raise TokenRefused(CLAIMS_INVALID)
    # A token of the future was made by a clock that is not ours. All processes of one store agree to the second or so.
    if claims["iss"] != issuer or claims["iat"] > now + _CLOCKS_DIFFER or "nbf" in claims:
        raise TokenRefused(CLAIMS_INVALID)
    if claims["aud"] != resource:
        raise TokenRefused(ANOTHER_RESOURCE)
    if claims["exp"] <= now:
        raise TokenRefused(EXPIRED)


def bearer_challenge(
    *,
    resource_metadata: str | None,
    scopes: Iterable[str],
    error: str | None = None,
    error_description: str | None = None,
    algorithms: str | None = None,
) -> str:
    """Return a Bearer challenge, or one for DPoP, ready to be a header's value.

    Args:
        resource_metadata: The URL of the resource's metadata (RFC 9728 section 5.1): where a client's discovery starts.
            None when there is nothing to discover, because only an operator's key opens the resource.
        scopes: What an access token needs for this request, all of it, in the order shown; may be empty.
        error: `invalid_request`, `invalid_token` or `insufficient_scope`; None when the request carried no
            credentials, because then there is nothing wrong to report (RFC 6750 section 3.1).
        error_description: A sentence for the client's developer.
        algorithms: What proofs may be signed with, separated by blanks, in a DPoP challenge (RFC 9449 section 7.1);
            None makes a Bearer challenge.
    """
    attributes = {
        # A challenge needs an attribute (RFC 6750 section 3), and here there may be no other.
        "realm": "mcp" if resource_metadata is None else None,
        "error": error,
        "error_description": error_description,
        "resource_metadata": resource_metadata,
        "scope": " ".join(scopes),
        "algs": algorithms,
    }
    scheme = "Bearer " if algorithms is None else "DPoP "
    return scheme + ", ".join(f'{name}="{sanitised(value)}"' for name, value in attributes.items() if value)


def sanitised(value: str) -> str:
    """Return `value` with every character that RFC 6750 section 3 forbids in an attribute replaced by `?`."""
    return _NOT_ALLOWED.sub("?", value)

"""Redeeming an authorization code (RFC 6749 sections 4.1.3 and 10.5, RFC 7636 section 4.6, RFC 8707 section 2.2)."""

from __future__ import annotations

from gatepost.oauth.dpop import key_wrong
from gatepost.oauth.errors import InvalidGrant, InvalidTarget
from gatepost.oauth.pkce import verifier_matches
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import AuthorizationCode

MAX_FAILED_REDEMPTIONS = 5
"""Wrong code verifiers after which a code is dead. Each has 256 bits to guess; this bounds the noise, not the odds."""


def check_code(
    code: AuthorizationCode | None,
    *,
    client_id: str,
    redirect_uri: str | None,
    resource: str | None,
    code_verifier: str,
    now: int,
    dpop_jkt: str | None = None,
) -> AuthorizationCode:
    """Return the code if this request may redeem it.

    Two refusals ask the caller for more: `Reason.CODE_REPLAYED` for the revocation of the grant that the code created,
    `Reason.CODE_VERIFIER_WRONG` for counting the attempt. No other refusal changes anything; the code stays valid.

    `code` is what the store holds, spent or not; `client_id` has authenticated. What the token request does not name is
    None; `resource` is in its canonical spelling; `dpop_jkt` is the thumbprint of the key that it proves to hold.

    Raises:
        InvalidGrant: the code is unknown, expired, another client's, spent, or was issued for another redirect URI,
            code verifier or key.
        InvalidTarget: the code was issued for another resource.
    """
    if code is None or code.expires_at <= now:
        raise InvalidGrant(Reason.CODE_UNKNOWN, "The code is unknown or has expired; start the authorization again.")
    if code.client_id != client_id:
        raise InvalidGrant(Reason.CODE_OF_ANOTHER_CLIENT, "The code was issued to another client.")
    if code.grant_id is not None:
        # Somebody has a copy of the code, and it cannot be known who came first (RFC 6749 section 4.1.2).
        raise InvalidGrant(
            Reason.CODE_REPLAYED, "The code was used before; the tokens that it gave are revoked. Authorize again."
        )
    if code.failed_attempts >= MAX_FAILED_REDEMPTIONS:
        raise InvalidGrant(
            Reason.CODE_ATTEMPTS_EXHAUSTED, "Too many wrong code verifiers were sent for this code; authorize again."
        )
    _check_same(code, redirect_uri=redirect_uri, resource=resource, code_verifier=code_verifier)
    if code.dpop_jkt not in (None, dpop_jkt):
        # RFC 9449 section 10. A copy of code and verifier is of no use to whoever does not hold the key.
        raise key_wrong("The code is bound to the key of dpop_jkt; send a DPoP proof that is signed with it.")
    return code


def _check_same(code: AuthorizationCode, *, redirect_uri: str | None, resource: str | None, code_verifier: str) -> None:
    """Refuse what differs from the authorization request."""
    # RFC 6749 section 4.1.3: required if it was sent then, and identical. One that is sent now only has to be true.
    is_needed = code.redirect_uri_was_sent or redirect_uri is not None
    if is_needed and redirect_uri != code.redirect_uri:
        raise InvalidGrant(
            Reason.CODE_REDIRECT_URI_MISMATCH,
            "redirect_uri is missing or differs from the authorization request; send the same one, byte for byte.",
        )
    if resource is not None and resource != code.resource:
        raise InvalidTarget(
            Reason.CODE_RESOURCE_MISMATCH, "resource differs from the authorization request; send the same one."
        )
    if not verifier_matches(code_verifier, code.code_challenge):
        raise InvalidGrant(
            Reason.CODE_VERIFIER_WRONG, "code_verifier does not match the code_challenge of the authorization request."
        )

"""Proof Key for Code Exchange, S256 only (RFC 7636, RFC 9700 section 2.1.1)."""

from __future__ import annotations

import hashlib
import hmac
import re

from gatepost.oauth.errors import InvalidRequest
from gatepost.oauth.reasons import Reason
from gatepost.tokens.opaque import base64url

METHODS_SUPPORTED = ("S256",)
"""`plain` protects nothing that this server lets happen, and MCP clients must use S256 (RFC 7636 section 4.2)."""

# 32 bytes are 43 base64url characters, of which the last carries four bits: only sixteen characters can stand there.
# Anything else can never be the SHA-256 of a verifier, and is better refused here than after the user has logged in.
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 section 4.1


def check_challenge(challenge: str | None, method: str | None) -> str:
    """Return the code challenge if it is one that a verifier can answer.

    Args:
        challenge: the `code_challenge` parameter, None when absent.
        method: the `code_challenge_method` parameter; None when absent, which means `plain` (RFC 7636 section 4.3).

    Raises:
        InvalidRequest: it is absent, malformed, or not S256 (RFC 7636 section 4.4.1).
    """
    if challenge is None:
        raise InvalidRequest(
            Reason.CODE_CHALLENGE_MISSING, "code_challenge is missing; this server requires PKCE with S256 (RFC 7636)."
        )
    if method not in METHODS_SUPPORTED:
        raise InvalidRequest(
            Reason.CODE_CHALLENGE_METHOD_UNSUPPORTED,
            "code_challenge_method must be S256; without the parameter it means plain, which is not supported.",
        )
    if not _CHALLENGE.fullmatch(challenge):
        raise InvalidRequest(
            Reason.CODE_CHALLENGE_MALFORMED,
            "code_challenge is malformed; it must be the SHA-256 of the code verifier as base64url without padding "
            "(43 characters).",
        )
    return challenge


def verifier_matches(verifier: str, challenge: str) -> bool:
    """Say whether `verifier` is well formed and its SHA-256 is `challenge` (RFC 7636 sections 4.1 and 4.6)."""
    if not _VERIFIER.fullmatch(verifier):
        return False
    computed = base64url(hashlib.sha256(verifier.encode("ascii")).digest())
    return hmac.compare_digest(computed.encode("ascii"), challenge.encode("utf-8"))

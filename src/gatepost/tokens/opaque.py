"""Opaque secrets: a greppable prefix and 256 random bits (RFC 6749 section 10.10, RFC 6750 section 5.2).

Secret scanners can find a leaked Gatepost token by its prefix, and a refresh token sent where an access token belongs
is told apart before any look-up.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from enum import StrEnum

RandomBytes = Callable[[int], bytes]
"""Gives that many random bytes; `secrets.token_bytes` outside of tests."""

_RANDOM_BYTES = 32  # 256 bits; RFC 6749 section 10.10 asks for at most 2^-128 (should: 2^-160) of being guessed
_SHAPE = re.compile(r"gp_[a-z]{2}_[A-Za-z0-9_-]{43}")


class SecretKind(StrEnum):
    """What a secret is for; the value is its prefix."""

    ACCESS_TOKEN = "gp_at_"
    REFRESH_TOKEN = "gp_rt_"
    AUTHORIZATION_CODE = "gp_ac_"
    DEVICE_CODE = "gp_dc_"
    REQUEST_REFERENCE = "gp_ar_"
    BROWSER_SESSION = "gp_bs_"
    SETUP_LINK = "gp_su_"
    ACCOUNT_LINK = "gp_al_"
    LOGIN_STATE = "gp_ls_"
    CLIENT_SECRET = "gp_cs_"
    REGISTRATION_ACCESS_TOKEN = "gp_ra_"
    MCP_SESSION = "gp_ms_"
    TASK = "gp_tk_"
    SEALING_KEY = "gp_sk_"
    API_KEY = "gp_ak_"


def mint(kind: SecretKind, random_bytes: RandomBytes) -> str:
    """Return a new secret of this kind: its prefix and 43 base64url characters (256 bits)."""
    return kind.value + base64url(random_bytes(_RANDOM_BYTES))


def identifier(prefix: str, random_bytes: RandomBytes) -> str:
    """Return a new public identifier, such as a `client_id`: the prefix and 22 base64url characters (128 bits)."""
    return prefix + base64url(random_bytes(16))


def looks_like(kind: SecretKind, text: str) -> bool:
    """Say whether `text` has the exact shape of a secret of this kind; no look-up is worth making if it has not."""
    return text.startswith(kind) and _SHAPE.fullmatch(text) is not None


def fingerprint(secret: str) -> bytes:
    """Return the SHA-256 (32 bytes) under which a store keeps `secret`.

    A plain hash is enough for a 256-bit random secret; passwords, which people choose, go through argon2id instead.
    """
    return hashlib.sha256(secret.encode()).digest()


def token_fingerprint(token: str, *, is_bound: bool) -> bytes:
    """Return the SHA-256 under which a store keeps an access or refresh token, which is bound to a key or is not.

    The two differ, so whoever looks for bearer tokens never finds one that is bound, not even by mistake: a server of a
    version before there were any, over the same store, refuses it in place of taking it from whoever has it (RFC 9449
    section 7.2).
    """
    return fingerprint(f"dpop {token}") if is_bound else fingerprint(token)


def matches(secret: str | None, kept: bytes | None) -> bool:
    """Say whether `kept` is the fingerprint of `secret`; nothing matches where either is missing."""
    # Both sides are SHA-256, which leaves little to time; it costs nothing to leave nothing.
    return secret is not None and kept is not None and hmac.compare_digest(fingerprint(secret), kept)


def base64url(data: bytes) -> str:
    """Return `data` as base64url without padding (RFC 4648 section 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")

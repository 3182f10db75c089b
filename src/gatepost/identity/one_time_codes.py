"""One-time codes: those of an authenticator app (RFC 6238 over RFC 4226, as every app knows it), and recovery codes.

Both are digits alone, so that one field with one keyboard takes either, on a phone too. pyotp is imported at first use.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import unicodedata
from typing import TYPE_CHECKING, Final

from gatepost.tokens.opaque import RandomBytes

if TYPE_CHECKING:
    from pyotp import TOTP

SECRET_BYTES: Final = 20  # RFC 4226 section 4, R6: 160 bits
CODE_DIGITS: Final = 6
TIME_STEP: Final = 30
"""Seconds (RFC 6238 section 5.2)."""
DRIFT: Final = 1
"""Time steps before and after the present one whose codes count: clocks differ, and typing takes time."""

RECOVERY_CODES: Final = 10
RECOVERY_DIGITS: Final = 24  # 79.7 bits: too many to guess, and for SHA-256 to be enough for what is kept
_GROUP: Final = 4
_LONGEST: Final = 100
_SEPARATORS: Final = {"Zs", "Pd"}


def typed_digits(typed: str) -> str:
    """Return the digits that somebody typed, of whichever script, without spaces and dashes; "" for anything else."""
    if len(typed) > _LONGEST:
        return ""
    kept = [character for character in typed.strip() if unicodedata.category(character) not in _SEPARATORS]
    values = [unicodedata.decimal(character, -1) for character in kept]
    return "" if -1 in values else "".join(map(str, values))


def matching_time_step(secret: bytes, digits: str, *, now: int, after: int) -> int | None:
    """Return the first time step later than `after`, and near enough to `now`, whose code this is.

    Args:
        secret: 20 bytes.
        digits: of `typed_digits`.
        now: seconds UTC.
        after: the time step of the last code that counted (RFC 6238 section 5.2: none counts twice).
    """
    if len(digits) != CODE_DIGITS:
        return None
    codes, present = _totp(secret), now // TIME_STEP
    near = range(present - DRIFT, present + DRIFT + 1)
    # Each is compared whatever the others come to: how long it takes tells nothing about which.
    matching = [step for step in near if hmac.compare_digest(codes.generate_otp(step).encode(), digits.encode())]
    return next((step for step in matching if step > after), None)


def key_uri(secret: bytes, *, account: str, server_name: str) -> str:
    """Return the `otpauth:` URI with which an authenticator app takes the secret, as a QR code or by a link."""
    # A colon would end the name of the server (Key Uri Format).
    return _totp(secret).provisioning_uri(name=account, issuer_name=server_name.replace(":", " "))


def secret_groups(secret: bytes) -> str:
    """Return the secret in the form in which it is typed into an app: base32 in groups of four."""
    return _in_groups(base64.b32encode(secret).decode())


def new_recovery_codes(random_bytes: RandomBytes) -> tuple[str, ...]:
    """Return ten new recovery codes as people read them: 24 digits in groups of four."""
    # 128 bits modulo 10^24: the difference between the likeliest and the rarest code is 2^-48 of either.
    numbers = (int.from_bytes(random_bytes(16), "big") % 10**RECOVERY_DIGITS for _ in range(RECOVERY_CODES))
    return tuple(_in_groups(f"{number:0{RECOVERY_DIGITS}}") for number in numbers)


def recovery_fingerprint(step_id: str, code: str) -> bytes | None:
    """Return the SHA-256 under which a recovery code of one second step is kept; None for what can be none."""
    digits = typed_digits(code)
    return hashlib.sha256(f"{step_id} {digits}".encode()).digest() if len(digits) == RECOVERY_DIGITS else None


def _in_groups(text: str) -> str:
    return " ".join(text[start : start + _GROUP] for start in range(0, len(text), _GROUP))


def _totp(secret: bytes) -> TOTP:
    from pyotp import TOTP  # noqa: PLC0415 - only for people who have a second step

    return TOTP(base64.b32encode(secret).decode(), digits=CODE_DIGITS, interval=TIME_STEP)

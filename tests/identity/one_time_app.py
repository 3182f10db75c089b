"""What an authenticator app does, from RFC 6238 and RFC 4226 alone, so that a test shares no line with the server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct


class App:
    """An authenticator app with one account.

    Args:
        key: as a person types it: base32, in groups or not.
    """

    def __init__(self, key: str) -> None:
        self.secret = base64.b32decode(key.replace(" ", "").upper())

    def code(self, now: int) -> str:
        """Return what it shows at this time, seconds UTC."""
        digest = hmac.digest(self.secret, struct.pack(">Q", now // 30), hashlib.sha1)
        start = digest[-1] & 15
        (number,) = struct.unpack(">I", digest[start : start + 4])
        return f"{(number & 0x7FFFFFFF) % 1_000_000:06}"

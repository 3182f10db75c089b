"""Header values that mirror the body (2026-07-28 basic/transports/streamable-http, "Value Encoding")."""

from __future__ import annotations

import base64
import binascii
import re

_PREFIX = "=?base64?"
_SUFFIX = "?="
_WHITE_SPACE = b" \t"
_PLAIN = re.compile(r"[\t\x20-\x7e]*")  # RFC 9110 section 5.5, without the obsolete rest


def plain_header_value(raw: bytes) -> str | None:
    """Return a header value as text, or None when it holds more than visible ASCII, space and tab.

    White space around a value is not part of it (RFC 9110 section 5.5).
    """
    try:
        value = raw.strip(_WHITE_SPACE).decode("ascii")
    except UnicodeDecodeError:
        return None
    return value if _PLAIN.fullmatch(value) else None


def decode_header_value(raw: bytes) -> str | None:
    """Return what the value of `Mcp-Name` or `Mcp-Param-*` stands for, or None when it is malformed.

    These two may be written `=?base64?...?=`. Base64 has one spelling per value here: a second one for the same bytes
    would let two headers that look different mean the same.
    """
    value = plain_header_value(raw)
    if value is None or not (value.startswith(_PREFIX) and value.endswith(_SUFFIX, len(_PREFIX))):
        return value
    encoded = value[len(_PREFIX) : -len(_SUFFIX)]
    try:
        decoded = base64.b64decode(encoded, validate=True)
        text = decoded.decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return text if base64.b64encode(decoded).decode() == encoded else None

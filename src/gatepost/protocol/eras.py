"""Eras: which one a request belongs to (2026-07-28 basic/versioning, "Backward Compatibility").

    version in `_meta`   MCP-Protocol-Version   method       era
    modern or unknown    any                    any          modern
    handshake            modern                 any          modern, where it is refused: the two disagree
    none or handshake    any                    initialize   handshake; the header is not looked at
    none                 modern                 other        modern, where it is refused: metadata is missing
    none or handshake    other or none          other        handshake

The header does not count for `initialize`, because that is what agrees on a version; clients that fall back to a
handshake may well send the version of their first try along.
"""

from __future__ import annotations

from collections.abc import Mapping

from gatepost.protocol import handshake
from gatepost.protocol.header_values import plain_header_value
from gatepost.protocol.messages import Request
from gatepost.protocol.modern import PROTOCOL_VERSION
from gatepost.protocol.versions import HANDSHAKE, MODERN, SUPPORTED, Revision

# What nearly every header says, so that it need not be decoded.
_KNOWN_HEADERS: Mapping[bytes, str] = {version.encode(): version for version in SUPPORTED}


def version_in_header(version_header: bytes | None) -> str | None:
    """Return the version that an `MCP-Protocol-Version` header names, None when there is none.

    A malformed header names the empty version, which nobody speaks.
    """
    if version_header is None:
        return None
    return _KNOWN_HEADERS.get(version_header) or plain_header_value(version_header) or ""


def is_modern(request: Request, header_version: str | None) -> bool:
    """Say whether `request`, with what `version_in_header` gives, is of the modern era: for `modern.check_request`."""
    names_modern = header_version in MODERN
    if names_modern and request.method != "initialize":
        return True
    meta = request.params.get("_meta")
    version = meta.get(PROTOCOL_VERSION) if type(meta) is dict else None
    return version is not None and (names_modern or type(version) is not str or version not in HANDSHAKE)


def revision_of_one_way(header_version: str | None) -> Revision:
    """Return the revision that a notification or a response is in, given what `version_in_header` gives.

    The modern era asks for no metadata on notifications (basic/transports/streamable-http, "Sending Messages"), so the
    header decides alone. Raises UnsupportedProtocolVersion for one that names a revision that is not spoken here.
    """
    if header_version is not None and header_version in MODERN:
        return MODERN[header_version]
    return handshake.revision_in_header(header_version)

"""JSON responses, and the headers of what nobody may keep (RFC 6749 section 5.1, RFC 9111 section 5.2.2.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from gatepost.protocol.json_encoding import encode

NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache", "X-Content-Type-Options": "nosniff"}


def json_response(body: Any, status: int = 200, headers: Mapping[str, str] = NO_STORE) -> Response:
    """Return a JSON response."""
    return Response(encode(body), status, headers, "application/json")

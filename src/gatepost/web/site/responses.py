"""JSON responses, and the headers of what nobody may keep (RFC 6749 section 5.1, RFC 9111 section 5.2.2.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from gatepost.protocol.json_encoding import encode
from gatepost.web.site.plain_answers import NO_STORE, NoStoreJson


def json_response(body: Any, status: int = 200, headers: Mapping[str, str] = NO_STORE) -> Response:
    """Return a JSON response."""
    if status == NoStoreJson.status_code and headers is NO_STORE:
        return NoStoreJson(encode(body))
    return Response(encode(body), status, headers, "application/json")

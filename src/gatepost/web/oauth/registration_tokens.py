"""The bearer tokens around registration: the operator's initial one, and each client's own (RFC 7591, RFC 7592)."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gatepost.oauth.errors import InvalidToken
from gatepost.web.site.errors import log_refusal, oauth_error_response

_PARTS: Final = 2
_LONGEST: Final = 2048


def bearer_token(request: Request) -> str | None:
    """Return the one bearer token of a request, None when there is none, or several, or something else."""
    headers = request.headers.getlist("authorization")
    parts = headers[0].split() if len(headers) == 1 else []
    if len(parts) != _PARTS or parts[0].lower() != "bearer" or len(parts[1]) > _LONGEST:
        return None
    return parts[1]


def token_refused(request: Request, refusal: InvalidToken) -> Response:
    """Return the 401 with its challenge (RFC 6750 section 3), and log it."""
    log_refusal(request, error=refusal.error, reason=refusal.reason)
    # Without credentials there is no error to report (RFC 6750 section 3.1).
    error = f', error="{refusal.error}"' if "authorization" in request.headers else ""
    return oauth_error_response(refusal, headers={"WWW-Authenticate": f'Bearer realm="registration"{error}'})

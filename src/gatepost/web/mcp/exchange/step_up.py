"""The answer to an operation that needs more than was granted: 403, or 401 to somebody without a token.

MCP basic/authorization, "Scope Challenge Handling"; RFC 6750 section 3.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.types import Scope

from gatepost.oauth.reasons import Reason
from gatepost.protocol.errors import InvalidJsonRpcRequest, RequestId
from gatepost.protocol.messages import error_response
from gatepost.web.mcp.exchange.answers import Answer, challenge_headers, log_refusal
from gatepost.web.resource.bearer_guard import BearerGuard
from gatepost.web.resource.bound_tokens import came_bound
from gatepost.web.resource.outer_authentication import UNKNOWN_CALLER

_SCOPES_NOT_GRANTED: Final = (
    "This needs a scope that was not granted. The server checks no tokens (MCP_REQUIRE_AUTH is false), so scopes come "
    "from an application around it, or from nobody: then set MCP_IGNORE_SCOPES=true to serve it to everybody."
)


def step_up(
    guard: BearerGuard | None,
    scopes: frozenset[str],
    request_id: RequestId | None,
    address: Callable[[], str],
    *,
    scope: Scope,
) -> Answer:
    """Return the answer, with a challenge that names every scope the operation needs.

    Args:
        guard: verifies tokens; None where nobody grants scopes, or an application around this one does.
        scopes: what to ask for.
        request_id: of the message; None where it has none.
        address: says from where the request comes.
        scope: the ASGI scope, which says whether the caller has shown a token, and by which scheme.
    """
    needed = scopes if guard is None else scopes | guard.required_scopes
    if guard is not None and UNKNOWN_CALLER in scope:
        refused = guard.without_token(needed)
        log_refusal(refused.reason, refused.status, address)
        error = InvalidJsonRpcRequest("This needs an access token.", data={"scope": " ".join(sorted(needed))})
        return refused.status, error_response(error, request_id), challenge_headers(refused)
    log_refusal(Reason.SCOPE_INSUFFICIENT, 403, address)
    error = InvalidJsonRpcRequest(
        _SCOPES_NOT_GRANTED if guard is None else "The access token lacks a scope that this operation needs.",
        data={"error": "insufficient_scope", "scope": " ".join(sorted(needed))},
    )
    challenge = () if guard is None else challenge_headers(guard.insufficient_scope(needed, is_bound=came_bound(scope)))
    return 403, error_response(error, request_id), challenge

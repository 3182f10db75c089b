"""Who calls, for code that no `Context` reaches."""

from __future__ import annotations

import secrets
from typing import cast

from gatepost.resource.principal import Principal
from gatepost.server.calls.callers import ANONYMOUS
from gatepost.telemetry.request_ids import CURRENT_REQUEST, UNASKED, RandomRequestIds


def set_current_subject(principal: Principal | None) -> None:
    """Make `get_current_sub()` answer for this request.

    The MCP endpoint sets the whole of `CURRENT_REQUEST` itself, once for each request and also when there is no
    principal, so that a task that serves several requests never shows one caller to the next.
    """
    ids, state, _ = CURRENT_REQUEST.get() or (RandomRequestIds(secrets.token_bytes), {}, None)
    CURRENT_REQUEST.set((ids, state, principal))


def get_current_sub() -> str:
    """Return the subject of the caller whose request is being served; `"anonymous"` without authentication.

    For code that no `Context` reaches, a library underneath a tool for instance. Tools themselves had better take a
    `Context`. Raises LookupError: no request is being served here.
    """
    current = CURRENT_REQUEST.get()
    if current is None or current[2] is UNASKED:
        raise LookupError("get_current_sub() works only while a request is being served")
    return ANONYMOUS if current[2] is None else cast("Principal", current[2]).subject

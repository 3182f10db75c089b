"""The trace context of a call, for requests that a tool sends on (W3C Trace Context section 3.2)."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any, Final

_TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_MEMBER: Final = re.compile(r"[a-z0-9][a-z0-9_*/@-]{0,255}=[!-+\--<>-~ ]{0,255}[!-+\--<>-~]")
_MOST_MEMBERS: Final = 32
"""Of a `tracestate`, blank ones included (section 3.3.1)."""
_LONGEST_TRACESTATE: Final = 512
_BAGGAGE: Final = re.compile(r"[!-~ \t]{1,8192}")
"""W3C Baggage section 3.3.2 has the limit."""


def well_formed(sent: Mapping[str, object]) -> dict[str, str]:
    """Return what of a `traceparent`, `tracestate` and `baggage` is as the specifications have it; strangers send them.

    Without the first the second means nothing.
    """
    found = {name: value for name, value in sent.items() if isinstance(value, str)}
    parent, state, baggage = found.get("traceparent", ""), found.get("tracestate", ""), found.get("baggage", "")
    kept: dict[str, str] = {}
    if _TRACEPARENT.fullmatch(parent):
        kept["traceparent"] = parent
        if state and len(state) <= _LONGEST_TRACESTATE and _is_tracestate(state):
            kept["tracestate"] = state
    if _BAGGAGE.fullmatch(baggage):
        # No member has a blank in it (section 3.3.1), and what reads them takes long over many in a row.
        kept["baggage"] = " ".join(baggage.split())
    return kept


def _is_tracestate(state: str) -> bool:
    # Each member by itself: one pattern for the list would try every way to share out the blanks between them.
    members = [member.strip(" \t") for member in state.split(",", _MOST_MEMBERS)]
    return len(members) <= _MOST_MEMBERS and all(not member or _MEMBER.fullmatch(member) for member in members)


def traceparent_of(params: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> str | None:
    """Return the `traceparent` of the current span, else the one that the client sent; None where there is none.

    Args:
        params: of the request; its `_meta` may have one (MCP 2026-07-28 basic, "OpenTelemetry trace context").
        headers: of the HTTP request, names in lower case; they may have one, too.
    """
    # Whoever traces has imported it.
    trace: Any = sys.modules.get("opentelemetry.trace")
    if trace is not None:
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
    meta = params.get("_meta")
    said = meta.get("traceparent") if type(meta) is dict else None
    if isinstance(said, str) and _TRACEPARENT.fullmatch(said):
        return said
    sent = headers.get(b"traceparent", b"").decode("latin-1")
    return sent if _TRACEPARENT.fullmatch(sent) else None

"""The audit trail, with the filters of `gatepost audit`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from gatepost.oauth.audit import AuditEvent, AuditQuery, AuditRecord, Outcome
from gatepost.observability.moments import read_moment
from gatepost.web.pages.admin.listing import PAGE, cut, path
from gatepost.web.pages.admin.table import AUDIT, CLIENT, PERSON, AdminPages
from gatepost.web.pages.pending_request import query
from gatepost.wording.phrase import Phrase

_TEXTS: Final = ("event", "outcome", "subject", "client_id", "address", "actor")
_MOMENTS: Final = ("since", "until")


async def show_trail(admin: AdminPages, request: Request) -> Response:
    """Show the events that the filters let through, the newest first."""
    # 1. An administrator looks.
    visit = await admin.visit(request)
    if isinstance(visit, Response):
        return visit

    # 2. One page, unless a time cannot be one.
    parameters = query(request)
    typed = {name: parameters.get(name, "").strip() for name in (*_TEXTS, *_MOMENTS)}
    after = parameters.get("after")
    asked, wrong = _asked(typed, now=admin.completion.now())
    # What has been noted in this process is written within a second.
    records = [] if wrong else await admin.store.audit.list_events(asked, before=after, limit=PAGE + 1)
    events, has_more = cut(records)
    return admin.render(
        visit,
        "admin_audit.html",
        status=422 if wrong else 200,
        problem=Phrase("A time is a date, a date and time, or a stretch of time such as 24h.") if wrong else None,
        wrong=wrong,
        typed=typed,
        kinds=[event.value for event in AuditEvent],
        outcomes=[outcome.value for outcome in Outcome],
        events=[_row(event) for event in events],
        next_path=path(AUDIT, **typed, after=events[-1].event_id) if has_more else None,
        first_path=None if after is None else path(AUDIT, **typed),
        all_path=path(AUDIT) if any(typed.values()) else None,
        audit_path=AUDIT,
    )


def _asked(typed: Mapping[str, str], *, now: int) -> tuple[AuditQuery, list[str]]:
    """Return what is asked for, and which times cannot be read."""
    moments: dict[str, int] = {}
    wrong: list[str] = []
    for name in _MOMENTS:
        try:
            if typed[name]:
                moments[name] = max(read_moment(typed[name], now=now), 0)
        except ValueError:
            wrong.append(name)
    texts = {name: typed[name] or None for name in _TEXTS}
    return AuditQuery(since=moments.get("since", 0), until=moments.get("until"), **texts), wrong


def _row(record: AuditRecord) -> dict[str, Any]:
    return {
        "at": datetime.fromtimestamp(record.at, UTC).strftime("%Y-%m-%d %H:%M:%S"),
        "event": record.event.value,
        "is_refused": record.outcome is Outcome.REFUSED,
        "reason": record.reason,
        "subject": record.subject,
        "subject_path": record.subject and path(PERSON, subject=record.subject),
        "client_id": record.client_id,
        "client_path": record.client_id and path(CLIENT, client_id=record.client_id),
        "address": record.address,
        "grant_id": record.grant_id,
        "actor": record.actor,
        "actor_path": record.actor and path(PERSON, subject=record.actor),
    }

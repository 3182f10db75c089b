"""Grants, of everybody, of one person or of one app, and taking them back."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.display_text import display_text
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.approvals import GrantListing
from gatepost.web.pages.admin.listing import PAGE, cut, path, place_of
from gatepost.web.pages.admin.table import CLIENT, GRANTS, PERSON, AdminPages, Visit
from gatepost.web.pages.pending_request import query
from gatepost.web.pages.times import day

_AT_ONCE: Final = 200
"""Grants that one form ends; where there are more, the page shows the rest, with the same button."""


async def show_grants(admin: AdminPages, request: Request) -> Response:
    """Show what still gives access, the newest first."""
    # 1. An administrator looks.
    visit = await admin.visit(request)
    if isinstance(visit, Response):
        return visit

    # 2. One page.
    parameters = query(request)
    subject, client_id = parameters.get("subject"), parameters.get("client_id")
    before, now = place_of(parameters.get("after", "")), admin.completion.now()
    listed = await admin.store.approvals.list_grants(
        live_at=now, subject=subject, client_id=client_id, limit=PAGE + 1, before=before
    )
    grants, has_more = cut(listed)
    last = grants[-1].grant if grants else None
    after = None if last is None else f"{last.created_at}.{last.grant_id}"
    person = None if subject is None else await admin.store.users.find_user_by_subject(subject)
    return admin.render(
        visit,
        "admin_grants.html",
        grants=[_row(one) for one in grants],
        subject=subject,
        client_id=client_id,
        of_whom=None if subject is None else (display_text(person.name) if person is not None else subject),
        next_path=path(GRANTS, subject=subject, client_id=client_id, after=after) if has_more else None,
        first_path=None if before is None else path(GRANTS, subject=subject, client_id=client_id),
        all_path=path(GRANTS),
        grants_path=GRANTS,
    )


async def revoke(admin: AdminPages, request: Request) -> Response:
    """Revoke one grant, or all of a person or an app."""
    # 1. The form is our own page's and an administrator's.
    submitted = await admin.submitted(request)
    if isinstance(submitted, Response):
        return submitted
    visit, form = submitted
    subject, client_id, named = form.get("subject"), form.get("client_id"), form.get("grant", "")

    # 2. End what is named; what has ended already is fine. All of everybody is an operator's command.
    if named != "all":
        grant_id, _, owner = named.partition(" ")
        await _end(admin, visit, owner, grant_id)
    elif client_id is not None:
        await _revoke_all(admin, visit, subject=subject, client_id=client_id)
    elif subject is not None:
        # With it goes what apps are about to get, and what is remembered: whoever it is, is asked again.
        await _end(admin, visit, subject, None)
    return admin.redirect(path(GRANTS, subject=subject, client_id=client_id))


async def _revoke_all(admin: AdminPages, visit: Visit, *, subject: str | None, client_id: str) -> None:
    listed = await admin.store.approvals.list_grants(
        live_at=admin.completion.now(), subject=subject, client_id=client_id, limit=_AT_ONCE
    )
    for listing in listed:
        await _end(admin, visit, listing.grant.subject, listing.grant.grant_id)


async def _end(admin: AdminPages, visit: Visit, subject: str, grant_id: str | None) -> None:
    """End a grant, if it is this subject's and has not ended; or all of theirs."""
    reason = Reason.OPERATOR_REVOKED
    ended = await admin.store_of(visit).approvals.take_back(
        subject, grant_id=grant_id, reason=reason.value, now=admin.completion.now()
    )
    admin.on_revocation()
    for grant in ended:
        await admin.record(
            visit,
            AuditEvent.REVOCATION,
            reason=reason,
            subject=grant.subject,
            client_id=grant.client_id,
            grant_id=grant.grant_id,
        )


def _row(listing: GrantListing) -> dict[str, Any]:
    grant = listing.grant
    return {
        "grant_id": grant.grant_id,
        "person": display_text(listing.display_name or ""),
        "subject": grant.subject,
        "person_path": None if listing.display_name is None else path(PERSON, subject=grant.subject),
        "client": display_text(listing.client_name or "") or grant.client_id,
        "client_path": path(CLIENT, client_id=grant.client_id),
        "resource": grant.resource,
        "scopes": " ".join(grant.scopes),
        "created": day(grant.created_at),
        "ends": day(grant.expires_at),
    }

"""Invitations."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gatepost.identity.usernames import UsernameRefused
from gatepost.oauth.audit import AuditEvent
from gatepost.web.pages.admin.people import people_page
from gatepost.web.pages.admin.shown_once import show_link_once
from gatepost.web.pages.admin.table import PEOPLE, AdminPages
from gatepost.wording.phrase import Phrase, words_of


async def invite(admin: AdminPages, request: Request) -> Response:
    """Make an invitation, and go on to where it is shown."""
    # 1. The form is our own page's and an administrator's.
    submitted = await admin.submitted(request)
    if isinstance(submitted, Response):
        return submitted
    visit, form = submitted
    username = form.get("username")

    # 2. Make it, unless nobody can be called that, or somebody is.
    if not admin.has_accounts:
        return admin.redirect(PEOPLE)
    try:
        link = await admin.links_of(visit).invite(username)
    except UsernameRefused as refused:
        return await people_page(admin, visit, problem=words_of(refused), typed=username or "")
    if link is None:
        problem = Phrase("There is an account of that name already. Open it to offer its person a new password.")
        return await people_page(admin, visit, problem=problem, typed=username or "")
    await admin.record(visit, AuditEvent.USER_INVITED)
    return await show_link_once(admin, visit, link, for_whom=username or "", is_invitation=True)

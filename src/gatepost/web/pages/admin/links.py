"""Invitations and password links, each shown once to the administrator who asked for it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gatepost.identity.usernames import UsernameRefused
from gatepost.oauth.audit import AuditEvent
from gatepost.web.pages.admin.listing import path
from gatepost.web.pages.admin.people import people_page
from gatepost.web.pages.admin.table import LINK, PEOPLE, AdminPages, Visit
from gatepost.web.pages.login_completion import BrowserLogin
from gatepost.web.pages.pending_request import query
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
    return await shown_once(admin, visit, link, for_whom=username or "", is_invitation=True)


async def shown_once(admin: AdminPages, visit: Visit, link: str, *, for_whom: str, is_invitation: bool) -> Response:
    """Return the redirect to the page that shows a link once, to this browser; until then it is kept sealed."""
    kept = {"link": link, "for_whom": for_whom, "kind": "invitation" if is_invitation else "password"}
    state = await BrowserLogin(admin.completion, visit.request, visit.session, LINK).begin(kept)
    return admin.redirect(path(LINK, shown=state))


async def show_link(admin: AdminPages, request: Request) -> Response:
    """Show the link, or that it has been shown."""
    visit = await admin.visit(request)
    if isinstance(visit, Response):
        return visit
    kept = await BrowserLogin(admin.completion, request, visit.session, LINK).take(query(request).get("shown"))
    return admin.render(
        visit,
        "admin_link.html",
        link=None if kept is None else kept["link"],
        for_whom="" if kept is None else kept["for_whom"],
        is_invitation=kept is not None and kept["kind"] == "invitation",
        people_path=PEOPLE,
    )

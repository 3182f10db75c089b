"""What is shown once: links for one person, API keys, secrets of clients.

From the form that made it, it goes to its page as a pending login does: sealed, for this browser, under a state of one
use. So it stands in no URL, and there is nothing to see when the page is loaded again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gatepost.web.pages.admin.listing import path
from gatepost.web.pages.admin.table import API_KEYS, CLIENT, CLIENTS, LINK, PEOPLE, SECRET, AdminPages, Visit
from gatepost.web.pages.login_completion import BrowserLogin
from gatepost.web.pages.pending_request import query


async def show_link_once(admin: AdminPages, visit: Visit, link: str, *, for_whom: str, is_invitation: bool) -> Response:
    """Return the redirect to the page that shows a link."""
    kind = "invitation" if is_invitation else "password"
    return await _kept(admin, visit, LINK, {"link": link, "for_whom": for_whom, "kind": kind})


async def show_key_once(admin: AdminPages, visit: Visit, secret: str, *, name: str) -> Response:
    """Return the redirect to the page that shows an API key."""
    return await _kept(admin, visit, SECRET, {"kind": "key", "secret": secret, "name": name})


async def show_client_secret_once(admin: AdminPages, visit: Visit, secret: str, *, client_id: str) -> Response:
    """Return the redirect to the page that shows a client's secret."""
    return await _kept(admin, visit, SECRET, {"kind": "client", "secret": secret, "name": client_id})


async def show_link(admin: AdminPages, request: Request) -> Response:
    """Show the link, or that it has been shown."""
    visit = await admin.visit(request)
    if isinstance(visit, Response):
        return visit
    kept = await _taken(admin, visit, LINK)
    return admin.render(
        visit,
        "admin_link.html",
        link=kept.get("link"),
        for_whom=kept.get("for_whom", ""),
        is_invitation=kept.get("kind") == "invitation",
        people_path=PEOPLE,
    )


async def show_secret(admin: AdminPages, request: Request) -> Response:
    """Show the secret, or that it has been shown."""
    visit = await admin.visit(request)
    if isinstance(visit, Response):
        return visit
    kept = await _taken(admin, visit, SECRET)
    is_key, name = kept.get("kind") == "key", kept.get("name", "")
    return admin.render(
        visit,
        "admin_secret.html",
        secret=kept.get("secret"),
        is_key=is_key,
        name=name,
        client_path=path(CLIENT, client_id=name) if name and not is_key else None,
        keys_path=API_KEYS,
        clients_path=CLIENTS,
    )


async def _kept(admin: AdminPages, visit: Visit, page: str, shown: Mapping[str, str]) -> Response:
    state = await BrowserLogin(admin.completion, visit.request, visit.session, page).begin(shown)
    return admin.redirect(path(page, shown=state))


async def _taken(admin: AdminPages, visit: Visit, page: str) -> Mapping[str, Any]:
    taken = BrowserLogin(admin.completion, visit.request, visit.session, page)
    return await taken.take(query(visit.request).get("shown")) or {}

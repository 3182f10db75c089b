"""Apps: the list, one of them, and shutting it out or letting it in."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.display_text import display_text
from gatepost.oauth.operator_clients import placeholder_of
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client, ClientOrigin
from gatepost.observability.audit_trail import last_use_of_client
from gatepost.web.pages.admin.listing import PAGE, cut, path, unknown
from gatepost.web.pages.admin.table import AUDIT, CLIENT, CLIENTS, GRANTS, AdminPages
from gatepost.web.pages.pending_request import query
from gatepost.web.pages.rendering import Link, PageRefusal
from gatepost.web.pages.times import day
from gatepost.wording.phrase import Phrase

_LONGEST_SEARCH: Final = 200
_ORIGINS: Final = {
    ClientOrigin.DYNAMIC: Phrase("registered itself"),
    ClientOrigin.PREREGISTERED: Phrase("registered by an operator"),
    ClientOrigin.SETTINGS: Phrase("named in the settings"),
    ClientOrigin.DOCUMENT: Phrase("known by its document"),
}


async def show_clients(admin: AdminPages, request: Request) -> Response:
    """Show the list."""
    # 1. An administrator looks.
    visit = await admin.visit(request)
    if isinstance(visit, Response):
        return visit

    # 2. One page: the one with this identifier, or those whose name begins like that.
    parameters = query(request)
    search, clients = parameters.get("search", "")[:_LONGEST_SEARCH], admin.store.clients
    last = await clients.find_client(parameters["after"]) if "after" in parameters else None
    found = await _find(admin, search) if search else None
    rows = (
        [found]
        if found is not None
        else await admin.store.administration.list_clients(
            name_begins=search, after=None if last is None else (last.client_name, last.client_id), limit=PAGE + 1
        )
    )
    shown, has_more = cut(rows)
    return admin.render(
        visit,
        "admin_clients.html",
        clients=[_row(client) for client in shown],
        search=search,
        next_path=path(CLIENTS, search=search, after=shown[-1].client_id) if has_more else None,
        first_path=None if last is None else path(CLIENTS, search=search),
        clients_path=CLIENTS,
    )


async def show_client(admin: AdminPages, request: Request) -> Response:
    """Show one app."""
    visit = await admin.visit(request)
    if isinstance(visit, Response):
        return visit
    client_id = query(request).get("client_id", "")
    client = await _find(admin, client_id)
    if client is None:
        raise unknown(CLIENTS)
    used = await last_use_of_client(admin.store.audit, client_id)
    return admin.render(
        visit,
        "admin_client.html",
        client={
            **_row(client),
            "redirect_uris": client.redirect_uris,
            "grant_types": client.grant_types,
            "authentication": client.token_endpoint_auth_method,
            "scope": client.scope,
            "disabled": None if client.disabled_at is None else day(client.disabled_at),
            "last_used": None if used is None else day(used),
        },
        may_change=client.origin is not ClientOrigin.SETTINGS,
        is_kept=await admin.store.clients.find_client(client_id) is not None,
        grants_path=path(GRANTS, client_id=client_id),
        audit_path=path(AUDIT, client_id=client_id),
        client_path=CLIENT,
        clients_path=CLIENTS,
    )


async def change_client(admin: AdminPages, request: Request) -> Response:
    """Disable, enable or remove an app."""
    # 1. The form is our own page's and an administrator's, and there is such an app, which is not the settings'.
    submitted = await admin.submitted(request)
    if isinstance(submitted, Response):
        return submitted
    visit, form = submitted
    client_id, clients, now = form.get("client_id", ""), admin.store_of(visit).clients, admin.completion.now()
    client = await _find(admin, client_id)
    if client is None:
        raise unknown(CLIENTS)
    if client.origin is ClientOrigin.SETTINGS:
        raise PageRefusal(
            Reason.ADMIN_CLIENT_OF_SETTINGS,
            status=409,
            title=Phrase("This app is kept as the settings say"),
            message=Phrase(
                "Nothing was changed. Change it in the file that OAUTH_CLIENTS_FILE names, and restart the server."
            ),
            link=Link(path(CLIENT, client_id=client_id), Phrase("Go back")),
        )

    # 2. Do it; what is so already is fine.
    done, event = False, AuditEvent.CLIENT_DISABLED
    match form.get("do"):
        case "disable" if client.disabled_at is None:
            done = await clients.disable_client(client_id, now=now, placeholder=placeholder_of(client_id, now=now))
        case "enable" if client.disabled_at is not None:
            done, event = await clients.enable_client(client_id), AuditEvent.CLIENT_ENABLED
        case "remove":
            done, event = await clients.remove_client(client_id, now=now), AuditEvent.CLIENT_REMOVED
    if done:
        admin.on_revocation()
        await admin.record(visit, event, client_id=client_id)
    return admin.redirect(CLIENTS if event is AuditEvent.CLIENT_REMOVED else path(CLIENT, client_id=client_id))


async def _find(admin: AdminPages, client_id: str) -> Client | None:
    """Return what is kept of an app, or what would be of one that is known by a document."""
    return await admin.store.clients.find_client(client_id) or placeholder_of(client_id, now=admin.completion.now())


def _row(client: Client) -> dict[str, Any]:
    return {
        "path": path(CLIENT, client_id=client.client_id),
        "client_id": client.client_id,
        "name": display_text(client.client_name),
        "origin": _ORIGINS[client.origin],
        "created": day(client.created_at),
        "is_disabled": client.disabled_at is not None,
    }

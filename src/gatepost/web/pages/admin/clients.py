"""Apps: the list, one of them, and shutting it out or letting it in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.display_text import display_text
from gatepost.oauth.operator_clients import placeholder_of
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client, ClientOrigin
from gatepost.observability.audit_trail import last_use_of_client
from gatepost.tokens.opaque import SecretKind, fingerprint, mint
from gatepost.web.pages.admin.listing import PAGE, cut, path, unknown
from gatepost.web.pages.admin.new_client import NewClientRefused, read_refresh_reuse
from gatepost.web.pages.admin.shown_once import show_client_secret_once
from gatepost.web.pages.admin.table import AUDIT, CLIENT, CLIENTS, GRANTS, NEW_CLIENT, AdminPages, Visit
from gatepost.web.pages.pending_request import query
from gatepost.web.pages.rendering import PageLink, PageRefusal
from gatepost.web.pages.times import day
from gatepost.wording.phrase import Phrase, Words

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
        new_client_path=NEW_CLIENT,
        clients_path=CLIENTS,
    )


async def show_client(admin: AdminPages, request: Request) -> Response:
    """Show one app."""
    visit = await admin.visit(request)
    if isinstance(visit, Response):
        return visit
    return await _page(admin, visit, query(request).get("client_id", ""))


async def _page(
    admin: AdminPages, visit: Visit, client_id: str, *, problem: Words | None = None, typed: str | None = None
) -> Response:
    client = await _find(admin, client_id)
    if client is None:
        raise unknown(CLIENTS)
    used = await last_use_of_client(admin.store.audit, client_id)
    reuse = "" if client.refresh_reuse is None else str(client.refresh_reuse)
    return admin.render(
        visit,
        "admin_client.html",
        status=200 if problem is None else 422,
        problem=problem,
        client={
            **_row(client),
            "redirect_uris": client.redirect_uris,
            "grant_types": client.grant_types,
            "exchange_from": client.exchange_from,
            "exchange_to": client.exchange_to,
            "authentication": client.token_endpoint_auth_method,
            "keys_at": client.jwks_uri,
            "has_keys": client.jwks is not None,
            "scope": client.scope,
            "disabled": None if client.disabled_at is None else day(client.disabled_at),
            "last_used": None if used is None else day(used),
            "has_secret": client.secret_fingerprint is not None,
            "refresh_reuse": reuse if typed is None else typed,
        },
        may_change=client.origin is not ClientOrigin.SETTINGS,
        is_kept=await admin.store.clients.find_client(client_id) is not None,
        grants_path=path(GRANTS, client_id=client_id),
        audit_path=path(AUDIT, client_id=client_id),
        client_path=CLIENT,
        clients_path=CLIENTS,
    )


async def change_client(admin: AdminPages, request: Request) -> Response:
    """Do to an app what a button says."""
    # 1. The form is our own page's and an administrator's, and there is such an app, which is not the settings'.
    submitted = await admin.submitted(request)
    if isinstance(submitted, Response):
        return submitted
    visit, form = submitted
    client_id = form.get("client_id", "")
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
            link=PageLink(path(CLIENT, client_id=client_id), Phrase("Go back")),
        )

    # 2. Do it; what is so already is fine.
    act = ACTS.get(form.get("do", ""))
    answer = None if act is None else await act(admin, visit, client, form)
    return answer or admin.redirect(path(CLIENT, client_id=client_id))


async def _disable(admin: AdminPages, visit: Visit, client: Client, _: Mapping[str, str]) -> None:
    if client.disabled_at is None:
        now, client_id = admin.completion.now(), client.client_id
        placeholder = placeholder_of(client_id, now=now)
        done = await admin.store_of(visit).clients.disable_client(client_id, now=now, placeholder=placeholder)
        await _keep(admin, visit, client, AuditEvent.CLIENT_DISABLED, done=done)


async def _enable(admin: AdminPages, visit: Visit, client: Client, _: Mapping[str, str]) -> None:
    if client.disabled_at is not None:
        done = await admin.store_of(visit).clients.enable_client(client.client_id)
        await _keep(admin, visit, client, AuditEvent.CLIENT_ENABLED, done=done)


async def _remove(admin: AdminPages, visit: Visit, client: Client, _: Mapping[str, str]) -> Response:
    done = await admin.store_of(visit).clients.remove_client(client.client_id, now=admin.completion.now())
    await _keep(admin, visit, client, AuditEvent.CLIENT_REMOVED, done=done)
    return admin.redirect(CLIENTS)


async def _rotate_secret(admin: AdminPages, visit: Visit, client: Client, _: Mapping[str, str]) -> Response | None:
    secret = mint(SecretKind.CLIENT_SECRET, admin.completion.random_bytes)
    # Of a client without a secret nothing changes.
    done = await admin.store_of(visit).clients.rotate_client_secret(client.client_id, fingerprint(secret))
    await _keep(admin, visit, client, AuditEvent.CLIENT_SECRET_ROTATED, done=done)
    return await show_client_secret_once(admin, visit, secret, client_id=client.client_id) if done else None


async def _set_refresh_reuse(
    admin: AdminPages, visit: Visit, client: Client, form: Mapping[str, str]
) -> Response | None:
    typed = form.get("seconds", "")
    try:
        seconds = read_refresh_reuse(typed)
    except NewClientRefused as refused:
        return await _page(admin, visit, client.client_id, problem=refused.words, typed=typed)
    if seconds != client.refresh_reuse:
        done = await admin.store_of(visit).clients.set_refresh_reuse(client.client_id, seconds)
        await _keep(admin, visit, client, AuditEvent.CLIENT_UPDATED, done=done)
    return None


ACTS: Final[Mapping[str, Callable[[AdminPages, Visit, Client, Mapping[str, str]], Awaitable[Response | None]]]] = {
    "disable": _disable,
    "enable": _enable,
    "remove": _remove,
    "rotate_secret": _rotate_secret,
    "refresh_reuse": _set_refresh_reuse,
}
"""What a button of an app's page does, by its value."""


async def _keep(admin: AdminPages, visit: Visit, client: Client, event: AuditEvent, *, done: bool) -> None:
    """Put what was done in the audit trail."""
    if done:
        admin.on_revocation()
        await admin.record(visit, event, client_id=client.client_id)


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

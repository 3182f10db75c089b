"""Registering an app at the admin pages, as `gatepost clients add` does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.client_authentication import METHODS_SUPPORTED
from gatepost.oauth.errors import OAuthError
from gatepost.oauth.operator_clients import preregistration, read_preregistration
from gatepost.oauth.policy import LONGEST_REUSE
from gatepost.oauth.records import ClientMetadata, ClientOrigin
from gatepost.oauth.registration import new_client
from gatepost.oauth.token_exchange import read_endpoints
from gatepost.tokens.opaque import SecretKind, fingerprint, identifier, mint
from gatepost.web.pages.admin.listing import path
from gatepost.web.pages.admin.shown_once import show_client_secret_once
from gatepost.web.pages.admin.table import CLIENT, CLIENTS, NEW_CLIENT, AdminPages, Visit
from gatepost.wording.phrase import Phrase, Words

_FIELDS: Final = (
    "name",
    "redirect_uris",
    "machine",
    "device",
    "enterprise_managed",
    "dpop",
    "auth_method",
    "jwks",
    "jwks_uri",
    "scope",
    "refresh_reuse",
    "require_par",
    "exchange_from",
    "exchange_to",
)


class NewClientRefused(Exception):
    """What was typed for an app cannot be."""

    def __init__(self, words: Words) -> None:
        super().__init__(str(words))
        self.words = words


async def show_new_client(admin: AdminPages, request: Request) -> Response:
    """Show the form."""
    visit = await admin.visit(request)
    return visit if isinstance(visit, Response) else _page(admin, visit)


async def add_client(admin: AdminPages, request: Request) -> Response:
    """Register an app, and go on to its secret, or to its page where it has none."""
    # 1. The form is our own page's and an administrator's.
    submitted = await admin.submitted(request)
    if isinstance(submitted, Response):
        return submitted
    visit, form = submitted

    # 2. It is what a client can be.
    try:
        metadata, refresh_reuse = _metadata(form), read_refresh_reuse(form.get("refresh_reuse", ""))
        exchange_from, exchange_to = _exchanges(form)
    except NewClientRefused as refused:
        return _page(admin, visit, problem=refused.words, typed=form)

    # 3. Register it.
    random_bytes = admin.completion.random_bytes
    secret = mint(SecretKind.CLIENT_SECRET, random_bytes) if metadata.needs_secret else None
    client = new_client(
        metadata,
        client_id=identifier("client_", random_bytes),
        secret_fingerprint=None if secret is None else fingerprint(secret),
        now=admin.completion.now(),
        origin=ClientOrigin.PREREGISTERED,
        refresh_reuse=refresh_reuse,
        requires_pushed_requests=form.get("require_par") == "yes",
        exchange_from=exchange_from,
        exchange_to=exchange_to,
    )
    await admin.store_of(visit).clients.register_client(client)
    await admin.record(visit, AuditEvent.CLIENT_ADDED, client_id=client.client_id)
    if secret is None:
        return admin.redirect(path(CLIENT, client_id=client.client_id))
    return await show_client_secret_once(admin, visit, secret, client_id=client.client_id)


def read_refresh_reuse(typed: str) -> int | None:
    """Return for how many seconds spent refresh tokens may be used; None where the server's setting says it.

    Raises:
        NewClientRefused: it is no such number.
    """
    typed = typed.strip()
    seconds = int(typed) if typed.isascii() and typed.isdigit() and len(typed) <= len(str(LONGEST_REUSE)) else -1
    if typed and not 0 <= seconds <= LONGEST_REUSE:
        raise NewClientRefused(Phrase("Seconds are a number from 0 to %(most)s, or nothing.", most=LONGEST_REUSE))
    return seconds if typed else None


def _exchanges(form: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return of which endpoints the app may exchange tokens, and for which; both empty where it may not.

    Raises:
        NewClientRefused: one is missing, or names no endpoints.
    """
    try:
        sent, reached = (read_endpoints(form.get(name, "").split()) for name in ("exchange_from", "exchange_to"))
    except ValueError:
        raise NewClientRefused(Phrase("Endpoints are paths such as /mcp, with blanks between them.")) from None
    if bool(sent) != bool(reached):
        raise NewClientRefused(
            Phrase("An app that exchanges tokens needs both: whose tokens it is sent, and for what it gets others.")
        )
    return sent, reached


def _metadata(form: Mapping[str, str]) -> ClientMetadata:
    """Return what was typed as metadata.

    Raises:
        NewClientRefused: it breaks a rule of RFC 7591, or names no way to get tokens.
    """
    is_machine, is_device = form.get("machine") == "yes", form.get("device") == "yes"
    redirect_uris, exchanges = form.get("redirect_uris", "").split(), bool(form.get("exchange_from", "").strip())
    if not form.get("name", "").strip():
        raise NewClientRefused(Phrase("Say what the app is called."))
    is_enterprise_managed = form.get("enterprise_managed") == "yes"
    if not (redirect_uris or is_machine or is_device or is_enterprise_managed or exchanges):
        raise NewClientRefused(
            Phrase("Name the address to which the app has its user's browser sent back, or say that it has no users.")
        )
    try:
        document = preregistration(
            form.get("name", ""),
            redirect_uris=redirect_uris,
            is_machine=is_machine,
            is_device=is_device,
            exchanges=exchanges,
            auth_method=form.get("auth_method"),
            jwks=json.loads(form["jwks"]) if "jwks" in form else None,
            jwks_uri=form.get("jwks_uri", "").strip() or None,
            scope=form.get("scope"),
            is_enterprise_managed=is_enterprise_managed,
            dpop_bound_access_tokens=form.get("dpop") == "yes",
        )
        return read_preregistration(
            document, is_machine=is_machine, is_enterprise_managed=is_enterprise_managed, exchanges=exchanges
        )
    except OAuthError as error:
        # The rule's own words are those of the answer to a client that registers itself.
        raise NewClientRefused(
            Phrase("An app cannot be registered like this: %(reason)s", reason=error.description)
        ) from None
    except (ValueError, RecursionError):
        raise NewClientRefused(Phrase("Public keys are a JWK set, which is JSON.")) from None


def _page(
    admin: AdminPages, visit: Visit, *, problem: Words | None = None, typed: Mapping[str, str] | None = None
) -> Response:
    given = typed or {}
    return admin.render(
        visit,
        "admin_new_client.html",
        status=200 if problem is None else 422,
        problem=problem,
        typed={field: given.get(field, "") for field in _FIELDS},
        methods=METHODS_SUPPORTED,
        new_client_path=NEW_CLIENT,
        clients_path=CLIENTS,
    )

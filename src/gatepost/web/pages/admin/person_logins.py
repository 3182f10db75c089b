"""What an administrator does about a person's passkeys, logins elsewhere, and the tokens that those left for tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.display_text import display_text
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.linked_logins import UnlinkOutcome
from gatepost.stores.contract.passkeys import Passkey
from gatepost.stores.contract.users import LOCAL, User
from gatepost.web.pages.admin.listing import path
from gatepost.web.pages.admin.table import PERSON, AdminPages, Visit
from gatepost.web.pages.rendering import PageLink, PageRefusal
from gatepost.web.pages.times import day
from gatepost.wording.phrase import Phrase

_MOST: Final = 50
"""Logins and tokens on one page."""


async def unlink(admin: AdminPages, visit: Visit, user: User, form: Mapping[str, str]) -> None:
    """Take a login elsewhere from a person who has another; from who is disabled also the last."""
    logins = admin.store_of(visit).linked_logins
    own = await logins.list_logins(user.subject)
    named = next((login for login in own if login.issuer == form.get("issuer")), None)
    if named is None:
        return
    keeps = [login.key for login in own if login is not named]
    outcome = await logins.unlink_login(user.subject, named.key, keeps=keeps, even_last=True)
    if outcome is UnlinkOutcome.LAST:
        raise PageRefusal(
            Reason.LAST_LOGIN,
            status=409,
            title=Phrase("This is their only login"),
            message=Phrase("Nothing was changed. If somebody else is to have it, disable the account first."),
            link=PageLink(path(PERSON, subject=user.subject), Phrase("Go back")),
        )
    if outcome is UnlinkOutcome.UNLINKED:
        await admin.record(visit, AuditEvent.LOGIN_UNLINKED, subject=user.subject)


async def rename_passkey(admin: AdminPages, visit: Visit, user: User, form: Mapping[str, str]) -> None:
    """Call a passkey otherwise; without a name it keeps the one that it has."""
    passkey, name = await _named(admin, user, form), display_text(form.get("name", ""))
    if passkey is None or name in {"", passkey.name}:
        return
    if await admin.store_of(visit).passkeys.rename_passkey(user.subject, passkey.credential_id, name):
        await admin.record(visit, AuditEvent.PASSKEY_RENAMED, subject=user.subject)


async def remove_passkey(admin: AdminPages, visit: Visit, user: User, form: Mapping[str, str]) -> None:
    """Forget a passkey."""
    passkey = await _named(admin, user, form)
    if passkey is None:
        return
    if await admin.store_of(visit).passkeys.remove_passkey(user.subject, passkey.credential_id):
        await admin.record(visit, AuditEvent.PASSKEY_REMOVED, subject=user.subject)


async def end_tokens(admin: AdminPages, visit: Visit, user: User, form: Mapping[str, str]) -> None:
    """End what tools may do as a person at a provider."""
    await end_tokens_of(admin, visit, user.subject, form.get("provider", ""))


async def end_tokens_of(admin: AdminPages, visit: Visit, subject: str, provider: str) -> Response | None:
    """End what is kept of somebody's tokens at a provider, here and, where it can be told, there."""
    ended = await admin.store_of(visit).upstream_tokens.end_tokens(subject, provider=provider)
    if ended:
        await admin.record(visit, AuditEvent.UPSTREAM_TOKENS_ENDED, reason=Reason.OPERATOR_REVOKED, subject=subject)
        tokens = admin.completion.upstream_tokens
        if tokens is not None:
            await tokens.tell(ended)
    return None


async def _named(admin: AdminPages, user: User, form: Mapping[str, str]) -> Passkey | None:
    own = await admin.store.passkeys.list_passkeys(user.subject)
    return next((passkey for passkey in own if passkey.number == form.get("passkey")), None)


async def shown_logins(admin: AdminPages, user: User) -> Mapping[str, Any]:
    """Return what a person's page shows of their logins."""
    store, subject = admin.store, user.subject
    logins = await store.linked_logins.list_logins(subject)
    tokens = await store.upstream_tokens.list_tokens(subject, limit=_MOST)
    return {
        "logins": [
            {
                "issuer": None if login.issuer == LOCAL else login.issuer,
                "name": display_text(login.display_name or "") or login.external_subject,
                "can_go": login.issuer != LOCAL and (len(logins) > 1 or user.disabled_at is not None),
            }
            for login in logins[:_MOST]
        ],
        "own_passkeys": [
            {
                "number": passkey.number,
                "name": passkey.name,
                "host": passkey.rp_id,
                "created": day(passkey.created_at),
                "last_used": None if passkey.last_used_at is None else day(passkey.last_used_at),
            }
            for passkey in await store.passkeys.list_passkeys(subject)
        ],
        "tokens": [
            {"provider": one.provider, "scopes": " ".join(map(display_text, one.scopes)), "since": day(one.linked_at)}
            for one in tokens
        ],
    }

"""Whose tokens of login providers are kept for tools, and ending them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from gatepost.oauth.display_text import display_text
from gatepost.stores.contract.upstream_tokens import KeptTokens
from gatepost.web.pages.admin.listing import PAGE, cut, path
from gatepost.web.pages.admin.person_logins import end_tokens_of
from gatepost.web.pages.admin.table import PERSON, UPSTREAM, AdminPages, Visit
from gatepost.web.pages.pending_request import query
from gatepost.web.pages.times import day


async def show_tokens(admin: AdminPages, request: Request) -> Response:
    """Show whose tokens are kept, by subject and provider; never a token."""
    visit = await admin.visit(request)
    if isinstance(visit, Response):
        return visit
    subject, _, provider = query(request).get("after", "").rpartition(" ")
    after = (subject, provider) if subject else None
    listed = await admin.store.upstream_tokens.list_tokens(None, limit=PAGE + 1, after=after)
    tokens, has_more = cut(listed)
    return admin.render(
        visit,
        "admin_upstream.html",
        tokens=[await _row(admin, kept) for kept in tokens],
        next_path=path(UPSTREAM, after=f"{tokens[-1].subject} {tokens[-1].provider}") if has_more else None,
        first_path=None if after is None else UPSTREAM,
        upstream_path=UPSTREAM,
    )


async def change_tokens(admin: AdminPages, request: Request) -> Response:
    """End somebody's tokens of a provider."""
    submitted = await admin.submitted(request)
    if isinstance(submitted, Response):
        return submitted
    visit, form = submitted
    act = ACTS.get(form.get("do", ""))
    if act is not None:
        await act(admin, visit, form)
    return admin.redirect(UPSTREAM)


async def _end(admin: AdminPages, visit: Visit, form: Mapping[str, str]) -> None:
    await end_tokens_of(admin, visit, form.get("subject", ""), form.get("provider", ""))


ACTS: Final = {"end": _end}
"""What a button of the page does, by its value."""


async def _row(admin: AdminPages, kept: KeptTokens) -> dict[str, Any]:
    user = await admin.store.users.find_user_by_subject(kept.subject)
    expires = kept.expires_at
    return {
        "subject": kept.subject,
        "person": display_text(user.name if user else "") or kept.subject,
        "person_path": path(PERSON, subject=kept.subject),
        "provider": kept.provider,
        "account": display_text(kept.external_subject),
        "scopes": " ".join(map(display_text, kept.scopes)),
        "since": day(kept.linked_at),
        "expires": None if expires is None else datetime.fromtimestamp(expires, UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "is_renewed": kept.is_refreshable,
    }

"""Signing keys, and how the server is."""

from __future__ import annotations

import platform
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.keys import KeyRetirement
from gatepost.stores.signing_keys import states
from gatepost.web.pages.admin.table import KEYS, AdminPages, Visit
from gatepost.web.pages.rendering import PageLink, PageRefusal
from gatepost.wording.phrase import Phrase

_STATES: Final = {
    "signs": Phrase("signs now"),
    "published": Phrase("is published and signs later"),
    "verifies": Phrase("signs no more, and still verifies"),
}


async def show_keys(admin: AdminPages, request: Request) -> Response:
    """Show the keys that have not ended, and what is checked."""
    visit = await admin.visit(request)
    if isinstance(visit, Response):
        return visit
    now = admin.completion.now()
    keys = await admin.store.keys.signing_keys(now=now)
    return admin.render(
        visit,
        "admin_keys.html",
        signs=admin.rotate_key is not None,
        keys=[
            {
                "key_id": key.key_id,
                "algorithm": key.algorithm,
                "state": _STATES[state],
                "signs_from": _moment(key.signs_from),
                "can_end": any(other.signs_from <= now and other.ends_at is None for other in keys if other is not key),
                "ends": None if key.ends_at is None else _moment(key.ends_at),
            }
            for key, state in zip(keys, states(keys, now=now), strict=True)
        ],
        # The newest that nobody else has replaced since: a form that is sent twice adds one key.
        newest=keys[-1].key_id if keys else "",
        checks=sorted((await admin.health()).items()),
        versions=[("Gatepost", admin.version), ("Python", platform.python_version())],
        data=admin.store.description,
        keys_path=KEYS,
    )


async def change_keys(admin: AdminPages, request: Request) -> Response:
    """Add a key, or end one."""
    submitted = await admin.submitted(request)
    if isinstance(submitted, Response):
        return submitted
    visit, form = submitted
    act = ACTS.get(form.get("do", ""))
    if act is not None and admin.rotate_key is not None:
        await act(admin, visit, form)
    return admin.redirect(KEYS)


async def _rotate(admin: AdminPages, visit: Visit, form: Mapping[str, str]) -> None:
    await _add(admin, visit, form, at_once=False)


async def _rotate_now(admin: AdminPages, visit: Visit, form: Mapping[str, str]) -> None:
    await _add(admin, visit, form, at_once=True)


async def _add(admin: AdminPages, visit: Visit, form: Mapping[str, str], *, at_once: bool) -> None:
    """Add a key, unless somebody has done so since the page was shown."""
    keys = await admin.store.keys.signing_keys(now=admin.completion.now())
    if admin.rotate_key is not None and form.get("newest", "") == (keys[-1].key_id if keys else ""):
        await admin.rotate_key(admin.store_of(visit).keys, at_once=at_once)
        await admin.record(visit, AuditEvent.SIGNING_KEY_ROTATED)


async def _retire(admin: AdminPages, visit: Visit, form: Mapping[str, str]) -> None:
    now = admin.completion.now()
    outcome = await admin.store_of(visit).keys.retire_signing_key(form.get("key", ""), now=now)
    if outcome is KeyRetirement.ALONE:
        raise PageRefusal(
            Reason.ADMIN_KEY_ALONE,
            status=409,
            title=Phrase("No other key would go on signing"),
            message=Phrase("Nothing was changed. Rotate the key at once, and end this one then."),
            link=PageLink(KEYS, Phrase("Go back")),
        )
    if outcome is KeyRetirement.RETIRED:
        admin.on_revocation()
        await admin.record(visit, AuditEvent.SIGNING_KEY_RETIRED)


ACTS: Final[Mapping[str, Callable[[AdminPages, Visit, Mapping[str, str]], Awaitable[None]]]] = {
    "rotate": _rotate,
    "rotate_now": _rotate_now,
    "retire": _retire,
}
"""What a button of the page does, by its value."""


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")

"""Signing keys, and how the server is."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gatepost.oauth.audit import AuditEvent
from gatepost.stores.signing_keys import states
from gatepost.web.pages.admin.table import KEYS, AdminPages
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


async def rotate(admin: AdminPages, request: Request) -> Response:
    """Add a key, unless somebody has done so since the page was shown."""
    submitted = await admin.submitted(request)
    if isinstance(submitted, Response):
        return submitted
    visit, form = submitted
    keys = await admin.store.keys.signing_keys(now=admin.completion.now())
    if admin.rotate_key is not None and form.get("newest", "") == (keys[-1].key_id if keys else ""):
        await admin.rotate_key(admin.store_of(visit).keys)
        await admin.record(visit, AuditEvent.SIGNING_KEY_ROTATED)
    return admin.redirect(KEYS)


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")

"""API keys: the list, making one, and revoking one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.display_text import display_text
from gatepost.oauth.reasons import Reason
from gatepost.oauth.scopes import split_scopes
from gatepost.observability.moments import read_stretch
from gatepost.resource.api_keys import is_key_name
from gatepost.resource.resources import canonical_identifier
from gatepost.stores.contract.api_keys import ApiKey, KeyAddition, new_api_key
from gatepost.stores.contract.endpoints import ServedEndpoint
from gatepost.web.pages.admin.listing import PAGE, cut, path, place_of
from gatepost.web.pages.admin.shown_once import show_key_once
from gatepost.web.pages.admin.table import API_KEYS, PERSON, AdminPages, Visit
from gatepost.web.pages.pending_request import query
from gatepost.web.pages.times import day
from gatepost.wording.phrase import Phrase

_FIELDS: Final = ("name", "scopes", "endpoint", "lifetime", "whose")
_OWN: Final = "administrator"
"""What the form says where a key stands for whoever makes it."""


class _Wrong(Exception):
    """A field of the form that makes a key cannot be used."""

    def __init__(self, field: str, problem: Phrase) -> None:
        super().__init__(field)
        self.field, self.problem = field, problem


async def show_keys(admin: AdminPages, request: Request) -> Response:
    """Show the list."""
    visit = await admin.visit(request)
    return visit if isinstance(visit, Response) else await _page(admin, visit)


async def change_keys(admin: AdminPages, request: Request) -> Response:
    """Make a key, or revoke one."""
    # 1. The form is our own page's and an administrator's.
    submitted = await admin.submitted(request)
    if isinstance(submitted, Response):
        return submitted
    visit, form = submitted

    # 2. Do what its button says.
    act = ACTS.get(form.get("do", ""))
    answer = None if act is None else await act(admin, visit, form)
    return answer or admin.redirect(API_KEYS)


async def _create(admin: AdminPages, visit: Visit, form: Mapping[str, str]) -> Response:
    try:
        secret, key = await _new_key(admin, visit, form)
    except _Wrong as wrong:
        return await _page(admin, visit, wrong=wrong, typed=form)
    await admin.record(visit, AuditEvent.API_KEY_CREATED, subject=key.user_subject or key.key_id, client_id=key.key_id)
    return await show_key_once(admin, visit, secret, name=key.name)


async def _new_key(admin: AdminPages, visit: Visit, form: Mapping[str, str]) -> tuple[str, ApiKey]:
    """Keep a new key.

    Raises:
        _Wrong: a field cannot be used; nothing was kept.
    """
    # 1. What it is called, what it may do, where, and for how long.
    name = form.get("name", "").strip()
    if not is_key_name(name):
        raise _Wrong(
            "name",
            Phrase("A key is called by letters, digits and . _ -, 64 at most, beginning with a letter or a digit."),
        )
    served = await admin.store.endpoints.list_endpoints()
    chosen = form.get("endpoint")
    endpoint = next((each for each in served if chosen in {None, each.path}), None)
    if endpoint is None:
        raise _Wrong("endpoint", Phrase("There is no such endpoint. Choose one of the list."))
    scopes = _scopes(form.get("scopes", ""), endpoint)
    lifetime = _lifetime(form.get("lifetime", "").strip())

    # 2. Keep it. It stands for itself or for whoever makes it, and for nobody else.
    secret, key = new_api_key(
        name,
        scopes=scopes,
        resource=canonical_identifier(admin.completion.origin + endpoint.path),
        user_subject=visit.user.subject if form.get("whose") == _OWN else None,
        lifetime=lifetime,
        now=admin.completion.now(),
        random_bytes=admin.completion.random_bytes,
    )
    outcome = await admin.store_of(visit).api_keys.add_key(key)
    if outcome is KeyAddition.NAME_TAKEN:
        raise _Wrong("name", Phrase("There is a key of that name already. Revoke it first, or choose another name."))
    if outcome is KeyAddition.NO_PERSON:
        raise admin.refusal()
    return secret, key


def _scopes(typed: str, endpoint: ServedEndpoint) -> tuple[str, ...]:
    scopes = split_scopes(typed, endpoint.scopes)
    unknown = [scope for scope in scopes if scope not in endpoint.scopes]
    if unknown or not scopes:
        known = " ".join(endpoint.scopes)
        raise _Wrong("scopes", Phrase("Name one scope at least, of those that there are: %(scopes)s", scopes=known))
    return scopes


def _lifetime(typed: str) -> int | None:
    try:
        seconds = read_stretch(typed) if typed else None
    except ValueError:
        seconds = 0
    if seconds == 0:
        raise _Wrong(
            "lifetime", Phrase("A stretch of time is a number with s, m, h or d behind it, such as 12h or 90d.")
        )
    return seconds


async def _revoke(admin: AdminPages, visit: Visit, form: Mapping[str, str]) -> None:
    key = await admin.store_of(visit).api_keys.revoke_key(form.get("key", ""), now=admin.completion.now())
    admin.on_revocation()
    if key is not None:
        await admin.record(
            visit,
            AuditEvent.API_KEY_REVOKED,
            reason=Reason.OPERATOR_REVOKED,
            subject=key.user_subject or key.key_id,
            client_id=key.key_id,
        )


ACTS: Final = {"create": _create, "revoke": _revoke}
"""What a button of the page does, by its value."""


async def _page(
    admin: AdminPages, visit: Visit, *, wrong: _Wrong | None = None, typed: Mapping[str, str] | None = None
) -> Response:
    # 1. One page of keys, of those that count or of all.
    now, parameters = admin.completion.now(), {} if wrong is not None else query(visit.request)
    shows_all, before = parameters.get("all") == "1", place_of(parameters.get("after", ""))
    listed = await admin.store.api_keys.list_keys(live_at=None if shows_all else now, limit=PAGE + 1, before=before)
    keys, has_more = cut(listed)
    every = "1" if shows_all else None
    after = f"{keys[-1].created_at}.{keys[-1].key_id}" if has_more else None

    # 2. What a key can be made for.
    served: Sequence[ServedEndpoint] = await admin.store.endpoints.list_endpoints()
    given = typed or {}
    return admin.render(
        visit,
        "admin_api_keys.html",
        status=200 if wrong is None else 422,
        keys=[await _row(admin, key, now=now) for key in keys],
        shows_all=shows_all,
        every_path=path(API_KEYS, all="1"),
        counting_path=API_KEYS,
        next_path=path(API_KEYS, all=every, after=after) if has_more else None,
        first_path=None if before is None else path(API_KEYS, all=every),
        endpoints=[{"path": each.path, "scopes": " ".join(each.scopes)} for each in served],
        problem=None if wrong is None else wrong.problem,
        wrong=None if wrong is None else wrong.field,
        typed={field: given.get(field, "") for field in _FIELDS},
        own=_OWN,
        keys_path=API_KEYS,
    )


async def _row(admin: AdminPages, key: ApiKey, *, now: int) -> dict[str, Any]:
    user = None if key.user_subject is None else await admin.store.users.find_user_by_subject(key.user_subject)
    return {
        "key_id": key.key_id,
        "name": key.name,
        "scopes": " ".join(key.scopes),
        "resource": key.resource,
        "person": None if key.user_subject is None else display_text(user.name if user else "") or key.user_subject,
        "person_path": None if key.user_subject is None else path(PERSON, subject=key.user_subject),
        "created": day(key.created_at),
        "last_used": None if key.last_used_at is None else day(key.last_used_at),
        "ends": None if key.expires_at is None else day(key.expires_at),
        "revoked": None if key.revoked_at is None else day(key.revoked_at),
        "counts": key.counts(now=now),
    }

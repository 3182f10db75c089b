"""Who tries to do what administrators do, and what strangers leave for administrators to look at."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request
from starlette.responses import Response

from gatepost.identity import passwords
from gatepost.oauth.audit import AuditQuery
from gatepost.oauth.records import Grant
from gatepost.stores.conformance.records import audit_record, client, grant, tokens
from gatepost.stores.contract.administration import Administrator
from gatepost.stores.contract.api_keys import ApiKey
from gatepost.stores.contract.endpoints import ServedEndpoint
from gatepost.stores.contract.keys import SealedSigningKey
from gatepost.stores.contract.linked_logins import LinkedLogin
from gatepost.stores.contract.passkeys import Passkey
from gatepost.web.pages.admin.table import AdminPages, Visit
from tests.attacks.admin_world import (
    ADMIN,
    API_KEYS,
    AUDIT,
    CLIENT,
    CLIENTS,
    GRANTS,
    KEYS,
    NEW_CLIENT,
    PEOPLE,
    PERSON,
    SECRET,
    UPSTREAM,
    act,
    administered,
    browser_of,
    events,
    log_in,
    of,
    person,
    token,
)
from tests.attacks.installed import ORIGIN, Installed
from tests.web.pages.admin_forms import admin_forms, named
from tests.web.pages.pages_world import ATTACK, heading
from tests.web.pages.test_admin_logins import kept, link

API_KEY = "an-api-key-of-the-operator-0123456789"
NOW = 1_800_000_000
SECOND_STEP = (PERSON, "second_step_off")
PAGES = (
    ADMIN,
    PEOPLE,
    PERSON,
    f"{ADMIN}/link",
    CLIENTS,
    CLIENT,
    NEW_CLIENT,
    API_KEYS,
    SECRET,
    UPSTREAM,
    GRANTS,
    AUDIT,
    KEYS,
)


@pytest.fixture(autouse=True)
def _cheap_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_MEMORY_COST", 64)
    passwords._hasher.cache_clear()
    monkeypatch.setattr(passwords, "_hasher", passwords._hasher.__wrapped__)


@pytest.fixture
async def gatepost() -> AsyncIterator[Installed]:
    async with administered(OAUTH_ACCESS_TOKEN_FORMAT="jwt", MCP_API_KEY=API_KEY) as running:
        await running.store.clients.register_client(client(created_at=NOW, secret_fingerprint=b"secret"))
        await running.store.approvals.give_grant(await grant_of(running), tokens("1", now=NOW))
        await running.store.endpoints.note_endpoints([ServedEndpoint("/mcp", ("notes:read",))])
        key = ApiKey("key_1", "backup", b"key", None, ("notes:read",), f"{ORIGIN}/mcp", NOW)
        await running.store.api_keys.add_key(key)
        carl = (await person(running, "carl")).subject
        await running.store.passkeys.add_passkey(Passkey(b"1", carl, b"1", "localhost", "Phone", b"", 0, (), NOW))
        await running.store.linked_logins.link_login(LinkedLogin("https://id.example", "x1", carl, NOW, "Carl"))
        await link(running, carl)
        assert await running.store.upstream_tokens.keep_tokens(kept(carl), replaces=None)
        rotation = SealedSigningKey("key-0", "ES256", b"", NOW, signs_from=NOW - 1)
        await running.store.keys.rotate_signing_key(rotation, others_end_at=NOW + 10_000)
        yield running


async def grant_of(gatepost: Installed) -> Grant:
    subject = (await person(gatepost, "carl")).subject
    return grant(subject=subject, created_at=NOW, expires_at=NOW + 9999)


async def posts(gatepost: Installed) -> list[tuple[str, dict[str, str]]]:
    """Return every change that the admin pages know, as their forms send it."""
    carl = (await person(gatepost, "carl")).subject
    acts = ("disable", "enable", "end_sessions", "second_step_off", "reset")
    of_carl = [(PERSON, {"subject": carl, "do": do}) for do in acts]
    roles = [(PERSON, {"subject": carl, "do": do, "role": "admin"}) for do in ("give_role", "take_role")]
    apps = [
        (CLIENT, {"client_id": "client-1", "do": "rotate_secret"}),
        (CLIENT, {"client_id": "client-1", "do": "refresh_reuse", "seconds": "7"}),
        (NEW_CLIENT, {"name": "Evil", "machine": "yes"}),
        *((CLIENT, {"client_id": "client-1", "do": do}) for do in ("disable", "enable", "remove")),
    ]
    grants = [(GRANTS, {"grant": f"grant-1 {carl}"}), (GRANTS, {"grant": "all", "subject": carl})]
    newest = (await gatepost.store.keys.signing_keys(now=NOW))[-1].key_id
    [key] = await gatepost.store.api_keys.list_keys(live_at=None, limit=2)
    new_key = {"do": "create", "name": "nightly", "scopes": key.scopes[0], "whose": "administrator"}
    keys = [(API_KEYS, new_key), (API_KEYS, {"do": "revoke", "key": key.key_id})]
    [passkey] = await gatepost.store.passkeys.list_passkeys(carl)
    logins = [
        (PERSON, {"subject": carl, "do": "unlink", "issuer": "https://id.example"}),
        (PERSON, {"subject": carl, "do": "rename_passkey", "passkey": passkey.number, "name": "Mallory's"}),
        (PERSON, {"subject": carl, "do": "remove_passkey", "passkey": passkey.number}),
        (PERSON, {"subject": carl, "do": "end_tokens", "provider": "github"}),
        (UPSTREAM, {"subject": carl, "do": "end", "provider": "github"}),
    ]
    signing = [
        (KEYS, {"newest": newest, "do": "rotate_now"}),
        (KEYS, {"newest": newest, "do": "rotate"}),
        (KEYS, {"key": newest, "do": "retire"}),
    ]
    return [*keys, *logins, *signing, *grants, *of_carl, *roles, *apps, (PEOPLE, {"username": "mallory"})]


async def state(gatepost: Installed) -> tuple[object, ...]:
    """Return everything that those changes could have changed."""
    store = gatepost.store
    carl = (await person(gatepost, "carl")).subject
    return (
        await store.passkeys.list_passkeys(carl),
        await store.linked_logins.list_logins(carl),
        await store.upstream_tokens.list_tokens(None, limit=9),
        await store.users.list_users(),
        await store.clients.list_clients(),
        await store.approvals.list_grants(live_at=None, subject=None, client_id=None, limit=9),
        await store.keys.signing_keys(now=NOW),
        await store.api_keys.list_keys(live_at=None, limit=9),
        [event for event in await store.audit.list_events(AuditQuery(), before=None, limit=99) if event.actor],
    )


async def test_an_administrator_does_all_of_it(gatepost: Installed) -> None:
    async def done() -> int:
        return len([event for event in await events(gatepost) if event.actor])

    idle = []
    for page, fields in await posts(gatepost):
        before = await done()
        answer = await act(gatepost.http, page, **fields)
        assert answer.status_code == 303, (page, fields)
        if await done() == before:
            idle.append((page, fields.get("do") or fields.get("grant")))

    # What has been done by the one before it, and what there was nothing of.
    assert idle == [(UPSTREAM, "end"), (KEYS, "rotate"), (GRANTS, "all"), (PERSON, "end_sessions"), SECOND_STEP]


async def test_every_form_that_there_is_is_tried_by_those_who_may_not(gatepost: Installed) -> None:
    assert {named(page, fields) for page, fields in await posts(gatepost)} == admin_forms()


async def test_a_person_without_the_role_sees_and_changes_nothing(gatepost: Installed) -> None:
    before = await state(gatepost)
    async with browser_of(gatepost, "bob") as browser:
        right = re.findall(r'name="csrf_token" value="([^"]+)"', (await browser.get("/oauth/account")).text)[0]
        for page in PAGES:
            answer = await browser.get(page)
            assert (answer.status_code, heading(answer)) == (403, "These pages are for administrators"), page
            assert "carl" not in answer.text
        for page, fields in await posts(gatepost):
            for sent in (right, await token(gatepost.http), ""):
                assert (await browser.post(page, data={"csrf_token": sent, **fields})).status_code == 403, page
    assert await state(gatepost) == before


async def test_a_role_that_is_taken_away_while_a_page_is_open_is_gone(gatepost: Installed) -> None:
    async with browser_of(gatepost, "eve") as browser:
        right = await token(browser)
        ada = Administrator((await person(gatepost, "ada")).subject, "admin")
        await gatepost.store.administration.take_role((await person(gatepost, "eve")).subject, "admin", by=ada)
        before = await state(gatepost)
        for page, fields in await posts(gatepost):
            answer = await browser.post(page, data={"csrf_token": right, **fields})
            assert (answer.status_code, heading(answer)) == (403, "These pages are for administrators"), page
    assert await state(gatepost) == before


async def test_a_role_that_is_taken_away_after_it_was_looked_at_changes_nothing(
    gatepost: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    eve, before = (await person(gatepost, "eve")).subject, await state(gatepost)
    judge = AdminPages.submitted

    async def judged_then_taken(admin: AdminPages, request: Request) -> tuple[Visit, dict[str, str]] | Response:
        judged = await judge(admin, request)
        await gatepost.store.users.take_role(eve, "admin")
        return judged

    async with browser_of(gatepost, "eve") as browser:
        right = await token(browser)
        monkeypatch.setattr(AdminPages, "submitted", judged_then_taken)
        for page, fields in await posts(gatepost):
            await gatepost.store.users.give_role(eve, "admin")
            answer = await browser.post(page, data={"csrf_token": right, **fields})
            # What there is nothing to do for, as for who is enabled, leads back.
            assert answer.status_code in {403, 303}, (page, fields)
    await gatepost.store.users.give_role(eve, "admin")
    assert await state(gatepost) == before


async def test_who_is_disabled_while_a_page_is_open_is_logged_out(gatepost: Installed) -> None:
    async with browser_of(gatepost, "eve") as browser:
        right = await token(browser)
        await act(gatepost.http, PERSON, subject=(await person(gatepost, "eve")).subject, do="disable")
        before = await state(gatepost)
        for page, fields in await posts(gatepost):
            answer = await browser.post(page, data={"csrf_token": right, **fields})
            assert (answer.status_code, answer.headers["location"]) == (303, ADMIN), page
    assert await state(gatepost) == before


@pytest.mark.parametrize(
    ("origin", "sent"),
    [
        ("https://evil.example", "right"),
        ("null", "right"),
        (None, ""),
        (None, "wrong"),
        (None, "eve's"),
        (None, "account"),
    ],
)
async def test_a_form_of_another_site_or_page_changes_nothing(
    gatepost: Installed, origin: str | None, sent: str
) -> None:
    before, right = await state(gatepost), await token(gatepost.http)
    async with browser_of(gatepost, "eve") as browser:
        account = (await gatepost.http.get("/oauth/account")).text
        others = {
            "right": right,
            "eve's": await token(browser),
            "account": re.findall(r'name="csrf_token" value="([^"]+)"', account)[0],
        }
    headers = {} if origin is None else {"Origin": origin}
    for page, fields in await posts(gatepost):
        answer = await gatepost.http.post(page, data={"csrf_token": others.get(sent, sent), **fields}, headers=headers)
        assert answer.status_code == 403, page
    assert await state(gatepost) == before


async def test_two_administrators_who_shut_each_other_out_at_once_leave_one(gatepost: Installed) -> None:
    people = {name: (await person(gatepost, name)).subject for name in ("ada", "eve")}
    for fields in ({"do": "take_role", "role": "admin"}, {"do": "disable"}):
        async with browser_of(gatepost, "eve") as browser:
            rights = await token(gatepost.http), await token(browser)
            first = gatepost.http.post(PERSON, data={"csrf_token": rights[0], "subject": people["eve"], **fields})
            second = browser.post(PERSON, data={"csrf_token": rights[1], "subject": people["ada"], **fields})
            await asyncio.gather(first, second)
        everybody = await gatepost.store.users.list_users()
        assert len([each for each in everybody if "admin" in each.roles and each.disabled_at is None]) == 1
        for subject in people.values():
            await gatepost.store.users.enable_user(subject)
            await gatepost.store.users.give_role(subject, "admin")
        gatepost.http.cookies.clear()
        await log_in(gatepost.http, "ada")


async def test_what_strangers_call_themselves_is_text_and_leads_nowhere(gatepost: Installed) -> None:
    uri = "https://evil.example/" + ATTACK.replace(" ", "")
    evil = client("client-evil", client_name=f"{ATTACK}\u202eevil", redirect_uris=(uri,), created_at=NOW)
    await gatepost.store.clients.register_client(evil)
    stranger = await gatepost.store.users.recognise_user(
        ATTACK, ATTACK, display_name=f"{ATTACK}\u202e", subjects=(f"user_{ATTACK}",), now=NOW
    )
    kept = grant("grant-evil", subject=stranger.subject, client_id="client-evil", created_at=NOW, expires_at=NOW + 99)
    await gatepost.store.approvals.give_grant(kept, tokens("evil", "grant-evil", now=NOW))
    event = audit_record(at=NOW, subject=stranger.subject, client_id="client-evil", address=ATTACK, actor=ATTACK)
    await gatepost.store.audit.append_events([event])
    for page in (
        PEOPLE,
        of(PEOPLE, search=ATTACK),
        of(PERSON, subject=stranger.subject),
        CLIENTS,
        of(CLIENTS, search=ATTACK),
        of(CLIENT, client_id="client-evil"),
        GRANTS,
        of(GRANTS, subject=stranger.subject),
        of(GRANTS, subject=ATTACK, client_id=ATTACK),
        AUDIT,
        of(AUDIT, **dict.fromkeys(("event", "outcome", "subject", "client_id", "address", "actor", "until"), ATTACK)),
    ):
        answer = await gatepost.http.get(page)
        assert answer.status_code in {200, 422}, page
        assert "<script" not in answer.text
        assert "<img" not in answer.text
        assert "\u202e" not in answer.text
        assert 'href="https://evil' not in answer.text
        links = re.findall(r'(?:href|action)="([^"]*)"', answer.text.partition("<body")[2])
        assert all(link.startswith("/oauth/") for link in links)


async def test_no_site_frames_the_pages_and_nothing_keeps_them(gatepost: Installed) -> None:
    carl = (await person(gatepost, "carl")).subject
    pages = (
        of(PERSON, subject=carl),
        of(CLIENT, client_id="client-1"),
        PEOPLE,
        CLIENTS,
        NEW_CLIENT,
        API_KEYS,
        UPSTREAM,
        GRANTS,
        AUDIT,
        KEYS,
    )
    for page in pages:
        answer = await gatepost.http.get(page)
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "form-action 'self'" in policy
        assert "script-src" not in policy or "script-src 'none'" in policy
        assert (answer.headers["x-frame-options"], answer.headers["cache-control"]) == ("DENY", "no-store")
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"


async def test_keys_and_tokens_of_programs_open_nothing(gatepost: Installed) -> None:
    before = await state(gatepost)
    gatepost.http.cookies.clear()
    for secret in (API_KEY, "gp_at_0123456789", "access 1"):
        headers = {"Authorization": f"Bearer {secret}"}
        for page in PAGES:
            answer = await gatepost.http.get(page, headers=headers)
            assert (answer.status_code, answer.headers["location"]) == (303, "/oauth/login?then=admin")
        for page, fields in await posts(gatepost):
            assert (await gatepost.http.post(page, data=fields, headers=headers)).status_code == 400
    assert await state(gatepost) == before


async def test_a_link_that_was_made_for_one_browser_is_shown_in_no_other(gatepost: Installed) -> None:
    made = await act(gatepost.http, PEOPLE, username="dora")
    async with browser_of(gatepost, "eve") as browser:
        assert "gp_al_" not in (await browser.get(made.headers["location"])).text
    assert "gp_al_" not in made.headers["location"]
    assert "gp_al_" in (await gatepost.http.get(made.headers["location"])).text


async def test_an_api_key_stands_for_itself_or_for_who_makes_it_and_for_nobody_else(gatepost: Installed) -> None:
    ada, carl = [(await person(gatepost, name)).subject for name in ("ada", "carl")]
    whose = ("administrator", "key", "", carl, "carl")
    for number, stands_for in enumerate(whose):
        fields = {"whose": stands_for, "subject": carl, "user_subject": carl}
        await act(gatepost.http, API_KEYS, do="create", name=f"new{number}", scopes="notes:read", **fields)

    made = [key for key in await gatepost.store.api_keys.list_keys(live_at=None, limit=9) if key.name != "backup"]
    assert {key.name: key.user_subject for key in made} == {"new0": ada, **{f"new{n}": None for n in range(1, 5)}}


async def test_a_secret_that_was_made_for_one_browser_is_shown_in_no_other_and_stands_in_no_event(
    gatepost: Installed,
) -> None:
    key = {"do": "create", "name": "nightly", "scopes": "notes:read"}
    for page, fields in ((API_KEYS, key), (CLIENT, {"client_id": "client-1", "do": "rotate_secret"})):
        made = await act(gatepost.http, page, **fields)
        async with browser_of(gatepost, "eve") as browser:
            elsewhere = (await browser.get(made.headers["location"])).text
        assert re.findall(r"gp_(?:ak|cs)_", elsewhere + made.headers["location"]) == []
        [secret] = re.findall(r"gp_(?:ak|cs)_[^<]*", (await gatepost.http.get(made.headers["location"])).text)
        assert secret not in str(await events(gatepost))

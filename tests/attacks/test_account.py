"""What others can do to a person's account page: other sites, other people, and who sits at a browser left open."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest

from gatepost.identity import passwords
from gatepost.identity.local_accounts import new_user
from gatepost.oauth.audit import AuditQuery
from gatepost.oauth.records import Grant
from gatepost.stores.sql.sqlite import memory_store
from gatepost.tokens.opaque import fingerprint
from tests.attacks.installed import ORIGIN, Installed, installed
from tests.attacks.test_people import call, redeem, register
from tests.web.pages.pages_world import PASSWORD, Form, heading

ACCOUNT = "/oauth/account"
NEW = "violet kettles hum at dusk"
POSTS = {
    f"{ACCOUNT}/apps": {"grant": "all"},
    f"{ACCOUNT}/sessions": {"session": "others"},
    f"{ACCOUNT}/password": {"old": PASSWORD, "password": NEW, "repeat": NEW},
    "/oauth/logout": {},
}


@pytest.fixture(autouse=True)
def _cheap_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_MEMORY_COST", 64)
    passwords._hasher.cache_clear()
    monkeypatch.setattr(passwords, "_hasher", passwords._hasher.__wrapped__)


@pytest.fixture
async def gatepost() -> AsyncIterator[Installed]:
    """A server with the accounts of ada, who is logged in, and bob."""
    store = memory_store()
    await store.open()
    for number, name in enumerate(("ada", "bob")):
        made = new_user(name, PASSWORD, now=1, random_bytes=bytes([number]).__mul__)
        await store.users.add_user(made)
    async with installed(store=store) as running:
        await log_in(running.http, "ada")
        yield running


async def log_in(browser: httpx2.AsyncClient, name: str) -> None:
    form = Form((await browser.get("/oauth/login")).text)
    answer = await browser.post("/oauth/login", data={**form.fields, "username": name, "password": PASSWORD})
    assert answer.headers["location"] == ACCOUNT


def another(gatepost: Installed) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=gatepost.http._transport, base_url=ORIGIN)


async def connect(gatepost: Installed) -> dict[str, str]:
    """Let an app in as ada, who has to log in again, since the answer to an app on loopback ends the session."""
    client_id = await register(gatepost)
    page = await gatepost.authorize(client_id, "http://127.0.0.1:9999/cb")
    path = page.headers["location"]
    form = Form((await gatepost.http.get(path)).text)
    answer = await gatepost.http.post(path, data={**form.fields, "decision": "approve"})
    tokens = await redeem(gatepost, client_id, answer.headers["location"])
    await log_in(gatepost.http, "ada")
    return tokens


async def token_of(browser: httpx2.AsyncClient, path: str) -> str:
    page = f"{ACCOUNT}/password" if path.endswith("password") else ACCOUNT
    return Form((await browser.get(page)).text).fields["csrf_token"]


async def only_grant(gatepost: Installed) -> Grant:
    (listed,) = await gatepost.store.approvals.list_grants(live_at=None, subject=None, client_id=None, limit=10)
    return listed.grant


@pytest.mark.parametrize(
    ("origin", "token"),
    [("https://evil.example", "right"), ("null", "right"), (ORIGIN, ""), (ORIGIN, "wrong"), (ORIGIN, "another form's")],
)
async def test_a_form_of_another_site_ends_and_changes_nothing(gatepost: Installed, origin: str, token: str) -> None:
    tokens = await connect(gatepost)
    other = another(gatepost)
    await log_in(other, "ada")
    for path, fields in POSTS.items():
        right, wrong = await token_of(gatepost.http, path), await token_of(other, path)
        if token == "another form's":
            wrong = await token_of(gatepost.http, ACCOUNT if path.endswith("password") else "password")
        sent = {"right": right, "another form's": wrong}.get(token, token)

        answer = await gatepost.http.post(path, data={"csrf_token": sent, **fields}, headers={"Origin": origin})

        assert answer.status_code == 403, path
        assert "location" not in answer.headers
    gatepost.clock[0] += 60
    assert await call(gatepost, tokens) == 200
    assert [(await browser.get(ACCOUNT)).status_code for browser in (gatepost.http, other)] == [200, 200]
    await other.aclose()


async def test_a_token_of_another_browser_of_the_same_person_is_wrong(gatepost: Installed) -> None:
    other = another(gatepost)
    await log_in(other, "ada")
    for path, fields in POSTS.items():
        answer = await gatepost.http.post(path, data={"csrf_token": await token_of(other, path), **fields})
        assert answer.status_code == 403, path
    await other.aclose()


async def test_another_persons_grant_or_session_is_like_one_that_there_is_not(gatepost: Installed) -> None:
    tokens = await connect(gatepost)
    bob = another(gatepost)
    await log_in(bob, "bob")
    session = fingerprint(gatepost.http.cookies["gatepost-8000"]).hex()
    grant_id = (await only_grant(gatepost)).grant_id
    assert grant_id not in (await bob.get(ACCOUNT)).text
    assert session not in (await bob.get(ACCOUNT)).text

    answers = []
    for path, field, named in (
        (f"{ACCOUNT}/apps", "grant", [grant_id, "grant_unknown", "", "all"]),
        (f"{ACCOUNT}/sessions", "session", [session, "00" * 32, "no hex", "", "others"]),
    ):
        for value in named:
            data = {"csrf_token": await token_of(bob, path), field: value}
            answer = await bob.post(path, data=data)
            answers.append((answer.status_code, answer.text, dict(answer.headers)))

    assert all(answer == answers[0] for answer in answers)
    assert (answers[0][0], answers[0][2]["location"]) == (303, ACCOUNT)
    gatepost.clock[0] += 60
    assert await call(gatepost, tokens) == 200
    assert (await gatepost.http.get(ACCOUNT)).status_code == 200
    await bob.aclose()


async def test_a_disconnected_app_is_refused_by_the_next_call_and_cannot_refresh(gatepost: Installed) -> None:
    tokens = await connect(gatepost)
    assert await call(gatepost, tokens) == 200
    token = await token_of(gatepost.http, ACCOUNT)
    await gatepost.http.post(
        f"{ACCOUNT}/apps", data={"csrf_token": token, "grant": (await only_grant(gatepost)).grant_id}
    )

    assert await call(gatepost, tokens) == 401
    grant = await only_grant(gatepost)
    refreshed = await gatepost.token(
        grant_type="refresh_token", client_id=grant.client_id, refresh_token=tokens["refresh_token"]
    )
    assert (refreshed.status_code, refreshed.json()["error"]) == (400, "invalid_grant")
    (event,) = await gatepost.store.audit.list_events(AuditQuery(event="revocation"), before=None, limit=10)
    assert (event.reason, event.subject, event.grant_id) == ("user_revoked", grant.subject, grant.grant_id)


async def test_a_session_that_was_planted_or_copied_is_worth_nothing_after_a_change(gatepost: Installed) -> None:
    """Before the login a thief plants his own; before the change of the password he copies hers."""
    victim, thief = another(gatepost), another(gatepost)
    await victim.get("/oauth/login")
    planted = dict(victim.cookies)
    await log_in(victim, "ada")
    thief.cookies.update(planted)
    assert (await thief.get(ACCOUNT)).status_code == 303
    thief.cookies.update(dict(victim.cookies))
    assert (await thief.get(ACCOUNT)).status_code == 200

    path = f"{ACCOUNT}/password"
    answer = await victim.post(path, data={"csrf_token": await token_of(victim, path), **POSTS[path]})

    assert heading(answer) == "Your password is changed"
    thief.cookies.clear()
    thief.cookies.update(planted)
    assert [(await browser.get(ACCOUNT)).status_code for browser in (victim, thief, gatepost.http)] == [200, 303, 303]
    for browser in (victim, thief):
        await browser.aclose()


async def test_guesses_at_the_old_password_are_counted_with_those_at_the_login(gatepost: Installed) -> None:
    """Who finds a browser left open gets no more of them than anybody else."""
    path = f"{ACCOUNT}/password"

    async def guess() -> int:
        data = {"csrf_token": await token_of(gatepost.http, path), "old": "a guess", "password": NEW, "repeat": NEW}
        return (await gatepost.http.post(path, data=data)).status_code

    assert [await guess() for _ in range(12)] == [403] * 10 + [429] * 2
    form = Form((await gatepost.http.get("/oauth/login?switch=1")).text)
    right = {**form.fields, "username": "ada", "password": PASSWORD}
    assert (await gatepost.http.post("/oauth/login", data=right)).status_code == 429
    events = await gatepost.store.audit.list_events(AuditQuery(event="password_changed"), before=None, limit=20)
    assert [event.reason for event in events] == ["login_failed"] * 10


async def test_no_account_page_can_be_framed_cached_or_run_scripts(gatepost: Installed) -> None:
    pages = [await gatepost.http.get(path) for path in (ACCOUNT, f"{ACCOUNT}/password")]
    pages += [await gatepost.http.post(path, data={}) for path in POSTS]
    pages.append(await another(gatepost).get(ACCOUNT))
    for page in pages:
        policy = page.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["cache-control"] == "no-store"
        assert "<script" not in page.text
        assert " style=" not in page.text
    assert all("form-action 'self'" in page.headers["content-security-policy"] for page in pages[:2])

"""The admin pages, over a whole installation."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest

from gatepost.identity import passwords
from gatepost.identity.roles import Role
from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.records import ClientOrigin
from gatepost.stores.conformance.records import audit_record, client, grant, session, tokens
from gatepost.stores.contract.account_links import AccountLink
from gatepost.stores.contract.linked_logins import LinkedLogin
from gatepost.stores.contract.second_steps import SecondStep
from gatepost.tokens.opaque import fingerprint
from tests.attacks.admin_world import (
    ADMIN,
    AUDIT,
    CLIENT,
    CLIENTS,
    GRANTS,
    KEYS,
    PEOPLE,
    PERSON,
    act,
    administered,
    browser_of,
    events,
    log_in,
    of,
    person,
    token,
)
from tests.attacks.installed import ORIGIN, Installed, installed
from tests.web.pages.pages_world import Form, heading

NOW = 1_800_000_000


@pytest.fixture(autouse=True)
def _cheap_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_MEMORY_COST", 64)
    passwords._hasher.cache_clear()
    monkeypatch.setattr(passwords, "_hasher", passwords._hasher.__wrapped__)


@pytest.fixture
async def gatepost() -> AsyncIterator[Installed]:
    async with administered() as running:
        yield running


async def text_of(gatepost: Installed, page: str) -> str:
    answer = await gatepost.http.get(page)
    assert answer.status_code == 200
    return answer.text


async def allow(gatepost: Installed, name: str, grant_id: str, client_id: str = "client-1") -> None:
    subject = (await person(gatepost, name)).subject
    kept = grant(grant_id, subject=subject, client_id=client_id, created_at=NOW, expires_at=NOW + 9999)
    await gatepost.store.approvals.give_grant(kept, tokens(grant_id, grant_id, now=NOW))


async def test_whoever_is_not_logged_in_logs_in_and_comes_back(gatepost: Installed) -> None:
    gatepost.http.cookies.clear()
    for page in (ADMIN, PEOPLE, PERSON, CLIENTS, CLIENT, GRANTS, AUDIT, KEYS):
        assert (await gatepost.http.get(page)).headers["location"] == "/oauth/login?then=admin"

    answer = await log_in(gatepost.http, "ada", "/oauth/login?then=admin")

    assert answer.headers["location"] == ADMIN
    assert (await gatepost.http.get(ADMIN)).headers["location"] == PEOPLE
    # To no other place.
    assert (await gatepost.http.get("/oauth/login?then=https://evil.example")).headers["location"] == "/oauth/account"


async def test_the_account_page_leads_administrators_here_and_nobody_else(gatepost: Installed) -> None:
    assert f'href="{ADMIN}"' in await text_of(gatepost, "/oauth/account")
    async with browser_of(gatepost, "bob") as browser:
        assert ADMIN not in (await browser.get("/oauth/account")).text


async def test_a_rule_makes_administrators_too() -> None:
    async with (
        administered(roles={"admin": Role(users="account:bob")}) as gatepost,
        browser_of(gatepost, "bob") as browser,
    ):
        bob = await person(gatepost, "bob")
        shown = await browser.get(of(PERSON, subject=bob.subject))
        assert "by a rule of the settings" in shown.text
        await act(browser, PERSON, subject=(await person(gatepost, "ada")).subject, do="disable")
        assert (await person(gatepost, "ada")).disabled_at == NOW


async def test_people_are_listed_searched_and_paged(gatepost: Installed) -> None:
    page = await text_of(gatepost, PEOPLE)
    assert re.findall(r"<bdi>(ada|bob|carl|eve)</bdi>", page) == ["ada", "bob", "carl", "eve"]
    assert "last logged in on 15 January 2027" in page
    for search, found in (("B", ["bob"]), ((await person(gatepost, "eve")).subject, ["eve"]), ("zz", [])):
        page = await text_of(gatepost, of(PEOPLE, search=search))
        assert re.findall(r"<bdi>(ada|bob|carl|eve)</bdi>", page) == found
    for number in range(60):
        subjects = (f"user_{number:02}",)
        name = f"person {number:02}"
        await gatepost.store.users.recognise_user("i", str(number), display_name=name, subjects=subjects, now=NOW)

    first = await text_of(gatepost, of(PEOPLE, search="person"))
    [following] = re.findall(r'<a class="[^"]*" href="([^"]*)" rel="next">', first)
    second = await text_of(gatepost, following.replace("&amp;", "&"))

    named = re.findall(r"<bdi>(person \d\d)</bdi>", first + second)
    assert named == [f"person {number:02}" for number in range(60)]
    assert 'rel="next"' not in second


async def test_a_persons_page_says_what_is_there_and_no_secret(gatepost: Installed) -> None:
    bob = await person(gatepost, "bob")
    await gatepost.store.second_steps.set_up(
        SecondStep(bob.subject, "step", b"sealed-secret", 1, NOW), recovery_codes=[]
    )
    await gatepost.store.linked_logins.link_login(LinkedLogin("https://id.example", "x1", bob.subject, NOW, "Bob B."))
    await allow(gatepost, "bob", "grant-1")

    page = await text_of(gatepost, of(PERSON, subject=bob.subject))

    assert re.findall(r"<dt>([^<]*)</dt><dd>([^<]*)", page)[-4:] == [
        ("Second step", "on"),
        ("Passkeys", "0"),
        ("Browsers logged in", "0"),
        ("Connected apps", "1"),
    ]
    assert "<bdi>https://id.example</bdi>, as <bdi>Bob B.</bdi>" in re.sub("[\u2066-\u2069]", "", page)
    assert bob.password_hash is not None
    assert bob.password_hash not in page
    assert "sealed-secret" not in page
    unknown = await gatepost.http.get(of(PERSON, subject="nobody"))
    assert (unknown.status_code, heading(unknown)) == (404, "There is nothing here")


async def test_each_act_is_done_once_and_has_its_administrator_in_the_audit_trail(gatepost: Installed) -> None:
    bob, ada = await person(gatepost, "bob"), await person(gatepost, "ada")
    await gatepost.store.second_steps.set_up(SecondStep(bob.subject, "step", b"", 1, NOW), recovery_codes=[])
    await gatepost.store.browser_sessions.start_session(session(subject=bob.subject, expires_at=NOW + 99))
    acts = [
        ("give_role", {"role": "user"}, AuditEvent.ROLE_GIVEN),
        ("take_role", {"role": "user"}, AuditEvent.ROLE_TAKEN),
        ("end_sessions", {}, AuditEvent.SESSIONS_ENDED),
        ("second_step_off", {}, AuditEvent.SECOND_STEP_TURNED_OFF),
        ("disable", {}, AuditEvent.USER_DISABLED),
        ("enable", {}, AuditEvent.USER_ENABLED),
    ]
    for do, fields, event in acts:
        for _ in range(2):
            answer = await act(gatepost.http, PERSON, subject=bob.subject, do=do, **fields)
            assert (answer.status_code, answer.headers["location"]) == (303, of(PERSON, subject=bob.subject))
        [kept] = await events(gatepost, event=event.value)
        assert (kept.subject, kept.actor, kept.address) == (bob.subject, ada.subject, "127.0.0.1"), do

    assert await person(gatepost, "bob") == bob
    assert (await act(gatepost.http, PERSON, subject=bob.subject, do="nothing known")).status_code == 303
    assert (await act(gatepost.http, PERSON, subject="nobody", do="disable")).status_code == 404


async def test_a_wrong_role_is_said_and_stays_in_its_field(gatepost: Installed) -> None:
    bob = await person(gatepost, "bob")

    answer = await act(gatepost.http, PERSON, subject=bob.subject, do="give_role", role="No Role")

    assert answer.status_code == 422
    assert 'value="No Role"' in answer.text
    assert 'role="alert"' in answer.text
    assert await person(gatepost, "bob") == bob


async def test_an_administrator_does_not_shut_themselves_out(gatepost: Installed) -> None:
    ada = await person(gatepost, "ada")
    for fields in ({"do": "disable"}, {"do": "take_role", "role": "admin"}):
        answer = await act(gatepost.http, PERSON, subject=ada.subject, **fields)
        assert (answer.status_code, heading(answer)) == (409, "You cannot shut yourself out")
    await act(gatepost.http, PERSON, subject=ada.subject, do="end_sessions")
    assert await person(gatepost, "ada") == ada
    assert 'value="disable"' not in await text_of(gatepost, of(PERSON, subject=ada.subject))


@pytest.mark.parametrize("whose", ["dora", ""])
async def test_an_invitation_is_shown_once_and_works(gatepost: Installed, whose: str) -> None:
    answer = await act(gatepost.http, PEOPLE, username=whose)
    assert answer.status_code == 303

    shown, again = [await gatepost.http.get(answer.headers["location"]) for _ in range(2)]

    [link] = re.findall(rf"<code>({ORIGIN}/oauth/account/link\?token=gp_al_[^<]*)</code>", shown.text)
    assert link not in again.text
    assert heading(again) == "This link was shown already"
    assert heading(await gatepost.http.get(link)) == "Create your account"
    [kept] = await events(gatepost, event="user_invited")
    assert kept.actor == (await person(gatepost, "ada")).subject


@pytest.mark.parametrize(("name", "problem"), [("bob", "There is an account of that name already"), ("x" * 70, "64")])
async def test_an_invitation_that_cannot_be_loses_nothing(gatepost: Installed, name: str, problem: str) -> None:
    answer = await act(gatepost.http, PEOPLE, username=name)

    assert answer.status_code == 422
    assert f'value="{name}"' in answer.text
    assert problem in answer.text


async def test_a_password_link_is_shown_once(gatepost: Installed) -> None:
    bob = await person(gatepost, "bob")
    answer = await act(gatepost.http, PERSON, subject=bob.subject, do="reset")

    shown = await gatepost.http.get(answer.headers["location"])

    [found] = re.findall(r"token=(gp_al_[^<]*)</code>", shown.text)
    link = await gatepost.store.account_links.find_link(fingerprint(found), now=NOW)
    assert link == AccountLink(fingerprint(found), bob.subject, "bob", NOW, NOW + 24 * 3600)
    [kept] = await events(gatepost, event="password_reset_offered")
    assert kept.subject == bob.subject


async def test_a_change_asks_for_a_login_that_is_not_long_ago(gatepost: Installed) -> None:
    bob, right = await person(gatepost, "bob"), await token(gatepost.http)
    gatepost.clock[0] += 601

    answer = await gatepost.http.post(PERSON, data={"csrf_token": right, "subject": bob.subject, "do": "disable"})
    assert answer.headers["location"] == "/oauth/account/confirm?for=admin"
    assert await person(gatepost, "bob") == bob
    page = await text_of(gatepost, of(PERSON, subject=bob.subject))
    assert 'method="post"' not in page
    confirm = Form((await gatepost.http.get("/oauth/account/confirm?for=admin")).text)
    back = await gatepost.http.post(confirm.action or "", data={**confirm.fields, "password": "correct horse battery"})
    assert back.headers["location"] == ADMIN
    await act(gatepost.http, PERSON, subject=bob.subject, do="disable")
    assert (await person(gatepost, "bob")).disabled_at == NOW + 601


async def test_an_app_is_shown_disabled_enabled_and_deleted_with_what_it_was_allowed(gatepost: Installed) -> None:
    await gatepost.store.clients.register_client(client(created_at=NOW))
    await allow(gatepost, "bob", "grant-1")
    assert "client-1" in await text_of(gatepost, CLIENTS)
    here = of(CLIENT, client_id="client-1")
    page = await text_of(gatepost, here)
    assert client().redirect_uris[0] in page
    for do, event in (("disable", "client_disabled"), ("enable", "client_enabled"), ("remove", "client_removed")):
        answers = [await act(gatepost.http, CLIENT, client_id="client-1", do=do) for _ in range(2)]
        assert answers[0].headers["location"] == (CLIENTS if do == "remove" else here)
        [kept] = await events(gatepost, event=event)
        assert (kept.client_id, kept.actor) == ("client-1", (await person(gatepost, "ada")).subject)
    assert (await gatepost.http.get(here)).status_code == 404
    assert await gatepost.store.approvals.list_grants(live_at=NOW, subject=None, client_id=None, limit=9) == []


async def test_an_app_that_is_known_by_a_document_can_be_shut_out_and_let_in(gatepost: Installed) -> None:
    url = "https://app.example/client.json"
    assert "known by its document" in await text_of(gatepost, of(CLIENT, client_id=url))

    await act(gatepost.http, CLIENT, client_id=url, do="disable")
    kept = await gatepost.store.clients.find_client(url)
    assert kept is not None
    assert (kept.origin, kept.disabled_at) == (ClientOrigin.DOCUMENT, NOW)
    await act(gatepost.http, CLIENT, client_id=url, do="enable")
    assert await gatepost.store.clients.find_client(url) is None


async def test_an_app_of_the_settings_stays_as_they_say(gatepost: Installed) -> None:
    kept = client(origin=ClientOrigin.SETTINGS)
    await gatepost.store.clients.keep_settings_clients([kept], now=NOW)
    for do in ("disable", "remove"):
        answer = await act(gatepost.http, CLIENT, client_id="client-1", do=do)
        assert (answer.status_code, heading(answer)) == (409, "This app is kept as the settings say")
    assert await gatepost.store.clients.find_client("client-1") == kept


async def test_grants_are_listed_by_person_or_app_and_revoked_one_or_all(gatepost: Installed) -> None:
    bob = await person(gatepost, "bob")
    for number, (name, app) in enumerate((("bob", "a"), ("bob", "b"), ("carl", "a"), ("carl", "c"))):
        await allow(gatepost, name, f"grant-{number}", app)

    async def live() -> list[str]:
        listed = await gatepost.store.approvals.list_grants(live_at=NOW, subject=None, client_id=None, limit=9)
        return [each.grant.grant_id[-1] for each in listed]

    of_bob = of(GRANTS, subject=bob.subject)
    assert re.findall(r'value="grant-(\d) ', await text_of(gatepost, of_bob)) == ["0", "1"]
    assert re.findall(r'value="grant-(\d) ', await text_of(gatepost, of(GRANTS, client_id="a"))) == ["0", "2"]
    await act(gatepost.http, GRANTS, grant=f"grant-2 {bob.subject}")
    assert await live() == ["0", "1", "2", "3"]
    own = {"grant": f"grant-0 {bob.subject}", "subject": bob.subject}
    answer, _ = [await act(gatepost.http, GRANTS, **own) for _ in range(2)]
    assert answer.headers["location"] == of_bob
    assert await live() == ["1", "2", "3"]
    await act(gatepost.http, GRANTS, grant="all")
    assert await live() == ["1", "2", "3"]
    await act(gatepost.http, GRANTS, grant="all", client_id="a")
    assert await live() == ["1", "3"]
    await act(gatepost.http, GRANTS, grant="all", subject=bob.subject)
    assert await live() == ["3"]
    kept = await events(gatepost, event="revocation", actor=(await person(gatepost, "ada")).subject)
    assert [one.grant_id for one in kept] == ["grant-1", "grant-2", "grant-0"]
    assert (kept[-1].subject, kept[-1].client_id) == (bob.subject, "a")


async def test_the_audit_trail_has_the_filters_of_the_command_line(gatepost: Installed) -> None:
    bob, ada = await person(gatepost, "bob"), await person(gatepost, "ada")
    await act(gatepost.http, PERSON, subject=bob.subject, do="give_role", role="user")
    for filters, count in (
        ({}, 2),
        ({"event": "role_given"}, 1),
        ({"outcome": "refused"}, 0),
        ({"subject": bob.subject}, 1),
        ({"actor": ada.subject, "address": "127.0.0.1"}, 1),
        ({"client_id": "client-1"}, 0),
        ({"since": "1h"}, 2),
        ({"until": "1h"}, 0),
    ):
        page = await text_of(gatepost, of(AUDIT, **filters))
        assert page.count('<li class="app">') == count, filters
    wrong = await gatepost.http.get(of(AUDIT, since="yesterday", subject="x"))
    assert wrong.status_code == 422
    assert 'value="yesterday"' in wrong.text
    assert 'value="x"' in wrong.text


async def test_the_audit_trail_is_paged_with_its_filters(gatepost: Installed) -> None:
    records = [audit_record(number, at=NOW, subject="user-1") for number in range(60)]
    await gatepost.store.audit.append_events(records)

    first = await text_of(gatepost, of(AUDIT, subject="user-1"))
    [following] = re.findall(r'href="([^"]*)" rel="next"', first)
    second = await text_of(gatepost, following.replace("&amp;", "&"))

    assert [page.count('<li class="app">') for page in (first, second)] == [50, 10]
    assert 'rel="next"' not in second


async def test_keys_are_rotated_once_however_often_the_form_is_sent() -> None:
    async with administered(OAUTH_ACCESS_TOKEN_FORMAT="jwt") as gatepost:
        page = Form(await text_of(gatepost, KEYS))
        assert page.fields["newest"]
        for _ in range(2):
            answer = await gatepost.http.post(KEYS, data={**page.fields, "do": "rotate"})
            assert answer.headers["location"] == KEYS

        assert len(await gatepost.store.keys.signing_keys(now=NOW)) == 2
        [kept] = await events(gatepost, event="signing_key_rotated")
        assert kept.actor == (await person(gatepost, "ada")).subject
        shown = await text_of(gatepost, KEYS)
        assert (shown.count("signs now"), shown.count("is published and signs later")) == (1, 1)


async def test_health_and_versions_are_shown_and_opaque_tokens_have_no_keys(gatepost: Installed) -> None:
    page = await text_of(gatepost, KEYS)
    assert "<code>store</code></dt><dd><code>ok</code>" in page
    assert "Access tokens of this server are not signed." in page
    for do in ("rotate", "rotate_now", "retire", "nothing known"):
        assert (await act(gatepost.http, KEYS, do=do)).headers["location"] == KEYS
    assert await events(gatepost, event="signing_key_rotated") == []


async def test_a_key_signs_at_once_and_the_one_before_is_ended() -> None:
    async with administered(OAUTH_ACCESS_TOKEN_FORMAT="jwt") as gatepost:
        [old] = await gatepost.store.keys.signing_keys(now=NOW)
        assert 'value="retire"' not in await text_of(gatepost, KEYS)
        alone = await act(gatepost.http, KEYS, do="retire", key=old.key_id)
        assert (alone.status_code, heading(alone)) == (409, "No other key would go on signing")

        gatepost.clock[0] += 1
        await act(gatepost.http, KEYS, do="rotate_now", newest=old.key_id)
        _, new = await gatepost.store.keys.signing_keys(now=NOW)
        assert new.signs_from == NOW + 1
        assert (await text_of(gatepost, KEYS)).count('value="retire"') == 1
        for _ in range(2):
            assert (await act(gatepost.http, KEYS, do="retire", key=old.key_id)).headers["location"] == KEYS

        assert await gatepost.store.keys.signing_keys(now=NOW + 1) == [new]
        [kept] = await events(gatepost, event="signing_key_retired")
        assert kept.actor == (await person(gatepost, "ada")).subject


async def test_somebody_without_a_password_here_logs_in_again_to_change_something() -> None:
    password = "seven quiet herons wade upstream"
    async with installed(ADMIN_PASSWORD=password) as gatepost:

        async def log_in_again(path: str) -> str:
            form = Form((await gatepost.http.get(path)).text)
            answer = await gatepost.http.post(form.action or "", data={**form.fields, "password": password})
            return answer.headers["location"]

        assert await log_in_again("/oauth/login?then=admin") == ADMIN
        page = await text_of(gatepost, PEOPLE)
        assert "Invite somebody" not in page
        [listed] = await gatepost.store.administration.list_people(name_begins="", after=None, limit=2)
        right = Form(await text_of(gatepost, of(PERSON, subject=listed.user.subject))).fields["csrf_token"]
        gatepost.clock[0] += 601
        fields = {"csrf_token": right, "subject": listed.user.subject, "do": "give_role", "role": "user"}
        answer = await gatepost.http.post(PERSON, data=fields)
        assert answer.headers["location"] == "/oauth/login?then=admin&switch=1"
        assert await log_in_again(answer.headers["location"]) == ADMIN
        right = Form(await text_of(gatepost, of(PERSON, subject=listed.user.subject))).fields["csrf_token"]
        await gatepost.http.post(PERSON, data={**fields, "csrf_token": right})
        found = await gatepost.store.administration.find_person(listed.user.subject)
        assert found is not None
        assert found.user.roles == ("user",)

"""What somebody who knows the password, has seen a code, or sits at a browser left open can do to a second step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from gatepost.identity.local_accounts import new_user
from gatepost.oauth.audit import AuditQuery
from gatepost.oauth.limits import LOGINS_OF_ADDRESS
from gatepost.stores.sql.sqlite import memory_store
from tests.attacks.installed import Installed, installed
from tests.attacks.login_world import KEY
from tests.identity.one_time_app import App
from tests.web.pages.pages_world import ORIGIN, PASSWORD, Form, heading
from tests.web.pages.second_step_world import (
    CHANGE,
    LOGIN,
    PAGE,
    cheap_hashing,
    codes_on,
    is_logged_in,
    key_on,
    send,
    type_password,
)

ACCOUNT = "/oauth/account"
WRONG, TOO_MANY = 403, 429


class Guarded:
    """A server on which ada and bob have a second step."""

    def __init__(self, gatepost: Installed) -> None:
        self.gatepost = gatepost
        self.apps: dict[str, App] = {}
        self.recovery: dict[str, list[str]] = {}
        self.own: dict[str, httpx2.AsyncClient] = {}
        """The browsers in which they set it up."""
        self._opened: list[httpx2.AsyncClient] = []

    def browser(self, address: str = "192.0.2.1") -> httpx2.AsyncClient:
        """Return a browser that has never been here."""
        transport = httpx2.ASGITransport(app=self.gatepost.http._transport.app, client=(address, 50_000))  # type: ignore[attr-defined]  # it is one
        self._opened.append(httpx2.AsyncClient(transport=transport, base_url=ORIGIN))
        return self._opened[-1]

    async def set_up(self, name: str) -> None:
        """Set the second step of this person up."""
        browser = self.own[name] = self.browser("198.51.100.7")
        await type_password(browser, name)
        page = await browser.get(PAGE)
        app = self.apps[name] = App(key_on(page))
        self.recovery[name] = codes_on(await send(browser, page, code=app.code(self.now), password=PASSWORD))

    def code(self, name: str = "ada") -> str:
        """Return what this person's app shows."""
        return self.apps[name].code(self.now)

    @property
    def now(self) -> int:
        """The server's time."""
        return self.gatepost.clock[0]

    def wait(self, seconds: int = 30) -> None:
        """Let time pass."""
        self.gatepost.clock[0] += seconds

    async def refusals(self, event: str = "login") -> list[str | None]:
        """Return the reasons of refusals in the audit trail, the newest first."""
        query = AuditQuery(event=event, outcome="refused")
        return [found.reason for found in await self.gatepost.store.audit.list_events(query, before=None, limit=200)]

    async def aclose(self) -> None:
        """Close every browser."""
        for browser in self._opened:
            await browser.aclose()


@pytest.fixture(autouse=True)
def _cheap_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_hashing(monkeypatch)


@pytest.fixture
async def guarded() -> AsyncIterator[Guarded]:
    store = memory_store()
    await store.open()
    for number, name in enumerate(("ada", "bob")):
        await store.users.add_user(new_user(name, PASSWORD, now=1, random_bytes=bytes([number]).__mul__))
    never = "sqlite:///never-opened.db"
    serving = installed(store=store, MCP_PUBLIC_URL=ORIGIN, MCP_SEALING_KEYS=KEY, MCP_STORAGE_URL=never)
    async with serving as running:
        guarded = Guarded(running)
        for name in ("ada", "bob"):
            await guarded.set_up(name)
        guarded.wait()
        yield guarded
        await guarded.aclose()


async def test_a_code_that_was_seen_is_worth_nothing_after_its_owner_has_used_it(guarded: Guarded) -> None:
    code = guarded.code()
    owner, thief = guarded.browser(), guarded.browser("192.0.2.2")
    stolen = await type_password(thief)
    assert (await send(owner, await type_password(owner), code=code)).headers["location"] == ACCOUNT

    assert (await send(thief, stolen, code=code)).status_code == WRONG
    guarded.wait()
    assert (await send(thief, await type_password(thief), code=code)).status_code == WRONG
    assert not await is_logged_in(thief)


@pytest.mark.parametrize("by", ["app", "recovery code"])
async def test_of_two_browsers_with_one_code_at_once_one_gets_in(guarded: Guarded, by: str) -> None:
    code = guarded.code() if by == "app" else guarded.recovery["ada"][0]
    browsers = [guarded.browser(f"192.0.2.{number}") for number in range(8)]
    steps = [await type_password(browser) for browser in browsers]

    answers = await asyncio.gather(
        *(send(browser, step, code=code) for browser, step in zip(browsers, steps, strict=True))
    )

    assert sorted(answer.status_code for answer in answers) == [303] + [WRONG] * 7
    assert [await is_logged_in(browser) for browser in browsers].count(True) == 1


async def test_codes_of_another_account_open_nothing(guarded: Guarded) -> None:
    thief = guarded.browser()
    page = await type_password(thief, "ada")
    for code in (guarded.code("bob"), guarded.recovery["bob"][0]):
        page = await send(thief, page, code=code)
        assert page.status_code == WRONG

    # And bob's are not used up by it.
    bob = guarded.browser("192.0.2.2")
    assert (await send(bob, await type_password(bob, "bob"), code=guarded.recovery["bob"][0])).status_code == 303


async def test_a_form_that_names_another_account_is_about_the_one_whose_password_was_typed(guarded: Guarded) -> None:
    thief = guarded.browser()
    page = await type_password(thief, "bob")
    store = guarded.gatepost.store
    ada, bob = [await store.users.find_user(name) for name in ("ada", "bob")]
    assert ada is not None
    assert bob is not None
    before = await store.browser_sessions.list_sessions(ada.subject, now=guarded.now, limit=9)

    answer = await send(thief, page, code=guarded.code("bob"), username="ada", subject="user_ada", step="", secret="")

    assert answer.headers["location"] == ACCOUNT
    assert await store.browser_sessions.list_sessions(ada.subject, now=guarded.now, limit=9) == before
    assert len(await store.browser_sessions.list_sessions(bob.subject, now=guarded.now, limit=9)) == 2


async def test_no_url_goes_past_the_step(guarded: Guarded) -> None:
    """Neither the session in which the password was typed, nor any page or form, knows anybody before the code."""
    thief = guarded.browser()
    step = await type_password(thief)
    token = Form(step.text).fields["csrf_token"]

    for path in (ACCOUNT, PAGE, f"{ACCOUNT}/password", "/oauth/consent?transaction=x", "/oauth/login?switch=1"):
        answer = await thief.get(path)
        assert answer.headers.get("location", LOGIN) == LOGIN, path
        assert "ada" not in answer.text, path
    for path in (PAGE, CHANGE, f"{ACCOUNT}/password", f"{ACCOUNT}/apps", f"{ACCOUNT}/sessions"):
        answer = await thief.post(path, data={"csrf_token": token, "password": PASSWORD, "old": PASSWORD, "code": "1"})
        assert answer.status_code == WRONG, path
    without_state = await thief.post(LOGIN, data={"csrf_token": token, "code": guarded.code()})
    assert (without_state.status_code, heading(without_state)) == (WRONG, "Log in")
    assert not await is_logged_in(thief)


async def test_the_state_of_the_first_step_is_used_once_by_its_own_browser(guarded: Guarded) -> None:
    mine, thief = guarded.browser(), guarded.browser("192.0.2.2")
    step = await type_password(mine)
    state = Form(step.text).fields["state"]
    foreign = await send(thief, await thief.get(LOGIN), state=state, code=guarded.code())
    assert (foreign.status_code, foreign.headers["location"]) == (303, LOGIN)
    assert not await is_logged_in(thief)

    assert (await send(mine, step, code="000000")).status_code == WRONG
    again = await send(mine, step, code=guarded.code())

    assert (again.status_code, again.headers["location"]) == (303, LOGIN)
    assert not await is_logged_in(mine)


async def test_who_knows_the_password_gets_ten_guesses_and_then_one_in_two_hours_and_a_half(guarded: Guarded) -> None:
    """From anywhere: each browser here has an address of its own, and none has the wait that its address would have."""
    statuses: list[int] = []
    for number in range(15):
        thief = guarded.browser(f"192.0.2.{number + 1}")
        statuses.append((await send(thief, await type_password(thief), code="000000")).status_code)
    assert statuses == [WRONG] * 10 + [TOO_MANY] * 5
    assert [reason for reason in await guarded.refusals() if reason != "too_many_requests"] == [
        "second_step_failed"
    ] * 10

    # The right one does not help any more: the limit would stop only wrong guesses.
    lucky = guarded.browser("192.0.2.99")
    refused = await send(lucky, await type_password(lucky), code=guarded.code())
    assert (refused.status_code, refused.headers["retry-after"]) == (TOO_MANY, str(24 * 3600 // 10))
    guarded.wait(24 * 3600 // 10)
    statuses = []
    for number in range(3):
        thief = guarded.browser(f"192.0.2.{number + 1}")
        statuses.append((await send(thief, await type_password(thief), code="000000")).status_code)
    assert statuses == [WRONG, TOO_MANY, TOO_MANY]


async def guess_to_the_end(guarded: Guarded) -> None:
    for number in range(11):
        thief = guarded.browser(f"192.0.2.{number + 1}")
        await send(thief, await type_password(thief), code="000000")


@pytest.mark.parametrize("way", ["own browser", "recovery code", "another password"])
async def test_a_guesser_does_not_keep_the_owner_out(guarded: Guarded, way: str) -> None:
    await guess_to_the_end(guarded)
    other = guarded.browser("203.0.113.9")
    assert (await send(other, await type_password(other), code=guarded.code())).status_code == TOO_MANY

    if way == "own browser":
        browser, code, password = guarded.own["ada"], guarded.code(), PASSWORD
        page = await type_password(browser, path=f"{LOGIN}?switch=1")
    elif way == "recovery code":
        browser, code, password = guarded.browser("203.0.113.9"), guarded.recovery["ada"][0], PASSWORD
        page = await type_password(browser)
    else:
        own, password = guarded.own["ada"], "violet kettles hum at dusk"
        form = await own.get(f"{ACCOUNT}/password")
        typed = {"old": PASSWORD, "password": password, "repeat": password}
        assert (await send(own, form, **typed, code=guarded.code())).status_code == 200
        guarded.wait()
        browser, code = guarded.browser("203.0.113.9"), guarded.code()
        page = await type_password(browser, password=password)

    assert (await send(browser, page, code=code)).headers["location"] == ACCOUNT


async def test_a_browser_that_knew_the_password_alone_is_counted_with_the_strangers(guarded: Guarded) -> None:
    """Somebody logged in before there was a second step, and is known to the account since."""
    store = guarded.gatepost.store
    ada = await store.users.find_user("ada")
    assert ada is not None
    await store.second_steps.turn_off(ada.subject)
    thieves = [guarded.browser(f"192.0.2.{number + 1}") for number in range(3)]
    for thief in thieves:
        assert (await type_password(thief)).headers["location"] == ACCOUNT
    await guarded.set_up("ada")
    assert [await is_logged_in(thief) for thief in thieves] == [False] * 3

    statuses = [(await send(thief, await type_password(thief), code="000000")).status_code for thief in thieves * 4]

    assert statuses == [WRONG] * 10 + [TOO_MANY] * 2


@pytest.mark.parametrize(
    "disguise",
    [
        {"code": "000000" + "-" * 60},
        {"code": " ".join("000000")},
        {"code": "000000", "more": "long enough to be no guess at all"},
    ],
)
async def test_no_way_to_write_a_guess_is_another_count(guarded: Guarded, disguise: dict[str, str]) -> None:
    statuses: list[int] = []
    for number in range(12):
        thief = guarded.browser(f"192.0.2.{number + 1}")
        statuses.append((await send(thief, await type_password(thief), **disguise)).status_code)

    assert statuses == [WRONG] * 10 + [TOO_MANY] * 2


async def test_right_logins_cost_no_guesses_and_give_none_back(guarded: Guarded) -> None:
    browser = guarded.browser()
    for number in range(12):
        page = await type_password(browser, path=f"{LOGIN}?switch=1")
        assert (await send(browser, page, code=guarded.code())).headers["location"] == ACCOUNT, number
        guarded.wait()
    await guess_to_the_end(guarded)
    page = await type_password(browser, path=f"{LOGIN}?switch=1")
    assert (await send(browser, page, code=guarded.code())).headers["location"] == ACCOUNT
    stranger = guarded.browser("203.0.113.9")

    assert (await send(stranger, await type_password(stranger), code="000000")).status_code == TOO_MANY


async def test_many_logins_at_one_address_are_no_attack(guarded: Guarded) -> None:
    """Each is two answers, the password and the code, and both are taken back."""
    codes = [*guarded.recovery["ada"], guarded.code()]
    for code in codes:
        browser = guarded.browser()
        assert (await send(browser, await type_password(browser), code=code)).headers["location"] == ACCOUNT

    assert len(codes) == 11


async def test_a_browser_left_open_cannot_turn_it_off_or_read_recovery_codes(guarded: Guarded) -> None:
    """Its finder may know the password as well, and sees no code; guesses are counted as at the login."""
    browser, statuses = guarded.own["ada"], []
    for number in range(12):
        page = await browser.get(PAGE)
        typed = {"password": PASSWORD if number else "a guess", "code": f"{number:06}", "change": "off"}
        statuses.append((await send(browser, page, **typed)).status_code)
        guarded.wait(600)

    assert statuses == [WRONG] * 11 + [TOO_MANY]
    ada = await guarded.gatepost.store.users.find_user("ada")
    assert ada is not None
    assert ada.second_step is not None
    reasons = await guarded.refusals("second_step_turned_off")
    assert [reason for reason in reasons if reason != "too_many_requests"] == ["second_step_failed"] * 10 + [
        "login_failed"
    ]


async def test_a_browser_left_open_cannot_change_the_password_without_a_code(guarded: Guarded) -> None:
    """With a new password it would get new guesses, and the owner none of their own."""
    browser, path = guarded.own["ada"], f"{ACCOUNT}/password"
    typed = {"old": PASSWORD, "password": "violet kettles hum at dusk", "repeat": "violet kettles hum at dusk"}
    statuses = []
    for number in range(12):
        statuses.append((await send(browser, await browser.get(path), **typed, code=f"{number:06}")).status_code)
        guarded.wait(600)
    assert statuses == [WRONG] * 10 + [TOO_MANY] * 2
    assert (await type_password(guarded.browser("203.0.113.9"))).status_code == 200

    page = await browser.get(path)
    changed = await send(browser, page, **typed, code=guarded.recovery["ada"][0])

    assert (changed.status_code, heading(changed)) == (200, "Your password is changed")
    reasons = await guarded.refusals("password_changed")
    assert [reason for reason in reasons if reason != "too_many_requests"] == ["second_step_failed"] * 10


async def test_a_page_of_another_site_sets_nothing_up_and_turns_nothing_off(guarded: Guarded) -> None:
    browser = guarded.own["ada"]
    token = Form((await browser.get(PAGE)).text).fields["csrf_token"]
    other = await guarded.own["bob"].get(PAGE)
    foreign = {"Origin": "https://evil.example"}
    typed = {"password": PASSWORD, "code": guarded.code(), "change": "off"}
    for path in (PAGE, CHANGE):
        for sent, headers in ((token, foreign), (Form(other.text).fields["csrf_token"], {}), ("", {})):
            answer = await browser.post(path, data={**typed, "csrf_token": sent}, headers=headers)
            assert (answer.status_code, "location" in answer.headers) == (WRONG, False)

    assert (await send(browser, await browser.get(PAGE), **typed)).status_code == 200


async def test_whether_an_account_has_a_second_step_is_told_to_who_knows_its_password_alone(guarded: Guarded) -> None:
    await guarded.gatepost.store.users.add_user(new_user("eve", PASSWORD, now=1, random_bytes=bytes([9]).__mul__))
    answers = []
    for number, name in enumerate(("ada", "eve", "nobody")):
        thief = guarded.browser(f"192.0.2.{number + 1}")
        answer = await type_password(thief, name, password="a guess")
        text = answer.text.replace(name, "NAME").replace(Form(answer.text).fields["csrf_token"], "TOKEN")
        answers.append((answer.status_code, sorted(answer.headers), text.partition("second_step")[0][:2000]))

    assert answers[0] == answers[1] == answers[2]


async def test_every_step_is_in_the_audit_trail(guarded: Guarded) -> None:
    browser = guarded.browser()
    await send(browser, await type_password(browser), code=guarded.recovery["ada"][0])
    page = await send(browser, await browser.get(PAGE), password=PASSWORD, code=guarded.code(), change="recovery-codes")
    (code, *_) = codes_on(page)
    await send(browser, await browser.get(PAGE), password=PASSWORD, code=code, change="off")

    ada = await guarded.gatepost.store.users.find_user("ada")
    assert ada is not None
    events = await guarded.gatepost.store.audit.list_events(AuditQuery(subject=ada.subject), before=None, limit=50)
    assert [event.event.value for event in reversed(events)] == [
        "login",
        "second_step_set_up",
        "recovery_code_used",
        "login",
        "recovery_codes_made",
        "second_step_turned_off",
    ]


async def test_the_store_has_neither_a_secret_nor_a_code_in_clear(guarded: Guarded) -> None:
    steps = await guarded.gatepost.store.second_steps.list_second_steps()
    kept = b"".join(step.sealed_secret for step in steps) + repr(steps).encode()
    for name, app in guarded.apps.items():
        assert app.secret not in kept
        assert guarded.recovery[name][0].encode() not in kept
    assert "sealed_secret" not in repr(steps[0])


async def test_a_secret_that_is_moved_to_another_account_opens_nothing(guarded: Guarded) -> None:
    """Who can write to the store and not read the keys."""
    store = guarded.gatepost.store.second_steps
    by_subject = {step.subject: step for step in await store.list_second_steps()}
    users = {name: await guarded.gatepost.store.users.find_user(name) for name in ("ada", "bob")}
    ada, bob = users["ada"], users["bob"]
    assert ada is not None
    assert bob is not None
    await store.reseal_second_step(ada.subject, ada.second_step or "", by_subject[bob.subject].sealed_secret)
    thief = guarded.browser()

    answer = await send(thief, await type_password(thief), code=guarded.code("bob"))

    assert answer.status_code == 500
    assert not await is_logged_in(thief)


async def test_own_logins_that_change_how_they_are_counted_midway_give_no_guesses_back(guarded: Guarded) -> None:
    """The password is typed by a browser that is known, and counted by it; the code by one that says nothing of that.

    What is taken back after the login has to be what was counted, or bob clears his address while he guesses at others.
    """
    bob, known = guarded.browser("203.0.113.9"), "__Host-gatepost-known"
    page = await type_password(bob, "bob")
    assert (await send(bob, page, code=guarded.recovery["bob"].pop())).status_code == 303

    async def guess() -> int:
        stranger = guarded.browser("203.0.113.9")
        return (await type_password(stranger, f"somebody{guesses}", password="a guess")).status_code

    guesses = 0
    for _ in range(9):
        page = await type_password(bob, "bob", path=f"{LOGIN}?switch=1")
        bob.cookies.delete(known)
        assert (await send(bob, page, code=guarded.recovery["bob"].pop())).status_code == 303
        for _ in range(5):
            assert await guess() == WRONG
            guesses += 1
    while await guess() == WRONG:
        guesses += 1
    assert guesses == LOGINS_OF_ADDRESS.uses

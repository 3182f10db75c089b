"""Links of further logins (security.md, upstream logins): a login comes to nobody but who asked for it, and to one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from gatepost.stores.contract.linked_logins import LoginKey
from gatepost.stores.contract.users import LOCAL
from tests.identity.openid_issuer import query_of
from tests.web.pages.linking_world import ACCOUNT, PASSWORD, LinkingWorld, key_id, key_of, linking_world
from tests.web.pages.pages_world import ORIGIN, Form, heading

LINK = f"{ACCOUNT}/link/a"
ADA, BOB = LoginKey(LOCAL, "user_ada"), LoginKey(LOCAL, "user_bob")


@pytest.fixture
async def linking() -> AsyncIterator[LinkingWorld]:
    async with linking_world() as world:
        yield world


async def logged_in(linking: LinkingWorld, name: str) -> httpx2.AsyncClient:
    browser = linking.browser()
    await linking.log_in(browser, name)
    return browser


def is_over(answer: httpx2.Response) -> bool:
    return (answer.status_code, heading(answer)) == (400, "This login is over")


async def unlinked(linking: LinkingWorld) -> bool:
    """Say whether ada and bob have their passwords and nothing else."""
    return [await linking.logins(subject) for subject in ("user_ada", "user_bob")] == [[ADA], [BOB]]


async def test_an_answer_that_another_browser_asked_for_links_nothing(linking: LinkingWorld) -> None:
    """The thief begins a link, logs in there as itself, and has the victim's browser open the answer."""
    thief, victim = await logged_in(linking, "bob"), await logged_in(linking, "ada")
    there = await linking.go(thief, "a")

    for browser in (victim, linking.browser()):
        assert is_over(await linking.answer(browser, there, "thief"))

    assert await unlinked(linking)
    # And it is not spoilt for whom it belongs to.
    assert (await linking.answer(thief, there, "thief")).status_code == 303


async def test_the_code_of_one_link_is_worth_nothing_with_the_state_of_another(linking: LinkingWorld) -> None:
    """The victim's browser has a link under way, and the thief slips its own code in: PKCE and nonce hold it."""
    thief, victim = await logged_in(linking, "bob"), await logged_in(linking, "ada")
    linking.issuers["a"].claims = {"sub": "thief"}
    answer = query_of(linking.issuers["a"].log_in(await linking.go(thief, "a")))
    state = query_of(await linking.go(victim, "a"))["state"]

    refused = await victim.get("/oauth/login/a/callback", params={**answer, "state": state})

    assert refused.status_code in {403, 503}
    assert await unlinked(linking)


async def test_a_link_ends_where_another_person_has_logged_in_meanwhile(linking: LinkingWorld) -> None:
    """A browser keeps its identity over logins, so its states stay; whose link it is has to be looked at."""
    browser = await logged_in(linking, "ada")
    there = await linking.go(browser, "a")
    await linking.log_in(browser, "bob", "/oauth/login?switch=1")

    refused = await linking.answer(browser, there)

    assert (refused.status_code, heading(refused)) == (409, "Nothing was linked")
    assert await unlinked(linking)
    assert await linking.who(browser) == "user_bob"


async def test_a_link_ends_where_its_person_has_logged_out_or_was_shut_out(linking: LinkingWorld) -> None:
    browser = await logged_in(linking, "ada")
    there = [await linking.go(browser, "a") for _ in range(2)]
    form = Form((await browser.get(ACCOUNT)).text)
    token = form.fields["csrf_token"]
    await linking.world.store.users.disable_user("user_ada", now=linking.world.now)

    assert is_over(await linking.answer(browser, there[0]))

    await linking.world.store.users.enable_user("user_ada")
    again = await logged_in(linking, "ada")
    there = [await linking.go(again, "a")]
    page = await again.post("/oauth/logout", data={"csrf_token": token})
    assert page.status_code == 403  # the token is of a session that has ended
    own = (await again.get(ACCOUNT)).text.split('name="csrf_token" value="')[1].split('"')[0]
    assert (await again.post("/oauth/logout", data={"csrf_token": own})).status_code == 200
    assert is_over(await linking.answer(again, there[0]))
    assert await unlinked(linking)


async def test_the_answer_to_a_link_logs_nobody_in_and_that_to_a_login_links_nothing(linking: LinkingWorld) -> None:
    browser = await logged_in(linking, "ada")
    secret = linking.world.secret(browser)
    to_link = await linking.go(browser, "a")
    to_log_in = (await browser.get("/oauth/login?switch=1&with=b")).headers["location"]

    assert (await linking.answer(browser, to_link)).headers["location"] == LINK
    # Still the same session, of the same person: a link is no login.
    assert (linking.world.secret(browser), await linking.who(browser)) == (secret, "user_ada")

    await linking.answer(browser, to_log_in)
    assert linking.world.secret(browser) != secret
    assert await linking.who(browser) not in {None, "user_ada"}
    assert await linking.logins("user_ada") == [ADA, key_of("a")]


async def test_no_site_begins_or_ends_a_link(linking: LinkingWorld) -> None:
    browser = await logged_in(linking, "ada")
    form = Form((await browser.get(LINK)).text)
    await linking.link(browser, "b")
    unlink = {"csrf_token": await linking.token(browser), "login": key_id(key_of("b"))}
    posts = {f"{ACCOUNT}/logins/a": form.fields, f"{ACCOUNT}/logins": unlink}

    for path, fields in posts.items():
        for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
            assert (await browser.post(path, data=fields, headers=headers)).status_code == 403
        for token in ("", "A" * 43, *(other["csrf_token"] for other in posts.values() if other is not fields)):
            assert (await browser.post(path, data={**fields, "csrf_token": token})).status_code == 403
        assert (await browser.get(path)).status_code == 405
    assert await linking.logins("user_ada") == [ADA, key_of("b")]
    sent = await browser.post(f"{ACCOUNT}/logins/a", data=form.fields, headers={"Origin": ORIGIN})
    assert sent.headers["location"].startswith("https://a.example/")


async def test_opening_the_link_page_changes_nothing_and_goes_nowhere(linking: LinkingWorld) -> None:
    browser = await logged_in(linking, "ada")
    for query in ("", "?from=https://evil.example", "?from=//evil.example", "?from=account"):
        page = await browser.get(LINK + query)
        assert (page.status_code, "evil" in page.text) == (200, False)
    assert await linking.world.rows("pending_logins", "place") == []
    assert (await browser.get(f"{ACCOUNT}/link/evil")).status_code == 404


async def test_two_who_link_one_login_at_once_get_it_once(linking: LinkingWorld) -> None:
    ada, bob = await logged_in(linking, "ada"), await logged_in(linking, "bob")
    there = [await linking.go(browser, "a") for browser in (ada, bob)]

    answers = await asyncio.gather(
        *(linking.answer(browser, url) for browser, url in zip((ada, bob), there, strict=True))
    )

    assert sorted(answer.status_code for answer in answers) == [303, 409]
    linked = [key_of("a") in await linking.logins(subject) for subject in ("user_ada", "user_bob")]
    assert sorted(linked) == [False, True]


async def test_a_login_is_not_taken_from_who_has_it_nor_are_two_people_joined(linking: LinkingWorld) -> None:
    """Same name, same verified address: neither says that it is the same person."""
    victim, thief = await logged_in(linking, "ada"), await logged_in(linking, "bob")
    await linking.link(victim, "a")
    first = linking.browser()
    await linking.come_by(first, "b")
    before = await linking.world.store.users.list_users()

    for name in ("a", "b"):
        refused = await linking.link(thief, name)
        assert (refused.status_code, heading(refused)) == (409, "Nothing was linked")
        assert "user_" not in refused.text
        assert "ada" not in refused.text

    assert await linking.world.store.users.list_users() == before
    again = linking.browser()
    await linking.come_by(again, "a")
    assert await linking.who(again) == "user_ada"


async def test_who_is_disabled_comes_in_by_none_of_their_logins(linking: LinkingWorld) -> None:
    browser = await logged_in(linking, "ada")
    await linking.link(browser, "a")
    await linking.come_by(browser, "a")
    await linking.world.store.users.disable_user("user_ada", now=linking.world.now)
    again = linking.browser()

    refused = await linking.come_by(again, "a")

    assert (refused.status_code, heading(refused)) == (403, "Your account is disabled")
    assert [await linking.who(one) for one in (browser, again)] == [None, None]
    assert len(await linking.world.store.users.list_users()) == 2


async def test_a_linked_login_comes_in_only_where_it_is_named_itself() -> None:
    """A local account is named by having been made; a login elsewhere by the rule, whosever it is."""
    async with linking_world(allowed=("subject:4711",)) as linking:
        browser = await logged_in(linking, "ada")

        refused = await linking.link(browser, "a", "stranger")
        assert (refused.status_code, heading(refused)) == (403, "Nothing was linked")
        assert "is not among those" in refused.text
        assert await linking.logins("user_ada") == [ADA]

        await linking.link(browser, "a")
        stricter = linking.serve(allowed=("subject:nobody",))
        there = stricter.browser()
        assert (await stricter.come_by(there, "a")).status_code == 403
        assert await stricter.who(there) is None
        # Who came by the password stays, also where the other login was the last.
        await linking.come_by(linking.browser(), "a")
        there.cookies.update(browser.cookies)
        assert await stricter.who(there) == "user_ada"
        await stricter.close()


async def test_a_browser_that_was_left_open_links_nothing(linking: LinkingWorld) -> None:
    """A linked login lets its owner in for good, so whoever finds a session has to know the password, too."""
    browser = await logged_in(linking, "ada")
    form = Form((await browser.get(LINK)).text)
    linking.world.now += 600

    answer = await browser.post(form.action or "", data=form.fields)

    assert answer.headers["location"] == LINK
    assert await linking.world.rows("pending_logins", "place") == []


async def test_what_one_issuer_says_is_never_told_as_anothers(linking: LinkingWorld) -> None:
    """Whoever has an issuer of their own could else have it say that they are somebody's GitHub login."""
    browser = linking.browser()
    await linking.come_by(browser, "a")
    subject = await linking.who(browser)
    assert subject is not None
    await linking.link(browser, "b", "12")

    async def said() -> tuple[str, object]:
        user = await linking.world.store.users.find_user_by_subject(subject)
        assert user is not None
        return user.profile_issuer or user.issuer, user.profile.claims.get("name")

    assert await said() == ("https://a.example", "4711 there")
    await linking.come_by(linking.browser(), "b", "12")
    assert await said() == ("https://b.example", "12 there")
    await linking.come_by(linking.browser(), "a")
    assert await said() == ("https://a.example", "4711 there")


async def test_a_name_from_elsewhere_is_inert_on_the_account_page(linking: LinkingWorld) -> None:
    browser = await logged_in(linking, "ada")
    there = await linking.go(browser, "a")
    linking.issuers["a"].claims = {"sub": "4711", "name": "<script>\x1b[31m\u202eadA"}
    await browser.get(linking.issuers["a"].log_in(there))

    for path in (ACCOUNT, LINK):
        page = (await browser.get(path)).text
        assert "<script" not in page
        assert "\u202e" not in page
        assert "\x1b" not in page


async def test_what_a_link_keeps_is_sealed(linking: LinkingWorld) -> None:
    browser = await logged_in(linking, "ada")
    state = query_of(await linking.go(browser, "a"))["state"]

    [row] = await linking.world.rows("pending_logins", "place", "sealed_data")

    assert row[0] == "a"
    assert all(secret not in row[1] for secret in (state.encode(), b"user_ada", b"LinkLogin", PASSWORD.encode()))

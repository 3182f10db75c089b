"""Linking further logins, and unlinking them, on the pages."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest

from gatepost.stores.contract.linked_logins import LoginKey
from gatepost.stores.contract.users import LOCAL
from tests.identity.openid_issuer import query_of
from tests.web.pages.linking_world import ACCOUNT, LinkingWorld, key_of, linking_world
from tests.web.pages.pages_world import Form, heading

LINK_A = f"{ACCOUNT}/link/a"
PASSWORD_OF_ADA = LoginKey(LOCAL, "user_ada")


@pytest.fixture
async def linking() -> AsyncIterator[LinkingWorld]:
    async with linking_world() as world:
        yield world


@pytest.fixture
async def ada(linking: LinkingWorld) -> httpx2.AsyncClient:
    browser = linking.browser()
    await linking.log_in(browser, "ada")
    return browser


async def test_from_the_account_page_one_links_a_login_and_comes_back(
    linking: LinkingWorld, ada: httpx2.AsyncClient
) -> None:
    page = await ada.get(ACCOUNT)
    assert "Link a login at a.example" in page.text
    assert "Link a login at b.example" in page.text

    came_back = await linking.link(ada, "a", path=f"{LINK_A}?from=account")

    assert came_back.headers["location"] == ACCOUNT
    page = await ada.get(ACCOUNT)
    for words in ("4711 there", "https://a.example", "Username and password", "Link a login at b.example", "Unlink"):
        assert words in page.text
    assert "Link a login at a.example" not in page.text


async def test_a_login_with_either_is_the_same_person(linking: LinkingWorld, ada: httpx2.AsyncClient) -> None:
    await linking.link(ada, "a")
    await linking.link(ada, "b", "12")

    for name, sub in (("a", "4711"), ("b", "12")):
        browser = linking.browser()
        await linking.come_by(browser, name, sub)
        assert await linking.who(browser) == "user_ada"
        assert f"through <bdi>https://{name}.example</bdi>" in (await browser.get(ACCOUNT)).text
    assert len(await linking.world.store.users.list_users()) == 2


async def test_the_login_goes_on_to_an_app_that_waits(linking: LinkingWorld, ada: httpx2.AsyncClient) -> None:
    await linking.link(ada, "a")
    await linking.world.register()
    browser = linking.browser()
    await linking.world.begin(browser)

    went = await browser.get("/oauth/login?transaction=transaction_1&with=a")
    came_back = await linking.answer(browser, went.headers["location"])

    assert came_back.headers["location"] == "/oauth/consent?transaction=transaction_1"
    assert heading(await browser.get(came_back.headers["location"])) == "Allow this app?"


async def test_who_is_sent_there_by_an_app_logs_in_first_and_is_told_at_the_end(linking: LinkingWorld) -> None:
    browser = linking.browser()
    sent = await browser.get(LINK_A)
    assert sent.headers["location"] == "/oauth/login?link=a"
    logged_in = await linking.log_in(browser, "ada", "/oauth/login?link=a")
    assert logged_in.headers["location"] == LINK_A

    came_back = await linking.link(browser, "a")

    assert came_back.headers["location"] == LINK_A
    page = await browser.get(LINK_A)
    assert heading(page) == "Login linked"
    assert "If an app sent you here, go back to it" in page.text
    assert "<form" not in page.text


async def test_who_logs_in_elsewhere_comes_back_to_the_link(linking: LinkingWorld) -> None:
    browser = linking.browser()
    went = await browser.get("/oauth/login?link=a&with=b")

    came_back = await linking.answer(browser, went.headers["location"])

    assert came_back.headers["location"] == LINK_A
    assert heading(await browser.get(LINK_A)) == "Link a login"


@pytest.mark.parametrize("name", ["evil", "https://evil.example", "local", "several"])
async def test_a_login_leads_to_no_page_but_that_of_a_provider(linking: LinkingWorld, name: str) -> None:
    browser = linking.browser()
    logged_in = await linking.log_in(browser, "ada", f"/oauth/login?link={name}")
    assert logged_in.headers["location"] == ACCOUNT


async def test_the_page_says_who_is_logged_in_and_what_it_means_before_anybody_is_sent_there(
    linking: LinkingWorld, ada: httpx2.AsyncClient
) -> None:
    page = await ada.get(LINK_A)

    assert "You are logged in as <strong><bdi>ada</bdi></strong>" in page.text
    assert "can then log in here as you" in page.text
    assert Form(page.text).action == f"{ACCOUNT}/logins/a"
    assert "form-action" not in page.headers["content-security-policy"]
    there = query_of(await linking.go(ada, "a"))
    assert (there["prompt"], there["code_challenge_method"], "nonce" in there) == ("login", "S256", True)


async def test_a_login_that_is_not_fresh_has_to_be_made_again(linking: LinkingWorld, ada: httpx2.AsyncClient) -> None:
    form = Form((await ada.get(LINK_A)).text)
    linking.world.now += 600

    stale = await ada.get(LINK_A)
    sent = await ada.post(form.action or "", data=form.fields)

    assert "<form" not in stale.text
    assert 'href="/oauth/login?link=a&amp;switch=1"' in stale.text
    assert sent.headers["location"] == LINK_A
    logged_in = await linking.log_in(ada, "ada", "/oauth/login?link=a&switch=1")
    assert logged_in.headers["location"] == "/oauth/account/link/a"
    assert Form((await ada.get(LINK_A)).text).action == f"{ACCOUNT}/logins/a"


async def test_linking_what_is_linked_is_done_already(linking: LinkingWorld, ada: httpx2.AsyncClient) -> None:
    there = [await linking.go(ada, "a") for _ in range(2)]

    for url in there:
        assert (await linking.answer(ada, url)).headers["location"] == LINK_A

    assert await linking.logins("user_ada") == [PASSWORD_OF_ADA, key_of("a")]


async def test_a_login_of_somebody_else_is_refused_with_what_to_do(
    linking: LinkingWorld, ada: httpx2.AsyncClient
) -> None:
    other = linking.browser()
    await linking.come_by(other, "a")
    before = await linking.world.store.users.list_users()

    refused = await linking.link(ada, "a")

    assert (refused.status_code, heading(refused)) == (409, "Nothing was linked")
    assert "accounts are not joined" in refused.text
    assert 'href="/oauth/login?switch=1"' in refused.text
    assert await linking.world.store.users.list_users() == before
    assert await linking.logins("user_ada") == [PASSWORD_OF_ADA]
    assert await linking.who(other) != "user_ada"


async def test_a_second_login_of_one_provider_is_refused(linking: LinkingWorld, ada: httpx2.AsyncClient) -> None:
    there = await linking.go(ada, "a")
    await linking.link(ada, "a")

    refused = await linking.answer(ada, there, "another")

    assert (refused.status_code, heading(refused)) == (409, "Nothing was linked")
    assert await linking.logins("user_ada") == [PASSWORD_OF_ADA, key_of("a")]


async def test_who_does_not_go_on_there_comes_back_to_the_link(linking: LinkingWorld, ada: httpx2.AsyncClient) -> None:
    there = await linking.go(ada, "a", f"{LINK_A}?from=account")

    answer = {"error": "access_denied", "state": query_of(there)["state"], "iss": "https://a.example"}
    refused = await ada.get("/oauth/login/a/callback", params=answer)

    assert (refused.status_code, heading(refused)) == (403, "Nothing was linked")
    assert f'href="{LINK_A}?from=account"' in refused.text
    assert await linking.who(ada) == "user_ada"


async def test_unlinking_logs_out_where_that_login_was_used(linking: LinkingWorld, ada: httpx2.AsyncClient) -> None:
    await linking.link(ada, "a")
    other = linking.browser()
    await linking.come_by(other, "a")

    answer = await linking.unlink(ada, key_of("a"))

    assert answer.headers["location"] == ACCOUNT
    assert [await linking.who(browser) for browser in (ada, other)] == ["user_ada", None]
    await linking.come_by(other, "a")
    assert await linking.who(other) not in {None, "user_ada"}


async def test_the_only_login_stays(linking: LinkingWorld) -> None:
    browser = linking.browser()
    await linking.come_by(browser, "a")
    subject = await linking.who(browser)
    assert subject is not None

    refused = await linking.unlink(browser, key_of("a"))

    assert (refused.status_code, heading(refused)) == (409, "This login stays")
    assert ">Unlink<" not in (await browser.get(ACCOUNT)).text
    assert await linking.logins(subject) == [key_of("a")]


async def test_the_login_that_an_account_began_with_can_go_once_there_is_another(linking: LinkingWorld) -> None:
    browser = linking.browser()
    await linking.come_by(browser, "a")
    subject = await linking.who(browser)
    assert subject is not None
    await linking.link(browser, "b")
    other = linking.browser()
    await linking.come_by(other, "b")

    await linking.unlink(other, key_of("a"))

    assert await linking.logins(subject) == [key_of("b")]
    assert [await linking.who(one) for one in (browser, other)] == [None, subject]


async def test_what_is_not_ones_own_and_the_password_are_answered_by_the_page(
    linking: LinkingWorld, ada: httpx2.AsyncClient
) -> None:
    bob = linking.browser()
    await linking.log_in(bob, "bob")
    await linking.link(bob, "a")

    for key in (key_of("a"), key_of("b"), PASSWORD_OF_ADA):
        assert (await linking.unlink(ada, key)).headers["location"] == ACCOUNT

    assert await linking.logins("user_bob") == [LoginKey(LOCAL, "user_bob"), key_of("a")]
    assert await linking.logins("user_ada") == [PASSWORD_OF_ADA]


async def test_a_server_whose_only_login_is_local_shows_no_logins() -> None:
    async with linking_world(names=()) as world:
        browser = world.browser()
        await world.log_in(browser, "ada")
        assert "How you log in" not in (await browser.get(ACCOUNT)).text


# --- What happens when the operator takes a provider away, or adds one ---


async def test_a_provider_that_is_taken_away_takes_its_logins_and_no_others(
    linking: LinkingWorld, ada: httpx2.AsyncClient
) -> None:
    await linking.link(ada, "a")
    await linking.link(ada, "b")
    by_a, by_b = linking.browser(), linking.browser()
    await linking.come_by(by_a, "a")
    await linking.come_by(by_b, "b")

    fewer = linking.serve(names=("b",))

    async def who(browser: httpx2.AsyncClient) -> str | None:
        there = fewer.browser()
        there.cookies.update(browser.cookies)
        return await fewer.who(there)

    assert [await who(browser) for browser in (ada, by_a, by_b)] == ["user_ada", None, "user_ada"]
    there = fewer.browser()
    there.cookies.update(ada.cookies)
    page = (await there.get(ACCOUNT)).text
    assert page.count("This server does not offer this login any more.") == 1
    # What is left over can go as well, but does not count as a way in.
    assert (await fewer.unlink(there, key_of("b"))).headers["location"] == ACCOUNT
    assert (await fewer.unlink(there, key_of("a"))).headers["location"] == ACCOUNT
    assert await fewer.logins("user_ada") == [PASSWORD_OF_ADA]
    await fewer.close()


async def test_without_local_accounts_their_people_come_by_what_they_linked(
    linking: LinkingWorld, ada: httpx2.AsyncClient
) -> None:
    await linking.link(ada, "a")
    await linking.link(ada, "b")
    without = linking.serve(local=False)
    there = without.browser()
    there.cookies.update(ada.cookies)
    assert await without.who(there) is None

    await without.come_by(there, "a")

    assert await without.who(there) == "user_ada"
    page = (await there.get(ACCOUNT)).text
    assert "Change password" not in page
    await without.unlink(there, key_of("b"))
    refused = await without.unlink(there, key_of("a"))
    assert (refused.status_code, heading(refused)) == (409, "This login stays")
    await without.close()


async def test_a_provider_that_comes_beside_another_logs_nobody_out(linking: LinkingWorld) -> None:
    browser = linking.browser()
    await linking.come_by(browser, "a")
    subject = await linking.who(browser)
    one = linking.serve(names=("a",), local=False)
    there = one.browser()
    there.cookies.update(browser.cookies)

    assert await one.who(there) == subject
    await one.close()


async def test_a_server_of_the_same_name_and_another_issuer_is_another(linking: LinkingWorld) -> None:
    browser = linking.browser()
    await linking.come_by(browser, "a")
    moved = linking.serve(names=("a",))
    moved.world.sessions.provider.every[0]._issuer = "https://moved.example"  # type: ignore[attr-defined]  # as settings would
    there = moved.browser()
    there.cookies.update(browser.cookies)

    assert await moved.who(there) is None
    await moved.close()


# --- What tools see ---


async def test_a_login_with_the_password_says_nothing_of_what_another_login_said(
    linking: LinkingWorld, ada: httpx2.AsyncClient
) -> None:
    await linking.link(ada, "a")
    users = linking.world.store.users

    async def said() -> tuple[str | None, str | None]:
        user = await users.find_user("ada")
        assert user is not None
        return user.profile.email, user.profile_issuer

    assert await said() == (None, None)
    await linking.come_by(linking.browser(), "a")
    assert await said() == ("ada@example.com", "https://a.example")
    await linking.log_in(linking.browser(), "ada")
    assert await said() == (None, None)

"""Where tools act as a person: what a link says of it, what the account page shows, and its end here and there."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from starlette.responses import Response

from gatepost.identity.upstream_tokens import UpstreamTokens
from gatepost.stores.contract.linked_logins import LoginKey, UnlinkOutcome
from gatepost.stores.contract.upstream_tokens import KeptTokens
from gatepost.stores.contract.users import LOCAL
from tests.identity.rotating_issuer import RotatingIssuer
from tests.web.pages.linking_world import ACCOUNT, LinkingWorld, key_of, linking_world
from tests.web.pages.pages_world import Form, heading

LINK_A = f"{ACCOUNT}/link/a"
UPSTREAM = f"{ACCOUNT}/upstream"
WORDS = "Where tools act as you"


@pytest.fixture
async def linking() -> AsyncIterator[LinkingWorld]:
    """The tokens of `a` are kept, those of `b` are forgotten."""
    async with linking_world(keep_tokens=["a"]) as world:
        yield world


@pytest.fixture
async def ada(linking: LinkingWorld) -> httpx2.AsyncClient:
    browser = linking.browser()
    await linking.log_in(browser, "ada")
    return browser


async def kept(linking: LinkingWorld) -> list[tuple[str, str, str]]:
    every: list[KeptTokens] = await linking.world.store.upstream_tokens.list_tokens(None, limit=9)
    return [(one.subject, one.provider, one.external_subject) for one in every]


def issuer_of(linking: LinkingWorld) -> RotatingIssuer:
    issuer = linking.issuers["a"]
    assert isinstance(issuer, RotatingIssuer)
    return issuer


async def end_access(browser: httpx2.AsyncClient, provider: str, page: str) -> httpx2.Response:
    found = re.search(r'action="/oauth/account/upstream".*?value="([^"]+)"', page, re.DOTALL)
    assert found is not None, page
    return await browser.post(UPSTREAM, data={"csrf_token": found[1], "provider": provider})


async def test_a_link_says_that_tools_may_act_there_and_keeps_what_they_need(
    linking: LinkingWorld, ada: httpx2.AsyncClient
) -> None:
    words = "the tool may then act at <bdi>{}.example</bdi> in your name"
    assert words.format("a") in (await ada.get(LINK_A)).text
    assert words.format("b") not in (await ada.get(f"{ACCOUNT}/link/b")).text

    await linking.link(ada, "a")
    await linking.link(ada, "b", "12")

    assert await kept(linking) == [("user_ada", "a", "4711")]
    assert heading(await ada.get(LINK_A)) == "Login linked"


async def test_a_login_keeps_what_tools_need_for_the_person_it_leads_to(linking: LinkingWorld) -> None:
    browser = linking.browser()
    await linking.come_by(browser, "a", "31")
    assert await kept(linking) == [(await linking.who(browser), "a", "31")]


async def test_the_account_page_shows_where_tools_act_and_ends_it_here_and_there(
    linking: LinkingWorld, ada: httpx2.AsyncClient
) -> None:
    assert WORDS not in (await ada.get(ACCOUNT)).text
    await linking.link(ada, "a")
    page = (await ada.get(ACCOUNT)).text
    assert WORDS in page
    for scope in ("openid", "profile", "email", "offline_access"):
        assert f"<bdi>{scope}</bdi>" in page

    assert (await end_access(ada, "a", page)).headers["location"] == ACCOUNT

    assert await kept(linking) == []
    assert issuer_of(linking).revoked == [{"token": "rt-0-0", "token_type_hint": "refresh_token"}]
    assert WORDS not in (await ada.get(ACCOUNT)).text
    assert await linking.logins("user_ada") == [("local", "user_ada"), key_of("a")], "the login itself stays"
    assert (await end_access(ada, "a", page)).headers["location"] == ACCOUNT, "a second click"


async def test_what_is_somebody_elses_stays(linking: LinkingWorld, ada: httpx2.AsyncClient) -> None:
    await linking.link(ada, "a")
    page = (await ada.get(ACCOUNT)).text
    bob = linking.browser()
    await linking.log_in(bob, "bob")
    assert (await end_access(bob, "a", page)).status_code == 403, "the form is of another session"
    assert await kept(linking) == [("user_ada", "a", "4711")]
    for provider in ("b", "", "all"):
        await end_access(ada, provider, page)
    assert await kept(linking) == [("user_ada", "a", "4711")]


async def test_a_provider_that_does_not_end_it_does_not_keep_it_from_ending(
    linking: LinkingWorld, ada: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    await linking.link(ada, "a")
    linking.issuers["a"].instead["/revoke"] = Response("", 503)
    assert (await end_access(ada, "a", (await ada.get(ACCOUNT)).text)).status_code == 303
    assert await kept(linking) == []
    assert "may live on there" in caplog.text


async def test_a_login_whose_access_is_over_is_linked_once_more(linking: LinkingWorld, ada: httpx2.AsyncClient) -> None:
    await linking.link(ada, "a")
    await linking.world.store.upstream_tokens.end_tokens("user_ada")
    page = await ada.get(LINK_A)
    assert heading(page) == "Link a login"
    assert "is linked, but the access that tools of this server had there is over" in page.text

    done = await linking.answer(ada, await linking.go(ada, "a"))

    assert done.headers["location"] == LINK_A
    assert heading(await ada.get(LINK_A)) == "Login linked"
    assert await kept(linking) == [("user_ada", "a", "4711")]


async def test_unlinking_ends_what_the_login_brought_here_and_there(
    linking: LinkingWorld, ada: httpx2.AsyncClient
) -> None:
    await linking.link(ada, "a")
    await linking.unlink(ada, key_of("a"))
    assert await kept(linking) == []
    assert issuer_of(linking).revoked == [{"token": "rt-0-0", "token_type_hint": "refresh_token"}]


async def test_who_comes_back_as_somebody_else_leaves_nothing_for_tools(
    linking: LinkingWorld, ada: httpx2.AsyncClient
) -> None:
    """The account there leads to Bob already, so nothing of it is Ada's."""
    bob = linking.browser()
    await linking.log_in(bob, "bob")
    await linking.link(bob, "a")
    refused = await linking.link(ada, "a")
    assert refused.status_code == 409
    assert await kept(linking) == [("user_bob", "a", "4711")]


async def test_an_address_that_another_opens_links_what_is_theirs_to_themselves(
    linking: LinkingWorld, ada: httpx2.AsyncClient
) -> None:
    """Ada's app was told to open the link page, and she had Bob open it."""
    bob = linking.browser()
    await linking.log_in(bob, "bob")
    form = Form((await bob.get(LINK_A)).text)
    there = (await bob.post(form.action or "", data=form.fields)).headers["location"]
    # Even where Ada gets hold of the way back, it is of no use in her browser.
    back = linking.issuers["a"].log_in(there)
    assert (await ada.get(back)).status_code == 400
    assert (await bob.get(back)).status_code == 303
    assert await kept(linking) == [("user_bob", "a", "4711")]


@pytest.mark.parametrize("links", [False, True])
async def test_what_a_login_brings_that_is_unlinked_meanwhile_is_kept_nowhere(
    linking: LinkingWorld, ada: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch, *, links: bool
) -> None:
    """Between recognising the login and keeping what it brought, its person unlinks it in another browser."""
    if not links:
        await linking.link(ada, "a")
    keep, logins = UpstreamTokens.keep, linking.world.store.linked_logins

    async def slow(self: UpstreamTokens, *arguments: Any) -> None:
        outcome = await logins.unlink_login("user_ada", key_of("a"), keeps=[LoginKey(LOCAL, "user_ada")])
        assert outcome is UnlinkOutcome.UNLINKED
        await keep(self, *arguments)

    monkeypatch.setattr(UpstreamTokens, "keep", slow)
    browser = linking.browser()
    await (linking.link(ada, "a") if links else linking.come_by(browser, "a"))

    assert await kept(linking) == []
    assert WORDS not in (await ada.get(ACCOUNT)).text
    # Over there they would live on otherwise, and nobody would see it.
    assert issuer_of(linking).revoked == [{"token": f"rt-{0 if links else 1}-0", "token_type_hint": "refresh_token"}]

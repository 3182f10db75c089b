"""Guessing passwords is slow for the guesser, and never shuts the owner out for good."""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import sha256

import httpx2
import pytest

from gatepost.oauth.limits import Rate, Use
from tests.attacks.login_world import LoginWorld, login_world

OK, WRONG, TOO_MANY = 303, 403, 429
OWNER = "198.51.100.7"


@pytest.fixture
async def world() -> AsyncIterator[LoginWorld]:
    world = login_world()
    yield world
    for browser in world.browsers:
        await browser.aclose()


async def guess(world: LoginWorld, browser: httpx2.AsyncClient, times: int, *, username: str = "ada") -> list[int]:
    return [(await world.attempt(browser, username=username)).status_code for _ in range(times)]


async def test_an_address_gets_ten_guesses_at_an_account_and_then_one_a_minute(world: LoginWorld) -> None:
    thief = world.browser("192.0.2.1")

    assert await guess(world, thief, 12) == [WRONG] * 10 + [TOO_MANY] * 2
    refused = await world.attempt(thief)
    assert refused.headers["retry-after"] == "60"
    assert "Please wait a moment" in refused.text
    world.world.now += 60
    assert await guess(world, thief, 2) == [WRONG, TOO_MANY]


async def test_the_right_password_does_not_help_once_the_guesses_are_used_up(world: LoginWorld) -> None:
    """Otherwise the limit would not be one: the refusal would stop only wrong guesses."""
    thief = world.browser("192.0.2.1")
    await guess(world, thief, 10)

    assert await world.log_in(thief) == TOO_MANY


async def test_new_cookies_and_other_spellings_of_the_name_buy_no_guesses(world: LoginWorld) -> None:
    spellings = ("ada", "ADA", " Ada ", "\uff41\uff44\uff41")
    statuses = [
        (await world.attempt(world.browser("192.0.2.1"), username=spellings[number % 4])).status_code
        for number in range(12)
    ]

    assert statuses == [WRONG] * 10 + [TOO_MANY] * 2


async def test_addresses_of_one_ipv6_network_are_one_guesser(world: LoginWorld) -> None:
    statuses = [
        (await world.attempt(world.browser(f"2001:db8:0:1::{number:x}"))).status_code for number in range(1, 13)
    ]

    assert statuses == [WRONG] * 10 + [TOO_MANY] * 2


async def test_guesses_from_no_address_do_not_slow_others_of_none_and_an_account_is_guarded(world: LoginWorld) -> None:
    """Behind a Unix socket that is not named everybody is `unknown`; only the account tells guesses apart."""
    for key in ("login:address:unknown", f"login:account:{sha256(b'ada').hexdigest()[:32]}:unknown"):
        assert await world.world.store.limits.take([Use(key, Rate(1, 3600))], now=world.world.now) == 0

    assert await world.log_in(world.browser("unknown")) == OK
    assert await guess(world, world.browser("unknown"), 102) == [WRONG] * 100 + [TOO_MANY] * 2


async def test_trying_one_password_on_many_accounts_is_stopped_too(world: LoginWorld) -> None:
    thief = world.browser("192.0.2.1")
    statuses = [(await world.attempt(thief, username=f"user{number}")).status_code for number in range(62)]

    assert statuses == [WRONG] * 60 + [TOO_MANY] * 2


async def test_accounts_that_do_not_exist_are_limited_like_those_that_do(world: LoginWorld) -> None:
    known = await guess(world, world.browser("192.0.2.1"), 12, username="ada")
    unknown = await guess(world, world.browser("192.0.2.2"), 12, username="nobody")

    assert known == unknown


async def test_the_owner_at_another_address_is_not_touched_by_a_guesser(world: LoginWorld) -> None:
    await guess(world, world.browser("192.0.2.1"), 12)

    assert await world.log_in(world.browser(OWNER)) == OK


async def botnet(world: LoginWorld, *, addresses: int = 15) -> list[int]:
    """Guess ten times from each of many addresses, all at one account."""
    answers: list[int] = []
    for number in range(addresses):
        answers += await guess(world, world.browser(f"192.0.2.{number + 1}"), 10)
    return answers


async def test_a_botnet_gets_a_hundred_guesses_and_the_owners_browser_still_gets_in(world: LoginWorld) -> None:
    own = world.browser(OWNER)
    assert await world.log_in(own) == OK

    answers = await botnet(world)

    assert (answers.count(WRONG), answers.count(TOO_MANY)) == (100, 50)
    assert await world.log_in(own) == OK


async def test_correct_logins_are_no_attempts_and_clear_nothing_that_failed(world: LoginWorld) -> None:
    for number in range(25):
        assert await world.log_in(world.browser(OWNER)) == OK, number

    browser = world.browser(OWNER)
    assert await guess(world, browser, 6) == [WRONG] * 6
    assert await world.log_in(world.browser(OWNER)) == OK
    assert await guess(world, browser, 6) == [WRONG] * 4 + [TOO_MANY] * 2


async def test_a_browser_that_is_new_to_the_account_has_to_wait_only_seconds_after_a_botnet(world: LoginWorld) -> None:
    await botnet(world)

    refused = await world.attempt(world.browser(OWNER))
    assert refused.status_code == TOO_MANY
    assert refused.headers["retry-after"] == "36"
    world.world.now += 36
    assert await world.log_in(world.browser(OWNER)) == OK


async def test_the_owners_browser_has_a_limit_of_its_own(world: LoginWorld) -> None:
    """Whoever steals its cookie may guess ten times, and takes nothing from anybody else."""
    own = world.browser(OWNER)
    await world.log_in(own)

    assert await guess(world, own, 12) == [WRONG] * 10 + [TOO_MANY] * 2
    assert await world.log_in(world.browser("198.51.100.8")) == OK


async def test_who_has_logged_in_often_gets_no_more_guesses_than_a_botnet_once_the_password_is_another(
    world: LoginWorld,
) -> None:
    former = [world.browser(f"192.0.2.{number + 1}") for number in range(15)]
    for browser in former:
        assert await world.log_in(browser) == OK

    answers = [answer for browser in former for answer in await guess(world, browser, 10)]

    assert (answers.count(WRONG), answers.count(TOO_MANY)) == (100, 50)
    assert await world.log_in(world.browser(OWNER)) == OK


async def test_the_cookie_of_one_account_is_nothing_at_another_and_none_after_half_a_year(world: LoginWorld) -> None:
    own = world.browser(OWNER)
    await world.log_in(own)
    cookie = own.cookies["__Host-gatepost-known"]

    async def is_known(username: str) -> bool:
        """An unknown browser is refused after the botnet, a known one is only wrong."""
        browser = world.browser(OWNER)
        browser.cookies.set("__Host-gatepost-known", cookie, domain="mcp.example.com")
        return (await world.attempt(browser, username=username)).status_code == WRONG

    await botnet(world)
    for number in range(15):
        await guess(world, world.browser(f"203.0.113.{number + 1}"), 10, username="bob")
    assert await is_known("ada")
    assert not await is_known("bob")
    world.world.now += 180 * 24 * 3600
    await botnet(world)
    assert not await is_known("ada")


@pytest.mark.parametrize("forged", ["", "zz", "00", "ab" * 61, "gatepost"])
async def test_a_made_up_cookie_is_no_known_browser(world: LoginWorld, forged: str) -> None:
    thief = world.browser("192.0.2.1")
    thief.cookies.set("__Host-gatepost-known", forged, domain="mcp.example.com")

    assert await guess(world, thief, 11) == [WRONG] * 10 + [TOO_MANY]


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(world: LoginWorld) -> None:
    own = world.browser(OWNER)
    answer = await world.attempt(own, "correct horse battery")

    [cookie] = [value for value in answer.headers.get_list("set-cookie") if value.startswith("__Host-gatepost-known=")]
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"secure", "httponly", "path=/", "samesite=lax"} <= attributes
    assert "ada" not in cookie

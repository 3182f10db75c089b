"""What strangers, other sites and other people do with challenges and passkeys that are not theirs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from gatepost.tokens.opaque import base64url
from tests.identity.authenticator import PRESENT, Authenticator
from tests.web.pages.pages_world import Form
from tests.web.pages.passkey_world import (
    CONFIRM,
    LONG_AGO,
    ORIGIN,
    PASSKEYS,
    PUBLIC,
    PasskeyWorld,
    make_hashing_cheap,
    passkey_world,
)

LOGIN = "/oauth/login"


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PasskeyWorld]:
    make_hashing_cheap(monkeypatch)
    async with passkey_world() as world:
        yield world


@pytest.fixture
async def device(world: PasskeyWorld) -> Authenticator:
    """One with a passkey of ada's, that counts."""
    return await with_passkey(world, "ada")


async def with_passkey(world: PasskeyWorld, name: str) -> Authenticator:
    device, browser = Authenticator(world.origin, counts=True), world.browser()
    await browser.log_in(name)
    await browser.add(device)
    return device


@pytest.fixture
async def public(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PasskeyWorld]:
    """A server that other machines reach, from whatever address."""
    make_hashing_cheap(monkeypatch)
    async with passkey_world(**PUBLIC) as world:
        yield world


def told(answer: httpx2.Response) -> tuple[int, str]:
    """Return what a stranger is told: status and page, but for what is random on it."""
    page = answer.text
    for name in ("data-csrf", 'name="csrf_token" value'):
        start = page.find(f'{name}="')
        while start >= 0:
            end = page.index('"', start + len(name) + 2)
            page = page[:start] + page[end + 1 :]
            start = page.find(f'{name}="')
    return answer.status_code, page


# --- Challenges ---


async def test_a_challenge_is_used_once_even_by_many_at_once(world: PasskeyWorld, device: Authenticator) -> None:
    browser = world.browser()
    page, begun = await browser.options(LOGIN)
    credential = device.get(begun["publicKey"])
    answers = await asyncio.gather(*(browser.answer(page, begun, credential) for _ in range(5)))
    assert [answer.headers["location"] for answer in answers].count("/oauth/account") == 1
    assert [outcome for outcome, _, _ in await world.events("login")].count("ok") == 2  # with that of the fixture


async def test_a_challenge_that_was_used_in_vain_is_used(world: PasskeyWorld, device: Authenticator) -> None:
    browser = world.browser()
    page, begun = await browser.options(LOGIN)
    wrong, right = device.get(begun["publicKey"], break_signature=True), device.get(begun["publicKey"])
    assert (await browser.answer(page, begun, wrong)).status_code == 403
    assert (await browser.answer(page, begun, right)).headers["location"] == LOGIN
    assert not await browser.is_logged_in()


async def test_what_another_browser_was_asked_to_sign_logs_nobody_in(
    world: PasskeyWorld, device: Authenticator
) -> None:
    """A thief has the victim sign a challenge of the thief's, or sends what the victim has signed."""
    victim, thief = world.browser(), world.browser()
    of_victim, of_thief = await victim.options(LOGIN), await thief.options(LOGIN)
    signed_for_thief = device.get(of_thief[1]["publicKey"])
    signed_for_victim = device.get(of_victim[1]["publicKey"])
    answers = [
        await victim.answer(of_victim[0], of_thief[1], signed_for_thief),
        await thief.answer(of_thief[0], of_victim[1], signed_for_victim),
        await victim.answer(of_victim[0], of_victim[1], signed_for_thief),
    ]
    assert [(answer.status_code, answer.headers.get("location")) for answer in answers] == [
        (303, LOGIN),
        (303, LOGIN),
        (403, None),
    ]
    assert [await browser.is_logged_in() for browser in (victim, thief)] == [False, False]


async def test_a_challenge_for_one_purpose_opens_no_other(world: PasskeyWorld, device: Authenticator) -> None:
    ada = world.browser()
    await ada.log_in()
    world.pass_time(9 * 60)
    places = {"add": await ada.options(PASSKEYS), "log in": await ada.options("/oauth/login?switch=1")}
    world.pass_time(2 * 60)
    places["confirm"] = await ada.options(CONFIRM)
    for place, (page, _) in places.items():
        for other, (_, begun) in places.items():
            if place != other:
                asked = {"challenge": begun["publicKey"]["challenge"], "rpId": "localhost"}
                answer = await ada.answer(page, begun, device.get(asked))
                assert (answer.status_code, answer.headers["location"] == "/oauth/account") == (303, False)
    assert (await ada.http.get(CONFIRM)).status_code == 200, "nothing was confirmed"
    assert len(await world.passkeys()) == 1
    page, begun = places["confirm"]
    assert (await ada.answer(page, begun, device.get(begun["publicKey"]))).headers["location"] == PASSKEYS


async def test_what_was_begun_for_one_person_adds_no_passkey_to_another(world: PasskeyWorld) -> None:
    """Whoever logs in next at a shared browser would have a passkey of the one before."""
    browser = world.browser()
    await browser.log_in()
    _, begun = await browser.options(PASSKEYS)
    credential = Authenticator(ORIGIN).create(begun["publicKey"])
    await browser.log_in("bob")
    page, _ = await browser.options(PASSKEYS)
    answer = await browser.answer(page, begun, credential)
    assert answer.headers["location"] == PASSKEYS
    assert (await world.passkeys("ada"), await world.passkeys("bob")) == ([], [])


# --- Answers ---


ANSWERS: dict[str, dict[str, Any]] = {
    "a foreign origin": {"origin": "https://evil.example"},
    "an origin that begins like ours": {"origin": f"{ORIGIN}.evil.example"},
    "another port of this computer": {"origin": "http://localhost:9999"},
    "a frame of another site": {"crossOrigin": True, "topOrigin": "https://evil.example"},
    "another RP ID": {"rp_id": "evil.example"},
    "nobody verified": {"flags": PRESENT},
    "another user's handle": {"handle": b"b" * 64},
    "no handle": {"handle": None},
    "a bad signature": {"break_signature": True},
    "what was signed to add it": {"type": "webauthn.create"},
}


@pytest.mark.parametrize("wrong", ANSWERS.values(), ids=ANSWERS)
async def test_an_answer_that_breaks_a_rule_logs_nobody_in(
    world: PasskeyWorld, device: Authenticator, wrong: dict[str, Any]
) -> None:
    browser = world.browser()
    answer = await browser.sign(device, **wrong)
    assert answer.status_code == 403
    assert not await browser.is_logged_in()
    assert (await world.events("login"))[0] == ("refused", "login_failed", True)
    assert [each.last_used_at for each in await world.passkeys()] == [None]
    assert (await browser.sign(device)).status_code == 303


async def test_unknown_disabled_removed_and_badly_signed_are_one_answer(
    world: PasskeyWorld, device: Authenticator
) -> None:
    bobs = await with_passkey(world, "bob")
    unknown = Authenticator(ORIGIN, user_handle=device.user_handle)
    bob = await world.store.users.find_user("bob")
    assert bob is not None
    answers = [
        await world.browser().sign(device, break_signature=True),
        await world.browser().sign(unknown),
        await world.browser().sign(Authenticator(ORIGIN, credential_id=device.credential_id)),
    ]
    await world.store.users.disable_user(bob.subject, now=world.installed.clock[0])
    answers.append(await world.browser().sign(bobs))
    await world.store.passkeys.remove_passkey(bob.subject, bobs.credential_id)
    answers.append(await world.browser().sign(bobs))
    browser = world.browser()
    page, begun = await browser.options(LOGIN)
    answers += [await browser.answer(page, begun, sent) for sent in ("{}",)]
    assert [told(answer) for answer in answers] == [told(answers[0])] * 6
    assert answers[0].status_code == 403
    assert all("passkey_" not in answer.text for answer in answers)


async def test_a_disabled_person_s_use_is_not_counted_as_one(world: PasskeyWorld, device: Authenticator) -> None:
    ada = await world.store.users.find_user("ada")
    assert ada is not None
    await world.store.users.disable_user(ada.subject, now=world.installed.clock[0])
    assert (await world.browser().sign(device)).status_code == 403
    assert [(each.sign_count, each.last_used_at) for each in await world.passkeys()] == [(0, None)]


async def test_a_counter_that_goes_back_is_refused_and_written_down(world: PasskeyWorld, device: Authenticator) -> None:
    """A copy of the authenticator has signed as often as the true one, or not as often."""
    assert (await world.browser().sign(device)).status_code == 303
    copy = replace(device, signed=0)
    copy._es256 = device._es256
    browser = world.browser()
    answer = await browser.sign(copy)
    assert told(answer) == told(await world.browser().sign(device, break_signature=True))
    assert not await browser.is_logged_in()
    assert (await world.events("login"))[1] == ("refused", "passkey_counter_back", True)
    # What only pretends to be a copy, without the key, is no event of that kind.
    forged = Authenticator(ORIGIN, credential_id=device.credential_id, user_handle=device.user_handle)
    await world.browser().sign(forged)
    assert (await world.events("login"))[0] == ("refused", "login_failed", True)


async def test_a_passkey_of_one_person_confirms_nothing_for_another(world: PasskeyWorld, device: Authenticator) -> None:
    """Who sits at bob's browser has a passkey of ada's, and bob's is not at hand."""
    await with_passkey(world, "bob")
    bob = world.browser()
    await bob.log_in("bob")
    world.pass_time(LONG_AGO)
    answer = await bob.sign(device, CONFIRM)
    assert answer.status_code == 403
    assert (await bob.http.get(CONFIRM)).status_code == 200
    assert [each.last_used_at for each in await world.passkeys()] == [None]
    assert (await world.events("identity_confirmed"))[0] == ("refused", "login_failed", True)


async def test_somebody_else_s_passkey_cannot_be_added_renamed_or_removed(
    world: PasskeyWorld, device: Authenticator
) -> None:
    bob = world.browser()
    await bob.log_in("bob")
    (kept,) = await world.passkeys()
    refused = await bob.add(Authenticator(ORIGIN, credential_id=device.credential_id))
    assert refused.status_code == 422
    for path, fields in ((f"{PASSKEYS}/rename", {"name": "Mine"}), (f"{PASSKEYS}/remove", {})):
        answers = [await bob.press(path, passkey=number, **fields) for number in (kept.number, "0" * 16, "")]
        assert [(answer.status_code, answer.headers["location"]) for answer in answers] == [(303, PASSKEYS)] * 3
    assert await world.passkeys() == [kept]
    assert kept.number not in (await bob.http.get(PASSKEYS)).text


async def test_a_passkey_made_at_another_host_of_the_server_opens_nothing_here(world: PasskeyWorld) -> None:
    """The store is one; each host is a relying party of its own."""
    device = await with_passkey(world, "ada")
    (kept,) = await world.passkeys()
    await world.store.passkeys.remove_passkey(kept.subject, kept.credential_id)
    await world.store.passkeys.add_passkey(replace(kept, rp_id="old.example.com"))
    assert (await world.browser().sign(device)).status_code == 403


# --- Forms ---


@pytest.mark.parametrize(
    ("origin", "token"), [("https://evil.example", "right"), ("null", "right"), (ORIGIN, ""), (ORIGIN, "wrong")]
)
async def test_a_form_of_another_site_does_nothing(
    world: PasskeyWorld, device: Authenticator, origin: str, token: str
) -> None:
    """Else it could log a browser in as the attacker, who later reads what is done there."""
    browser, ada = world.browser(), world.browser()
    await ada.log_in()
    (kept,) = await world.passkeys()
    page, begun = await browser.options(LOGIN)
    adding, begun_adding = await ada.options(PASSKEYS)
    new = Authenticator(ORIGIN).create(begun_adding["publicKey"])
    posts = [
        (browser, page, {"state": begun["state"], "credential": device.get(begun["publicKey"])}),
        (ada, adding, {"state": begun_adding["state"], "credential": new, "name": "Mine"}),
        (ada, adding | {"action": f"{PASSKEYS}/remove"}, {"passkey": kept.number}),
        (ada, adding | {"action": f"{PASSKEYS}/rename"}, {"passkey": kept.number, "name": "Mine"}),
    ]
    for sender, told_by_page, fields in posts:
        sent = {"csrf_token": told_by_page["csrf"] if token == "right" else token, **fields}
        answer = await sender.http.post(told_by_page["action"], data=sent, headers={"Origin": origin})
        assert answer.status_code == 403, told_by_page["action"]
    assert not await browser.is_logged_in()
    assert await world.passkeys() == [kept]


async def test_another_site_gets_no_challenge(world: PasskeyWorld) -> None:
    ada = world.browser()
    await ada.log_in()
    for path in ("/oauth/passkey/challenge", f"{PASSKEYS}/challenge", "/oauth/account/confirm/challenge"):
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            answer = await ada.http.post(path, headers=headers)
            assert (answer.status_code, "challenge" in answer.text) == (403, False)


async def test_the_names_of_credentials_are_told_to_their_own_person_only(
    world: PasskeyWorld, device: Authenticator
) -> None:
    """They could be recognised elsewhere (WebAuthn Level 3 section 14.6.3)."""
    name = base64url(device.credential_id)
    stranger, bob, ada = world.browser(), world.browser(), world.browser()
    await bob.log_in("bob")
    await ada.log_in()
    seen = {
        "stranger": json.dumps((await stranger.options(LOGIN))[1]),
        "bob": json.dumps((await bob.options(PASSKEYS))[1]) + (await bob.http.get(PASSKEYS)).text,
        "ada": json.dumps((await ada.options(PASSKEYS))[1]),
    }
    assert {who for who, text in seen.items() if name in text} == {"ada"}


# --- Guesses ---


async def guess_password(world: PasskeyWorld, address: str) -> int:
    """Try a password of ada's; return the status."""
    browser = world.browser(address=address)
    form = Form((await browser.http.get(LOGIN)).text)
    data = {**form.fields, "username": "ada", "password": "a guess"}
    return (await browser.http.post(LOGIN, data=data)).status_code


async def test_answers_are_counted_with_the_passwords_of_an_address(public: PasskeyWorld) -> None:
    device = await with_passkey(public, "ada")

    async def guess(address: str, number: int) -> int:
        unknown = Authenticator(public.origin, credential_id=bytes([number]), user_handle=b"h")
        return (await public.browser(address=address).sign(unknown)).status_code

    assert [await guess("192.0.2.1", number) for number in range(62)] == [403] * 60 + [429] * 2
    assert await guess_password(public, "192.0.2.1") == 429
    assert (await public.browser(address="192.0.2.1").sign(device)).status_code == 429
    assert (await public.browser(address="192.0.2.2").sign(device)).status_code == 303
    await public.installed.installation.core.audit_trail.write_queue()
    assert ("refused", "too_many_requests", False) in await public.events("login")


async def test_guesses_at_a_password_from_everywhere_shut_no_passkey_out(public: PasskeyWorld) -> None:
    """A passkey cannot be guessed, so it need not wait for who guesses the password of its account."""
    device = await with_passkey(public, "ada")
    statuses = [await guess_password(public, f"192.0.2.{number}") for number in range(101)]
    assert statuses[-1] == 429
    assert (await public.browser(address="198.51.100.7").sign(device)).status_code == 303


async def test_guesses_at_a_passkey_do_not_shut_out_the_browser_that_its_person_uses(public: PasskeyWorld) -> None:
    """Whoever has learned a credential id can have its attempts refused to strangers, for an hour, and no more."""
    device = await with_passkey(public, "ada")
    known = public.browser(address="198.51.100.7")
    await known.log_in()
    guesses = [public.browser(address=f"192.0.2.{number}").sign(device, break_signature=True) for number in range(102)]
    statuses = [(await guess).status_code for guess in guesses]
    assert (statuses[0], statuses[-1]) == (403, 429)
    assert (await public.browser(address="198.51.100.8").sign(device)).status_code == 429
    assert (await known.sign(device, "/oauth/login?switch=1")).status_code == 303
    assert (await known.log_in()).status_code == 303


# --- What is kept ---


async def test_no_secret_of_a_ceremony_is_kept_or_logged(
    world: PasskeyWorld, device: Authenticator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    browser = world.browser()
    page, begun = await browser.options(LOGIN)
    credential = device.get(begun["publicKey"], break_signature=True)
    await browser.answer(page, begun, credential)
    signature = json.loads(credential)["response"]["signature"]
    for secret in (begun["state"], begun["publicKey"]["challenge"], signature, page["csrf"]):
        assert secret not in caplog.text

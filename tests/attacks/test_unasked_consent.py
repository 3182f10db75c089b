"""No site gets a code out of a browser that is logged in without the person seeing a question; people can say less."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from gatepost.oauth.records import AuthorizationCode
from gatepost.tokens.opaque import fingerprint
from tests.web.pages.pages_world import (
    CONSENT_LIFETIME,
    REDIRECT_URI,
    Form,
    World,
    heading,
    location_parameters,
    make_world,
)

TYPED = {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
"""What a browser says when a native app opened it, or the person did."""
FROM_A_SITE = {**TYPED, "Sec-Fetch-Site": "cross-site"}
SCHEME = "com.example.app:/callback"


class Asking:
    """A browser that is logged in, and clients that send it to the authorization endpoint."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.browser = world.browser()

    async def ask(self, headers: dict[str, str] | None = None, **changes: str) -> httpx2.Response:
        """Follow an authorization request until a page or the client's redirect URI; return that answer."""
        given = TYPED if headers is None else headers
        answer = await self.browser.get("/oauth/authorize", params=self.parameters(**changes), headers=given)
        while answer.status_code == 303 and answer.headers["location"].startswith("/"):
            self.path = answer.headers["location"]
            answer = await self.browser.get(self.path)
        return answer

    def parameters(self, **changes: str) -> dict[str, str]:
        """Return those of an authorization request."""
        return {
            "client_id": "client_1",
            "redirect_uri": REDIRECT_URI,
            "response_type": "code",
            "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            "code_challenge_method": "S256",
            "scope": "notes:read raw",
            **changes,
        }

    async def decide(self, page: httpx2.Response, decision: str = "approve", **fields: str | None) -> httpx2.Response:
        """Press a button of the consent page; a field that is None is unticked."""
        form = Form(page.text)
        sent = {**form.fields, "decision": decision, **fields}
        data = {name: value for name, value in sent.items() if value is not None}
        return await self.browser.post(form.action or "", data=data)

    async def code(self, answer: httpx2.Response) -> AuthorizationCode:
        """Return the code that the client got."""
        _, parameters = location_parameters(answer)
        found = await self.world.store.grants.find_code(fingerprint(parameters["code"][0]), now=self.world.now)
        assert found is not None
        return found


@pytest.fixture
async def asking() -> AsyncIterator[Asking]:
    world = make_world()
    await world.register(redirect_uris=(REDIRECT_URI, "https://app.example/other", SCHEME, "http://127.0.0.1/callback"))
    asking = Asking(world)
    await world.log_in(asking.browser)
    yield asking
    for browser in world.browsers:
        await browser.aclose()


def is_question(answer: httpx2.Response) -> bool:
    return answer.status_code == 200 and heading(answer) == "Allow this app?"


def is_code(answer: httpx2.Response) -> bool:
    return answer.status_code == 303 and "code=" in answer.headers["location"]


async def test_what_was_approved_is_not_asked_again_when_the_person_begins(asking: Asking) -> None:
    first = await asking.ask()
    assert is_question(first)
    assert is_code(await asking.decide(first))

    again = await asking.ask()

    assert is_code(again)
    assert (await asking.code(again)).scopes == ("notes:read", "raw")
    assert is_code(await asking.ask(scope="raw"))


@pytest.mark.parametrize(
    "headers",
    [
        FROM_A_SITE,
        {**TYPED, "Sec-Fetch-Site": "same-site"},
        {**TYPED, "Sec-Fetch-Site": "same-origin"},
        {**TYPED, "Sec-Fetch-Mode": "no-cors"},
        {**TYPED, "Sec-Fetch-Dest": "iframe"},
        {},
        {"Sec-Fetch-Site": "none"},
    ],
)
async def test_a_start_from_a_site_or_by_a_silent_browser_is_always_asked(
    asking: Asking, headers: dict[str, str]
) -> None:
    await asking.decide(await asking.ask())

    assert is_question(await asking.ask(headers))


async def test_an_approval_that_a_site_asked_for_counts_later(asking: Asking) -> None:
    """The person did answer it; only the question may not be left out."""
    await asking.decide(await asking.ask(FROM_A_SITE))

    assert is_question(await asking.ask(FROM_A_SITE))
    assert is_code(await asking.ask())


@pytest.mark.parametrize(
    "changes",
    [
        {"scope": "notes:read raw notes:write"},
        {"scope": "notes:write"},
        {"redirect_uri": "https://app.example/other"},
        {"prompt": "consent"},
        {"prompt": "login"},
        {"prompt": "select_account"},
    ],
)
async def test_whatever_grows_differs_or_wants_the_question_is_asked(asking: Asking, changes: dict[str, Any]) -> None:
    await asking.decide(await asking.ask())

    assert is_question(await asking.ask(**changes))


async def test_another_client_or_another_user_is_asked(asking: Asking) -> None:
    await asking.decide(await asking.ask())
    await asking.world.register(client_id="client_2", client_name="Reading list")
    assert is_question(await asking.ask(client_id="client_2"))

    await asking.world.log_in(asking.browser, "bob", "/oauth/login?switch=1")
    assert is_question(await asking.ask())


@pytest.mark.parametrize("redirect_uri", [SCHEME, "http://127.0.0.1:4711/callback"])
async def test_an_answer_that_stays_on_the_device_is_asked_each_time(asking: Asking, redirect_uri: str) -> None:
    """RFC 8252 section 8.6: any program there may have registered that name."""
    await asking.decide(await asking.ask(redirect_uri=redirect_uri))

    assert is_question(await asking.ask(redirect_uri=redirect_uri))


async def test_revocation_and_time_bring_the_question_back(asking: Asking) -> None:
    await asking.decide(await asking.ask())
    assert is_code(await asking.ask())

    asking.world.now += CONSENT_LIFETIME
    await asking.world.log_in(asking.browser)
    assert is_question(await asking.ask())


async def test_a_denial_is_not_remembered_as_anything(asking: Asking) -> None:
    await asking.decide(await asking.ask(), "deny")

    assert is_question(await asking.ask())


# --- saying less ---


async def test_an_unticked_scope_is_not_in_the_code_and_is_asked_for_again(asking: Asking) -> None:
    answer = await asking.decide(await asking.ask(), scope_0=None)

    assert (await asking.code(answer)).scopes == ("raw",)
    assert is_question(await asking.ask())
    assert is_code(await asking.ask(scope="raw"))


async def test_nothing_left_is_a_denial(asking: Asking) -> None:
    answer = await asking.decide(await asking.ask(), scope_0=None, scope_1=None)

    assert "error=access_denied" in answer.headers["location"]


@pytest.mark.parametrize("fields", [{"scope_2": "yes"}, {"scope_0": "notes:write"}, {"scope_-1": "yes"}])
async def test_a_form_that_was_tampered_with_widens_nothing(asking: Asking, fields: dict[str, str]) -> None:
    changed: dict[str, Any] = {"scope_1": None, **fields}

    answer = await asking.decide(await asking.ask(), **changed)

    assert (await asking.code(answer)).scopes == ("notes:read",)


async def test_a_single_scope_cannot_be_unticked(asking: Asking) -> None:
    page = await asking.ask(scope="raw")

    assert list(Form(page.text).fields) == ["csrf_token"]
    assert (await asking.code(await asking.decide(page))).scopes == ("raw",)


async def test_what_every_request_needs_cannot_be_unticked() -> None:
    world = make_world(required_scopes=("notes:read",))
    await world.register()
    asking = Asking(world)
    await world.log_in(asking.browser)

    page = await asking.ask()
    assert list(Form(page.text).fields) == ["csrf_token", "scope_1"]
    assert (await asking.code(await asking.decide(page, scope_1=None))).scopes == ("notes:read",)
    await asking.browser.aclose()

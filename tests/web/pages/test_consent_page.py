from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx2
import pytest

from tests.web.pages import pages_world
from tests.web.pages.pages_world import ATTACK, NOTES, Form, World, heading, make_world

CONSENT = "/oauth/consent?transaction=transaction_1"
LOGIN = "/oauth/login?transaction=transaction_1"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = make_world()
    await world.register()
    yield world
    for browser in world.browsers:
        await browser.aclose()


@pytest.fixture
async def browser(world: World) -> httpx2.AsyncClient:
    """A browser in which ada is logged in and a request waits."""
    browser = world.browser()
    await world.begin(browser)
    await world.log_in(browser, path=LOGIN)
    return browser


async def test_the_page_says_who_asks_for_what_where_and_as_whom(browser: httpx2.AsyncClient) -> None:
    response = await browser.get(CONSENT)
    form = Form(response.text)
    assert (response.status_code, heading(response)) == (200, "Allow this app?")
    assert (form.action, form.buttons) == (CONSENT, ["approve", "deny"])
    assert list(form.fields) == ["csrf_token", "scope_0", "scope_1"]
    text = " ".join(response.text.split())
    assert '<p class="host"><bdi>app.example</bdi></p>' in text
    assert "calls itself “<bdi>Reading list</bdi>”" in text
    assert re.findall(r"<span>(.*?)</span></label>", text) == [
        "<bdi>Read your notes</bdi> <code>notes:read</code>",
        "<bdi>raw</bdi>",
    ]
    assert "Untick what you do not want to allow." in text
    assert f"<bdi>Notes</bdi> <code>{NOTES.identifier}</code>" in text
    assert "<strong><bdi>ada</bdi></strong>" in text
    assert f'href="{LOGIN}&amp;switch=1"' in text
    assert "Did you just start this yourself" not in text


async def test_without_accounts_to_switch_between_none_is_offered(world: World, browser: httpx2.AsyncClient) -> None:
    world.accounts.can_switch_account = False
    assert "switch=1" not in (await browser.get(CONSENT)).text


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
async def test_a_loopback_redirect_is_named_and_warned_about(
    world: World, browser: httpx2.AsyncClient, host: str
) -> None:
    uri = f"http://{host}/callback"
    await world.register(redirect_uris=(uri,), client_name="Claude")
    await world.begin(browser, redirect_uri=f"http://{host}:52731/callback")
    text = (await browser.get(CONSENT)).text
    assert '<p class="host">An app on this computer</p>' in text
    assert "calls itself “<bdi>Claude</bdi>”" in text
    assert "Any program on this computer can ask" in text
    assert f"<bdi>{host}</bdi>" in text


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("cursor://anysphere.cursor-retrieval/oauth/callback", "cursor://anysphere.cursor-retrieval"),
        ("com.example.app:/callback", "com.example.app:"),
    ],
)
async def test_a_private_use_scheme_is_named_and_warned_about(
    world: World, browser: httpx2.AsyncClient, uri: str, shown: str
) -> None:
    await world.register(redirect_uris=(uri,), client_name="Cursor")
    await world.begin(browser, redirect_uri=uri)
    text = (await browser.get(CONSENT)).text
    assert f'<p class="host"><bdi>{shown}</bdi></p>' in text
    assert f"whichever app on this device opens <code>{shown}</code> links" in text


async def test_the_name_of_a_host_s_owner_outshines_what_stands_before_it(
    world: World, browser: httpx2.AsyncClient
) -> None:
    uri = "https://claude.ai.evil.example/cb"
    await world.register(redirect_uris=(uri,), client_name="Claude")
    await world.begin(browser, redirect_uri=uri)
    text = (await browser.get(CONSENT)).text
    assert '<p class="host"><bdi><span class="prefix">claude.ai.</span>evil.example</bdi></p>' in text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (
            ATTACK,
            "<bdi>&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&gt;&lt;img src=x onerror=alert(1)&gt;</bdi>",
        ),
        ("Claude\u202e\u2066\u200b", "calls itself “<bdi>Claude</bdi>”"),
        ("x" * 5000, f"calls itself “<bdi>{'x' * 59}…</bdi>”"),
        ("\u3164\u200b", "gives no name"),
        ("", "gives no name"),
    ],
)
async def test_the_client_s_name_is_inert(world: World, browser: httpx2.AsyncClient, name: str, shown: str) -> None:
    await world.register(client_name=name)
    text = (await browser.get(CONSENT)).text
    assert shown in text
    assert "<script" not in text
    assert "<img" not in text


async def test_the_day_of_an_earlier_approval_is_said_by_utc(world: World, browser: httpx2.AsyncClient) -> None:
    assert "You allowed this before" not in (await browser.get(CONSENT)).text
    world.now = 1_772_668_799
    await world.begin(browser)
    await world.log_in(browser, path=LOGIN)
    form = Form((await browser.get(CONSENT)).text)
    await browser.post(CONSENT, data={**form.fields, "decision": "approve"})
    world.now += 60

    page = await browser.get(CONSENT)

    assert "<p>You allowed this before, on 4 March 2026.</p>" in page.text
    assert Form(page.text).buttons == ["approve", "deny"]
    await world.log_in(browser, "bob", path=LOGIN + "&switch=1")
    assert "You allowed this before" not in (await browser.get(CONSENT)).text


async def test_no_scopes_is_said_too(world: World, browser: httpx2.AsyncClient) -> None:
    await world.begin(browser, scopes=())
    assert "without any special permission" in (await browser.get(CONSENT)).text


async def test_loading_the_page_twice_changes_nothing(browser: httpx2.AsyncClient) -> None:
    first, second = await browser.get(CONSENT), await browser.get(CONSENT)
    assert first.text == second.text
    assert "set-cookie" not in first.headers


@pytest.mark.parametrize(
    ("count", "destructive", "summary"),
    [
        (6, 2, None),
        (7, 0, "7 permissions."),
        (7, 1, "7 permissions, one of which can delete or overwrite."),
        (12, 3, "12 permissions, 3 of which can delete or overwrite."),
    ],
)
async def test_what_does_not_fit_on_a_screen_is_summed_up(
    monkeypatch: pytest.MonkeyPatch, count: int, destructive: int, summary: str | None
) -> None:
    scopes = [f"area{number}" for number in range(count)]
    resource = replace(
        NOTES, scopes=dict.fromkeys(scopes, ""), destructive_scopes=frozenset(scopes[-destructive:][:destructive])
    )
    monkeypatch.setattr(pages_world, "NOTES", resource)
    world = make_world()
    browser = world.browser()
    await world.log_in(browser)
    await world.register()
    await world.begin(browser, scopes=tuple(scopes))
    assert re.findall(r'<p class="summary">(.*?)</p>', (await browser.get(CONSENT)).text) == (
        [summary] if summary else []
    )
    await browser.aclose()


async def test_many_scopes_stand_in_groups_with_the_operators_words(monkeypatch: pytest.MonkeyPatch) -> None:
    grouped = replace(
        NOTES,
        scopes={"notes:read": "Read notes", "notes:write": "Change notes", "raw": "", "mail:read": "Read mail"},
        scope_groups={"notes": "Your notes", "mail": "Your <mail>"},
        destructive_scopes=frozenset({"notes:write"}),
    )
    monkeypatch.setattr(pages_world, "NOTES", grouped)
    world = make_world()
    browser = world.browser()
    await world.log_in(browser)
    await world.register()
    await world.begin(browser, scopes=("raw", "notes:read", "mail:read", "notes:write"))
    page = (await browser.get(CONSENT)).text
    shown = re.findall(
        r'<h3 id="(.*?)"><bdi>(.*?)</bdi></h3>|<ul class="permissions" aria-labelledby="(.*?)">|name="(scope_\d)"', page
    )
    assert [next(filter(None, found[1:]), "") or found[0] for found in shown] == [
        "Your notes",
        "group-1",
        "scope_1",
        "scope_3",
        "Your &lt;mail&gt;",
        "group-2",
        "scope_2",
        "Further permissions",
        "group-3",
        "scope_0",
    ]
    await browser.aclose()

"""What every page does whoever asks (security.md, pages), and how little text of strangers can do there (row 23)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.attacks.test_unasked_consent import Asking, is_question
from tests.web.pages.pages_world import ATTACK, ORIGIN, PASSWORD, REDIRECT_URI, Form, make_world

BRANDS = "\u202eGoogle\u202c \u200bSecurity\u2066 " + "x" * 500


@pytest.fixture
async def asking() -> AsyncIterator[Asking]:
    world = make_world()
    await world.register(client_name=ATTACK + BRANDS)
    asking = Asking(world)
    yield asking
    for browser in world.browsers:
        await browser.aclose()


@pytest.mark.parametrize(
    "path",
    [
        "/oauth/login",
        "/oauth/login?transaction=unknown",
        "/oauth/consent",
        "/oauth/consent?transaction=unknown",
        "/oauth/setup?token=unknown",
        "/oauth/authorize",
        "/oauth/authorize?client_id=unknown",
        "/oauth/authorize?client_id=client_1&redirect_uri=https://evil.example",
        "/oauth/authorize?client_id=client_1&redirect_uri=" + REDIRECT_URI,
    ],
)
async def test_no_page_error_or_redirect_can_be_framed_cached_or_run_scripts(asking: Asking, path: str) -> None:
    answer = await asking.browser.get(path, headers={"Accept": "text/html"})
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "script-src" not in policy
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "<script" not in answer.text


async def test_the_session_is_out_of_reach_and_renewed_by_the_login(asking: Asking) -> None:
    page = await asking.ask()
    before = asking.world.secret(asking.browser)
    answer = await asking.world.log_in(asking.browser, path=str(page.request.url.raw_path, "ascii"))
    cookies = answer.headers.get_list("set-cookie")
    (session,) = [cookie for cookie in cookies if cookie.startswith(asking.world.sessions.cookie_name)]
    assert asking.world.sessions.cookie_name.startswith("__Host-")
    assert {"HttpOnly", "Secure", "Path=/", "SameSite=lax"} <= set(session.split("; "))
    assert "Domain" not in session
    assert asking.world.secret(asking.browser) not in {None, before}


@pytest.mark.parametrize(
    ("origin", "token"),
    [
        ("https://evil.example", "right"),
        ("null", "right"),
        (ORIGIN + ".evil.example", "right"),
        (ORIGIN, ""),
        (ORIGIN, "wrong"),
    ],
)
async def test_a_form_that_is_not_ours_logs_nobody_in_and_approves_nothing(
    asking: Asking, origin: str, token: str
) -> None:
    login = await asking.ask()
    forms = [login]
    await asking.world.log_in(asking.browser, path=asking.path)
    consent = await asking.ask()
    assert is_question(consent)
    forms.append(consent)
    for page in forms:
        form = Form(page.text)
        right = form.fields["csrf_token"]
        sent = {**form.fields, "username": "ada", "password": PASSWORD, "decision": "approve"}
        sent["csrf_token"] = right if token == "right" else token
        answer = await asking.browser.post(form.action or "", data=sent, headers={"Origin": origin})
        assert answer.status_code in {400, 403}
        assert "location" not in answer.headers


async def test_a_name_made_to_mislead_is_one_short_line_of_text_beside_the_redirect_host(asking: Asking) -> None:
    await asking.world.log_in(asking.browser)
    page = await asking.ask()
    assert is_question(page)
    assert "<img" not in page.text.replace('<img src="/oauth/static', "")
    assert "<script" not in page.text
    assert not set("\u202e\u202c\u200b\u2066") & set(page.text)
    assert "x" * 200 not in page.text
    assert "app.example" in page.text

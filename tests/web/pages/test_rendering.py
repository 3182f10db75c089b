from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError
from starlette.requests import Request
from starlette.responses import Response

from gatepost.identity.password_workers import PasswordWorkersBusy
from gatepost.oauth.errors import InvalidRequest, TooManyRequests
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.web.pages import static_files
from gatepost.web.pages.headers import page_headers
from gatepost.web.pages.rendering import PageLink, PageRefusal, Pages
from gatepost.web.pages.static_files import StaticFiles
from gatepost.web.pages.times import in_words
from gatepost.web.site.request_body import BodyTooLarge, BodyTooSlow, ClientDisconnected
from gatepost.wording.phrase import Phrase
from tests.web.pages.pages_world import ATTACK, World, make_world, names, offer_setup

REQUEST = Request({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []})
TEMPLATES = Path(static_files.__file__).parent / "templates"
STRICT = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"


@pytest.fixture
def pages() -> Pages:
    return Pages(server_name="Notes", secure=True, random_bytes=lambda count: b"\xab" * count)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = make_world()
    yield world
    for browser in world.browsers:
        await browser.aclose()


def error_page(pages: Pages, **changes: Any) -> Response:
    values: dict[str, Any] = {
        "title": "No",
        "message": "Not so.",
        "detail": None,
        "link": None,
        "reason_code": "x",
        "refusal_id": "1",
        **changes,
    }
    return pages.render(REQUEST, "error.html", status=400, **values)


def text(response: Response) -> str:
    return bytes(response.body).decode()


# --- Headers ---


def test_headers_of_a_page_in_the_flow() -> None:
    """No form-action: Chrome would hold the redirect to the client against it. No opener policy: pop-ups need it."""
    headers = page_headers(secure=True, in_flow=True)
    policy = headers.pop("Permissions-Policy")
    assert headers == {
        "Cache-Control": "no-store",
        "Content-Security-Policy": STRICT,
        "Cross-Origin-Opener-Policy": "unsafe-none",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "same-origin",
        "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
    assert all(feature.endswith("=()") for feature in policy.split(", "))


def test_headers_of_a_page_outside_the_flow_are_stricter() -> None:
    headers = page_headers(secure=True, in_flow=False)
    assert headers["Content-Security-Policy"] == STRICT + "; form-action 'self'"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_plain_http_promises_no_https() -> None:
    assert "Strict-Transport-Security" not in page_headers(secure=False, in_flow=True)


async def test_every_answer_of_every_page_has_them(world: World) -> None:
    browser = world.browser()
    await world.register()
    await world.begin(browser)
    setup = f"/oauth/setup?token={await offer_setup(world)}"
    consent = "/oauth/consent?transaction=transaction_1"
    answers = [
        await browser.get(setup),
        await browser.get("/oauth/setup"),
        await browser.post(setup),
        await browser.get("/oauth/login"),
        await browser.get("/oauth/login?transaction=no"),
        await browser.post("/oauth/login"),
        await browser.get(consent),
        await world.log_in(browser),
        await browser.get("/oauth/login"),
        await browser.get("/oauth/account"),
        await browser.post("/oauth/account/apps"),
        await browser.get("/oauth/account/password"),
        await browser.get(consent),
        await browser.post(consent),
    ]
    assert [answer.status_code for answer in answers] == [
        200,
        400,
        400,
        200,
        400,
        400,
        303,
        303,
        303,
        200,
        400,
        303,
        200,
        400,
    ]
    for answer in answers:
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["content-security-policy"].startswith(STRICT)
        assert "unsafe-inline" not in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"


async def test_no_answer_between_client_and_redirect_uri_cuts_a_pop_up_off(world: World) -> None:
    browser = world.browser()
    await world.register()
    await world.begin(browser)
    login, consent = (f"/oauth/{page}?transaction=transaction_1" for page in ("login", "consent"))
    form = await browser.get(login)
    logged_in = await world.log_in(browser, path=login)
    for answer in (form, logged_in, await browser.get(consent)):
        assert answer.headers["cross-origin-opener-policy"] == "unsafe-none"
        assert "form-action" not in answer.headers["content-security-policy"]


# --- Rendering ---


def test_a_page_is_html_with_language_title_and_viewport(pages: Pages) -> None:
    html = text(error_page(pages))
    assert html.startswith('<!doctype html>\n<html lang="en" dir="ltr">')
    assert "<title>No · Notes</title>" in html
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in html


def test_everything_is_escaped(pages: Pages) -> None:
    hostile = Pages(server_name=ATTACK, secure=True)
    html = text(error_page(hostile, title=ATTACK, message=ATTACK, link=PageLink(f'/"{ATTACK}', ATTACK)))
    assert "<script" not in html
    assert "<img" not in html
    assert html.count("&lt;script&gt;") == 7
    assert text(error_page(pages)).count("<svg") == 1


def test_a_forgotten_value_is_an_error_and_not_a_blank(pages: Pages) -> None:
    with pytest.raises(UndefinedError):
        pages.render(REQUEST, "error.html", title="No")


@pytest.mark.parametrize("template", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_no_template_has_anything_that_the_policy_forbids(template: Path) -> None:
    # Our one script, a file of its own, is on the pages that ask for passkeys.
    script = """{% if passkeys %}\n<script src="{{ static_url('passkeys.js') }}" defer></script>\n{% endif %}"""
    source = template.read_text().replace(script, "")
    assert not re.search(r"<script|<style|\sstyle=|\son[a-z]+=|javascript:|\|\s*safe|<iframe|http-equiv", source)


def asked(**state: str) -> Request:
    return Request({"type": "http", "path": "/x", "query_string": b"", "headers": [], "state": state})


def test_an_error_page_shows_its_reason_at_the_foot_and_logs_it_with_what_is_known(
    pages: Pages, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    response = pages.error_page(
        asked(client_id="client-1", redirect_uri="https://app.example/cb", address="192.0.2.1"),
        status=400,
        title="No",
        message="Not so.",
        reason=Reason.CLIENT_UNKNOWN,
        link=PageLink("/x", "Go"),
    )
    assert response.status_code == 400
    assert '<a class="button plain" href="/x">Go</a>' in text(response)
    assert "<code>client_unknown abababab</code>" in text(response)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "refused at (no route): client_unknown (page 400)")
    ]
    [record] = map(vars, caplog.records)
    assert {name: record[name] for name in ("reason", "client_id", "redirect_uri", "address", "refusal_id")} == {
        "reason": "client_unknown",
        "client_id": "client-1",
        "redirect_uri": "https://app.example/cb",
        "address": "192.0.2.1",
        "refusal_id": "abababab",
    }


# --- Redirects ---


@pytest.mark.parametrize(
    "location",
    ["/oauth/login", "https://app.example/cb?a=%2F&b=~!$'()*,;:@", "cursor://host/path?x=1", "com.example.app:/cb"],
)
def test_a_redirect_is_a_303_to_exactly_that_place(pages: Pages, location: str) -> None:
    response = pages.redirect(location)
    assert (response.status_code, response.headers["location"]) == (303, location)
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("location", ["/a\r\nSet-Cookie: x=1", "/a\nb", "/a b", "/\x7f", "/ä", "/\u2028"])
def test_a_redirect_cannot_break_out_of_its_header(pages: Pages, location: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        pages.redirect(location)


# --- What a handler refuses ---


@pytest.mark.parametrize(
    ("error", "status", "reason", "says"),
    [
        (
            lambda: PageRefusal(Reason.LOGIN_FAILED, title=Phrase("T"), message="M", status=418),
            418,
            "login_failed",
            "M",
        ),
        (
            lambda: InvalidRequest(Reason.PARAMETER_REPEATED, "Send it once."),
            400,
            "parameter_repeated",
            "Send it once.",
        ),
        (lambda: BodyTooLarge(10), 413, "body_too_large", "longer than this server reads"),
        (BodyTooSlow, 408, "body_too_slow", "did not arrive in time"),
        (PasswordWorkersBusy, 503, "password_workers_busy", "Very many people"),
        (lambda: StoreUnavailable("gp_at_secretsecret"), 503, "store_unavailable", "Nothing is lost"),
    ],
)
def test_what_a_handler_refuses_is_answered_with_a_page(
    pages: Pages,
    caplog: pytest.LogCaptureFixture,
    error: Callable[[], Exception],
    status: int,
    reason: str,
    says: str,
) -> None:
    caplog.set_level("INFO")
    response = pages.error_response(asked(), error())
    assert response is not None
    assert response.status_code == status
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert says in text(response)
    assert ("retry-after" in response.headers) == (status == 503)
    assert response.headers.get("connection") == ("close" if status == 408 else None)
    assert names(caplog.records) == [reason]
    assert "secretsecret" not in caplog.text + text(response)


@pytest.mark.parametrize(
    "error", [TooManyRequests(Reason.TOO_MANY_REQUESTS, "x", retry_after=90), PasswordWorkersBusy()]
)
def test_what_may_go_well_a_moment_later_has_a_way_back_to_the_same_page(pages: Pages, error: Exception) -> None:
    request = Request(
        {"type": "http", "headers": [], "path": "/oauth/login", "query_string": b"transaction=a&switch=%22yes"}
    )
    page = pages.error_response(request, error)
    assert page is not None
    assert '<a class="button plain" href="/oauth/login?transaction=a&amp;switch=%22yes">Try again</a>' in text(page)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "half a minute"),
        (30, "half a minute"),
        (31, "a minute"),
        (60, "a minute"),
        (61, "2 minutes"),
        (3599, "60 minutes"),
        (3600, "an hour"),
        (3601, "2 hours"),
        (86_400, "a day"),
        (30 * 86_400, "30 days"),
        (365 * 86_400, "a year"),
    ],
)
def test_a_stretch_of_time_is_said_as_people_say_it(seconds: int, words: str) -> None:
    assert str(in_words(seconds)) == words


@pytest.mark.parametrize("error", [ClientDisconnected(), RuntimeError("x")])
def test_a_fault_of_ours_is_left_to_the_app(pages: Pages, error: Exception) -> None:
    assert pages.error_response(asked(), error) is None


def test_a_refusal_names_its_reason_in_a_traceback() -> None:
    assert str(PageRefusal(Reason.LOGIN_FAILED, title=Phrase("T"), message="M")) == "T [login_failed]"


# --- Static files ---


@pytest.mark.parametrize(
    ("name", "media_type"), [("gatepost.css", "text/css; charset=utf-8"), ("gatepost.svg", "image/svg+xml")]
)
async def test_static_files_are_kept_for_good_under_their_hash(world: World, name: str, media_type: str) -> None:
    async with world.browser() as browser:
        response = await browser.get(StaticFiles().url(name))
    assert response.status_code == 200
    assert response.headers["content-type"] == media_type
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.content == (Path(static_files.__file__).parent / "static" / name).read_bytes()


@pytest.mark.parametrize("query", ["", "?v=", "?v=0123456789abcdef"])
async def test_under_another_hash_nothing_is_kept(world: World, query: str) -> None:
    async with world.browser() as browser:
        response = await browser.get("/oauth/static/gatepost.css" + query)
    assert (response.status_code, response.headers["cache-control"]) == (200, "no-cache")


@pytest.mark.parametrize("name", ["", "x", "..%2Fpages.py", "%2e%2e/pages.py", "GATEPOST.CSS"])
async def test_nothing_else_is_served(world: World, name: str) -> None:
    async with world.browser() as browser:
        assert (await browser.get(f"/oauth/static/{name}")).status_code == 404


def test_the_style_sheet_is_small_and_needs_nothing_else() -> None:
    source = (Path(static_files.__file__).parent / "static" / "gatepost.css").read_text()
    assert len(source) < 12_000
    assert "url(" not in source
    assert "@import" not in source

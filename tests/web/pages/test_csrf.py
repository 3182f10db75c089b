from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.types import Message

from gatepost.oauth.errors import InvalidRequest
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.users import User
from gatepost.stores.sql.sqlite import memory_store
from gatepost.web.pages.browser_session import BrowserSessions, OpenSession
from gatepost.web.pages.csrf import check_csrf_token, check_origin, csrf_token, read_form, without_session
from gatepost.web.pages.rendering import PageLink, PageRefusal, Pages
from gatepost.web.site.request_body import BodyTooLarge
from tests.web.pages.pages_world import ORIGIN, Accounts, Counter

RETRY = PageLink("/oauth/login", "Go on")
PAGES = Pages(server_name="Notes", secure=True, random_bytes=bytes)


ADA = User("user_1", "accounts", "user_1", 1)


@pytest.fixture
async def sessions() -> BrowserSessions:
    store = memory_store()
    await store.users.add_user(ADA)
    return BrowserSessions(
        sessions=store.browser_sessions,
        provider=Accounts(),
        secure=True,
        lifetime=60,
        now=lambda: 1,
        random_bytes=Counter(),
    )


@pytest.fixture
async def session(sessions: BrowserSessions) -> OpenSession:
    return await sessions.current_or_new(asks())


def asks(*headers: tuple[str, str]) -> Request:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    return Request({"type": "http", "method": "POST", "headers": raw})


def check(
    session: OpenSession, presented: str | None, purpose: str = "login", transaction_id: str | None = "t1"
) -> None:
    check_csrf_token(session, presented, purpose=purpose, transaction_id=transaction_id, retry=RETRY)


# --- The token ---


async def test_the_token_of_this_very_form_passes(session: OpenSession) -> None:
    check(session, csrf_token(session, purpose="login", transaction_id="t1"))
    check(session, csrf_token(session, purpose="login", transaction_id=None), transaction_id=None)


async def test_a_token_is_for_one_purpose_one_request_and_one_session(
    sessions: BrowserSessions, session: OpenSession
) -> None:
    other = await sessions.current_or_new(asks())
    renewed = await sessions.renew(session, ADA)
    assert renewed is not None
    tokens = [
        csrf_token(session, purpose="login", transaction_id="t1"),
        csrf_token(session, purpose="login", transaction_id=None),
        csrf_token(session, purpose="login", transaction_id="None"),
        csrf_token(session, purpose="login", transaction_id="t2"),
        csrf_token(session, purpose="consent", transaction_id="t1"),
        csrf_token(other, purpose="login", transaction_id="t1"),
        csrf_token(renewed, purpose="login", transaction_id="t1"),
    ]
    assert len(set(tokens)) == len(tokens)
    for foreign in tokens[1:]:
        with pytest.raises(PageRefusal):
            check(session, foreign)


async def test_the_token_shows_nothing_of_the_secret(session: OpenSession) -> None:
    token = csrf_token(session, purpose="login", transaction_id="t1")
    assert len(token) == 43
    assert token not in session.secret
    assert session.secret not in token


@pytest.mark.parametrize("presented", [None, "", "A" * 43, "ä", "\ud800".encode("utf-8", "replace").decode()])
async def test_a_missing_or_wrong_token_is_refused_with_a_way_on(session: OpenSession, presented: str | None) -> None:
    with pytest.raises(PageRefusal) as refusal:
        check(session, presented)
    assert (refusal.value.reason, refusal.value.status, refusal.value.link) == (Reason.CSRF_TOKEN_WRONG, 403, RETRY)
    assert session.secret not in str(refusal.value)


async def test_a_token_that_was_cut_or_lengthened_is_refused(session: OpenSession) -> None:
    token = csrf_token(session, purpose="login", transaction_id="t1")
    for changed in (token[:-1], token + "A", token.swapcase(), f" {token}"):
        with pytest.raises(PageRefusal):
            check(session, changed)


# --- Where the POST comes from ---


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("Origin", ORIGIN),),
        (("Sec-Fetch-Site", "same-origin"),),
        (("Sec-Fetch-Site", "none"),),
        (("Origin", ORIGIN), ("Sec-Fetch-Site", "same-origin")),
    ],
)
def test_our_own_pages_and_old_browsers_pass(headers: tuple[tuple[str, str], ...]) -> None:
    check_origin(asks(*headers), origin=ORIGIN)


@pytest.mark.parametrize(
    "headers",
    [
        (("Origin", "https://evil.example"),),
        (("Origin", "null"),),
        (("Origin", ""),),
        (("Origin", ORIGIN + "/"),),
        (("Origin", ORIGIN.upper()),),
        (("Origin", ORIGIN.replace("https", "http")),),
        (("Origin", ORIGIN + ":444"),),
        (("Origin", ORIGIN + ".evil.example"),),
        (("Origin", f"{ORIGIN}, https://evil.example"),),
        (("Origin", ORIGIN), ("Origin", "https://evil.example")),
        (("Origin", "https://evil.example"), ("Origin", ORIGIN)),
        (("Sec-Fetch-Site", "cross-site"),),
        (("Sec-Fetch-Site", "same-site"),),
        (("Sec-Fetch-Site", ""),),
        (("Origin", ORIGIN), ("Sec-Fetch-Site", "cross-site")),
        (("Origin", "https://evil.example"), ("Sec-Fetch-Site", "same-origin")),
    ],
)
def test_everybody_else_is_refused(headers: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(PageRefusal) as refusal:
        check_origin(asks(*headers), origin=ORIGIN)
    assert (refusal.value.reason, refusal.value.status) == (Reason.ORIGIN_FOREIGN, 403)
    assert "evil" not in str(refusal.value.message)


# --- What is read of it ---


def sends(body: bytes, media_type: str = "application/x-www-form-urlencoded") -> Request:
    """A submitted form."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(asks(("Content-Type", media_type)).scope, receive)


async def test_the_fields_of_a_form_of_16_kibibytes_are_read_and_no_more() -> None:
    longest = b"password=" + b"x" * (16 * 1024 - 9)
    assert await read_form(sends(longest)) == {"password": "x" * (16 * 1024 - 9)}
    with pytest.raises(BodyTooLarge):
        await read_form(sends(longest + b"x"))


@pytest.mark.parametrize("media_type", ["", "text/plain", "multipart/form-data", "application/json"])
async def test_what_is_no_form_is_not_read(media_type: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await read_form(sends(b"password=x", media_type))
    assert refusal.value.reason is Reason.CONTENT_TYPE_UNSUPPORTED


def test_a_form_that_came_without_any_cookie_is_refused_with_a_way_back(sessions: BrowserSessions) -> None:
    with pytest.raises(PageRefusal) as refusal:
        without_session(asks(), sessions, PAGES, path="/oauth/login?transaction=t1")
    assert (refusal.value.reason, refusal.value.status) == (Reason.BROWSER_SESSION_MISSING, 400)
    assert refusal.value.link is not None
    assert refusal.value.link.path == "/oauth/login?transaction=t1"


def test_a_form_whose_session_has_ended_is_loaded_again(sessions: BrowserSessions) -> None:
    request = asks(("Cookie", f"{sessions.cookie_name}=gp_bs_{'x' * 43}"))
    answer = without_session(request, sessions, PAGES, path="/oauth/login?transaction=t1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/oauth/login?transaction=t1")

from __future__ import annotations

from collections.abc import Sequence

import pytest
from starlette.requests import Request
from starlette.responses import Response

from gatepost.stores.contract.browser_sessions import BrowserSession, SessionView
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.users import User
from gatepost.stores.sql.sqlite import memory_store
from gatepost.tokens.opaque import SecretKind, fingerprint, looks_like
from gatepost.web.pages.browser_session import PLAIN_HTTP_LOGIN, BrowserSessions, OpenSession
from gatepost.web.site.base_path import cookie_suffix
from tests.web.pages.pages_world import Accounts, Counter

NOW = 1_000_000
ADA = User("user_1", "accounts", "user_1", NOW, display_name="ada")
WELL_SHAPED = "gp_bs_" + "A" * 43


@pytest.fixture
def store() -> Store:
    return memory_store()


def make(store: Store, *, secure: bool = True, name_suffix: str = "", now: int = NOW) -> BrowserSessions:
    return BrowserSessions(
        sessions=store.browser_sessions,
        provider=Accounts(),
        secure=secure,
        lifetime=3600,
        now=lambda: now,
        random_bytes=Counter(),
        name_suffix=name_suffix,
    )


def asks(*cookies: str) -> Request:
    return Request({"type": "http", "headers": [(b"cookie", cookie.encode("latin-1")) for cookie in cookies]})


def set_cookie(sessions: BrowserSessions, session: OpenSession) -> list[str]:
    response = Response()
    sessions.attach(response, session)
    return response.headers["set-cookie"].split("; ")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://mcp.example.com", "__Host-gatepost"),
        ("https://mcp.example.com:8443", "__Host-gatepost-8443"),
        ("https://example.com/a/b", "__Host-gatepost+a+b"),
        ("http://127.0.0.1", "gatepost"),
        ("http://127.0.0.1:8000", "gatepost-8000"),
        ("http://127.0.0.1:8000/svc", "gatepost-8000+svc"),
    ],
)
def test_the_cookie_is_named_for_scheme_port_and_path(store: Store, url: str, name: str) -> None:
    sessions = make(store, secure=url.startswith("https:"), name_suffix=cookie_suffix(url))

    assert sessions.cookie_name == name


async def test_on_https_the_cookie_meets_the_host_prefix(store: Store) -> None:
    sessions = make(store)
    session = await sessions.current_or_new(asks())
    assert set_cookie(sessions, session) == [
        f"__Host-gatepost={session.secret}",
        "HttpOnly",
        "Max-Age=3600",
        "Path=/",
        "SameSite=lax",
        "Secure",
    ]


async def test_on_plain_http_all_but_secure_and_prefix_stays(store: Store) -> None:
    sessions = make(store, secure=False, name_suffix="-8000")
    session = await sessions.current_or_new(asks())
    assert set_cookie(sessions, session) == [
        f"gatepost-8000={session.secret}",
        "HttpOnly",
        "Max-Age=3600",
        "Path=/",
        "SameSite=lax",
    ]


async def test_the_cookie_ends_with_its_session(store: Store) -> None:
    session = await make(store).current_or_new(asks())
    assert "Max-Age=600" in set_cookie(make(store, now=NOW + 3000), session)
    assert "Max-Age=0" in set_cookie(make(store, now=NOW + 4000), session)


async def test_a_new_browser_gets_a_session_that_is_nobody_s(store: Store) -> None:
    session = await make(store).current_or_new(asks())
    assert looks_like(SecretKind.BROWSER_SESSION, session.secret)
    assert session.record == BrowserSession(
        session_fingerprint=fingerprint(session.secret),
        browser_id=session.record.browser_id,
        subject=None,
        provider=None,
        authenticated_at=None,
        created_at=NOW,
        expires_at=NOW + 3600,
    )
    assert session.record.browser_id.startswith("browser_")
    found = await store.browser_sessions.find_session(fingerprint(session.secret), now=NOW)
    assert found == SessionView(session.record, None)
    assert session.secret not in repr(session.record)


async def test_a_browser_with_a_live_session_keeps_it(store: Store) -> None:
    sessions = make(store)
    session = await sessions.current_or_new(asks())
    request = asks(f"theme=dark; __Host-gatepost={session.secret}; other=1")
    assert await sessions.current(request) == session
    assert await sessions.current_or_new(request) == session
    assert sessions.sent_a_cookie(request)


@pytest.mark.parametrize(
    "cookies", [(), ("other=1",), ("__Host-gatepost",), ("__Host-gatepostx=1", "x__Host-gatepost=1")]
)
async def test_no_cookie_of_ours_is_no_session(store: Store, cookies: Sequence[str]) -> None:
    sessions = make(store)
    assert await sessions.current(asks(*cookies)) is None
    assert not sessions.sent_a_cookie(asks(*cookies))


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        WELL_SHAPED,
        WELL_SHAPED + "A",
        WELL_SHAPED.replace("bs", "at"),
        "\xff" * 49,
        f'"{WELL_SHAPED}"',
        "a=b=c",
    ],
)
async def test_garbage_is_no_session_but_a_cookie(store: Store, value: str) -> None:
    sessions = make(store)
    request = asks(f"__Host-gatepost={value}")
    assert await sessions.current(request) is None
    assert sessions.sent_a_cookie(request)


async def test_garbage_beside_the_real_one_does_no_harm(store: Store) -> None:
    sessions = make(store)
    session = await sessions.current_or_new(asks())
    name = sessions.cookie_name
    assert await sessions.current(asks(f"{name}=x; {name}={session.secret}")) == session
    assert await sessions.current(asks(f"{name}={session.secret}", f"{name}={session.secret}")) == session


@pytest.mark.parametrize("is_first", [True, False])
async def test_a_second_well_shaped_one_makes_both_worthless(store: Store, *, is_first: bool) -> None:
    """Another program on this machine may have planted it, so no order of preference is safe."""
    sessions = make(store, secure=False, name_suffix="-8000")
    ours, planted = await sessions.current_or_new(asks()), await sessions.current_or_new(asks())
    pair = [f"gatepost-8000={session.secret}" for session in (ours, planted)]
    request = asks("; ".join(pair if is_first else reversed(pair)))
    assert await sessions.current(request) is None


async def test_an_expired_session_is_no_session(store: Store) -> None:
    session = await make(store).current_or_new(asks())
    request = asks(f"__Host-gatepost={session.secret}")
    assert await make(store, now=NOW + 3599).current(request) == session
    assert await make(store, now=NOW + 3600).current(request) is None


async def test_the_fingerprint_opens_nothing(store: Store) -> None:
    """A stolen database holds fingerprints only."""
    sessions = make(store)
    session = await sessions.current_or_new(asks())
    stolen = session.record.session_fingerprint.hex()
    assert await sessions.current(asks(f"__Host-gatepost={stolen}")) is None


async def test_renewal_ends_the_old_session_and_keeps_the_browser(store: Store) -> None:
    sessions = make(store)
    await store.users.add_user(ADA)
    planted = await sessions.current_or_new(asks())
    later = BrowserSessions(
        sessions=store.browser_sessions,
        provider=Accounts(),
        secure=True,
        lifetime=3600,
        now=lambda: NOW + 100,
        random_bytes=lambda length: b"\x07" * length,
    )
    renewed = await later.renew(planted, ADA)
    assert renewed is not None
    assert renewed.secret != planted.secret
    assert renewed.record == BrowserSession(
        session_fingerprint=fingerprint(renewed.secret),
        browser_id=planted.record.browser_id,
        subject="user_1",
        provider="accounts",
        authenticated_at=NOW + 100,
        created_at=NOW + 100,
        expires_at=NOW + 3700,
        issuer="accounts",
        external_subject="user_1",
    )
    assert await sessions.current(asks(f"__Host-gatepost={planted.secret}")) is None
    await store.users.recognise_user("accounts", "user_1", display_name="ada", subjects=("user_1",), now=NOW)
    assert await sessions.current(asks(f"__Host-gatepost={renewed.secret}")) == renewed


async def test_a_session_is_renewed_once(store: Store) -> None:
    sessions = make(store)
    await store.users.add_user(ADA)
    session = await sessions.current_or_new(asks())
    assert await sessions.renew(session, ADA) is not None
    assert await sessions.renew(session, ADA) is None


@pytest.mark.parametrize(("secure", "lifetime"), [(True, 3600), (False, PLAIN_HTTP_LOGIN)])
async def test_a_login_on_plain_http_is_short(store: Store, *, secure: bool, lifetime: int) -> None:
    sessions = make(store, secure=secure)
    await store.users.add_user(ADA)
    session = await sessions.current_or_new(asks())
    assert session.record.expires_at == NOW + 3600
    renewed = await sessions.renew(session, ADA)
    assert renewed is not None
    assert renewed.record.expires_at == NOW + lifetime
    assert f"Max-Age={lifetime}" in set_cookie(sessions, renewed)


async def test_whoever_leaves_on_plain_http_leaves_every_session_behind(store: Store) -> None:
    sessions = make(store, secure=False, name_suffix="-8000")
    ours, planted = [await sessions.current_or_new(asks()) for _ in range(2)]
    response = Response()
    await sessions.leave(
        asks(f"gatepost-8000={ours.secret}; gatepost-8000={planted.secret}; gatepost-8000=x"), response
    )
    assert [await sessions.current(asks(f"gatepost-8000={one.secret}")) for one in (ours, planted)] == [None, None]
    cookie = response.headers["set-cookie"].split("; ")
    assert cookie[0] == 'gatepost-8000=""'
    assert {"Max-Age=0", "Path=/", "HttpOnly", "SameSite=lax"} <= set(cookie)


async def test_whoever_leaves_on_https_stays_logged_in(store: Store) -> None:
    sessions = make(store)
    session = await sessions.current_or_new(asks())
    response = Response()
    request = asks(f"__Host-gatepost={session.secret}")
    await sessions.leave(request, response)
    assert await sessions.current(request) == session
    assert "set-cookie" not in response.headers

"""Certified OpenID providers side by side: none's answer counts as another's (RFC 9700 section 4.4).

One is named as any OpenID provider, one as Okta, and one as if it were no OpenID provider at all.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest

from tests.conftest import RequireService
from tests.end_to_end import local_http
from tests.end_to_end.conftest import TARGET
from tests.end_to_end.openid_provider import SECRET, OpenIDProvider, install
from tests.end_to_end.running_server import RunningServer, free_port
from tests.end_to_end.scripted_client import Person

PORT = free_port()
CALLBACK = f"http://127.0.0.1:{PORT}/oauth/login/{{}}/callback"


@pytest.fixture(scope="module")
def providers(require_service: RequireService) -> Iterator[dict[str, OpenIDProvider]]:
    """Three running providers that know the server at `PORT`."""
    require_service("oidc-provider (npm)", available=install())
    with ExitStack() as stack:
        running = {}
        for name in ("a", "b", "c"):
            running[name] = OpenIDProvider(CALLBACK.format(name)).start()
            stack.callback(running[name].stop)
        yield running


@pytest.fixture(scope="module")
def server(providers: dict[str, OpenIDProvider], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose people are theirs."""
    there = providers["c"].issuer
    environment = {
        "OAUTH_ALLOWED_USERS": "*",
        "OAUTH_UPSTREAM_A_ISSUER": providers["a"].issuer,
        "OAUTH_UPSTREAM_B_KIND": "okta",
        "OAUTH_UPSTREAM_B_ISSUER": f"{providers['b'].issuer}/",
        "OAUTH_UPSTREAM_C_KIND": "oauth2",
        "OAUTH_UPSTREAM_C_AUTHORIZATION_ENDPOINT": f"{there}/auth",
        "OAUTH_UPSTREAM_C_TOKEN_ENDPOINT": f"{there}/token",
        "OAUTH_UPSTREAM_C_USERINFO_ENDPOINT": f"{there}/me",
        "OAUTH_UPSTREAM_C_SCOPES": "openid profile email",
        "OAUTH_UPSTREAM_C_SUBJECT": "sub",
    }
    for name in providers:
        prefix = f"OAUTH_UPSTREAM_{name.upper()}_"
        environment[f"{prefix}CLIENT_ID"] = "gatepost"
        environment[f"{prefix}CLIENT_SECRET"] = SECRET
    with RunningServer(TARGET, tmp_path_factory.mktemp("two") / "data", port=PORT, environment=environment) as running:
        yield running


@pytest.fixture
def browser(server: RunningServer) -> Iterator[httpx2.Client]:
    with local_http.client(base_url=server.origin) as opened:
        yield opened


def begun(browser: httpx2.Client, name: str) -> str:
    """Return where a browser is sent that logs in at one of them."""
    location: str = browser.get(f"/oauth/login?with={name}").headers["location"]
    return location


def with_state(url: str, state: str, **changes: str) -> str:
    """Return a URL with other parameters, as an attacker makes it."""
    parts = urlsplit(url)
    return f"{url.partition('?')[0]}?{urlencode({**dict(parse_qsl(parts.query)), 'state': state, **changes})}"


def state_of(url: str) -> str:
    return dict(parse_qsl(urlsplit(url).query))["state"]


def is_logged_in(browser: httpx2.Client) -> bool:
    return browser.get("/oauth/account").status_code == 200


def test_the_answer_of_one_is_refused_at_the_other(
    browser: httpx2.Client, providers: dict[str, OpenIDProvider]
) -> None:
    of_b = Person(providers["b"].issuer, "mallory").decide(begun(browser, "b"))
    for iss in (providers["b"].issuer, ""):
        answer = with_state(of_b, state_of(begun(browser, "a")), iss=iss).replace("/login/b/", "/login/a/")
        refused = browser.get(answer)
        assert refused.status_code == 403
        assert "Another login provider answered than the one that was asked." in refused.text
        assert browser.get(answer).status_code == 400, "the state is used up"
    assert not is_logged_in(browser)


def test_a_code_of_one_that_claims_to_be_of_the_other_is_redeemed_by_nobody(
    browser: httpx2.Client, providers: dict[str, OpenIDProvider]
) -> None:
    of_b = Person(providers["b"].issuer, "mallory").decide(begun(browser, "b"))
    at_a = state_of(begun(browser, "a"))
    refused = browser.get(with_state(of_b, at_a, iss=providers["a"].issuer).replace("/login/b/", "/login/a/"))
    assert refused.status_code == 403
    assert not is_logged_in(browser)


def test_one_that_sends_the_browser_on_to_the_other_gets_no_code(
    browser: httpx2.Client, providers: dict[str, OpenIDProvider]
) -> None:
    at_a, at_b = begun(browser, "a"), begun(browser, "b")
    sent_on = Person(providers["a"].issuer, "ada").decide(with_state(at_a, state_of(at_b)))
    assert sent_on.startswith(CALLBACK.format("a"))
    assert browser.get(sent_on).status_code == 400
    assert not is_logged_in(browser)


def test_each_logs_its_own_people_in(server: RunningServer, providers: dict[str, OpenIDProvider]) -> None:
    for name, provider in providers.items():
        with local_http.client(base_url=server.origin) as browser:
            assert browser.get(Person(provider.issuer, "ada").decide(begun(browser, name))).status_code == 303
            assert "ada from elsewhere" in browser.get("/oauth/account").text

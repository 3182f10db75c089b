"""Behind a certified OpenID provider that others wrote (npm's `oidc-provider`), named by variables alone."""

from collections.abc import Iterator

import pytest

from tests.conftest import RequireService
from tests.end_to_end import local_http
from tests.end_to_end.conftest import TARGET
from tests.end_to_end.openid_provider import SECRET, OpenIDProvider, install
from tests.end_to_end.running_server import RunningServer, free_port
from tests.end_to_end.scripted_client import App, Person

PORT = free_port()


@pytest.fixture(scope="module")
def company(require_service: RequireService) -> Iterator[OpenIDProvider]:
    """A running provider that knows the server at `PORT`."""
    require_service("oidc-provider (npm)", available=install())
    provider = OpenIDProvider(f"http://127.0.0.1:{PORT}/oauth/login/company/callback")
    yield provider.start()
    provider.stop()


@pytest.fixture(scope="module")
def server(company: OpenIDProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose people are the provider's."""
    environment = {
        "OAUTH_ALLOWED_USERS": "*",
        "OAUTH_UPSTREAM_COMPANY_ISSUER": company.issuer,
        "OAUTH_UPSTREAM_COMPANY_CLIENT_ID": "gatepost",
        "OAUTH_UPSTREAM_COMPANY_CLIENT_SECRET": SECRET,
        "HTTPS_PROXY": "http://127.0.0.1:9",  # nothing on this machine is asked by a proxy
    }
    with RunningServer(TARGET, tmp_path_factory.mktemp("oidc") / "data", port=PORT, environment=environment) as running:
        yield running


def connected(server: RunningServer, company: OpenIDProvider, username: str) -> str:
    """Connect an app as somebody who logs in at the provider; return what a tool says of them."""
    person, app = Person(server.origin, username, issuer=company.issuer), App(server.origin, scope="notes:write")
    app.register()
    tokens = app.redeem(app.code_from(person.decide(app.authorization_url()))).json()
    assert any(f"{username} from elsewhere" in page for page in person.pages), "the consent page says who it is"
    text: str = app.call(tokens["access_token"], "add", {"text": "milk"}).json()["result"]["content"][0]["text"]
    assert text.startswith("user_")
    return text


def test_people_log_in_there_connect_apps_and_are_the_same_ones_again_after_its_keys_changed(
    server: RunningServer, company: OpenIDProvider
) -> None:
    ada = connected(server, company, "ada")
    company.stop()
    company.start()
    assert connected(server, company, "ada") == ada
    company.rotate()
    assert connected(server, company, "ada") == ada
    assert connected(server, company, "bob") != ada


def test_while_it_is_down_a_page_says_so_and_the_request_goes_on_afterwards(
    server: RunningServer, company: OpenIDProvider
) -> None:
    person, app = Person(server.origin, "ada", issuer=company.issuer), App(server.origin).register()
    there = person.browser.get(person.browser.get(app.authorization_url()).headers["location"]).headers["location"]
    assert there.startswith(company.issuer)
    logged_in = Person(company.issuer, "ada").decide(there)
    company.stop()
    try:
        down = person.browser.get(logged_in)
        assert (down.status_code, down.headers["retry-after"]) == (503, "5")
        assert "127.0.0.1, where you log in, does not answer as it should." in down.text
    finally:
        company.start()
    assert app.redeem(app.code_from(person.decide(app.authorization_url()))).status_code == 200


def test_while_its_token_endpoint_fails_nobody_is_logged_in_and_nothing_is_lost(
    server: RunningServer, company: OpenIDProvider
) -> None:
    person, app = Person(server.origin, "ada", issuer=company.issuer), App(server.origin).register()
    there = person.browser.get(person.browser.get(app.authorization_url()).headers["location"]).headers["location"]
    company.fail()
    try:
        failed = person.browser.get(Person(company.issuer, "ada").decide(there))
        assert (failed.status_code, failed.headers["retry-after"]) == (503, "5")
        assert person.browser.get("/oauth/account").status_code != 200
    finally:
        company.mend()
    assert app.redeem(app.code_from(person.decide(app.authorization_url()))).status_code == 200


def test_who_cancels_there_reads_that_they_are_not_logged_in(server: RunningServer, company: OpenIDProvider) -> None:
    with local_http.client(follow_redirects=True) as browser:
        page = browser.get(f"{server.origin}/oauth/login")
        assert str(page.url).startswith(f"{company.issuer}/interaction/")
        cancelled = browser.get(f"{page.url}/abort")
    assert cancelled.status_code == 403
    assert "127.0.0.1 did not let you in, or you did not go on there." in cancelled.text

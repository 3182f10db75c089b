"""A plain ASGI application beside an MCP endpoint, behind the guard: its own resource, scopes by path."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from tests.end_to_end import local_http
from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.scripted_client import App, Person

TARGET = "tests/end_to_end/application_target.py:endpoints"
METADATA = "/.well-known/oauth-protected-resource/reports"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(TARGET, tmp_path_factory.mktemp("application") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def person(server: RunningServer) -> Person:
    person = Person(server.origin)
    assert server.setup_link is not None
    person.set_up(server.setup_link)
    return person


def token_for(server: RunningServer, person: Person, path: str, scope: str | None = None) -> str:
    app = App(server.origin, name="Reader").register()
    url = urlsplit(app.authorization_url())
    query = {key: value for key, (value,) in parse_qs(url.query).items()} | {"resource": server.origin + path}
    if scope is not None:
        query["scope"] = scope
    location = person.decide(url._replace(query=urlencode(query)).geturl())
    token: str = app.redeem(app.code_from(location)).json()["access_token"]
    return token


def get(server: RunningServer, path: str, token: str | None = None, **headers: str) -> httpx2.Response:
    authorization = {} if token is None else {"Authorization": f"Bearer {token}"}
    return local_http.get(server.origin + path, headers={**authorization, **headers})


def test_its_url_is_announced_and_its_metadata_names_the_scopes_of_its_paths(server: RunningServer) -> None:
    assert f"App      {server.origin}/reports" in server.output
    assert get(server, METADATA).json()["scopes_supported"] == ["reports:read", "reports:admin"]
    refused = get(server, "/reports/latest")
    assert refused.status_code == 401
    assert f'resource_metadata="{server.origin}{METADATA}"' in refused.headers["www-authenticate"]


def test_a_person_approves_an_app_for_it_which_then_reads_it(server: RunningServer, person: Person) -> None:
    token = token_for(server, person, "/reports", scope="reports:read")

    assert "<bdi>Your reports</bdi>" in person.pages[-2]
    assert "Read reports" in person.pages[-2]
    body = get(server, "/reports/latest", token).json()
    assert body == {
        "subject": body["subject"],
        "is_current": True,
        "client": "Reader",
        "url": f"{server.origin}/reports/latest",
        "authorization": None,
    }
    refused = get(server, "/reports/admin/latest", token)
    assert refused.status_code == 403
    assert 'scope="reports:read reports:admin"' in refused.headers["www-authenticate"]


def test_tokens_of_one_resource_do_not_count_at_the_other(server: RunningServer, person: Person) -> None:
    notes, reports = token_for(server, person, "/mcp"), token_for(server, person, "/reports")

    assert get(server, "/reports/admin/latest", reports).status_code == 200
    assert get(server, "/reports/latest", notes).status_code == 401
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    accept = {"Accept": "application/json, text/event-stream"}
    for token, status in ((notes, 200), (reports, 401)):
        headers = {"Authorization": f"Bearer {token}", **accept}
        assert local_http.post(f"{server.origin}/mcp", json=ping, headers=headers).status_code == status


def test_what_the_application_does_not_serve_is_its_own_404_and_a_foreign_host_is_421(
    server: RunningServer, person: Person
) -> None:
    token = token_for(server, person, "/reports")

    assert get(server, "/reports/none", token).text == "Not Found"
    assert get(server, "/reports/latest", token, Host="evil.example").status_code == 421
    assert get(server, "/reportsx").status_code == 404


def test_a_browser_may_ask_before_it_has_a_token(server: RunningServer) -> None:
    origin = "http://localhost:6274"
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    headers["Access-Control-Request-Headers"] = "authorization"

    asked = httpx2.request("OPTIONS", f"{server.origin}/reports/latest", headers=headers)

    # Where a token is demanded, any origin may bring one; no answer lets a page send cookies (record 0035).
    assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (200, "*")
    assert "access-control-allow-credentials" not in asked.headers
    refused = get(server, "/reports/latest", Origin=origin)
    assert "WWW-Authenticate" in refused.headers["access-control-expose-headers"]

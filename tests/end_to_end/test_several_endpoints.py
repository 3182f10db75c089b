"""One authorization server for two MCP endpoints, each with its own audience, scopes and metadata."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from tests.end_to_end import local_http
from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.scripted_client import App, Person, open_http

TARGET = "tests/end_to_end/sample_servers.py:endpoints"
PRM = "/.well-known/oauth-protected-resource"
WORDS = {"notes": ("Your notes", "Add notes", "Send mail"), "mail": ("Your mail", "Send mail", "Add notes")}


@pytest.fixture(scope="module", params=["opaque", "jwt"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    environment = {"OAUTH_ACCESS_TOKEN_FORMAT": request.param}
    data = tmp_path_factory.mktemp("several") / "data"
    with RunningServer(TARGET, data, environment=environment) as running:
        yield running


def call(server: RunningServer, name: str, token: str, tool: str) -> httpx2.Response:
    http = open_http(base_url=server.origin, headers={"Authorization": f"Bearer {token}"})
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    return http.post(f"/{name}/mcp", json={**message, "params": {"name": tool, "arguments": {"text": "x"}}})


def allow(server: RunningServer, person: Person, name: str) -> dict[str, str]:
    app = App(server.origin, name=f"App for {name}").register()
    url = urlsplit(app.authorization_url())
    query = {key: value for key, (value,) in parse_qs(url.query).items()}
    query["resource"] = f"{server.origin}/{name}/mcp"
    location = person.decide(url._replace(query=urlencode(query)).geturl())
    tokens: dict[str, str] = app.redeem(app.code_from(location)).json()
    return tokens


def test_each_endpoint_is_a_resource_of_its_own(server: RunningServer) -> None:
    assert f"MCP URL  {server.origin}/notes/mcp" in server.output
    assert f"MCP URL  {server.origin}/mail/mcp" in server.output
    assert server.setup_link is not None
    person = Person(server.origin)
    person.set_up(server.setup_link)

    for name, other, tool, scope in (("notes", "mail", "add", "notes:write"), ("mail", "notes", "send", "mail:send")):
        # 1. The challenge leads to this endpoint's own metadata.
        bare = local_http.post(f"{server.origin}/{name}/mcp", json={})
        assert bare.status_code == 401
        assert f'resource_metadata="{server.origin}{PRM}/{name}/mcp"' in bare.headers["www-authenticate"]
        assert f'scope="{scope}"' in bare.headers["www-authenticate"]
        metadata = local_http.get(f"{server.origin}{PRM}/{name}/mcp").json()
        assert (metadata["resource"], metadata["scopes_supported"]) == (f"{server.origin}/{name}/mcp", [scope])

        # 2. The pages name this endpoint and what it is asked for, and not the other.
        tokens = allow(server, person, name)
        title, right, wrong = WORDS[name]
        page = person.pages[-2]
        assert f"<bdi>{title}</bdi> <code>{server.origin}/{name}/mcp</code>" in page
        assert right in page
        assert wrong not in page
        assert f"{server.origin}/{other}/mcp" not in page

        # 3. The token counts here and nowhere else.
        assert tokens["scope"] == scope
        assert "x" in call(server, name, tokens["access_token"], tool).text
        assert call(server, name, tokens["access_token"], tool).status_code == 200
        refused = call(server, other, tokens["access_token"], tool)
        assert refused.status_code == 401
        assert 'error="invalid_token"' in refused.headers["www-authenticate"]
        assert f"{PRM}/{other}/mcp" in refused.headers["www-authenticate"]

    document = local_http.get(f"{server.origin}/.well-known/oauth-authorization-server").json()
    assert document["protected_resources"] == [f"{server.origin}/{name}/mcp" for name in ("notes", "mail")]
    assert document["scopes_supported"] == ["notes:write", "mail:send"]
    assert ("jwks_uri" in document) is (local_http.get(f"{server.origin}/oauth/jwks").status_code == 200)


def test_a_client_that_names_no_endpoint_is_asked_which(server: RunningServer) -> None:
    app = App(server.origin).register()
    url = urlsplit(app.authorization_url())
    query = {key: value for key, (value,) in parse_qs(url.query).items() if key != "resource"}
    answer = local_http.get(url._replace(query=urlencode(query)).geturl())
    assert answer.status_code == 303
    assert "error=invalid_target" in answer.headers["location"]
    assert local_http.post(f"{server.origin}/mcp", json={}).status_code == 404

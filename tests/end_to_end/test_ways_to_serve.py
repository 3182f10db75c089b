"""The other ways to serve: without a browser, without a token, with a key, a bare function, other loopback names."""

import base64
import hashlib
import os
import secrets
import subprocess
import sys
import textwrap
from pathlib import Path

import httpx2
import pytest

from tests.end_to_end import local_http
from tests.end_to_end.conftest import TARGET
from tests.end_to_end.running_server import REPOSITORY, RunningServer
from tests.end_to_end.scripted_client import App, Person, open_http

HANDLER = """
def handler(request: dict) -> dict | None:
    if request["method"] == "tools/list":
        tools = [{"name": "ping", "inputSchema": {"type": "object"}}]
        return {"jsonrpc": "2.0", "id": request["id"], "result": {"tools": tools}}
    if request["method"] == "tools/call":
        text = f"{request['subject']} {' '.join(request['scopes'])}"
        content = [{"type": "text", "text": text}]
        return {"jsonrpc": "2.0", "id": request["id"], "result": {"content": content}}
    if request["method"] == "explode":
        raise RuntimeError("secret detail")
    return None
"""


def test_the_single_user_mode_needs_no_browser_and_no_cookies(tmp_path: Path) -> None:
    """The client is a dozen lines of plain HTTP: it reads the first answer's Location, and keeps no cookies."""
    with RunningServer(TARGET, tmp_path / "data", "--single-user") as server:
        assert "Set up" not in server.output
        assert "nobody has to log in" in server.output
        callback = "http://localhost:9999/cb"
        metadata = {"client_name": "demo", "redirect_uris": [callback]}
        client_id = local_http.post(f"{server.origin}/oauth/register", json=metadata).json()["client_id"]
        verifier = secrets.token_urlsafe(32)
        digest = hashlib.sha256(verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": callback,
            "state": "xyz",
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
        }

        answer = local_http.get(f"{server.origin}/oauth/authorize", params=query, follow_redirects=False)

        assert answer.status_code == 303
        location = httpx2.URL(answer.headers["location"])
        assert str(location.copy_with(query=None)) == callback
        assert (location.params["state"], location.params["iss"]) == ("xyz", server.origin)
        form = {
            "grant_type": "authorization_code",
            "client_id": client_id,
            "code": location.params["code"],
            "redirect_uri": callback,
            "code_verifier": verifier,
        }
        tokens = local_http.post(f"{server.origin}/oauth/token", data=form).json()
        called = local_http.post(
            server.mcp_url,
            headers={"Authorization": f"Bearer {tokens['access_token']}"},
            json={
                "jsonrpc": "2.0",
                "id": 1,
                "method": "tools/call",
                "params": {"name": "add", "arguments": {"text": "x"}},
            },
        ).json()
        assert called["result"]["content"][0]["text"] == "owner noted: x"


def test_the_single_user_is_asked_before_a_site_on_the_web_gets_anything(tmp_path: Path) -> None:
    with RunningServer(TARGET, tmp_path / "data", "--single-user") as server:
        app = App(server.origin, redirect_uri="https://site.example/callback").register()
        browser = open_http(base_url=server.origin, follow_redirects=True)
        page = browser.get(app.authorization_url())
        assert page.status_code == 200
        assert "Allow this app?" in page.text


def test_auto_approve_skips_the_page_for_everybody_on_loopback(tmp_path: Path) -> None:
    environment = {"OAUTH_AUTO_APPROVE": "true"}
    with RunningServer(TARGET, tmp_path / "data", "--single-user", environment=environment) as server:
        app = App(server.origin, redirect_uri="https://site.example/callback").register()
        person = Person(server.origin)
        assert person.decide(app.authorization_url()).startswith("https://site.example/callback?code=")
        # A person who is asked presses the button.
        assert not any('name="decision"' in page for page in person.pages)


@pytest.mark.parametrize("how", ["program", "variable alone"])
def test_an_example_serves_by_itself_and_a_variable_alone_serves_it(tmp_path: Path, how: str) -> None:
    """`python examples/notes.py`, and `MCP_HANDLER=… gatepost`."""
    module = "examples.notes" if how == "program" else "gatepost"
    environment = {} if how == "program" else {"MCP_HANDLER": "examples/notes.py:server"}
    with RunningServer("", tmp_path / "data", module=module, environment=environment) as server:
        assert server.setup_link is not None
        assert open_http().post(server.mcp_url, json={}).status_code == 401


def test_title_and_middleware_are_named_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "around.py").write_text(
        textwrap.dedent("""
            def marked(mark):
                def around(app):
                    async def answer(scope, receive, send):
                        async def marking(message):
                            if message["type"] == "http.response.start":
                                message["headers"] = [*message["headers"], (b"x-marks", mark)]
                            await send(message)
                        await app(scope, receive, marking)
                    return answer
                return around

            first, second = marked(b"first"), marked(b"second")
        """)
    )
    options = ["--title", "Mine", "--middleware=around.py:first", "--middleware=around.py:second"]
    target = str(REPOSITORY / "examples/notes.py:server")
    with RunningServer(target, tmp_path / "data", *options, cwd=tmp_path) as server:
        answer = open_http().get(f"{server.origin}/health")
        assert answer.json()["server"] == "Mine"
        # The last that adds its mark is the outermost.
        assert answer.headers.get_list("x-marks") == ["second", "first"]


def test_where_scopes_are_ignored_every_tool_is_open(tmp_path: Path) -> None:
    environment = {"MCP_REQUIRE_AUTH": "false", "OAUTH_ENABLED": "false", "MCP_IGNORE_SCOPES": "true"}
    with RunningServer(TARGET, tmp_path / "data", environment=environment) as server:
        assert "whoever reaches this server can call every tool that needs no scope." in server.output
        assert "they can call every other tool, too." in server.output
        assert "Set up" not in server.output
        called = open_http().post(
            server.mcp_url,
            json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "both", "arguments": {}}},
        )
        assert called.json()["result"]["content"][0]["text"] == "both"
        assert local_http.get(f"{server.origin}/oauth/login").status_code == 404


def test_an_api_key_is_a_bearer_token_with_every_scope(tmp_path: Path) -> None:
    with RunningServer(TARGET, tmp_path / "data", environment={"MCP_API_KEY": "local-key"}) as server:
        app = App(server.origin)
        assert app.call("local-key", "both", {}).json()["result"]["content"][0]["text"] == "both"
        assert app.call("local-kez", "both", {}).status_code == 401


def test_a_bare_function_is_served_by_its_environment_variable(tmp_path: Path) -> None:
    (tmp_path / "bare.py").write_text(HANDLER)
    environment = {"MCP_HANDLER": "bare:handler", "MCP_API_KEY": "local-key"}
    with RunningServer("", tmp_path / "data", cwd=tmp_path, environment=environment) as server:
        http = open_http(headers={"Authorization": "Bearer local-key"})

        def post(method: str, **message: object) -> httpx2.Response:
            return http.post(server.mcp_url, json={"jsonrpc": "2.0", "method": method, **message})

        assert post("tools/list", id=1).json()["result"]["tools"][0]["name"] == "ping"
        told = post("tools/call", id=2, params={"name": "ping"}).json()["result"]["content"][0]["text"]
        assert told == "api-key mcp:admin mcp:read mcp:write"
        assert post("notifications/whatever").status_code == 202
        failed = post("explode", id=3)
        assert failed.json()["error"]["code"] == -32603
        assert "secret detail" not in failed.text
        assert "Traceback" not in failed.text
        initialized = post("initialize", id=4, params={"protocolVersion": "2025-11-25", "capabilities": {}})
        assert initialized.json()["result"]["capabilities"] == {"tools": {}}


def test_localhost_is_as_good_a_name_as_the_address(shared_server: RunningServer, shared_owner: Person) -> None:
    assert shared_owner.username
    origin = f"http://localhost:{shared_server.port}"
    metadata = local_http.get(f"{origin}/.well-known/oauth-protected-resource/mcp").json()
    assert metadata["resource"] == f"{origin}/mcp"
    assert metadata["authorization_servers"] == [origin]
    app = App(origin).register()
    person = Person(origin)
    tokens = app.redeem(app.code_from(person.decide(app.authorization_url()))).json()
    assert app.call(tokens["access_token"], "add", {"text": "x"}).status_code == 200
    # The token is for the name that the client used; the other name is another resource.
    assert App(shared_server.origin).call(tokens["access_token"], "add", {"text": "x"}).status_code == 401


def test_a_foreign_host_is_misdirected_everywhere_but_at_the_probes(shared_server: RunningServer) -> None:
    for path in ("/health", "/healthz"):
        assert local_http.get(f"{shared_server.origin}{path}", headers={"Host": "10.1.2.3"}).status_code == 200
    for path in ("/", "/mcp", "/docs", "/oauth/login", "/.well-known/oauth-authorization-server"):
        for host in ("evil.example", f"evil.example:{shared_server.port}", "localhost.evil.example"):
            response = local_http.post(f"{shared_server.origin}{path}", headers={"Host": host}, json={})
            assert response.status_code == 421, (path, host)


def test_a_server_without_a_public_url_is_not_reached_through_a_proxy(shared_server: RunningServer) -> None:
    for path in ("/mcp", "/healthz", "/oauth/login"):
        response = local_http.post(shared_server.origin + path, headers={"X-Forwarded-For": "203.0.113.9"}, json={})
        assert response.status_code == 421
        assert "MCP_PUBLIC_URL" in response.json()["error_description"]


def test_a_foreign_page_is_asked_for_a_token_like_anybody_and_sends_none_by_itself(
    shared_server: RunningServer,
) -> None:
    """Record 0035: a token is nothing that a browser adds, and no answer lets a page send cookies."""
    response = local_http.post(shared_server.mcp_url, headers={"Origin": "https://evil.example"}, json={})
    assert response.status_code == 401
    assert "resource_metadata=" in response.headers["www-authenticate"]
    assert response.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in response.headers


def test_the_api_reference_is_sandboxed(shared_server: RunningServer) -> None:
    for path in ("/docs", "/redoc"):
        page = local_http.get(shared_server.origin + path)
        assert page.status_code == 200
        policy = page.headers["content-security-policy"]
        assert policy.startswith("sandbox allow-scripts")
        assert "allow-same-origin" not in policy
    paths = local_http.get(f"{shared_server.origin}/openapi.json").json()["paths"]
    assert {"/oauth/authorize", "/oauth/token", "/oauth/register", "/health", "/healthz"} <= set(paths)


def test_a_port_that_is_taken_is_one_sentence(shared_server: RunningServer, tmp_path: Path) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "gatepost", "serve", TARGET, "--port", str(shared_server.port)],
        cwd=REPOSITORY,
        env={**os.environ, "OAUTH_STORAGE_DIR": str(tmp_path / "other")},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert second.returncode == 2
    assert second.stderr.startswith(f"gatepost: MCP_HOST=127.0.0.1 MCP_PORT={shared_server.port} cannot be listened on")
    assert "Traceback" not in second.stderr


def test_a_store_that_cannot_be_opened_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "gatepost.db").mkdir()
    started = subprocess.run(
        [sys.executable, "-m", "gatepost", "serve", TARGET, "--port", "0"],
        cwd=REPOSITORY,
        env={**os.environ, "OAUTH_STORAGE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert started.returncode == 1
    assert started.stderr.startswith("gatepost: ")
    assert "Traceback" not in started.stderr


APP = """
from gatepost import Server, create_app

server = Server("made", instructions="Made by create_app.")
app = create_app(server)


@app.get("/own")
def own() -> str:
    return "own"
"""


def test_an_app_that_create_app_made_is_served_with_the_routes_that_its_author_added(tmp_path: Path) -> None:
    (tmp_path / "made.py").write_text(APP)
    environment = {"MCP_API_KEY": "local-key", "MCP_PORT": "1"}
    with RunningServer("made:app", tmp_path / "data", cwd=tmp_path, environment=environment) as server:
        http = open_http(base_url=server.origin, headers={"Authorization": "Bearer local-key"})
        assert server.mcp_url in server.output  # the option beats the variable for the app, too
        assert http.get("/own").json() == "own"
        assert http.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"}).json()["result"] == {}
        assert server.stop() == 0


def test_a_login_provider_is_not_for_an_app_that_has_one(tmp_path: Path) -> None:
    (tmp_path / "made.py").write_text(APP)
    started = subprocess.run(
        [sys.executable, "-m", "gatepost", "serve", "made:app", "--port", "0", "--single-user"],
        cwd=tmp_path,
        env={**os.environ, "OAUTH_STORAGE_DIR": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert started.returncode == 2
    assert "create_app() made this app already" in started.stderr
    assert "Traceback" not in started.stderr

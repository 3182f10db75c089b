"""The whole path over real HTTP: set up, log in, approve, call; and what must survive."""

import asyncio
import re
import sqlite3
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tests.end_to_end import local_http
from tests.end_to_end.conftest import TARGET
from tests.end_to_end.running_server import PASSWORD, RunningServer
from tests.end_to_end.scripted_client import App, Person


def allowed_app(server: RunningServer, owner: Person, *, scope: str | None = None) -> tuple[App, dict[str, str]]:
    """Return an app that the owner approved, with its tokens."""
    app = App(server.origin, scope=scope).register()
    response = app.redeem(app.code_from(owner.decide(app.authorization_url())))
    assert response.status_code == 200, response.text
    return app, response.json()


def test_a_stranger_sets_up_logs_in_approves_and_calls_the_tool(server: RunningServer) -> None:
    app = App(server.origin).register()
    assert server.setup_link is not None
    person = Person(server.origin)
    person.set_up(server.setup_link)
    tokens = app.redeem(app.code_from(person.decide(app.authorization_url()))).json()
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 3600
    assert tokens["scope"] == "notes:read notes:write"
    result = app.call(tokens["access_token"], "add", {"text": "milk"}).json()["result"]
    assert re.fullmatch(r"user_\S+ noted: milk", result["content"][0]["text"])
    told = app.call(tokens["access_token"], "whoami", {}).json()["result"]["structuredContent"]
    assert told == {"name": "owner", "client": "Test app", "scopes": ["notes:read", "notes:write"]}


def test_the_set_up_link_is_dead_once_an_account_exists(shared_server: RunningServer, shared_owner: Person) -> None:
    assert shared_owner.username == "owner"
    assert shared_server.setup_link is not None
    response = local_http.get(shared_server.setup_link)
    assert response.status_code in {400, 403, 404, 410}
    assert 'name="password"' not in response.text


def test_denying_sends_the_client_back_without_a_code(shared_server: RunningServer, shared_owner: Person) -> None:
    app = App(shared_server.origin).register()
    location = shared_owner.decide(app.authorization_url(), decision="deny")
    answer = parse_qs(urlsplit(location).query)
    assert answer["error"] == ["access_denied"]
    assert (answer["state"], answer["iss"]) == ([app.state], [shared_server.origin])
    assert "code" not in answer


def test_tokens_survive_kill_nine_and_a_restart(tmp_path: Path, storage: dict[str, str]) -> None:
    server = RunningServer(TARGET, tmp_path / "data", environment=storage).start()
    try:
        assert server.setup_link is not None
        owner = Person(server.origin)
        owner.set_up(server.setup_link)
        app, tokens = allowed_app(server, owner)
        server.kill()
        server.start()
        assert "Set up" not in server.output
        assert app.call(tokens["access_token"], "add", {"text": "after"}).status_code == 200
        refreshed = app.refresh(tokens["refresh_token"])
        assert refreshed.status_code == 200
        server.kill()
        server.start()
        # The answer of the last refresh may have been lost with the process: the same token is answered again.
        again = app.refresh(tokens["refresh_token"])
        assert again.status_code == 200
        assert again.json()["refresh_token"] == refreshed.json()["refresh_token"]
        assert app.call(again.json()["access_token"], "add", {"text": "still"}).status_code == 200
    finally:
        server.stop()


async def test_of_fifty_parallel_redemptions_one_wins(shared_server: RunningServer, shared_owner: Person) -> None:
    app = App(shared_server.origin).register()
    code = app.code_from(await asyncio.to_thread(shared_owner.decide, app.authorization_url()))
    async with local_http.async_client(base_url=shared_server.origin, limits=httpx2.Limits(max_connections=50)) as http:
        answers = await asyncio.gather(*(http.post("/oauth/token", data=app.code_form(code)) for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 49
    assert {answer.json()["error"] for answer in answers if answer.status_code != 200} == {"invalid_grant"}


def test_a_replayed_code_revokes_what_it_gave(shared_server: RunningServer, shared_owner: Person) -> None:
    app = App(shared_server.origin).register()
    code = app.code_from(shared_owner.decide(app.authorization_url()))
    tokens = app.redeem(code).json()
    assert app.call(tokens["access_token"], "add", {"text": "a"}).status_code == 200
    assert app.redeem(code).json()["error"] == "invalid_grant"
    assert app.call(tokens["access_token"], "add", {"text": "a"}).status_code == 401
    assert app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_the_database_holds_no_usable_secret(server: RunningServer, owner: Person) -> None:
    app, tokens = allowed_app(server, owner)
    second = app.refresh(tokens["refresh_token"]).json()
    other = App(server.origin).register()
    unspent = other.code_from(owner.decide(other.authorization_url()))
    cookies = [cookie.value for cookie in owner.browser.cookies.jar if cookie.value]
    assert server.setup_link is not None
    (setup,) = parse_qs(urlsplit(server.setup_link).query)["token"]
    minted = [*(t[k] for t in (tokens, second) for k in ("access_token", "refresh_token")), unspent, setup, *cookies]
    assert len(set(minted)) == 7
    server.kill()
    stored = b"".join(path.read_bytes() for path in server.data.iterdir())
    with sqlite3.connect(server.data / "gatepost.db") as database:
        dump = "\n".join(database.iterdump())
    database.close()
    for secret in [*minted, PASSWORD, app.verifier]:
        bare = secret.removeprefix(secret[:6]) if secret.startswith("gp_") else secret
        assert bare.encode() not in stored
        assert bare not in dump
    assert "gp_client" in dump or app.client_id in dump, "the dump was not empty"
    for path in [server.data, *server.data.iterdir()]:
        assert path.stat().st_mode & 0o077 == 0, f"{path.name} can be read by others"


def test_the_log_and_the_errors_hold_no_secret(tmp_path: Path) -> None:
    with RunningServer(TARGET, tmp_path / "data", environment={"MCP_LOG_LEVEL": "debug"}) as server:
        assert server.setup_link is not None
        owner = Person(server.origin)
        owner.set_up(server.setup_link)
        app, tokens = allowed_app(server, owner)
        app.call(tokens["access_token"], "fail", {"how": "untold"})
        app.redeem("gp_ac_" + "x" * 43)
        app.call(tokens["refresh_token"], "add", {"text": "x"})
    banner, _, log = server.output.partition("Docs")
    assert "reason=" in log
    cookies = [cookie.value for cookie in owner.browser.cookies.jar if cookie.value]
    for secret in [tokens["access_token"], tokens["refresh_token"], app.verifier, PASSWORD, *cookies]:
        assert secret not in server.output
    assert server.setup_link.rpartition("=")[2] not in log
    assert banner.count(server.setup_link) == 1


def test_a_missing_scope_is_a_challenge_that_names_all_it_takes(
    shared_server: RunningServer, shared_owner: Person
) -> None:
    app, tokens = allowed_app(shared_server, shared_owner, scope="notes:read")
    assert tokens["scope"] == "notes:read"
    refused = app.call(tokens["access_token"], "both", {})
    assert refused.status_code == 403
    challenge = refused.headers["www-authenticate"]
    assert 'error="insufficient_scope"' in challenge
    assert 'scope="notes:read notes:write"' in challenge
    assert f'resource_metadata="{shared_server.origin}/.well-known/oauth-protected-resource' in challenge


def test_without_a_token_the_challenge_says_where_to_go(shared_server: RunningServer) -> None:
    bare = local_http.post(shared_server.mcp_url, json={})
    assert bare.status_code == 401
    challenge = bare.headers["www-authenticate"]
    assert "error" not in challenge
    found = re.search(r'resource_metadata="([^"]+)"', challenge)
    assert found
    metadata = local_http.get(found[1]).json()
    assert metadata["resource"] == shared_server.mcp_url
    assert metadata["authorization_servers"] == [shared_server.origin]


def test_a_failing_tool_tells_an_incident_that_the_log_explains(server: RunningServer, owner: Person) -> None:
    app, tokens = allowed_app(server, owner)
    told = app.call(tokens["access_token"], "fail", {"how": "told"}).json()["result"]
    assert told["isError"] is True
    assert told["content"][0]["text"] == "no such note"
    untold = app.call(tokens["access_token"], "fail", {"how": "untold"}).json()["result"]
    assert untold["isError"] is True
    assert "secret detail" not in str(untold)
    incident = re.search(r"[0-9a-f]{16}", untold["content"][0]["text"])
    assert incident
    server.stop()
    assert f"incident={incident[0]}" in server.output
    assert "RuntimeError: secret detail" in server.output


def test_it_stops_when_asked(server: RunningServer) -> None:
    assert server.stop() == 0
    with pytest.raises(httpx2.ConnectError):
        local_http.get(f"{server.origin}/health")

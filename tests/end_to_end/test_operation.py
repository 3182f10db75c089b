"""What an operator sees: probes, draining, a store that goes away, an account that is disabled."""

import os
import secrets
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2

from tests.end_to_end import local_http
from tests.end_to_end.conftest import OPEN, TARGET
from tests.end_to_end.running_server import PASSWORD, REPOSITORY, RunningServer
from tests.end_to_end.scripted_client import App, Person

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


def allowed_app(server: RunningServer, owner: Person) -> tuple[App, dict[str, str]]:
    app = App(server.origin).register()
    return app, app.redeem(app.code_from(owner.decide(app.authorization_url()))).json()


def test_a_request_that_is_under_way_is_answered_before_the_server_ends(
    server: RunningServer, owner: Person, tmp_path: Path
) -> None:
    app, tokens = allowed_app(server, owner)
    answers: list[httpx2.Response] = []
    calling = threading.Thread(
        target=lambda: answers.append(app.call(tokens["access_token"], "wait", {"directory": str(tmp_path)}))
    )
    calling.start()
    while not (tmp_path / "begun").exists():
        assert calling.is_alive()
    codes: list[int] = []
    stopping = threading.Thread(target=lambda: codes.append(server.stop()))
    stopping.start()
    (tmp_path / "end").touch()
    calling.join()
    stopping.join()
    (answer,) = answers
    assert answer.json()["result"]["content"][0]["text"] == "done"
    assert codes == [0]


def test_ctrl_c_is_a_clean_end_too(server: RunningServer) -> None:
    assert server.interrupt() == 0
    assert "Traceback" not in server.output


def test_more_known_connections_than_fit_are_answered_at_once_and_those_who_leave_make_room(tmp_path: Path) -> None:
    small = {"MOST_CONNECTIONS": "6", "MCP_API_KEY": "an-operators-key-of-some-length"}
    with RunningServer("tests/end_to_end/small_server.py:server", tmp_path / "data", environment=small) as server:
        known = {"Authorization": f"Bearer {small['MCP_API_KEY']}"}
        strangers = [local_http.client(base_url=server.origin) for _ in range(6)]
        for one in strangers:  # who make room, for each other and for those who are known
            assert one.get("/health").status_code == 200
        held = [local_http.client(base_url=server.origin, headers=known) for _ in range(6)]
        for one in held:
            assert one.post("/mcp", json=PING).status_code == 200

        began = time.monotonic()
        answers = [local_http.get(f"{server.origin}/health") for _ in range(20)]

        assert {answer.status_code for answer in answers} == {503}
        assert time.monotonic() - began < 180
        for one in held:
            assert one.post("/mcp", json=PING).status_code == 200
        for one in (*held, *strangers):
            one.close()
        # The server sees them leave a moment later.
        while local_http.get(f"{server.origin}/health").status_code != 200:
            assert time.monotonic() - began < 180


def probed(server: RunningServer, status: int) -> httpx2.Response:
    """Ask the probe until it has this status; it looks at the store once a second."""
    deadline = time.monotonic() + 180
    while (answer := local_http.get(f"{server.origin}/healthz")).status_code != status:
        assert time.monotonic() < deadline
    return answer


def test_the_probes_tell_a_live_server_from_one_that_can_work(server: RunningServer, owner: Person) -> None:
    app, tokens = allowed_app(server, owner)
    alive = {"status": "ok", "server": "sample", "resources": [server.mcp_url], "issuer": server.origin}
    assert local_http.get(f"{server.origin}/health").json() == alive
    assert local_http.get(f"{server.origin}/healthz").json() == {"status": "ok", "checks": {"store": "ok"}}
    for path in server.data.glob("gatepost.db*"):
        path.rename(path.with_name("moved-" + path.name))
    failing = probed(server, 503)
    assert failing.json() == {"status": "failing", "checks": {"store": "failing"}}
    assert local_http.get(f"{server.origin}/health").status_code == 200
    for path in server.data.glob("moved-*"):
        path.rename(path.with_name(path.name.removeprefix("moved-")))
    probed(server, 200)
    assert app.call(tokens["access_token"], "whoami", {}).status_code == 200


def test_a_public_server_answers_probes_by_any_name_and_tells_only_who_knows_its_own_what_it_is(
    tmp_path: Path,
) -> None:
    public = {"MCP_PUBLIC_URL": "https://mcp.example.com", "MCP_SEALING_KEYS": secrets.token_urlsafe(32)}
    with RunningServer(TARGET, tmp_path / "data", environment=public) as server:
        for host in (f"127.0.0.1:{server.port}", "10.0.0.7:8000", "localhost", "another.example"):
            # Without the header it would be the operator beside the server.
            headers = {"Host": host, "X-Forwarded-For": "203.0.113.9"}
            for path in ("/health", "/healthz"):
                answer = local_http.get(f"{server.origin}{path}", headers=headers)
                assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
                with local_http.client() as http:
                    head = http.head(f"{server.origin}{path}", headers=headers)
                assert (head.status_code, head.content) == (200, b"")
            assert local_http.get(f"{server.origin}/docs", headers=headers).status_code == 421
        known = local_http.get(f"{server.origin}/health", headers={"Host": "mcp.example.com"}).json()
        assert known["resources"] == ["https://mcp.example.com/mcp"]
        for file in server.data.glob("gatepost.db*"):
            file.rename(file.with_name("moved-" + file.name))
        probed(server, 503)
        stranger = {"Host": "another.example"}
        assert local_http.get(f"{server.origin}/healthz", headers=stranger).json() == {"status": "failing"}
        assert local_http.get(f"{server.origin}/health", headers=stranger).json() == {"status": "ok"}
        for file in server.data.glob("moved-*"):
            file.rename(file.with_name(file.name.removeprefix("moved-")))


def test_a_log_that_is_removed_while_serving_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    with RunningServer(TARGET, tmp_path / "data", is_measured=False) as server:
        kept = [App(server.origin).register() for _ in range(10)]
        (server.data / "gatepost.db-wal").unlink()
        metadata = {"client_name": "Late", "redirect_uris": ["http://127.0.0.1:9999/callback"]}
        late = local_http.post(f"{server.origin}/oauth/register", json=metadata)
        assert late.status_code == 503
        assert probed(server, 503).json()["checks"] == {"store": "failing"}
        server.kill()
        said = server.output
        server.start()
        pages = [Person(server.origin).browser.get(app.authorization_url()) for app in kept]
    incident = late.json()["error_description"].removesuffix(".").rsplit(" ", 1)[1]
    explained = said.partition(f"incident {incident}")[2]
    assert "gatepost.db-wal has been removed or replaced" in explained
    assert "end Gatepost with SIGTERM" in explained
    assert {page.status_code for page in pages} == {303}


def test_an_account_that_is_disabled_is_out_within_the_documented_bound(server: RunningServer, owner: Person) -> None:
    app, tokens = allowed_app(server, owner)
    environment = {**os.environ, "OAUTH_STORAGE_DIR": str(server.data)}
    command = [sys.executable, "-m", "gatepost", "users"]
    subprocess.run(
        [*command, "disable", "owner"], cwd=REPOSITORY, env=environment, check=True, capture_output=True, timeout=180
    )
    assert app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    # Another process revoked it, so the access token may count for five more seconds, unless it was never looked at.
    assert app.call(tokens["access_token"], "whoami", {}).status_code == 401
    again = Person(server.origin)
    page = again.browser.get(App(server.origin).register().authorization_url(), follow_redirects=True)
    assert 'name="password"' in page.text
    listed = subprocess.run(
        [*command, "list"], cwd=REPOSITORY, env=environment, check=True, capture_output=True, text=True, timeout=180
    )
    assert "disabled" in listed.stdout
    assert PASSWORD not in listed.stdout


STUBBORN = """
import asyncio
from pathlib import Path

from gatepost import Server

server = Server("stubborn")


@server.tool
async def stubborn(directory: str) -> str:
    (Path(directory) / "begun").touch()
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue
"""


def test_a_tool_that_does_not_let_itself_be_cancelled_does_not_keep_the_server_from_ending(tmp_path: Path) -> None:
    target = tmp_path / "stubborn.py"
    target.write_text(STUBBORN, encoding="utf-8")
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "stubborn", "arguments": {"directory": str(tmp_path)}},
    }
    headers = {"Accept": "application/json, text/event-stream"}
    answers: list[httpx2.Response] = []
    with RunningServer(f"{target}:server", tmp_path / "data", environment={**OPEN, "MCP_SHUTDOWN_SECONDS": "0"}) as one:
        calling = threading.Thread(
            target=lambda: answers.append(local_http.client().post(one.mcp_url, json=message, headers=headers))
        )
        calling.start()
        while not (tmp_path / "begun").exists():
            assert calling.is_alive()
        assert one.stop() == 0
        calling.join()
        (answer,) = answers
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "is ended in" in one.output
        assert "Traceback" not in one.output


COUNTING = """
import gc

from gatepost import Server

server = Server("counting")


@server.tool
def set_aside() -> bool:
    looked_at = len(gc.get_objects())
    return gc.get_freeze_count() > looked_at
"""


def test_most_of_what_a_server_is_built_of_is_set_aside_from_collections_of_garbage(tmp_path: Path) -> None:
    target = tmp_path / "counting.py"
    target.write_text(COUNTING, encoding="utf-8")
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "set_aside"}}
    headers = {"Accept": "application/json, text/event-stream"}
    with RunningServer(f"{target}:server", tmp_path / "data", environment=OPEN) as one, local_http.client() as http:
        answer = http.post(one.mcp_url, json=message, headers=headers)
    assert answer.json()["result"]["content"] == [{"type": "text", "text": "true"}]

"""`gatepost call` against real servers: ours in both eras, FastMCP's and the official SDK's."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
import webbrowser
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gatepost.cli.main import main
from gatepost.client import credentials
from gatepost.client.device_login import tokens_by_device
from tests.end_to_end import local_http
from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.scripted_client import App, Person

ERAS = ["auto", "handshake", "modern"]


class Browser:
    """Opens what `webbrowser` is asked to open, and approves."""

    def __init__(self, person: Person | None) -> None:
        self.person = person
        self.opened: list[str] = []

    def __call__(self, url: str) -> bool:
        self.opened.append(url)
        location = local_http.get(url).headers["location"] if self.person is None else self.person.decide(url)
        assert local_http.get(location).status_code == 200
        return True


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where tokens are kept."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch, shared_owner: Person) -> Browser:
    """The browser of the owner of the shared server."""
    browser = Browser(shared_owner)
    monkeypatch.setattr(webbrowser, "open", browser)
    return browser


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Return the exit code and what was printed."""
    code = main(["call", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.parametrize("era", ERAS)
def test_one_login_lists_and_calls_in_each_era(
    shared_server: RunningServer, browser: Browser, state: Path, capsys: pytest.CaptureFixture[str], era: str
) -> None:
    code, out, err = call(capsys, shared_server.mcp_url, "--era", era)
    assert code == 0
    names = [line for line in out.splitlines() if line and not line.startswith(" ")]
    assert names == ["add", "both", "whoami", "fail", "wait"]
    assert err.startswith(f"Log in here, to go on: {shared_server.origin}/oauth/authorize?")
    code, out, err = call(capsys, shared_server.mcp_url, "add", '{"text": "milk"}', "--era", era)
    assert (code, out.endswith(" noted: milk\n"), err) == (0, True, "")
    code, out, _ = call(capsys, shared_server.mcp_url, "whoami", "--era", era, "--json")
    assert json.loads(out)["structuredContent"]["client"] == "gatepost call"
    assert len(browser.opened) == 1
    files = [path for path in state.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_what_the_tool_or_the_server_refuses_is_exit_code_one(
    shared_server: RunningServer, browser: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    assert browser.opened == []
    code, out, err = call(capsys, shared_server.mcp_url, "add", '{"text": 5}')
    assert (code, "text" in out, err.endswith("gatepost: The tool says that it failed.\n")) == (1, True, True)
    url = shared_server.mcp_url
    said = f"gatepost: {url} lists no tool nothing; gatepost call {url} shows all.\n"
    assert call(capsys, url, "nothing") == (1, "", said)
    assert call(capsys, url, "ad") == (1, "", f"gatepost: {url} lists no tool ad; did you mean add?\n")
    code, out, err = call(capsys, shared_server.mcp_url, "--read", "notes://none")
    assert (code, out) == (1, "")
    code, out, _ = call(capsys, shared_server.mcp_url, "--prompts")
    assert (code, out) == (0, "The server shows no prompts to this user.\n")


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("path", ["", "/", "/mpc"])
def test_an_address_without_an_endpoint_is_told_with_the_endpoint_that_there_is(
    shared_server: RunningServer, capsys: pytest.CaptureFixture[str], path: str, era: str
) -> None:
    url = f"{shared_server.origin}{path}"
    said = f"gatepost: There is no MCP endpoint at {url} (404); the server says that {shared_server.mcp_url} is one.\n"
    assert call(capsys, url, "--era", era) == (1, "", said)


def test_who_denies_reads_the_servers_reason(
    shared_server: RunningServer,
    shared_owner: Person,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def deny(url: str) -> bool:
        return local_http.get(shared_owner.decide(url, decision="deny")).status_code == 200

    monkeypatch.setattr(webbrowser, "open", deny)
    code, out, err = call(capsys, shared_server.mcp_url)
    assert (code, out, f"{shared_server.origin} has not let you in (access_denied)" in err) == (1, "", True)


def test_a_token_of_ones_own_is_shown_and_never_kept(
    shared_server: RunningServer,
    shared_owner: Person,
    browser: Browser,
    state: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    app = App(shared_server.origin, scope="notes:read").register()
    token = app.redeem(app.code_from(shared_owner.decide(app.authorization_url()))).json()["access_token"]
    (tmp_path / "token").write_text(f"{token}\n")
    code, out, _ = call(capsys, shared_server.mcp_url, "--token-file", str(tmp_path / "token"), "--json")
    assert (code, [json.loads(line)["name"] for line in out.splitlines()]) == (0, ["whoami", "fail", "wait"])
    monkeypatch.setenv("GATEPOST_TOKEN", "wrong")
    code, out, err = call(capsys, shared_server.mcp_url)
    assert (code, out) == (1, "")
    assert err.startswith("gatepost: The token that was given is refused: ")
    assert (browser.opened, state.exists()) == ([], False)


def test_a_refresh_takes_the_place_of_a_login_after_a_restart_of_the_server(
    server: RunningServer,
    owner: Person,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    state: Path,
) -> None:
    browser = Browser(owner)
    monkeypatch.setattr(webbrowser, "open", browser)
    assert call(capsys, server.mcp_url, "whoami")[0] == 0
    server.kill()
    server.start()
    (file,) = state.rglob("*.json")
    kept = json.loads(file.read_text())
    file.write_text(json.dumps({**kept, "expires_at": 1}))
    assert call(capsys, server.mcp_url, "whoami")[0] == 0
    renewed = json.loads(file.read_text())
    assert renewed["access_token"] != kept["access_token"]
    assert renewed["refresh_token"] != kept["refresh_token"]
    assert len(browser.opened) == 1


def test_processes_that_renew_at_once_all_go_on(
    shared_server: RunningServer, browser: Browser, capsys: pytest.CaptureFixture[str], state: Path
) -> None:
    assert call(capsys, shared_server.mcp_url, "whoami")[0] == 0
    (file,) = state.rglob("*.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), "expires_at": 1}))
    command = [sys.executable, "-m", "gatepost", "call", shared_server.mcp_url, "whoami", "--no-browser"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [process.communicate(timeout=180) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], answers
    assert [err for _, err in answers] == ["", "", ""]
    assert call(capsys, shared_server.mcp_url, "whoami")[0] == 0
    assert len(browser.opened) == 1


def test_logging_out_ends_the_access_at_the_server(
    shared_server: RunningServer, browser: Browser, capsys: pytest.CaptureFixture[str], state: Path
) -> None:
    assert call(capsys, shared_server.mcp_url, "whoami")[0] == 0
    (file,) = state.rglob("*.json")
    token = json.loads(file.read_text())["access_token"]
    code, out, _ = call(capsys, shared_server.mcp_url, "--logout")
    assert (code, out) == (0, f"The access to {shared_server.mcp_url} has ended, and is forgotten.\n")
    assert [*state.rglob("*.json")] == []
    answer = App(shared_server.origin).call(token, "whoami", {})
    assert answer.status_code == 401
    assert len(browser.opened) == 1


def test_a_login_by_device_is_refused_by_a_server_without_one(
    shared_server: RunningServer, browser: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = call(capsys, shared_server.mcp_url, "--device")
    assert code == 1
    assert f"{shared_server.origin} offers no login by device (RFC 8628)" in err
    assert browser.opened == []


def test_a_login_by_device_is_finished_in_a_browser_elsewhere(
    shared_server: RunningServer,
    browser: Browser,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert browser.person is not None
    with shared_server.beside(OAUTH_DEVICE_LOGIN="everybody") as offering:
        person = Person(offering.origin, browser.person.username, browser.person.password)
        waited: list[float] = []

        async def sleep(seconds: float) -> None:
            """Instead of waiting, have the person answer."""
            waited.append(seconds)
            shown = re.findall(r"or open (\S+)", capsys.readouterr().err)
            assert shown[0].startswith(f"{offering.origin}/oauth/device?user_code=")
            person.allow_device(shown[0])

        monkeypatch.setattr(credentials, "tokens_by_device", partial(_soon, instead=sleep))
        code, out, err = call(capsys, offering.mcp_url, "whoami", "--device", "--json")
        assert (code, waited) == (0, [5.0]), err
        assert json.loads(out)["structuredContent"]["client"] == "gatepost call"
        # The next call has its tokens.
        code, _, _ = call(capsys, offering.mcp_url, "whoami", "--device", "--json")
        assert (code, waited) == (0, [5.0])
    assert browser.opened == []


async def _soon(*arguments: Any, instead: Callable[[float], Awaitable[None]], **named: Any) -> Any:
    return await tokens_by_device(*arguments, **{**named, "sleep": instead})


@pytest.mark.parametrize("kind", ["sdk", "fastmcp", "fastmcp-locked"])
def test_servers_of_other_libraries_are_called_as_well(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    browser = Browser(None)
    monkeypatch.setattr(webbrowser, "open", browser)
    there = RunningServer("", tmp_path, module="tests.end_to_end.remote_target", environment={"REMOTE_KIND": kind})
    with there as remote:
        code, out, _ = call(capsys, remote.mcp_url)
        names = [line for line in out.splitlines() if line and not line.startswith(" ")]
        assert (code, names[:3]) == (0, ["echo", "steps", "ask"])
        for era in ERAS:
            code, out, _ = call(capsys, remote.mcp_url, "echo", '{"text": "milk"}', "--era", era)
            assert (code, out) == (0, "milk\n")
        mistyped = f"gatepost: {remote.mcp_url} lists no tool ecko; did you mean echo?\n"
        code, _, err = call(capsys, remote.mcp_url, "ecko")
        assert (code, err) == (1, mistyped)
        assert call(capsys, remote.mcp_url, "ask", "--era", "handshake")[:2] == (0, "decline\n")
    assert len(browser.opened) == (kind == "fastmcp-locked")

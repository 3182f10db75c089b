"""`gatepost dev`: code that changes is served anew, what is broken is shown, and nobody is turned away meanwhile."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end import local_http
from tests.end_to_end.dev_server import DevServer, wait_until
from tests.end_to_end.test_workers import is_gone

INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the listener cannot be handed over there")


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[DevServer]:
    server = DevServer(tmp_path)
    server.write_version("first")
    with server:
        yield server


def test_tokens_and_sessions_survive_code_that_changes(dev: DevServer) -> None:
    token = dev.token()
    begun = dev.post(token, "initialize", INITIALIZE)
    session = {"Mcp-Session-Id": begun.headers["mcp-session-id"], "MCP-Protocol-Version": "2025-11-25"}
    assert dev.version(token, **session) == "first"
    dev.write_version("second")
    dev.until_status("serving", 2)
    wait_until(lambda: dev.version(token, **session) == "second", lambda: dev.output)
    assert "garden.py changed" in dev.output
    dev.until_said("Reloaded in")


def test_nobody_is_turned_away_while_code_is_replaced(dev: DevServer) -> None:
    token, done, failed, seen = dev.token(), threading.Event(), list[str](), set[str]()

    def call_on() -> None:
        while not done.is_set():
            try:
                seen.add(dev.version(token))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is to be none
                failed.append(repr(error))

    callers = [threading.Thread(target=call_on) for _ in range(2)]
    for caller in callers:
        caller.start()
    for generation, version in ((2, "second"), (3, "third")):
        dev.write_version(version)
        dev.until_status("serving", generation)
    wait_until(lambda: "third" in seen, lambda: dev.output)
    done.set()
    for caller in callers:
        caller.join()
    assert (failed, seen) == ([], {"first", "second", "third"})


def test_code_that_does_not_load_is_shown_and_the_code_before_is_served(dev: DevServer) -> None:
    token = dev.token()
    dev.write("def (\n")
    failure = dev.until_status("failed", 1)["failure"]
    assert failure["summary"].startswith("garden failed while it was imported: SyntaxError")
    assert failure["traceback"].splitlines()[-1] == "SyntaxError: invalid syntax"
    dev.until_said("The code before is served until that is mended")
    assert dev.version(token) == "first"
    dev.write_version("mended")
    assert dev.until_status("serving", 2)["failure"] is None
    wait_until(lambda: dev.version(token) == "mended", lambda: dev.output)


def test_code_that_is_broken_at_the_start_is_shown_and_served_once_it_is_mended(tmp_path: Path) -> None:
    dev = DevServer(tmp_path)
    dev.write("import nothing_of_this_name\n")
    with dev:
        assert "needs the module 'nothing_of_this_name', which is not installed" in dev.output
        assert "MCP URL" not in dev.output
        assert local_http.post(dev.mcp_url, json={}).status_code == 503
        assert dev.until_status("failed", 0)["failure"]["traceback"].endswith("'nothing_of_this_name'")
        dev.write_version("first")
        dev.until_status("serving", 1)
        dev.until_said("MCP URL")
        assert dev.version(dev.token()) == "first"
    assert dev.output.count("Try it") == 1


def test_settings_in_a_file_count_at_once_and_wrong_ones_are_shown(dev: DevServer) -> None:
    (dev.folder / ".env").write_text("MCP_SESSION_IDLE_SECONDS=never\n")
    failure = dev.until_status("failed", 1)["failure"]
    assert failure["summary"].startswith("MCP_SESSION_IDLE_SECONDS takes")
    (dev.folder / ".env").write_text("MCP_PUBLIC_URL=https://mcp.example.com\n")
    wait_until(
        lambda: "serves this machine alone" in str(dev.page("/dev/state")["status"]["failure"]), lambda: dev.output
    )
    (dev.folder / ".env").write_text("OAUTH_ENABLED=true\n")
    dev.until_status("serving", 2)


def test_a_module_beside_and_a_chosen_file_are_watched_too(tmp_path: Path) -> None:
    dev = DevServer(tmp_path, "--watch", "list.json")
    dev.write("NAME = 'rose'\n", "plants.py")
    dev.write_version("first", "\nimport plants\n")
    with dev:
        dev.write("NAME = 'lily'\n", "plants.py")
        dev.until_status("serving", 2)
        dev.write("[]", "list.json")
        assert dev.until_status("serving", 3)["changed"] == ["list.json"]


def test_the_store_of_the_settings_is_never_touched(tmp_path: Path) -> None:
    production = tmp_path / "production.db"
    dev = DevServer(tmp_path, environment={"MCP_STORAGE_URL": f"sqlite:///{production}"})
    dev.write_version("first")
    with dev:
        assert dev.version(dev.token()) == "first"
    assert not production.exists()
    assert (tmp_path / ".gatepost" / "dev.sqlite3").exists()


def test_an_app_that_the_code_makes_itself_has_the_page_and_the_store_too(tmp_path: Path) -> None:
    dev = DevServer(tmp_path)
    dev.write_version("first", "\nfrom gatepost import create_app\nserver = create_app(server)\n")
    with dev:
        assert dev.version(dev.token()) == "first"
        dev.write_version("second", "\nfrom gatepost import create_app\nserver = create_app(server)\n")
        dev.until_status("serving", 2)
    assert (tmp_path / ".gatepost" / "dev.sqlite3").exists()


@pytest.mark.parametrize(("which", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 0), (signal.SIGKILL, -9)])
def test_however_it_ends_no_process_stays_and_no_key(tmp_path: Path, which: signal.Signals, code: int) -> None:
    temporary = tmp_path / ".temporary"
    temporary.mkdir()
    dev = DevServer(tmp_path, environment={"TMPDIR": str(temporary)})
    dev.write_version("first")
    with dev:
        pid = dev.pid(dev.token())
        assert [path.name for path in temporary.glob("gatepost-*/key")] == ["key"]
        assert dev.end(which) == code
    wait_until(lambda: is_gone(pid), lambda: dev.output)
    assert list(temporary.glob("gatepost-*")) == []

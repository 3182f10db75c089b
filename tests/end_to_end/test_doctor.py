"""`gatepost doctor` against servers that run: ours, with and without a token, and a stream that is cut."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gatepost.cli.main import main
from gatepost.doctor import login
from gatepost.doctor.examination import Diagnosis, WalkOptions, examine
from gatepost.doctor.requester import Requester
from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.scripted_client import Person, open_http

API_KEY = "key-of-the-doctor-0123456789"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that takes a key, and no documents: those it would have to fetch from the internet."""
    environment = {"MCP_API_KEY": API_KEY, "OAUTH_CIMD_ENABLED": "false"}
    folder = tmp_path_factory.mktemp("doctor") / "data"
    with RunningServer("examples/notes.py:server", folder, environment=environment) as running:
        yield running


def test_of_our_own_server_the_command_says_nothing_and_leaves_nothing(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GATEPOST_TOKEN", API_KEY)

    assert main(["doctor", "--json", server.mcp_url]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["findings"] == []
    logins = {check.id for check in login.STEP.checks}
    passed_over = {check["id"] for check in told["checks"] if check["result"] == "not looked at"}
    assert passed_over - logins == {"scheme", "client-documents", "silence"}
    monkeypatch.setenv("OAUTH_STORAGE_DIR", str(server.data))
    assert main(["clients", "list", "--json"]) == 0
    assert "gatepost doctor" not in capsys.readouterr().out


def test_the_report_for_people_never_has_the_token(
    server: RunningServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "token").write_text(f"{API_KEY}\n")

    assert main(["doctor", "--token-file", str(tmp_path / "token"), server.mcp_url]) == 0
    told = capsys.readouterr()
    assert "  ok        handshake: a session begins: initialize and notifications/initialized" in told.out
    assert told.out.endswith("\nNothing would fail.\n")
    assert API_KEY not in told.out + told.err


def test_a_login_in_the_browser_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = {"OAUTH_CIMD_ENABLED": "false"}
    with RunningServer("examples/notes.py:server", tmp_path / "data", environment=environment) as running:
        assert running.setup_link is not None
        person = Person(running.origin)
        person.set_up(running.setup_link)
        monkeypatch.setattr("webbrowser.open", lambda url: open_http().get(person.decide(url)))

        assert main(["doctor", "--login", "--json", running.mcp_url]) == 0

    told = capsys.readouterr()
    results = {check["id"]: check["result"] for check in json.loads(told.out)["checks"]}
    assert {name for name, result in results.items() if result != "ok"} == {"scheme", "client-documents", "silence"}
    assert told.err.startswith("Log in in the browser, within five minutes:\nhttp://127.0.0.1:")
    with sqlite3.connect(tmp_path / "data" / "gatepost.db") as store:
        clients = store.execute("SELECT count(*) FROM clients").fetchone()[0]
        grants = store.execute("SELECT count(*) FROM grants WHERE revoked_at IS NULL").fetchone()[0]
    assert (clients, grants) == (0, 0)


async def with_silence(url: str, seconds: float) -> Diagnosis:
    async with Requester(url) as requester:
        return await examine(url, requester, WalkOptions(token=API_KEY, registers=False, silence_seconds=seconds))


async def test_a_stream_of_ours_outlasts_silence(server: RunningServer) -> None:
    diagnosis = await with_silence(server.mcp_url, 0.2)

    results = {each.check.id: each.findings for step in diagnosis.steps for each in step.checked}
    assert results["silence"] == []


@asynccontextmanager
async def cutting_proxy(port: int, *, after: float) -> AsyncIterator[str]:
    """A proxy that ends a connection on which nothing came for a while."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter, patience: float | None) -> None:
            try:
                while data := await asyncio.wait_for(source.read(65536), patience):
                    target.write(data)
                    await target.drain()
            except (TimeoutError, OSError):
                pass
            finally:
                target.close()

        await asyncio.gather(pump(reader, there_writer, None), pump(there_reader, writer, after))

    listening = await asyncio.start_server(carry, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/mcp"


async def test_a_proxy_that_cuts_silence_is_noticed(server: RunningServer) -> None:
    async with cutting_proxy(server.port, after=0.3) as url:
        diagnosis = await with_silence(url, 60.0)

    told = {check.id: finding.seen for check, finding in diagnosis.findings}
    assert "silence" in told
    assert told["silence"].startswith("the stream ended after ")
    assert told["silence"].endswith(" of 60 s of silence")

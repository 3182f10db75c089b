"""Running servers: fresh ones with an owner, and ones that tests share."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.conftest import RequireService
from tests.end_to_end.local_http import PATIENCE
from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.scripted_client import Person, close_http, count_open_http
from tests.outbound.certificates import issue
from tests.stores import postgresql_server

TARGET = "tests/end_to_end/sample_server.py:server"
OPEN = {"MCP_REQUIRE_AUTH": "false", "OAUTH_ENABLED": "false"}
"""Settings of a server that everybody on this machine can call."""
ELSEWHERE = "app.example"
"""A name that the browser finds on this machine: a page there is of a foreign origin, and not of a loopback one."""
_starts = itertools.count()
_CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1",
]


@pytest.fixture(autouse=True)
def _closed_connections() -> Iterator[None]:
    before = count_open_http()
    yield
    close_http(keep=before)


@pytest.fixture(params=["sqlite", "postgresql"])
def storage(request: pytest.FixtureRequest, require_service: RequireService) -> Iterator[dict[str, str]]:
    """Settings that name an empty store of each kind that processes share."""
    if request.param == "sqlite":
        yield {}
        return
    require_service("PostgreSQL", available=postgresql_server.is_there())
    with postgresql_server.schema(f"gatepost_test_{uuid4().hex}") as url:
        yield {"MCP_STORAGE_URL": url}


def owner_of(server: RunningServer) -> Person:
    """Create the owner's account through the set-up link; return the owner, logged in."""
    person = Person(server.origin)
    assert server.setup_link is not None
    person.set_up(server.setup_link)
    return person


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """A fresh server with an empty store. The first is measured."""
    with RunningServer(TARGET, tmp_path / "data", is_measured=next(_starts) == 0) as running:
        yield running


@pytest.fixture
def owner(server: RunningServer) -> Person:
    """The owner, whose account was just created through the set-up link."""
    return owner_of(server)


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server for all tests that neither stop it nor count what is in it: they bring apps of their own."""
    with RunningServer(TARGET, tmp_path_factory.mktemp("shared") / "data") as running:
        yield running


@pytest.fixture(scope="session")
def shared_owner(shared_server: RunningServer) -> Iterator[Person]:
    """The owner of that server, in a browser that stays logged in."""
    person = owner_of(shared_server)
    yield person
    person.browser.close()


@pytest.fixture(scope="module")
def chromium(require_service: RequireService) -> Iterator[Browser]:
    """A real browser. Its contexts know nothing of each other."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    require_service("Chromium", available=program is not None)
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=program, args=_CHROMIUM, timeout=PATIENCE * 1000) as browser,
    ):
        yield browser


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate for localhost and the authority that issued it."""
    directory = tmp_path_factory.mktemp("authority")
    issue(directory, names=("localhost",))
    return directory


@pytest.fixture(scope="session")
def fetching_owner(authority: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """The owner of a server that fetches documents of clients from this machine, and trusts the authority."""
    environment = {
        "OAUTH_CIMD_ALLOW_LOOPBACK": "true",
        "SSL_CERT_FILE": str(authority / "ca.pem"),
        **dict.fromkeys(("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"), ""),
    }
    data = tmp_path_factory.mktemp("fetching") / "data"
    with RunningServer(TARGET, data, environment=environment) as running:
        person = owner_of(running)
        yield person
        person.browser.close()


@pytest.fixture(scope="session")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The example with every feature, open to everybody on this machine."""
    data = tmp_path_factory.mktemp("everything")
    with RunningServer("examples/everything.py:server", data, environment=OPEN) as running:
        yield running


@pytest.fixture(scope="session")
def interop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose calls can be cancelled and whose resource changes."""
    data = tmp_path_factory.mktemp("interop")
    with RunningServer("tests/end_to_end/interop_target.py:server", data, environment=OPEN) as running:
        yield running

"""The official TypeScript clients, both majors and eras, get in by OAuth: registered, and known by a document."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RequireService
from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.scripted_client import Person
from tests.end_to_end.test_typescript_clients import DEADLINE, PACKAGES, SOURCE, install
from tests.outbound.tls_server import TlsServer
from tools.npm_packages import NODE, node_environment

REVISIONS = {"v1": "2025-11-25", "v2-legacy": "2025-11-25", "v2-modern": "2026-07-28"}


def walked(which: str) -> dict[str, Any]:
    """Return what a client sees whose user logs in once, and who then refreshes once."""
    return {
        "revision": REVISIONS[which],
        "failed": [False, False],
        "visits": 1,
        "grants": ["authorization_code", "refresh_token"],
    }


@pytest.fixture(scope="module")
def oauth_program(require_service: RequireService) -> Path:
    """The script, beside the packages that it imports."""
    require_service("the official TypeScript client (npm)", available=install())
    return Path(shutil.copy(SOURCE / "oauth.mjs", PACKAGES / "oauth.mjs"))


def run(program: Path, answer: Callable[[str], str], *arguments: str) -> dict[str, Any]:
    """Run the client, answer the one line that it prints (as its user's browser would), return what it reports."""
    with subprocess.Popen(
        [str(NODE), str(program), *arguments],
        cwd=PACKAGES,
        env=node_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            question = process.stdout.readline().strip()
            answered = answer(question) if question else ""
            output, errors = process.communicate(answered + "\n", timeout=DEADLINE)
        finally:
            process.kill()
    assert process.returncode == 0, errors
    seen: dict[str, Any] = json.loads(output)
    return seen


@pytest.mark.parametrize("which", REVISIONS)
def test_it_registers_logs_in_calls_and_refreshes(
    oauth_program: Path, shared_server: RunningServer, shared_owner: Person, which: str
) -> None:
    seen = run(oauth_program, shared_owner.decide, which, shared_server.mcp_url)

    assert seen.pop("client_id")
    assert seen == walked(which)


@pytest.mark.parametrize("which", REVISIONS)
def test_it_is_known_by_its_document_and_registers_nothing(
    oauth_program: Path, authority: Path, fetching_owner: Person, which: str
) -> None:
    with TlsServer(authority) as web:
        url = web.url(host="localhost")
        callback = "http://127.0.0.1:3030/callback"
        web.answer({"client_id": url, "client_name": "Documented", "redirect_uris": [callback]})
        seen = run(oauth_program, fetching_owner.decide, which, f"{fetching_owner.origin}/mcp", url)

        assert seen == {**walked(which), "client_id": url}
        assert web.connections == 1

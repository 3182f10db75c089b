"""The official TypeScript clients, both majors, in both eras: `tools/interop/client.mjs` reports what they saw."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RequireService
from tests.end_to_end.running_server import REPOSITORY, RunningServer
from tools import npm_packages
from tools.npm_packages import NODE, node_environment

SOURCE = REPOSITORY / "tools" / "interop"
PACKAGES = REPOSITORY / ".venv" / "interop"
DEADLINE = 300  # seconds; only ever reached when something is broken


def install() -> bool:
    """Install what `tools/interop/package-lock.json` pins; return whether it is there now."""
    try:
        npm_packages.install(SOURCE, PACKAGES, timeout=DEADLINE)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


@pytest.fixture(scope="module")
def client_program(require_service: RequireService) -> Path:
    """The script, beside the packages that it imports."""
    require_service("the official TypeScript client (npm)", available=install())
    return Path(shutil.copy(SOURCE / "client.mjs", PACKAGES / "client.mjs"))


def streamed(count: int) -> dict[str, Any]:
    """Return what a call of `steps` shows."""
    return {"text": "stepped", "told": [[step, count, f"step {step}"] for step in range(1, count + 1)]}


@pytest.mark.parametrize("which", ["v1", "v2-legacy", "v2-modern", "v2-auto"])
def test_the_typescript_client_is_served_told_asked_and_obeyed(
    client_program: Path, everything: RunningServer, interop: RunningServer, which: str
) -> None:
    modern = which in {"v2-modern", "v2-auto"}
    done = subprocess.run(
        [str(NODE), str(client_program), which, everything.mcp_url, interop.mcp_url],
        cwd=PACKAGES,
        env=node_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "basics": {
            "revision": "2026-07-28" if modern else "2025-11-25",
            "lists": True,
            "text": "This is a simple text response for testing.",
            "failed": True,
            "elicited": 'User response: action=accept, content={"username": "ada", "email": "ada@example.org"}',
            "sampled": "LLM response: an answer",
            "roots": "Roots: file:///projects/ada",
            "resource": "This is the content of the static text resource.",
            "prompt": "This is a simple prompt for testing.",
            "asked": ["Who are you?", "What now?"],
        },
        "streamed": streamed(3),
        "logged": [["info", "did 1"], ["info", "did 2"]],
        "subscribed": ["watched://one", "tools"],
        "cancelled": ["given up", "true"],
        "resumed": None if modern else {**streamed(3), "resumptions": 1},
    }

"""The wheel, installed in clean environments: it starts, serves and is called, without anything of this checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from gatepost import __version__
from tests.conftest import RequireService
from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.scripted_client import App
from tests.packaging.conftest import ROOT, Distributions, run_uv
from tests.packaging.interpreters import find_interpreter

VERSIONS: Final = ("3.11", "3.12", "3.13")
RUNTIME = ROOT / "requirements" / "runtime.txt"
LOWEST = ROOT / "requirements" / "lowest.txt"
STRICT = {"PYTHONPATH": "", "PYTHONWARNINGS": "error"}
"""Nothing of the checkout; every warning, deprecations of the interpreter's among them, is an error."""
FOR_TESTS = ("gatepost.stores.conformance", "gatepost.testing")
"""What needs the extra `dev`: what people test their own servers and stores with."""
WITHOUT_EXTRAS = [("gatepost.observability.exporting", "opentelemetry.exporter"), ("gatepost.openapi", "jsonschema_rs")]
"""What needs the extras `otel` and `openapi`, and what it lacks without."""
WALK = """
import importlib, pkgutil, gatepost
names = [one.name for one in pkgutil.walk_packages(gatepost.__path__, "gatepost.", onerror=lambda name: None)]
assert len(names) > 500, names
for name in names:
    if name != "gatepost.__main__":
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            print(name, error.name or error.__cause__.name)
"""
SERVER = """
from gatepost import Context, Server

server = Server("notes")


@server.tool(scopes=["notes:write"])
async def add(text: str, ctx: Context) -> str:
    "Keep a note."
    return f"{ctx.user.subject} noted: {text}"
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command that knows nothing of this checkout, and return what it printed."""
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **STRICT}, capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def noted(python: Path, folder: Path) -> str:
    """Serve a tool with an installed Gatepost, call it with a token that the command line mints; what it says."""
    (folder / "notes.py").write_text(SERVER, encoding="utf-8")
    with RunningServer("notes:server", folder / "data", cwd=folder, environment=STRICT, python=python) as server:
        mint = [str(python), "-m", "gatepost", "token", "mint", "--subject", "ada", "--scopes", "notes:write"]
        environment = {**os.environ, **STRICT, "OAUTH_STORAGE_DIR": str(server.data), "MCP_PORT": str(server.port)}
        minted = subprocess.run(
            mint, cwd=folder, env=environment, capture_output=True, text=True, check=True, timeout=120
        )
        assert App(server.origin).http.post("/mcp", json={}).status_code == 401
        result = App(server.origin).call(minted.stdout.strip(), "add", {"text": "milk"}).json()["result"]
    return str(result["content"][0]["text"])


@pytest.fixture(scope="module", params=VERSIONS)
def installed(
    request: pytest.FixtureRequest,
    distributions: Distributions,
    make_environment: Callable[..., Path],
    require_service: RequireService,
) -> Path:
    """An interpreter with the wheel and the locked requirements, and nothing else."""
    interpreter = find_interpreter(request.param)
    if request.param == VERSIONS[0]:
        require_service(f"Python {request.param}", available=interpreter is not None)
    if interpreter is None:
        pytest.skip(f"Python {request.param} is missing")
    return make_environment(interpreter, RUNTIME, distributions.wheel)


def test_an_installed_wheel_starts_both_ways(installed: Path, tmp_path: Path) -> None:
    assert run(installed.with_name("gatepost"), "--help", cwd=tmp_path).startswith("usage: gatepost ")
    assert run(installed, "-m", "gatepost", "--version", cwd=tmp_path) == f"gatepost {__version__}\n"


def test_every_module_of_the_wheel_imports_without_development_packages(installed: Path, tmp_path: Path) -> None:
    """But for what tests are written with, which lacks pytest or the official client then, and what exports figures."""
    walked = run(installed, "-c", WALK, cwd=tmp_path).splitlines()
    failed = [(name, missing) for name, missing in map(str.split, walked) if not name.startswith(FOR_TESTS)]

    assert failed == WITHOUT_EXTRAS
    assert {missing for _, missing in map(str.split, walked)} - {"opentelemetry.exporter", "jsonschema_rs"} <= {
        "pytest",
        "pytest_asyncio",
        "mcp",
    }


def test_an_installed_wheel_serves_a_call_with_a_token(installed: Path, tmp_path: Path) -> None:
    assert noted(installed, tmp_path) == "ada noted: milk"


def test_the_lowest_versions_that_the_metadata_allow_are_enough(
    distributions: Distributions,
    make_environment: Callable[..., Path],
    require_service: RequireService,
    tmp_path: Path,
) -> None:
    """With every extra, so nothing fails to import; `make lock` finds the versions."""
    interpreter = find_interpreter(VERSIONS[0])
    require_service(f"Python {VERSIONS[0]}", available=interpreter is not None)
    python = make_environment(interpreter, LOWEST, distributions.wheel)

    assert run(python, "-c", WALK, cwd=tmp_path) == ""
    assert noted(python, tmp_path) == "ada noted: milk"


def test_uv_runs_the_command_without_an_installation(distributions: Distributions, tmp_path: Path) -> None:
    said = run_uv(
        *("tool", "run", "--no-python-downloads", "--python", sys.executable, "--constraints", RUNTIME),
        *("--from", distributions.wheel, "gatepost", "--version"),
        cwd=tmp_path,
    )

    assert said == f"gatepost {__version__}\n"
    assert shutil.which("gatepost", path=str(tmp_path)) is None

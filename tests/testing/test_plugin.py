"""The pytest plugin: its fixtures under each plugin that runs coroutines, and what it costs where no test uses it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from gatepost.testing.own_task import running_loop

ROOT = Path(__file__).resolve().parents[2]
SERVER = """
import pytest
{imports}
from gatepost import Context, Server
from gatepost.testing import Client
{marks}

server = Server("notes")


@server.tool(scopes=["notes:write"])
async def add(text: str, context: Context) -> str:
    return f"{{context.user.subject}} noted: {{text}}"


@{fixture}
async def alice():
    async with Client(server, user="alice") as client:
        yield client


async def test_a_client_of_a_fixture_of_ones_own(alice):
    assert (await alice.call_tool("add", {{"text": "milk"}})).content[0].text == "alice noted: milk"


async def test_the_fixtures_of_the_plugin(gatepost_client, gatepost_server, gatepost_clock):
    async with gatepost_client(server, user="bob") as bob:
        assert bob.running.clock is gatepost_clock
        assert (await bob.call_tool("add", {{"text": "milk"}})).content[0].text == "bob noted: milk"
    async with gatepost_server(server) as running:
        assert running.clock is gatepost_clock
"""
ANYIO = '@pytest.fixture\ndef anyio_backend():\n    return "asyncio"\n'


def run_pytest(folder: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a test file with the plugin, in a process of its own."""
    (folder / "test_server.py").write_text(text, encoding="utf-8")
    # An environment that has the plugin installed would load it under its name as well.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:gatepost", "-p", "gatepost.testing.plugin", *options]
    return subprocess.run(
        [*command, "-W", "error", "-p", "no:cacheprovider", "test_server.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


@pytest.mark.parametrize(
    ("imports", "marks", "fixture", "options"),
    [
        ("", "", "pytest.fixture", ["-o", "asyncio_mode=auto"]),
        (
            "import pytest_asyncio",
            "pytestmark = pytest.mark.asyncio",
            "pytest_asyncio.fixture",
            ["-o", "asyncio_mode=strict"],
        ),
        (
            "",
            "pytestmark = pytest.mark.anyio\n\n\n" + ANYIO,
            "pytest.fixture",
            ["-p", "no:asyncio"],
        ),
    ],
    ids=["asyncio-auto", "asyncio-strict", "anyio"],
)
def test_servers_are_tested_under(tmp_path: Path, imports: str, marks: str, fixture: str, options: list[str]) -> None:
    ran = run_pytest(tmp_path, SERVER.format(imports=imports, marks=marks, fixture=fixture), *options)

    assert (ran.returncode, ran.stdout.splitlines()[-1].partition(" in ")[0]) == (0, "2 passed"), ran.stdout


def test_another_event_loop_than_that_of_asyncio_is_refused_in_a_sentence() -> None:
    with pytest.raises(
        RuntimeError, match="^gatepost.testing needs the event loop of asyncio. With the pytest plugin of"
    ):
        running_loop()


def test_the_plugin_imports_nothing_that_takes_time() -> None:
    script = [
        "import sys, pytest",
        "before = {*sys.modules}",
        "import gatepost.testing.plugin",
        "print(*sorted({*sys.modules} - before))",
    ]
    ran = subprocess.run(
        [sys.executable, "-c", "\n".join(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )

    assert ran.stdout.split() == ["gatepost", "gatepost.testing", "gatepost.testing.plugin"]


def test_pytest_finds_the_plugin_by_itself() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (module,) = project["entry-points"]["pytest11"].values()

    assert {"gatepost_client", "gatepost_clock", "gatepost_server"} <= vars(import_module(module)).keys()


def test_what_the_package_offers_is_there() -> None:
    package = import_module("gatepost.testing")

    assert {name: getattr(package, name).__name__ for name in package.__all__} == {
        name: {"Client": "InProcessClient"}.get(name, name) for name in package.__all__
    }
    assert dir(package) == sorted(package.__all__)
    with pytest.raises(AttributeError, match="^module 'gatepost.testing' has no attribute 'Server'$"):
        _ = package.Server

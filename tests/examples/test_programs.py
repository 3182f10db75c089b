"""Each example runs as a program, and the page lists all of them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
SERVERS = sorted(path.name for path in EXAMPLES.glob("*.py"))
STDIO_SERVER = str(ROOT / "tests" / "end_to_end" / "sdk_stdio_server.py")
ARGUMENTS = {"stdio_front.py": [sys.executable, STDIO_SERVER]}
ENVIRONMENT = {
    "static_password.py": {"ADMIN_PASSWORD": "a few words in no order"},
    "keycloak_server.py": {"KEYCLOAK_REALM": "http://127.0.0.1:9/realms/mcp-realm"},
    "github_server.py": {
        "GITHUB_CLIENT_ID": "Iv1.0123456789abcdef",
        "GITHUB_CLIENT_SECRET": "a secret",
        "GITHUB_KEEP_TOKENS": "true",
        "OAUTH_ALLOWED_USERS": "login:octocat",
    },
}


@pytest.mark.parametrize("name", SERVERS)
def test_an_example_serves_when_it_is_run(name: str, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / name), *ARGUMENTS.get(name, [])],
        cwd=tmp_path,
        env={**os.environ, "MCP_PORT": "0", "PYTHONPATH": str(ROOT / "src"), **ENVIRONMENT.get(name, {})},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = ""
    with process:
        try:
            while line := process.stderr.readline():
                said += line
                if "Docs " in line:  # the last line of the banner that each has
                    break
        finally:
            process.send_signal(signal.SIGTERM)
            process.stderr.read()
    assert (re.search(r"MCP URL +http://127\.0\.0\.1:\d+/mcp", said) is not None, process.returncode) == (True, 0), said


def test_a_front_without_a_command_says_what_to_write() -> None:
    ran = subprocess.run(
        [sys.executable, str(EXAMPLES / "stdio_front.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stderr.splitlines()) == (
        1,
        ["Say what to start: python examples/stdio_front.py uvx mcp-server-time"],
    )


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_an_example_without_what_it_needs_names_each_variable(name: str, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, str(EXAMPLES / name)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, len(ran.stderr.splitlines())) == (1, 1), ran.stderr
    assert [variable for variable in ENVIRONMENT[name] if variable not in ran.stderr] == []


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ("127.0.0.1:8000/mcp", "127.0.0.1:8000/mcp is no URL: http:// or https:// is missing."),
        ("http://127.0.0.1:9/mcp", "http://127.0.0.1:9/mcp cannot be reached: [Errno 111] Connection refused."),
    ],
)
def test_the_client_in_python_says_what_is_wrong_with_an_endpoint(endpoint: str, said: str) -> None:
    ran = subprocess.run(
        [sys.executable, str(EXAMPLES / "clients" / "flow.py"), endpoint, "add"],
        env={**os.environ, "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, re.sub(r"\[Errno \d+\]", "[Errno 111]", ran.stderr)) == (1, f"{said}\n")


def test_the_page_says_what_each_example_needs() -> None:
    page = (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")
    rows = {row[1]: row[0] for row in re.finditer(r"^\| \[`(\w+\.py)`\].*$", page, re.MULTILINE)}

    assert [
        (name, variable)
        for name, variables in ENVIRONMENT.items()
        for variable in variables
        if variable not in rows[name]
    ] == []


def test_the_page_lists_every_example_once() -> None:
    page = (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")
    files = [path.relative_to(ROOT).as_posix() for path in EXAMPLES.rglob("*") if path.suffix in {".py", ".mjs", ".sh"}]

    assert sorted(re.findall(r"\]\(\.\./(examples/[^)]+)\)", page)) == sorted(
        path for path in files if not path.startswith("examples/steps/")
    )

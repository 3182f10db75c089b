"""Ask Gatepost and its peers the same about extensions of the protocol, and print a table.

    python -m tools.extension_peers.run [--into FOLDER]

Each peer is installed, at the version that is named here, into the folder that `--into` says (or a temporary one), and
served on loopback without authentication. docs/extensions.md has what came out. Needs uv, npm and Node.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parents[1]
_PREFIX: Final = "io.modelcontextprotocol/"
TASKS: Final = "io.modelcontextprotocol/tasks"
APPS: Final = "io.modelcontextprotocol/ui"
NODE_PACKAGES: Final = (
    "@modelcontextprotocol/server@2.4.0",
    "@modelcontextprotocol/node@2.1.2",
    "@modelcontextprotocol/ext-apps@2.0.4",
    "zod@4.6.7",
)
_SKILL: Final = "---\nname: lint\ndescription: How to lint.\n---\n\nLint.\n"
_START_SECONDS: Final = 60
_TRACE: Final = "0af7651916cd43dd8448eb211c80319c"
_KNOWS_ALL: Final = {"elicitation": {}, "extensions": {TASKS: {}, APPS: {"mimeTypes": ["text/html;profile=mcp-app"]}}}


@dataclass(frozen=True, slots=True)
class Peer:
    """One that is asked."""

    title: str
    requirements: Sequence[str]
    """Of its Python environment; none for Gatepost, which is this checkout, and for Node."""
    command: Callable[[str, int], list[str]]
    """From its interpreter and a port to what is run."""


def _gatepost(_python: str, port: int) -> list[str]:
    target = f"{HERE / 'servers' / 'gatepost_peer.py'}:server"
    return [sys.executable, "-m", "gatepost", "serve", target, "--port", str(port)]


def _fastmcp(python: str, port: int) -> list[str]:
    return [python, str(HERE / "servers" / "fastmcp_peer.py"), str(port)]


PEERS: Final = (
    Peer("Gatepost", (), _gatepost),
    Peer("FastMCP 4.2.3", ("fastmcp==4.2.3",), _fastmcp),
    Peer("FastMCP 4.1.4 with fastmcp-tasks", ("fastmcp==4.1.4", "fastmcp-tasks==4.1.4"), _fastmcp),
    Peer("TypeScript SDK 2.4.0", (), lambda node, port: [node, "typescript_peer.mjs", str(port)]),
)


class Asker:
    """A client of the modern era, without authentication."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ask(
        self,
        method: str,
        params: Mapping[str, Any],
        *,
        capabilities: Mapping[str, Any] = _KNOWS_ALL,
        named: str | None = None,
        **meta: Any,
    ) -> dict[str, Any]:
        """Return the result, or the error under `error`; `named` is what the header `Mcp-Name` says."""
        whole = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "peers", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": capabilities,
            **meta,
        }
        mirrored = named or params.get("name") or params.get("taskId") or params.get("uri")
        headers = {
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": method,
            **({} if mirrored is None else {"Mcp-Name": str(mirrored)}),
        }
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": whole}}
        answer = httpx2.post(self._url, json=message, headers=headers, timeout=30)
        text = answer.text
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            text = [line for line in text.splitlines() if line.startswith("data:")][-1].removeprefix("data:")
        read: dict[str, Any] = json.loads(text)
        if "error" in read:
            return {"error": read["error"], "status": answer.status_code}
        found: dict[str, Any] = read["result"]
        return found


def _code(answer: Mapping[str, Any]) -> str:
    if answer.get("isError"):
        return "tool error"
    if "error" not in answer:
        return f"answered ({answer.get('resultType', 'no resultType')})"
    return f"{answer['error']['code']} (HTTP {answer['status']})"


def _short(identifier: str) -> str:
    return f"`{identifier.removeprefix(_PREFIX)}`"


def _advertised(asker: Asker) -> str:
    found = asker.ask("server/discover", {}).get("capabilities", {}).get("extensions", {})
    return ", ".join(sorted(map(_short, found))) or "none"


def _begun(asker: Asker) -> dict[str, Any]:
    return asker.ask("tools/call", {"name": "later", "arguments": {"text": "hello"}})


def _task(asker: Asker) -> str:
    begun = _begun(asker)
    if begun.get("resultType") != "task":
        return _code(begun)
    task: dict[str, Any] = {}
    for _ in range(200):
        task = asker.ask("tasks/get", {"taskId": begun["taskId"]})
        if task.get("status") not in {"working", "input_required"}:
            break
        time.sleep(0.02)
    return f"{begun['status']}, then {task.get('status')} with {', '.join(sorted(task.keys() & {'result', 'error'}))}"


def _of_task(method: str, **more: Any) -> Callable[[Asker], str]:
    def probe(asker: Asker) -> str:
        begun = _begun(asker)
        return _code(asker.ask(method, {"taskId": begun.get("taskId", "none"), **more}))

    return probe


def _misnamed(asker: Asker) -> str:
    begun = _begun(asker)
    return _code(asker.ask("tasks/get", {"taskId": begun.get("taskId", "none")}, named="another"))


def _lacking(method: str, params: Mapping[str, Any]) -> Callable[[Asker], str]:
    def probe(asker: Asker) -> str:
        answer = asker.ask(method, params, capabilities={})
        needed = answer.get("error", {}).get("data", {})
        named = needed.get("requiredCapabilities", {}).get("extensions", {}) if isinstance(needed, dict) else {}
        return _code(answer) + (f", names {', '.join(map(_short, named))}" if named else "")

    return probe


def _tools(capabilities: Mapping[str, Any]) -> Callable[[Asker], str]:
    def probe(asker: Asker) -> str:
        tools = asker.ask("tools/list", {}, capabilities=capabilities)["tools"]
        shown = {tool["name"]: tool.get("_meta", {}).get("ui") for tool in tools}
        return "; ".join(f"{name}: `{json.dumps(shown[name])}`" for name in ("shown", "of_page") if name in shown)

    return probe


def _page(asker: Asker) -> str:
    content = asker.ask("resources/read", {"uri": "ui://page"})["contents"][0]
    return f"{content['mimeType']}, `{json.dumps(content.get('_meta', {}).get('ui'))}`"


def _skills(asker: Asker) -> str:
    answer = asker.ask("skills/list", {})
    if "error" in answer:
        return _code(answer)
    return "; ".join(f"{skill['uri']}, {len(skill['resources'])} files with digests" for skill in answer["skills"])


def _trace(asker: Asker) -> str:
    answer = asker.ask("tools/call", {"name": "trace", "arguments": {}}, traceparent=f"00-{_TRACE}-b7ad6b7169203331-01")
    said = answer["content"][0]["text"]
    return "the client's trace" if _TRACE in said else said


PROBES: Final[Mapping[str, Callable[[Asker], str]]] = {
    "`capabilities.extensions`": _advertised,
    "a call that becomes a task": _task,
    "`tasks/update`": _of_task("tasks/update", inputResponses={}),
    "`tasks/cancel`": _of_task("tasks/cancel"),
    "`tasks/get` of an id that there is not": lambda asker: _code(asker.ask("tasks/get", {"taskId": "nothing"})),
    "`tasks/get` with another `Mcp-Name`": _misnamed,
    "`tasks/get` by a client that does not declare tasks": _lacking("tasks/get", {"taskId": "nothing"}),
    "a tool that is a task alone, likewise": _lacking("tools/call", {"name": "task_alone", "arguments": {}}),
    "`_meta.ui` in `tools/list`": _tools(_KNOWS_ALL),
    "the same, for a client that does not declare apps": _tools({}),
    "`resources/read` of a page": _page,
    "`skills/list`": _skills,
    "`skills/get`": lambda asker: _code(asker.ask("skills/get", {"uri": "skill://lint/SKILL.md"})),
    "`resources/directory/read`": lambda asker: _code(asker.ask("resources/directory/read", {"uri": "skill://lint"})),
    "`traceparent` in `_meta`, seen by the tool": _trace,
}


def main() -> int:
    """Install, serve, ask, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, help="where peers are installed, or are already")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        into = options.into or Path(temporary)
        rows = {title: [] for title in PROBES}  # type: dict[str, list[str]]
        for peer in PEERS:
            interpreter, folder = _installed(peer, into)
            with _served(peer, interpreter, folder) as asker:
                for title, probe in PROBES.items():
                    rows[title].append(_tried(probe, asker))
    sys.stdout.write(f"| | {' | '.join(peer.title for peer in PEERS)} |\n|{' --- |' * (len(PEERS) + 1)}\n")
    for title, cells in rows.items():
        sys.stdout.write(f"| {title} | {' | '.join(cells)} |\n")
    return 0


def _tried(probe: Callable[[Asker], str], asker: Asker) -> str:
    try:
        return probe(asker)
    except (KeyError, IndexError, ValueError, httpx2.HTTPError) as error:
        return f"{type(error).__name__}: {error}"


def _installed(peer: Peer, into: Path) -> tuple[str, Path]:
    """Return the interpreter of a peer, and where it runs."""
    name = "".join(letter if letter.isalnum() else "-" for letter in peer.title.lower())
    folder = into / name
    if peer.requirements:
        if not folder.exists():
            uv = [sys.executable, "-m", "uv"]
            _run([*uv, "venv", "--quiet", str(folder)], ROOT)
            python = str(folder / "bin" / "python")
            _run([*uv, "pip", "install", "--quiet", "--python", python, "uvicorn", *peer.requirements], ROOT)
        return str(folder / "bin" / "python"), folder
    folder.mkdir(parents=True, exist_ok=True)
    if peer.title == "Gatepost":
        return sys.executable, folder
    if not (folder / "node_modules").exists():
        _run(["npm", "install", "--silent", "--no-audit", "--no-fund", *NODE_PACKAGES], folder)
    shutil.copy(HERE / "servers" / "typescript_peer.mjs", folder)
    return shutil.which("node") or "node", folder


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True)  # noqa: S603 - what is installed is named above


@contextmanager
def _served(peer: Peer, interpreter: str, folder: Path) -> Any:
    skills = folder / "skills" / "lint"
    skills.mkdir(parents=True, exist_ok=True)
    (skills / "SKILL.md").write_text(_SKILL, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    environment = {
        **os.environ,
        "PEER_SKILLS": str(skills.parent),
        "MCP_REQUIRE_AUTH": "false",
        "OAUTH_ENABLED": "false",
        "OAUTH_STORAGE_DIR": str(folder / "data"),
    }
    process = subprocess.Popen(  # noqa: S603 - likewise
        peer.command(interpreter, port),
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{peer.title} did not start") from None
                time.sleep(0.05)
        yield Asker(f"http://127.0.0.1:{port}/mcp")
    finally:
        process.terminate()
        process.wait(20)


if __name__ == "__main__":
    raise SystemExit(main())

"""What a newcomer does with the image, and what it must not be able to do; each step becomes a line of the page."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import TextContent

from tools.image.build import MARKER
from tools.image.container import Container, NotAsPromisedError
from tools.image.dockerfile import Stage

PUBLIC_NAME = "mcp.example.com"
URL = "http://127.0.0.1:8000/mcp"
UNAUTHORIZED = 401
MEGABYTE = 1_000_000
# Where a process may write what outlives it, tried one by one.
_WRITES = """
import os, sys
from pathlib import Path
for folder in ("/", "/etc", "/opt/gatepost", "/srv", "/tmp", "/usr", "/var"):
    try:
        Path(folder, "written").write_text("x")
    except OSError as error:
        continue
    sys.exit(folder)
Path("/data/written").write_text("x")
"""


def settings(folder: Path) -> tuple[dict[str, str], dict[str, Path]]:
    """Return the variables and the files that a public server needs: its name, and sealing keys as a secret."""
    keys = folder / "sealing-keys"
    keys.write_text(secrets.token_urlsafe(32), encoding="ascii")
    keys.chmod(0o444)
    return (
        {"MCP_PUBLIC_URL": f"https://{PUBLIC_NAME}", "MCP_SEALING_KEYS_FILE": "/run/secrets/sealing_keys"},
        {"/run/secrets/sealing_keys": keys},
    )


def walk(container: Container) -> Iterator[str]:
    """Yield a line for each step.

    Raises:
        NotAsPromisedError: a step did not do what the line says.
    """
    yield from _files(container)
    container.mount()
    refused = container.run(container.image.command, MCP_PUBLIC_URL="")
    _must(refused.returncode == 2 and "MCP_PUBLIC_URL" in refused.stderr, refused.stderr)  # noqa: PLR2004 - wrong usage
    yield "Without `MCP_PUBLIC_URL` it ends with exit code 2 and says so."
    _must(not container.is_healthy(), "it is healthy before it runs")
    seconds = container.start()
    user = container.image.one("USER").text
    yield f"The image's command serves, as `{user}`; its health check passes after {seconds:.1f} s."
    written = container.run(["python3", "-c", _WRITES])
    _must(written.returncode == 0, f"written: {written.stderr}")
    yield "Nothing can be written outside of the volume, `/tmp` included; the server needs none of it."
    _must(asyncio.run(_status_without_token()) == UNAUTHORIZED, "it answers without a token")
    minted = container.run(["gatepost", "token", "mint", "--subject", "ada", "--scopes", "hello:read hello:write"])
    _must(minted.returncode == 0, minted.stderr)
    token = minted.stdout.strip()
    _must(asyncio.run(_call(token)) == "5", "another result")
    yield "Without a token: 401. With one of `gatepost token mint` the official Python client lists and calls tools."
    code, seconds = container.stop()
    _must(code == 0, f"exit code {code}")
    yield f"After SIGTERM it ends within {seconds:.1f} s, with exit code 0."
    container.start()
    _must(asyncio.run(_call(token)) == "5", "the token does not count any more")
    container.stop()
    _must(not container.is_healthy(), "it is healthy after its end")
    yield "Started again over the same volume, the token still counts."


def _files(container: Container) -> Iterator[str]:
    size, leaked, privileged = 0, list[Path](), list[str]()
    for path in container.root.rglob("*"):
        if path.is_symlink() or not path.is_file():
            continue
        status = path.stat()
        size += status.st_size
        if status.st_mode & 0o6000:
            privileged.append(path.name)
        if status.st_size < MEGABYTE and MARKER.encode() in path.read_bytes():
            leaked.append(path)
    _must(leaked == [], f"a build secret is in {leaked}")
    tools = [name for name in ("pip", "uv", "hatchling") if (container.root / "opt/gatepost/bin" / name).exists()]
    _must(tools == [], f"{tools} are in the image")
    yield f"{size // MEGABYTE} MB of files. No build tool, no `.env` and nothing of the build secret is among them."
    yield f"Set-user-id and set-group-id programs are Debian's own {len(privileged)}; `no-new-privileges` disarms them."


async def _status_without_token() -> int:
    async with httpx2.AsyncClient(headers={"Host": PUBLIC_NAME}) as http:
        return (await http.post(URL, json={"jsonrpc": "2.0", "id": 1, "method": "ping"})).status_code


async def _call(token: str) -> str:
    headers = {"Host": PUBLIC_NAME, "Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(URL, http_client=http)) as client,
    ):
        names = [tool.name for tool in (await client.list_tools()).tools]
        _must(names == ["whoami", "add"], f"the tools are {names}")
        (block,) = (await client.call_tool("add", {"a": 2, "b": 3})).content
    return block.text if isinstance(block, TextContent) else ""


def _must(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - as an assertion
    if not holds:
        raise NotAsPromisedError(otherwise)


def container_of(image: Stage, root: Path, environment: dict[str, str], folder: Path, target: Path | None) -> Container:
    """Return a container of the image with what a public server needs; `target` is mounted, or in the image."""
    variables, files = settings(folder)
    if target is not None:
        variables["MCP_HANDLER"] = "server:server"
        files["/srv/server.py"] = target
    volume = folder / "volume"
    volume.mkdir()
    return Container(root, image, {**environment, **variables}, volume, files)

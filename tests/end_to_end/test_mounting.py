"""The app mounted in others, below a path: with the lifespan passed on and the well-known routes, and without."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import TextContent

from tests.conftest import RequireService
from tests.end_to_end import local_http
from tests.end_to_end.conftest import OPEN
from tests.end_to_end.local_http import PATIENCE
from tests.end_to_end.running_server import REPOSITORY, RunningServer, free_port
from tests.end_to_end.scripted_client import Person
from tests.end_to_end.test_official_client import Memory, Visits, connected

PAGE = (REPOSITORY / "docs" / "mounting.md").read_text(encoding="utf-8")
PROGRAM, OWN_LIFESPAN, BARE = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
(LOCATIONS,) = re.findall(r"^```nginx\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SERVED = """
import os
import uvicorn
uvicorn.run(app, port=int(os.environ["MCP_PORT"]))
"""


def without(program: str, *arguments: str) -> str:
    """Return the page's program without some arguments of the app around."""
    for argument in arguments:
        assert argument in program
        program = program.replace(argument, "")
    return program


@contextmanager
def mounted(
    tmp_path: Path, program: str, *, base: str = "/svc", environment: Mapping[str, str] | None = None
) -> Iterator[RunningServer]:
    """Run a program under uvicorn."""
    (tmp_path / "around.py").write_text(program + SERVED, encoding="utf-8")
    server = RunningServer("", tmp_path / "data", cwd=tmp_path, module="around", environment=environment)
    server.mcp_url = f"{server.origin}{base}/mcp"
    asking = threading.Thread(target=first_request, args=(f"{server.origin}{base}/health",))
    asking.start()  # without a lifespan it says that it is there only when somebody has asked
    with server:
        asking.join()
        yield server


def first_request(url: str) -> None:
    while True:
        try:
            local_http.get(url)
        except httpx2.ConnectError:
            continue
        return


def set_up(server: RunningServer) -> Person:
    person = Person(server.origin)
    assert server.setup_link is not None
    assert server.setup_link.startswith(f"{server.origin}/svc/oauth/setup?token=")
    person.set_up(server.setup_link)
    return person


STARLETTE = PROGRAM.replace("from fastapi import FastAPI", "from starlette.applications import Starlette").replace(
    "FastAPI(", "Starlette("
)
LIFESPAN, ROUTES = "lifespan=gate.lifespan, ", "routes=well_known_routes(gate)"


@pytest.mark.parametrize(
    ("program", "left_out"),
    [
        (PROGRAM, []),
        (STARLETTE, []),
        (PROGRAM, [ROUTES]),
        (STARLETTE, [LIFESPAN]),
        (PROGRAM, [LIFESPAN, ROUTES]),
        (STARLETTE, [LIFESPAN, ROUTES]),
    ],
    ids=["fastapi", "starlette", "without routes", "without lifespan", "fastapi, bare", "starlette, bare"],
)
async def test_the_official_client_authorizes_and_calls_through_a_mounted_app(
    tmp_path: Path, program: str, left_out: list[str]
) -> None:
    with mounted(tmp_path, without(program, *left_out)) as server:
        assert f"MCP URL  {server.mcp_url}" in server.output
        visits = Visits(set_up(server))
        async with connected(server, Memory(), visits, mode="auto") as client:
            result = await client.call_tool("add", {"text": "milk"})
        (content,) = result.content
        assert isinstance(content, TextContent)
        assert (content.text, visits.count) == ("owner noted: milk", 1)

    assert ("lifespan=app.lifespan" in server.output) is (LIFESPAN in left_out)
    assert ("routes=well_known_routes(app)" in server.output) is (ROUTES in left_out)
    assert "Traceback" not in server.output


async def test_tools_find_what_the_lifespan_around_yields(tmp_path: Path) -> None:
    with (
        mounted(tmp_path, OWN_LIFESPAN, base="/notes", environment=OPEN) as server,
        local_http.client(base_url=server.origin) as http,
    ):
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "where", "arguments": {}}}
        headers = {"Accept": "application/json, text/event-stream"}
        result = http.post("/notes/mcp", json=message, headers=headers).json()["result"]
        health = http.get("/mail/health").json()

    assert result["content"] == [{"type": "text", "text": "what your routes and the tools share"}]
    assert (health["status"], health["server"]) == ("ok", "mail")
    assert "first request" not in server.output


async def test_the_official_client_calls_a_bare_endpoint_as_whom_the_app_around_knows(tmp_path: Path) -> None:
    started = 'print("MCP URL  http://127.0.0.1/mcp", "Docs", sep="\\n", flush=True)\n'  # such an app has no banner
    headers = {"X-Key": "a long random one", "X-Forwarded-For": "192.0.2.7"}
    with mounted(tmp_path, BARE + started, base="/mcp") as server:
        async with (
            local_http.async_client(headers=headers, follow_redirects=True) as http,
            Client(streamable_http_client(f"{server.origin}/mcp", http_client=http)) as client,
        ):
            result = await client.call_tool("add", {"text": "milk"})
        message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        stranger = local_http.post(f"{server.origin}/mcp/", json=message, headers={"X-Forwarded-For": "192.0.2.7"})

    (content,) = result.content
    assert isinstance(content, TextContent)
    assert (content.text, stranger.status_code) == ("ada noted: milk", 401)


@contextmanager
def nginx_at(tmp_path: Path, port: int, locations: str) -> Iterator[None]:
    """Run nginx with the locations on a loopback port."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program is not None
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = "".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in kinds)
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {tmp_path}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; {folders}\nserver {{ listen 127.0.0.1:{port};\n{locations} }} }}",
        encoding="utf-8",
    )
    command = [program, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with local_http.client(base_url=f"http://127.0.0.1:{port}") as http:
            while not answers(http):
                assert process.poll() is None
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)


def answers(http: httpx2.Client) -> bool:
    try:
        http.get("/")
    except httpx2.ConnectError:
        return False
    return True


@pytest.mark.parametrize("at_the_root", [True, False], ids=["metadata at the root", "nothing at the root"])
@pytest.mark.parametrize("style", ["kept", "stripped"])
async def test_the_official_client_authorizes_and_calls_below_a_path_of_nginx(
    tmp_path: Path, require_service: RequireService, style: str, *, at_the_root: bool
) -> None:
    require_service("nginx", available=shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") is not None)
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    environment = {"MCP_PUBLIC_URL": f"{origin}/tools", "MCP_TRUSTED_PROXIES": "127.0.0.1"}
    target = "tests/end_to_end/sample_server.py:server"
    server = RunningServer(target, tmp_path / "data", environment=environment)
    locations = LOCATIONS if at_the_root else LOCATIONS[: LOCATIONS.index("location ~")]
    if style == "stripped":
        # As the page says; with a regular expression nginx cannot strip, and need not.
        locations = locations.replace("127.0.0.1:8000;", "127.0.0.1:8000/;", 1)
    locations = locations.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")
    with server, nginx_at(tmp_path, port, locations):
        person = Person(origin)
        assert server.setup_link is not None
        assert server.setup_link.startswith(f"{origin}/tools/oauth/setup")
        person.set_up(server.setup_link)
        server.mcp_url = f"{origin}/tools/mcp"
        visits = Visits(person)
        async with connected(server, Memory(), visits, mode="auto") as client:
            result = await client.call_tool("whoami", {})
        assert result.structured_content is not None
        assert (result.structured_content["name"], visits.count) == ("owner", 1)
        account = person.browser.get("/tools/oauth/account")
        # On plain http the login has ended with the answer to the app.
        assert (account.status_code, account.headers["location"]) == (303, "/tools/oauth/login")
        address = "/.well-known/oauth-authorization-server/tools"
        assert (person.browser.get(address).status_code == 200) is at_the_root
    assert "Traceback" not in server.output

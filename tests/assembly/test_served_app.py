"""What `run()` serves answers as what `create_app` returns, without FastAPI."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx2
import pytest
from starlette.types import Message, Receive, Send

from gatepost import Server
from gatepost.assembly.installation import Installation, install
from gatepost.assembly.site import app_for, served_app_for
from gatepost.configuration.settings import load_settings
from gatepost.web.site.opening import CannotStart

ORIGIN = "http://127.0.0.1:8000"
NAVIGATION = {"sec-fetch-dest": "document", "sec-fetch-mode": "navigate"}
ASKED: list[tuple[str, str, dict[str, str]]] = [
    ("GET", "/openapi.json", {}),
    ("HEAD", "/openapi.json", {}),
    ("POST", "/openapi.json", {}),
    ("GET", "/docs", {}),
    ("GET", "/redoc", {}),
    ("GET", "/", {}),
    ("GET", "/nothing/here", {}),
    ("HEAD", "/nothing/here", {}),
    ("POST", "/nothing/here", {}),
    ("GET", "/nothing/here", NAVIGATION),
    ("GET", "/oauth/nothing", NAVIGATION),
    ("GET", "/oauth/token", NAVIGATION),
    ("GET", "/health", {}),
    ("GET", "/.well-known/oauth-authorization-server", {}),
    ("GET", "/authorize", {}),
    ("POST", "/mcp", {}),
    ("GET", "/health", {"host": "notes.example"}),
    ("GET", "/nothing/here", {"host": "notes.example"}),
    ("GET", "/nothing/here", {"host": "localhost:8000"}),
]


def make_installation() -> Installation:
    return install(Server("notes"), load_settings({"MCP_STORAGE_URL": "memory:"}, env_file=None))


@pytest.fixture
async def both() -> AsyncIterator[tuple[httpx2.AsyncClient, httpx2.AsyncClient]]:
    """Clients of the app that `run()` serves and of the one that `create_app` returns."""
    async with AsyncExitStack() as stack:
        clients = []
        for build in (served_app_for, app_for):
            installation = make_installation()
            app = build(installation, announce=lambda _banner: None)
            await stack.enter_async_context(installation.running())
            client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=ORIGIN)
            clients.append(await stack.enter_async_context(client))
        yield clients[0], clients[1]


@pytest.mark.parametrize(("method", "path", "headers"), ASKED)
async def test_both_answer_alike(
    both: tuple[httpx2.AsyncClient, httpx2.AsyncClient], method: str, path: str, headers: dict[str, str]
) -> None:
    served, framework = [await client.request(method, path, headers=headers) for client in both]

    assert served.status_code == framework.status_code
    assert _told(served) == _told(framework)
    assert _without_drawn(served.text) == _without_drawn(framework.text)


async def test_a_websocket_is_closed() -> None:
    said: list[Message] = []
    client = ("127.0.0.1", 1)
    scope = {"type": "websocket", "path": "/chat", "headers": [(b"host", b"127.0.0.1:8000")], "client": client}

    await served_app_for(make_installation(), announce=print)(scope, _receiving("websocket.connect"), _to(said))

    assert [message["type"] for message in said] == ["websocket.close"]


async def test_what_keeps_it_from_starting_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(_installation: Installation, **_waits: bool) -> None:
        raise CannotStart("The door does not open.")

    monkeypatch.setattr(Installation, "open", fails)
    said: list[Message] = []
    app = served_app_for(make_installation(), announce=print)

    with pytest.raises(CannotStart):
        await app({"type": "lifespan"}, _receiving("lifespan.startup"), _to(said))

    assert said == [{"type": "lifespan.startup.failed", "message": "The door does not open."}]


def _receiving(kind: str) -> Receive:
    async def receive() -> Message:
        return {"type": kind}

    return receive


def _to(said: list[Message]) -> Send:
    async def send(message: Message) -> None:
        said.append(message)

    return send


def _told(response: httpx2.Response) -> dict[str, str]:
    """The headers; the policy of a page and what it sets hold something drawn."""
    drawn = {"content-security-policy", "set-cookie"}
    return {name: "" if name in drawn else value for name, value in response.headers.items()}


def _without_drawn(text: str) -> str:
    return re.sub(r"[0-9a-f]{8,}", "…", text)

"""What the layers of one origin let through."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.types import ASGIApp, Message

from gatepost import Server, create_app
from gatepost.configuration.settings import load_settings
from gatepost.stores.sql.sqlite import memory_store

PUBLIC = {
    "MCP_PUBLIC_URL": "https://mcp.example.com",
    "MCP_SEALING_KEYS": "abcdefghijklmnopqrstuvwxyz-0123456789-ABCDEFG",
    "MCP_STORAGE_URL": "sqlite:///unused.db",
}
KUBELET = ("10.0.0.1", 40_000)
HOSTS = ["10.0.0.7:8000", "localhost", "anything.example", None]


def app_of(**variables: str) -> ASGIApp:
    return create_app(Server("notes"), settings=load_settings(variables), store=memory_store())


async def status_of(
    app: ASGIApp, path: str, *headers: tuple[str, str], method: str = "GET", peer: tuple[str, int] = KUBELET
) -> tuple[int, dict[str, str]]:
    """Return status and headers of what comes back."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "http_version": "1.1", "method": method, "path": path, "client": peer}
    scope |= {"scheme": "http", "query_string": b"", "root_path": "", "server": ("10.0.0.7", 8000)}
    scope["headers"] = [(name.encode(), value.encode()) for name, value in headers]
    await app(scope, receive, send)
    return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}


def named(host: str | None) -> tuple[tuple[str, str], ...]:
    return () if host is None else (("host", host),)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/health", "/healthz"])
async def test_a_probe_is_answered_whatever_the_host(path: str, method: str, host: str | None) -> None:
    assert (await status_of(app_of(**PUBLIC), path, *named(host), method=method))[0] == 200


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(
    "path", ["/", "/mcp", "/health/", "/healthz/x", "/oauth/authorize", "/.well-known/oauth-protected-resource/mcp"]
)
async def test_nothing_else_is_answered_to_a_foreign_host(path: str, host: str | None) -> None:
    assert (await status_of(app_of(**PUBLIC), path, *named(host)))[0] == 421


@pytest.mark.parametrize("path", ["/health", "/healthz"])
async def test_a_local_server_answers_probes_of_its_own_machine_only(path: str) -> None:
    app = app_of()
    for host in HOSTS:
        assert (await status_of(app, path, *named(host), peer=("127.0.0.1", 1)))[0] == 200
        assert (await status_of(app, path, *named(host)))[0] == 421
        forwarded = ("x-forwarded-for", "203.0.113.9")
        assert (await status_of(app, path, *named(host), forwarded, peer=("127.0.0.1", 1)))[0] == 421

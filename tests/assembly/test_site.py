"""What the layers of one origin let through."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatepost import Protected, Server, SingleUserProvider, create_app
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


@pytest.mark.parametrize(("path", "elsewhere"), [("/health", 200), ("/healthz", 421)])
async def test_a_local_server_is_alive_to_everybody_and_ready_for_its_own_machine_only(
    path: str, elsewhere: int
) -> None:
    app = app_of()
    for host in HOSTS:
        assert (await status_of(app, path, *named(host), peer=("127.0.0.1", 1)))[0] == 200
        assert (await status_of(app, path, *named(host)))[0] == elsewhere
        forwarded = ("x-forwarded-for", "203.0.113.9")
        assert (await status_of(app, path, *named(host), forwarded, peer=("127.0.0.1", 1)))[0] == elsewhere


LOCAL = ("127.0.0.1", 1)
ANYWHERE = ["https://chatgpt.com", "null", "app://obsidian.md", "tauri://localhost"]
GUARDED = {"MCP_PUBLIC_URL": "http://127.0.0.1:8000"}


def from_page(origin: str, *headers: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return ("host", "127.0.0.1:8000"), ("origin", origin), *headers


@pytest.mark.parametrize("origin", ANYWHERE)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "PUT", "X"])
async def test_a_page_of_any_origin_can_read_the_challenge_where_a_token_is_demanded(method: str, origin: str) -> None:
    status, headers = await status_of(app_of(**GUARDED), "/mcp", *from_page(origin), method=method, peer=LOCAL)
    assert (status, headers["access-control-allow-origin"]) == (401, "*")
    assert headers["www-authenticate"].startswith("Bearer ")
    assert {"WWW-Authenticate", "Mcp-Session-Id"} <= set(headers["access-control-expose-headers"].split(", "))
    assert "access-control-allow-credentials" not in headers


async def test_a_verified_token_serves_a_page_of_any_origin() -> None:
    app = app_of(**GUARDED, MCP_API_KEY="k" * 40)
    bearer = ("authorization", f"Bearer {'k' * 40}")
    for origin in ANYWHERE:
        # Past Origin and token: it is the media type that is wrong.
        status, headers = await status_of(app, "/mcp", *from_page(origin, bearer), method="POST", peer=LOCAL)
        assert (status, headers["access-control-allow-origin"]) == (415, "*")
        assert (await status_of(app, "/mcp", *from_page(origin, bearer), method="PUT", peer=LOCAL))[0] == 405
    foreign = ("host", "evil.example"), ("origin", "https://evil.example"), bearer
    assert (await status_of(app, "/mcp", *foreign, method="POST", peer=LOCAL))[0] == 421
    twice = from_page("https://a.example", ("origin", "https://b.example"), bearer)
    assert (await status_of(app, "/mcp", *twice, method="POST", peer=LOCAL))[0] == 400


async def test_a_preflight_needs_no_token_and_names_authorization() -> None:
    asks = ("access-control-request-method", "POST"), ("access-control-request-headers", "authorization,mcp-method")
    headers = from_page("https://claude.ai", *asks)
    status, answered = await status_of(app_of(**GUARDED), "/mcp", *headers, method="OPTIONS", peer=LOCAL)
    assert (status, answered["access-control-allow-origin"]) == (200, "*")
    assert answered["access-control-allow-headers"] == "authorization,mcp-method"
    assert "access-control-allow-credentials" not in answered


@pytest.mark.parametrize("origin", ANYWHERE)
@pytest.mark.parametrize("variables", [{"MCP_REQUIRE_AUTH": "false"}, {"OAUTH_AUTO_APPROVE": "true"}])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "PUT"])
async def test_where_no_person_decided_a_foreign_page_is_refused_before_anything(
    method: str, variables: dict[str, str], origin: str
) -> None:
    app = app_of(MCP_HOST="127.0.0.1", **variables)
    status, headers = await status_of(app, "/mcp", *from_page(origin), method=method, peer=LOCAL)
    assert status == 403
    assert "access-control-allow-origin" not in headers
    asks = from_page(origin, ("access-control-request-method", "POST"))
    _, headers = await status_of(app, "/mcp", *asks, method="OPTIONS", peer=LOCAL)
    assert "access-control-allow-origin" not in headers


def app_with_reports(**variables: str) -> ASGIApp:
    async def reports(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("served")(scope, receive, send)

    settings = load_settings({"MCP_ALLOWED_ORIGINS": "https://app.example.com", **variables}, env_file=None)
    return create_app({"/reports": Protected(reports)}, settings=settings, store=memory_store())


@pytest.mark.parametrize("origin", ANYWHERE)
async def test_a_protected_application_is_called_by_the_rule_of_the_mcp_endpoint(origin: str) -> None:
    """Record 0035: where a token is demanded and a person approves, the token decides."""
    guarded = app_with_reports(**GUARDED, MCP_API_KEY="k" * 40)
    bearer = ("authorization", f"Bearer {'k' * 40}")
    for path in ("/reports", "/reports/latest"):
        status, headers = await status_of(guarded, path, *from_page(origin), peer=LOCAL)
        assert (status, headers["access-control-allow-origin"]) == (401, "*")
        assert "WWW-Authenticate" in headers["access-control-expose-headers"]
        status, headers = await status_of(guarded, path, *from_page(origin, bearer), peer=LOCAL)
        assert (status, headers["access-control-allow-origin"]) == (200, "*")
        asks = from_page(origin, ("access-control-request-method", "PUT"))
        status, headers = await status_of(guarded, path, *asks, method="OPTIONS", peer=LOCAL)
        assert (status, headers["access-control-allow-origin"]) == (200, "*")
        assert "access-control-allow-credentials" not in headers


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize("variables", [{"MCP_REQUIRE_AUTH": "false"}, {"OAUTH_AUTO_APPROVE": "true"}])
async def test_a_protected_application_that_is_open_is_called_by_no_foreign_page(
    method: str, variables: dict[str, str]
) -> None:
    app = app_with_reports(MCP_HOST="127.0.0.1", **variables)
    for origin in ANYWHERE:
        status, headers = await status_of(app, "/reports/x", *from_page(origin), method=method, peer=LOCAL)
        assert status == 403
        assert "access-control-allow-origin" not in headers
    twice = from_page("https://app.example.com", ("origin", "https://evil.example"))
    assert (await status_of(app, "/reports/x", *twice, method=method, peer=LOCAL))[0] == 403
    for origin in ("https://app.example.com", "http://localhost:6274", "http://127.0.0.1:8000"):
        status, headers = await status_of(app, "/reports/x", *from_page(origin), peer=LOCAL)
        assert (status, headers["access-control-allow-origin"]) == (200 if "REQUIRE" in str(variables) else 401, origin)


async def test_a_single_user_s_server_refuses_foreign_pages() -> None:
    app = create_app(Server("notes"), settings=load_settings({}), store=memory_store(), provider=SingleUserProvider())
    assert (await status_of(app, "/mcp", *from_page("https://evil.example"), method="POST", peer=LOCAL))[0] == 403

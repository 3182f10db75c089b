"""Whatever is sent to any address of the app is answered in time, and never with a fault of the server."""

from __future__ import annotations

import asyncio
import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import Message

from gatepost import Server, create_app
from gatepost.settings import load_settings
from gatepost.stores.memory import MemoryStore
from tests.web.test_mcp_properties import NAMES, VALUES, bodies, honest_headers

SECONDS = 5.0
"""For one answer; what takes longer hangs."""
PATHS = [
    *("/mcp", "/mcp/", "/", "/health", "/healthz", "/docs", "/redoc", "/openapi.json", "/none"),
    *(f"/oauth/{name}" for name in ("authorize", "token", "register", "revoke", "introspect", "jwks")),
    *("/oauth/login", "/oauth/consent", "/oauth/setup", "/oauth/static/gatepost.css", "/oauth/register/client_1"),
    *("/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-authorization-server", "/mcp/.well-known/x"),
]
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "X"]
MORE_NAMES = [*NAMES, b"x-forwarded-for", b"forwarded", b"sec-fetch-site", b"access-control-request-method", b"range"]
MORE_VALUES = [
    *VALUES,
    b"127.0.0.1:8000",
    b"localhost:1",
    b"null",
    b"Basic OnM=",
    b"Basic \xff",
    b"Bearer ",
    b"text/event-stream",
    b"application/x-www-form-urlencoded",
]
forms = st.sampled_from(
    [b"grant_type=refresh_token&client_id=a", b"token=a&client_id=%00", b"csrf_token=a&a=%zz", b"&=&"]
)
odd_headers = st.lists(st.tuples(st.sampled_from(MORE_NAMES), st.sampled_from(MORE_VALUES) | st.binary(max_size=12)))


def test_no_request_to_any_address_fails_or_hangs() -> None:
    server = Server("notes")

    @server.tool
    async def add(a: int, b: int) -> int:
        return a + b

    given_settings = {"MCP_STORAGE_URL": "memory:", "OAUTH_LIMIT_FACTOR": "0"}
    app = create_app(
        server,
        settings=load_settings(given_settings, env_file=None),
        store=MemoryStore(),
        announce=lambda _: None,
    )

    async def status_of(
        method: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> list[int]:
        incoming: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        sent: list[int] = []

        async def receive() -> Message:
            return incoming.pop() if incoming else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent.append(message["status"])

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "scheme": "http",
            "query_string": query,
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8000),
        }
        async with asyncio.timeout(SECONDS):
            await app(scope, receive, send)
        return sent

    with asyncio.Runner() as runner:

        @settings(max_examples=1000, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(
            st.sampled_from(METHODS),
            st.sampled_from(PATHS),
            st.sampled_from([b"", b"transaction=a", b"client_id=a&client_id=b", b"%", b"token=gp_sl_a"]) | st.binary(),
            honest_headers | st.just([]),
            odd_headers,
            bodies | forms | st.just(json.dumps({"redirect_uris": ["https://app.example/"]}).encode()),
        )
        def attempt(
            method: str,
            path: str,
            query: bytes,
            honest: list[tuple[bytes, bytes]],
            odd: list[tuple[bytes, bytes]],
            body: bytes,
        ) -> None:
            ours = [header for header in honest if header[0] not in {b"host", *(name for name, _ in odd)}]
            host = [] if any(name == b"host" for name, _ in odd) else [(b"host", b"127.0.0.1:8000")]
            statuses = runner.run(status_of(method, path, query, [*host, *ours, *odd], body))
            # A client that has gone may be left without an answer.
            assert len(statuses) <= 1
            assert all(status < 500 for status in statuses), statuses

        attempt()

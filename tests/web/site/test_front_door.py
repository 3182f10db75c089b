from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gatepost.web.site.errors import ErrorResponses
from gatepost.web.site.front_door import (
    ORDINARY_HEADERS,
    CrossOrigin,
    HostGuard,
    LocalOnly,
    OrdinaryRequests,
    names_us,
)
from gatepost.web.site.routing import RoutingTable
from tests.web.served import direct_app

MCP_PATHS = frozenset({"/mcp", "/mcp/"})


def says(text: str) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(text, headers={"WWW-Authenticate": "Bearer"})(scope, receive, send)

    return app


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    table = RoutingTable(
        says("router"),
        routes=[],
        endpoints=dict.fromkeys(MCP_PATHS, says("endpoint")),
        errors=ErrorResponses(),
    )
    app: ASGIApp = HostGuard(table, allowed_hosts=frozenset({"mcp.example.com"}), passed_by=MCP_PATHS)
    app = CrossOrigin(app, mcp_paths=MCP_PATHS, allowed_origins=frozenset({"https://mcp.example.com"}))
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="https://mcp.example.com") as client:
        yield client


async def test_a_host_is_compared_without_case(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/", headers={"Host": "MCP.example.com"})).text == "router"


@pytest.mark.parametrize("host", ["evil.example", "mcp.example.com:8000", "mcp.example.com.evil.example", ""])
async def test_a_foreign_host_is_misdirected_on_every_route_but_mcp(client: httpx2.AsyncClient, host: str) -> None:
    response = await client.get("/oauth/authorize", headers={"Host": host})
    assert response.status_code == 421
    assert response.json()["error"] == "misdirected_request"
    assert host == "" or host not in response.text
    for setting in ("MCP_PUBLIC_URL", "MCP_ALLOWED_HOSTS"):
        assert setting in response.json()["error_description"]
    assert (await client.post("/mcp", headers={"Host": host})).text == "endpoint"


async def test_the_log_says_which_host_was_refused_unless_it_is_none(
    client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "gatepost.web")
    for host in ("mcp.internal:8000", "[2001:db8::1]", "a b", "x" * 101):
        await client.get("/", headers={"Host": host})

    assert [record.__dict__["host"] for record in caplog.records] == ["mcp.internal:8000", "[2001:db8::1]", None, None]


async def test_two_host_headers_are_refused(client: httpx2.AsyncClient) -> None:
    response = await client.get("/", headers=[("Host", "mcp.example.com"), ("Host", "mcp.example.com")])
    assert response.status_code == 421


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-authorization-server",
        "/mcp/.well-known/openid-configuration",
        "/oauth/token",
        "/oauth/register",
    ],
)
async def test_any_origin_may_read_what_clients_discover(client: httpx2.AsyncClient, path: str) -> None:
    response = await client.get(path, headers={"Origin": "https://inspector.example"})
    assert response.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize("path", ["/oauth/authorize", "/oauth/login", "/oauth/consent", "/oauth/tokens", "/"])
async def test_no_origin_may_read_pages(client: httpx2.AsyncClient, path: str) -> None:
    response = await client.get(path, headers={"Origin": "https://inspector.example"})
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://mcp.example.com", True),
        ("http://localhost:6274", True),
        ("http://127.0.0.1", True),
        ("http://[::1]:1", True),
        ("https://evil.example", False),
        ("http://localhost.evil.example", False),
        ("http://localhost:6274.evil.example", False),
        ("null", False),
    ],
)
async def test_the_mcp_endpoint_is_open_to_named_and_loopback_origins(
    client: httpx2.AsyncClient, origin: str, *, allowed: bool
) -> None:
    response = await client.post("/mcp", headers={"Origin": origin})
    assert response.headers.get("access-control-allow-origin") == (origin if allowed else None)


async def test_a_browser_can_read_the_challenge(client: httpx2.AsyncClient) -> None:
    response = await client.post("/mcp", headers={"Origin": "http://localhost:6274"})
    assert "WWW-Authenticate" in response.headers["access-control-expose-headers"]


async def test_a_preflight_admits_the_headers_of_mcp(client: httpx2.AsyncClient) -> None:
    response = await client.options(
        "/mcp",
        headers={
            "Origin": "http://localhost:6274",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,mcp-protocol-version,mcp-method",
        },
    )
    assert response.status_code == 200
    assert (
        response.headers["access-control-allow-headers"] == "authorization,content-type,mcp-protocol-version,mcp-method"
    )


async def test_what_is_not_http_passes_through() -> None:
    seen = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - the ASGI signature
        seen.append(scope["type"])

    async def nothing(*_: object) -> None:  # pragma: no cover - never called
        raise AssertionError

    app: ASGIApp = HostGuard(inner, allowed_hosts=frozenset(), passed_by=frozenset())
    app = CrossOrigin(app, mcp_paths=frozenset(), allowed_origins=frozenset())
    await app({"type": "lifespan"}, nothing, nothing)  # type: ignore[arg-type]  # neither is used
    assert seen == ["lifespan"]


async def local_only(client: tuple[str, int] | None, **headers: str) -> int:
    """Return the status of a request from `client` to a server that is for its own machine."""
    transport = httpx2.ASGITransport(app=LocalOnly(says("inside")), client=client)  # type: ignore[arg-type]  # None: a Unix socket
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
        return (await http.get("/", headers=headers)).status_code


@pytest.mark.parametrize("address", ["127.0.0.1", "127.5.5.5", "::1", "::ffff:127.0.0.1", "testclient"])
async def test_a_local_server_answers_its_own_machine(address: str) -> None:
    assert await local_only((address, 1)) == 200
    assert await local_only(None) == 200


@pytest.mark.parametrize("address", ["10.0.0.7", "192.168.1.2", "203.0.113.9", "fe80::1", "::ffff:10.0.0.7", "::"])
async def test_a_local_server_answers_nobody_else_whatever_host_they_claim(address: str) -> None:
    assert await local_only((address, 1)) == 421


@pytest.mark.parametrize(
    "header", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "CF-Connecting-IP"]
)
async def test_a_local_server_behind_a_proxy_asks_for_its_public_url(header: str) -> None:
    assert await local_only(("127.0.0.1", 1), **{header: "203.0.113.9"}) == 421


async def way_taken(
    headers: dict[str, str] | None = None, *, is_local_only: bool = False, client: str = "127.0.0.1"
) -> str:
    """Return which way a request to the MCP endpoint took."""
    ordinary = OrdinaryRequests(
        endpoints={"/mcp/": says("straight")}, own_hosts=frozenset({"localhost"}), is_local_only=is_local_only
    )
    app = direct_app(ordinary, lambda _: says("the long way"))
    transport = httpx2.ASGITransport(app=app, client=(client, 1))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
        return (await http.post("/mcp/", headers=headers)).text


async def test_an_ordinary_mcp_request_goes_straight_to_its_endpoint() -> None:
    assert await way_taken() == "straight"
    assert await way_taken(is_local_only=True) == "straight"
    assert await way_taken({"X-Forwarded-For": "203.0.113.9"}) == "straight"


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://localhost"}, {"Host": "LOCALHOST"}, {"Host": "evil.example"}, {"Host": ""}]
)
async def test_every_other_one_meets_every_layer(headers: dict[str, str]) -> None:
    assert await way_taken(headers) == "the long way"


async def test_a_request_in_which_a_header_stands_twice_meets_every_layer() -> None:
    endpoint = says("straight")
    ordinary = OrdinaryRequests(endpoints={"/mcp": endpoint}, own_hosts=frozenset({"localhost"}), is_local_only=False)
    once = [(b"host", b"localhost"), (b"accept", b"*/*")]
    scope: dict[str, Any] = {"type": "http", "path": "/mcp", "headers": once}
    assert ordinary.endpoint_of(scope) is endpoint
    assert scope[ORDINARY_HEADERS] == dict(once)
    for second in ((b"accept", b"text/html"), (b"host", b"localhost")):
        scope = {"type": "http", "path": "/mcp", "headers": [*once, second]}
        assert ordinary.endpoint_of(scope) is None
        assert ORDINARY_HEADERS not in scope


async def test_a_local_server_lets_nothing_foreign_past_its_layers() -> None:
    assert await way_taken(is_local_only=True, client="10.0.0.7") == "the long way"
    assert await way_taken({"X-Forwarded-For": "203.0.113.9"}, is_local_only=True) == "the long way"


@pytest.mark.parametrize("scope", [{"type": "lifespan"}, {"type": "http", "path": "/", "headers": []}])
def test_the_short_way_is_for_mcp_alone(scope: dict[str, Any]) -> None:
    ordinary = OrdinaryRequests(endpoints={}, own_hosts=frozenset(), is_local_only=True)
    assert ordinary.endpoint_of(scope) is None


@pytest.mark.parametrize(
    ("hosts", "headers", "peer", "any_loopback", "names"),
    [
        ([b"mcp.example.com"], [], "203.0.113.9", False, True),
        ([b"MCP.example.com"], [], "203.0.113.9", False, True),
        ([b"203.0.113.1:8000"], [], "203.0.113.9", False, False),
        ([b"localhost:8000"], [], "203.0.113.9", False, False),
        ([b"localhost:8000"], [], "127.0.0.1", False, True),
        ([b"localhost:8000"], [(b"x-forwarded-for", b"203.0.113.9")], "127.0.0.1", False, False),
        ([b"mcp.example.com", b"mcp.example.com"], [], "127.0.0.1", False, False),
        ([], [], "127.0.0.1", False, False),
        ([b"mcp.example.com"], [], "203.0.113.9", True, False),
    ],
)
def test_who_calls_the_server_by_a_name_of_it_knows_it(
    hosts: list[bytes], headers: list[tuple[bytes, bytes]], peer: str, *, any_loopback: bool, names: bool
) -> None:
    scope = {"type": "http", "client": (peer, 1), "headers": [*((b"host", host) for host in hosts), *headers]}
    assert names_us(scope, frozenset({"mcp.example.com"}), any_loopback=any_loopback) is names

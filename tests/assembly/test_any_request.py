"""Whatever is sent to any address of the app is answered in time, and never with a fault of the server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatepost import Server, create_app
from gatepost.configuration.settings import load_settings
from gatepost.stores.sql.sqlite import memory_store
from gatepost.web.site.direct_app import DirectApp
from tests.patience import PATIENCE
from tests.web.mcp.mcp_harness import MODERN_META
from tests.web.mcp.test_properties import NAMES, VALUES, bodies, honest_headers

Headers = list[tuple[bytes, bytes]]

SECONDS = 3 * PATIENCE
"""For one answer; what takes longer hangs."""
API_KEY = "k" * 40
REDIRECT_URI = "https://app.example/callback"
ORIGIN = "http://127.0.0.1:8000"
HOST = (b"host", b"127.0.0.1:8000")
UNREACHED = {404, 405, 421}
"""What the host guard and the router answer without any endpoint."""
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "X"]
REFUSED_NAMES = {b"host", b"forwarded", b"x-forwarded-for"}
"""With any of these hardly a request gets past the front door."""
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
FORM = (b"content-type", b"application/x-www-form-urlencoded")
JSON = (b"content-type", b"application/json")
values = st.sampled_from(MORE_VALUES) | st.binary(max_size=12)
odd_headers = st.lists(st.tuples(st.sampled_from(MORE_NAMES), values))
passing_headers = st.lists(
    st.tuples(st.sampled_from([name for name in MORE_NAMES if name not in REFUSED_NAMES]), values), max_size=1
)
forms = st.sampled_from(
    [b"grant_type=refresh_token&client_id=a", b"token=a&client_id=%00", b"csrf_token=a&a=%zz", b"&=&"]
)
queries = st.sampled_from([b"", b"transaction=a", b"client_id=a&client_id=b", b"%", b"token=gp_sl_a"]) | st.binary()


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent."""

    method: str
    path: str
    query: bytes = b""
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    leaves: bool = False
    """Whether the client is gone as soon as it has sent its body."""


@dataclass(slots=True)
class Answer:
    """What comes back."""

    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


async def answer_of(app: ASGIApp, request: Request, *, seconds: float = SECONDS) -> Answer:
    """Send a request; a stream of events is left as soon as it begins."""
    incoming: list[Message] = [{"type": "http.request", "body": request.body, "more_body": False}]
    gone = asyncio.Event()
    answer = Answer()
    if request.leaves:
        gone.set()

    async def receive() -> Message:
        if incoming:
            return incoming.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.statuses.append(message["status"])
            answer.headers = {name.decode().lower(): value.decode("latin-1") for name, value in message["headers"]}
            if answer.headers.get("content-type", "").startswith("text/event-stream"):
                gone.set()
            return
        answer.body += message.get("body", b"")
        if not message.get("more_body", False):
            gone.set()

    scope = {
        "type": "http",
        "method": request.method,
        "path": request.path,
        "raw_path": request.path.encode(),
        "root_path": "",
        "scheme": "http",
        "query_string": request.query,
        "headers": request.headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }
    async with asyncio.timeout(seconds):
        await app(scope, receive, send)
    return answer


def an_app() -> DirectApp:
    """A server with its login and a tool, where nothing is counted."""
    server = Server("notes")

    @server.tool
    async def add(a: int, b: int) -> int:
        return a + b

    given_settings = {"MCP_STORAGE_URL": "memory:", "OAUTH_LIMIT_FACTOR": "0", "MCP_API_KEY": API_KEY}
    app = create_app(
        server,
        settings=load_settings(given_settings, env_file=None),
        store=memory_store(),
        announce=lambda _: None,
    )
    assert isinstance(app, DirectApp)
    return app


def routes_of(app: DirectApp) -> Iterator[tuple[str, str]]:
    """Every method with every path that an endpoint of its own answers, as patterns."""
    yield from (("GET", "/mcp"), ("POST", "/mcp"), ("DELETE", "/mcp"), ("POST", "/mcp/"))
    yield ("GET", "/openapi.json")
    for route in app._described():
        yield from ((method, route.path) for method in route.methods)


ROUTES = sorted(set(routes_of(an_app())))
PATHS = [*sorted({path for _, path in ROUTES}), "/", "/none", "/oauth/jwks", "/mcp/.well-known/x"]


@dataclass(frozen=True, slots=True)
class Known:
    """What an honest client and its user's browser have been told."""

    client: dict[str, str]
    transaction: str
    cookie: bytes
    session: bytes

    def path(self, pattern: str) -> str:
        return pattern.format(client_id=self.client["client_id"], name="gatepost.css", asset="swagger-ui.css")


async def introduced(app: FastAPI) -> Known:
    """Register a client, send a browser, and open an MCP session."""
    metadata = {"redirect_uris": [REDIRECT_URI], "token_endpoint_auth_method": "client_secret_post"}
    registered = await answer_of(
        app, Request("POST", "/oauth/register", b"", [HOST, JSON], json.dumps(metadata).encode())
    )
    assert registered.statuses == [201]
    client = json.loads(registered.body)
    query = urlencode(asked_of(client["client_id"])).encode()
    begun = await answer_of(app, Request("GET", "/oauth/authorize", query, [HOST]))
    assert begun.statuses == [303]
    (transaction,) = parse_qs(urlsplit(begun.headers["location"]).query)["transaction"]
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}}
    opened = await answer_of(app, Request("POST", "/mcp", b"", mcp_headers(), rpc("initialize", params)))
    assert opened.statuses == [200]
    cookie = begun.headers["set-cookie"].partition(";")[0].encode()
    return Known(client, transaction, cookie, opened.headers.get("mcp-session-id", "").encode())


def asked_of(client_id: str) -> dict[str, str]:
    """A whole authorization request."""
    return {
        "client_id": client_id,
        "response_type": "code",
        "redirect_uri": REDIRECT_URI,
        "code_challenge": "A" * 43,
        "code_challenge_method": "S256",
    }


def rpc(method: str, params: dict[str, Any]) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


def mcp_headers(**more: str) -> Headers:
    added = [(name.replace("_", "-").encode(), value.encode()) for name, value in more.items()]
    accept = (b"accept", b"application/json, text/event-stream")
    return [HOST, JSON, accept, (b"authorization", f"Bearer {API_KEY}".encode()), *added]


def some_of(fields: dict[str, str]) -> st.SearchStrategy[bytes]:
    """Mostly the whole form, and otherwise one in which a field is missing or made of anything."""
    anything = st.fixed_dictionaries({}, optional={name: st.just(value) | st.text() for name, value in fields.items()})
    return st.just(urlencode(fields).encode()) | anything.map(lambda form: urlencode(form, errors="replace").encode())


def mcp_requests(known: Known) -> st.SearchStrategy[tuple[bytes, Headers, bytes]]:
    """Calls of known methods, in the revision without sessions and in the one with."""
    calls: list[tuple[str, dict[str, Any], dict[str, str]]] = [
        ("tools/call", {"name": "add", "arguments": {"a": 1, "b": 2}}, {"mcp_name": "add"}),
        ("tools/call", {"name": "add", "arguments": {"a": "x"}}, {"mcp_name": "add"}),
        *((method, {}, {}) for method in ("tools/list", "server/discover", "ping", "prompts/list", "resources/list")),
    ]
    old = {"mcp_protocol_version": "2025-11-25", "mcp_session_id": known.session.decode()}
    new = {"mcp_protocol_version": "2026-07-28"}
    modern = [
        (b"", mcp_headers(**new, mcp_method=method, **named), rpc(method, {**params, "_meta": MODERN_META}))
        for method, params, named in calls
    ]
    handshake = [(b"", mcp_headers(**old), rpc(method, params)) for method, params, _ in calls]
    return st.sampled_from([*modern, *handshake]) | st.tuples(st.just(b""), st.just(mcp_headers(**old)), bodies)


def likely(known: Known, path: str) -> st.SearchStrategy[tuple[bytes, Headers, bytes]]:
    """Query, headers and body, nearly as an honest client sends them to this path."""
    client = known.client
    if path.startswith("/mcp") and "well-known" not in path:
        return mcp_requests(known)
    if path.startswith("/oauth/register"):
        registration = (b"authorization", f"Bearer {client['registration_access_token']}".encode())
        # What a client sends to change its registration begins with who it is (RFC 7592 section 2.2).
        whole = {"client_id": client["client_id"], "redirect_uris": [REDIRECT_URI], "client_name": "A"}
        documents = st.sampled_from([whole, {**whole, "redirect_uris": ["x"]}]).map(json.dumps).map(str.encode)
        return st.tuples(st.just(b""), st.just([HOST, JSON, registration]), documents | bodies)
    who = {"client_id": client["client_id"], "client_secret": client["client_secret"]}
    form = {**who, "token": "gp_at_a", "csrf_token": "a", "username": "a", "password": "b", "repeat": "b"}
    exchange = {**who, "grant_type": "authorization_code", "code": "a", "redirect_uri": REDIRECT_URI}
    refresh = {**who, "grant_type": "refresh_token", "refresh_token": "gp_rt_a"}
    asked = {"transaction": known.transaction} if path != "/oauth/authorize" else asked_of(client["client_id"])
    browser = (b"cookie", known.cookie)
    return st.tuples(
        some_of(asked) | queries,
        st.sampled_from([[HOST, FORM, browser], [HOST, FORM, browser, (b"origin", ORIGIN.encode())], [HOST, FORM]]),
        some_of(form) | some_of({**exchange, "code_verifier": "a" * 43}) | some_of(refresh) | forms,
    )


def check(answer: Answer, request: Request) -> None:
    # A client that has gone may be left without an answer.
    assert len(answer.statuses) == 1 or (request.leaves and not answer.statuses)
    assert all(status < 500 for status in answer.statuses), answer.statuses


@pytest.mark.parametrize(("method", "pattern"), ROUTES)
def test_no_request_that_is_nearly_right_makes_its_endpoint_fail_or_hang(method: str, pattern: str) -> None:
    app = an_app()
    seen: set[int] = set()
    with asyncio.Runner() as runner:
        known = runner.run(introduced(app))

        @settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(likely(known, pattern), st.just([]) | passing_headers, st.sampled_from([False, False, False, True]))
        def attempt(sent: tuple[bytes, Headers, bytes], odd: Headers, leaves: bool) -> None:
            query, headers, body = sent
            kept = [header for header in headers if header[0] not in {name for name, _ in odd}]
            request = Request(method, known.path(pattern), query, [*kept, *odd], body, leaves)
            answer = runner.run(answer_of(app, request))
            check(answer, request)
            seen.update(answer.statuses)

        attempt()
    assert seen - UNREACHED


def test_no_request_to_any_address_fails_or_hangs() -> None:
    app = an_app()
    with asyncio.Runner() as runner:

        @settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(
            st.sampled_from(METHODS),
            st.sampled_from(PATHS),
            queries,
            honest_headers | st.just([]),
            odd_headers,
            bodies | forms,
        )
        def attempt(method: str, path: str, query: bytes, honest: Headers, odd: Headers, body: bytes) -> None:
            names = {name for name, _ in odd}
            ours = [header for header in honest if header[0] not in {b"host", *names}]
            host = [] if b"host" in names else [HOST]
            request = Request(method, path, query, [*host, *ours, *odd], body)
            check(runner.run(answer_of(app, request)), request)

        attempt()


async def test_an_app_that_never_answers_is_noticed() -> None:
    async def hanging(_scope: Scope, _receive: Receive, _send: Send) -> None:
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await answer_of(hanging, Request("GET", "/"), seconds=0.01)

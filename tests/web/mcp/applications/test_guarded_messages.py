"""Scopes by name in front of an application that speaks MCP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import httpx2
import pytest
from starlette.authentication import AuthCredentials, SimpleUser, UnauthenticatedUser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatepost.resource.scope_map import ScopeMap
from gatepost.stores.contract.grants import GrantStore
from gatepost.telemetry.request_ids import RandomRequestIds
from gatepost.web.mcp.applications.guarded_messages import BODY_LIMIT, GuardedMessages
from gatepost.web.resource.application import GuardedApplication, Protected
from gatepost.web.resource.bearer_guard import BearerGuard
from gatepost.web.site.client_address import ClientAddresses
from tests.web.mcp.mcp_harness import NOW, ORIGIN, READER, RESOURCE, STRANGER, Grants

SCOPES = ScopeMap(tools={"read": ["notes:read"], "write": ["notes:write"]}, resources={"notes://{id}": ["notes:read"]})
TOOLS = b'{"jsonrpc":"2.0", "id":1, "result":{"tools":[ {"name":"read"}, {"name":"write"} ]}}'
SHOWN = b'{"jsonrpc":"2.0", "id":1, "result":{"tools":[{"name":"read"}]}}'
JSON = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


@dataclass
class Application:
    """What stands behind; notes what reaches it."""

    answer: bytes = TOOLS
    content_type: str = "application/json"
    bodies: list[bytes] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        self.bodies.append(message.get("body", b""))
        self.headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        headers = [(b"content-type", self.content_type.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.answer})


def guarded(
    application: Application,
    *,
    is_guarded: bool = True,
    ignores_scopes: bool = False,
    is_lazy: bool = False,
    scopes: ScopeMap = SCOPES,
) -> GuardedApplication:
    guard = None
    if is_guarded:
        guard = BearerGuard(grants=cast("GrantStore", Grants()), resource=RESOURCE, issuer=ORIGIN, now=lambda: NOW)

    def behind(app: ASGIApp) -> ASGIApp:
        return GuardedMessages(
            app,
            scopes,
            guard=guard,
            resource=RESOURCE,
            ignores_scopes=ignores_scopes,
            random_bytes=lambda count: b"\xab" * count,
        )

    return GuardedApplication(
        Protected(application, scopes=scopes),
        path="/mcp",
        guard=guard,
        request_ids=RandomRequestIds(lambda count: b"\xab" * count),
        addresses=ClientAddresses(),
        behind=behind,
        is_lazy=is_lazy,
    )


async def send(
    app: ASGIApp, method: str = "POST", content: bytes = b"", token: str | None = READER, **headers: str
) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    credentials = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=ORIGIN) as client:
        return await client.request(method, "/mcp", content=content, headers={**JSON, **credentials, **named})


def message(method: str, **params: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, indent=1).encode()


async def test_a_message_goes_on_byte_for_byte() -> None:
    application = Application(answer=b"{}")
    body = b'\xef\xbb\xbf{ "jsonrpc":"2.0","id":1.0e0,"method":"tools/call", "params":{"name":"read","x":1.50} }'[3:]
    body = body.replace(b"1.0e0", b"1")

    answer = await send(guarded(application), content=body)

    assert (answer.status_code, application.bodies) == (200, [body])


async def test_after_the_body_the_application_hears_what_comes() -> None:
    heard: list[Message] = []

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        heard.extend([await receive(), await receive()])

    body = message("tools/call", name="read")
    coming: Iterator[Message] = iter([{"type": "http.request", "body": body}, {"type": "http.disconnect"}])

    async def receive() -> Message:
        return next(coming)

    scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": [(b"content-type", b"application/json")]}
    await GuardedMessages(app, SCOPES, guard=None, ignores_scopes=True)(scope, receive, cast("Any", None))

    assert heard == [{"type": "http.request", "body": body, "more_body": False}, {"type": "http.disconnect"}]


async def test_a_call_without_the_scope_does_not_reach_the_application() -> None:
    application = Application()

    answer = await send(guarded(application), content=message("tools/call", name="write"))

    assert (answer.status_code, application.bodies) == (403, [])
    assert answer.json()["error"]["data"] == {"error": "insufficient_scope", "scope": "notes:write"}
    assert 'scope="notes:write"' in answer.headers["www-authenticate"]


async def test_a_second_method_that_only_its_case_tells_from_the_first_does_not_reach_the_application() -> None:
    application = Application()
    body = message("ping", name="write").replace(b'"id"', b'"Method": "tools/call", "id"')

    answer = await send(guarded(application), content=body)

    assert (answer.status_code, application.bodies) == (400, [])


async def test_a_list_holds_what_the_caller_may_use() -> None:
    application = Application()

    answer = await send(guarded(application), content=message("tools/list"), Accept_Encoding="gzip")

    assert answer.content == SHOWN
    assert "accept-encoding" not in application.headers


async def test_a_list_in_an_event_stream_is_cut_too() -> None:
    application = Application(b"event: message\ndata: " + TOOLS + b"\n\n", "text/event-stream")

    answer = await send(guarded(application), content=message("tools/list"))

    assert answer.content == b"event: message\ndata: " + SHOWN + b"\n\n"


async def test_an_answer_that_was_resumed_is_cut_too() -> None:
    application = Application(b"data: " + TOOLS + b"\n\n", "text/event-stream")

    answer = await send(guarded(application), "GET")

    assert answer.content == b"data: " + SHOWN + b"\n\n"


async def test_the_answer_to_something_else_is_not_read() -> None:
    answer = await send(guarded(Application()), content=message("tools/call", name="read"))

    assert answer.content == TOOLS


READ = b'{"jsonrpc":"2.0","id":1,"result":{"contents":[],"own":1.0,"cacheScope":"public"}}'
MODERN = {"MCP_Protocol_Version": "2026-07-28", "Mcp_Method": "resources/read"}


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
async def test_a_resource_that_needs_a_scope_is_kept_for_nobody_else(content_type: str) -> None:
    start, end = (b"data: ", b"\n\n") if content_type == "text/event-stream" else (b"", b"")
    app = guarded(Application(start + READ + end, content_type))

    answer = await send(app, content=message("resources/read", uri="notes://1"), Mcp_Name="notes://1", **MODERN)

    assert answer.content == start + READ.replace(b'"public"', b'"private"') + end


async def test_a_resource_that_needs_nothing_and_one_of_the_handshake_era_are_not_read() -> None:
    open_to_all = ScopeMap(resources={"notes://1": []}, default=["other"])
    app = guarded(Application(READ), scopes=open_to_all)

    answer = await send(app, content=message("resources/read", uri="notes://1"), Mcp_Name="notes://1", **MODERN)
    handshake = await send(guarded(Application(READ)), content=message("resources/read", uri="notes://1"))

    assert answer.content == handshake.content == READ


async def test_a_list_is_kept_for_nobody_else_by_one_who_sees_all_of_it() -> None:
    whole = TOOLS.replace(b"]}}", b'],"cacheScope":"public"}}')

    answer = await send(guarded(Application(whole), is_lazy=True), content=message("tools/list"), token=None)

    assert answer.content == whole.replace(b'"public"', b'"private"')


async def test_answers_have_the_headers_of_our_own_in_place_of_those_that_say_otherwise() -> None:
    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        headers = [(b"Cache-Control", b"public, max-age=60"), (b"cache-control", b"no-transform"), (b"own", b"1")]
        await send({"type": "http.response.start", "status": 404, "headers": headers})
        await send({"type": "http.response.body", "body": b"<script>"})

    for content in (message("tools/list"), message("tools/call", name="read")):
        answer = await send(guarded(cast("Any", app)), content=content)

        assert answer.headers.get_list("cache-control") == ["no-store"]
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
        assert answer.headers["own"] == "1"


async def test_a_list_that_cannot_be_read_is_a_fault_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    answer = await send(guarded(Application(b"<html>", "text/html")), content=message("tools/list"))

    assert answer.status_code == 200
    assert answer.json() == {
        "jsonrpc": "2.0",
        "id": 1,
        "error": {
            "code": -32603,
            "message": "Something went wrong on the server; its log explains it as incident abababababababab.",
        },
    }
    assert "incident abababababababab: an application's answer cannot be read" in caplog.text


async def test_a_stream_that_cannot_be_read_is_a_bad_gateway() -> None:
    class Compressed(Application):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            del scope, receive
            headers = [(b"content-type", b"text/event-stream"), (b"content-encoding", b"gzip")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"\x1f\x8b"})

    answer = await send(guarded(Compressed()), "GET")

    assert (answer.status_code, answer.json()["error"]["code"]) == (502, -32603)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"no JSON", 400, -32700),
        (b"[" + message("ping") + b"]", 400, -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}', 400, -32600),
        (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', 400, -32600),
        (b'{"a":' * 100 + b"1" + b"}" * 100, 400, -32600),
        (b" " * (BODY_LIMIT + 1), 413, -32600),
    ],
)
async def test_bodies_are_bounded_as_at_our_own_endpoint(body: bytes, status: int, code: int) -> None:
    application = Application()

    answer = await send(guarded(application), content=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert application.bodies == []


async def test_a_body_of_another_type_is_refused() -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded"):
        answer = await send(guarded(Application()), content=message("ping"), Content_Type=content_type)
        assert answer.status_code == 415


@pytest.mark.parametrize(
    "headers",
    [
        {"Mcp_Method": "tools/call", "Mcp_Name": "write"},
        {"Mcp_Method": "tools/list", "Mcp_Name": "read"},
        {"Mcp_Method": "tools/call"},
        {"Mcp_Name": "write"},
    ],
)
async def test_headers_that_say_something_else_than_the_body_are_refused(headers: dict[str, str]) -> None:
    """A server behind could go by them."""
    application = Application()

    answer = await send(guarded(application), content=message("tools/call", name="read"), **headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32020)
    assert (answer.json()["id"], application.bodies) == (1, [])


async def test_headers_that_say_the_same_are_passed_on() -> None:
    application = Application()
    body = message("tools/call", name="read")

    answer = await send(guarded(application), content=body, Mcp_Method="tools/call", Mcp_Name="read")

    assert (answer.status_code, application.bodies) == (200, [body])


async def test_other_methods_are_passed_on_if_they_are_of_the_transport() -> None:
    application = Application()

    assert (await send(guarded(application), "DELETE")).status_code == 200
    refused = await send(guarded(application), "PUT", content=message("tools/call", name="write"))
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, POST, DELETE, OPTIONS")
    assert application.bodies == [b""]


async def test_a_notification_that_may_not_be_sent_is_dropped() -> None:
    application = Application()
    for method, is_passed in (("notifications/initialized", True), ("own/changed", False)):
        application.bodies.clear()
        body = json.dumps({"jsonrpc": "2.0", "method": method}).encode()

        answer = await send(guarded(application), content=body)

        assert (answer.status_code, application.bodies) == ((200, [body]) if is_passed else (202, []))


async def test_an_answer_of_the_client_is_passed_on() -> None:
    application = Application()
    body = b'{"jsonrpc":"2.0","id":"s1","result":{}}'

    assert (await send(guarded(application), content=body, token=STRANGER)).status_code == 200
    assert application.bodies == [body]


async def test_a_client_that_leaves_before_its_body_is_here_is_answered_nothing() -> None:
    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def never(_message: object) -> None:
        raise AssertionError

    application = Application()
    headers = [(b"content-type", b"application/json"), (b"authorization", f"Bearer {READER}".encode())]
    scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": headers, "query_string": b""}
    await guarded(application)(scope, receive, never)
    assert application.bodies == []


@pytest.mark.parametrize(
    ("credentials", "user", "status"),
    [
        (None, None, 403),
        (AuthCredentials(["notes:read"]), SimpleUser("ann"), 403),
        (AuthCredentials(["notes:read", "notes:write"]), SimpleUser("ann"), 200),
        (AuthCredentials(["notes:write"]), UnauthenticatedUser(), 200),
    ],
)
async def test_where_no_token_is_asked_for_the_application_around_grants_scopes(
    credentials: Any, user: Any, status: int
) -> None:
    app = guarded(Application(), is_guarded=False)

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope if credentials is None else {**scope, "auth": credentials, "user": user}, receive, send)

    answer = await send(outer, content=message("tools/call", name="write"), token=None)

    assert answer.status_code == status
    assert "www-authenticate" not in answer.headers


async def test_where_nobody_grants_scopes_they_may_be_ignored() -> None:
    app = guarded(Application(), is_guarded=False, ignores_scopes=True)

    assert (await send(app, content=message("tools/call", name="write"), token=None)).status_code == 200
    assert (await send(app, content=message("tools/list"), token=None)).content == TOOLS


async def test_in_lazy_mode_nobody_sees_what_there_is_and_is_asked_for_a_token_where_it_needs_one() -> None:
    application = Application()
    app = guarded(application, is_lazy=True)

    assert (await send(app, content=message("tools/list"), token=None)).content == TOOLS
    assert (await send(app, content=message("ping"), token=None)).status_code == 200
    application.bodies.clear()
    refused = await send(app, content=message("tools/call", name="write"), token=None)
    assert (refused.status_code, application.bodies) == (401, [])
    assert 'scope="notes:write"' in refused.headers["www-authenticate"]
    assert refused.json()["error"]["data"] == {"scope": "notes:write"}
    # A token that is sent has to count, and then shows what it may.
    assert (await send(app, content=message("tools/list"), token="unknown")).status_code == 401
    assert (await send(app, content=message("tools/list"))).content == SHOWN
    assert (await send(app, content=message("tools/call", name="write"))).status_code == 403


async def test_an_application_without_scopes_by_name_is_open_to_nobody_in_lazy_mode() -> None:
    guard = BearerGuard(grants=cast("GrantStore", Grants()), resource=RESOURCE, issuer=ORIGIN, now=lambda: NOW)
    app = GuardedApplication(
        Protected(Application()), path="/mcp", guard=guard, addresses=ClientAddresses(), is_lazy=True
    )

    assert (await send(app, content=message("ping"), token=None)).status_code == 401


async def test_an_error_of_the_application_is_its_own() -> None:
    class Broken(Application):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            del scope, receive, send
            raise RuntimeError("its own")

    with pytest.raises(RuntimeError, match="its own"):
        await send(guarded(Broken()), content=message("tools/list"))


async def test_a_websocket_is_none_of_its_business() -> None:
    reached: list[str] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        reached.append(scope["type"])

    await GuardedMessages(app, SCOPES, guard=None)({"type": "lifespan"}, cast("Any", None), cast("Any", None))
    assert reached == ["lifespan"]

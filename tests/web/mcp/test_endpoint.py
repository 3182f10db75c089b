"""The MCP endpoint: what it lets through, and what it answers (security.md rows 27 to 30)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

import pytest

from gatepost.protocol.messages import Notification, Request
from gatepost.protocol.versions import SUPPORTED, Revision
from gatepost.server.calls.exchange import Exchange
from gatepost.server.errors import InsufficientScope
from gatepost.server.handler_target import HandlerTarget
from gatepost.server.target import Result
from gatepost.stores.contract.errors import StoreUnavailable
from tests.web.mcp.mcp_harness import (
    INCIDENT,
    MODERN_META,
    PING,
    READER,
    STRANGER,
    WHO,
    McpWorld,
    headers_for,
    replaced,
)

CHALLENGE = 'Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"'


class Failing:
    """A target that fails."""

    def __init__(self, outcome: Exception | Result) -> None:
        self._outcome = outcome

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    async def answer(self, request: Request, revision: Revision, exchange: Exchange) -> Result:
        del request, revision, exchange
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    async def drain(self) -> None: ...

    async def notice(self, notification: Notification, revision: Revision, exchange: Exchange) -> None:
        del notification, revision, exchange
        if isinstance(self._outcome, Exception):
            raise self._outcome


async def test_a_modern_call_is_answered_in_full() -> None:
    answer = await McpWorld().modern("tools/call", {"name": "add", "arguments": {"a": 1, "b": 2}}, request_id="x")

    assert answer.status == 200
    assert answer.headers == {
        "content-length": str(len(answer.raw)),
        "content-type": "application/json",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
    }
    assert answer.body == {
        "jsonrpc": "2.0",
        "id": "x",
        "result": {
            "resultType": "complete",
            "content": [{"type": "text", "text": "3"}],
            "structuredContent": 3,
            "isError": False,
            "_meta": WHO,
        },
    }


async def test_a_handshake_client_initializes_notifies_lists_calls_and_pings() -> None:
    world = McpWorld()
    opened = await world.handshake(
        "initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {}}, version=None
    )
    noticed = await world.post(
        {"jsonrpc": "2.0", "method": "notifications/initialized"}, headers_for(version="2025-06-18")
    )
    listed = await world.handshake("tools/list", version="2025-06-18")
    called = await world.handshake("tools/call", {"name": "add", "arguments": {"a": 1, "b": 2}}, version="2025-06-18")
    pinged = await world.handshake("ping", version="2025-06-18")

    assert opened.body["result"] == {
        "protocolVersion": "2025-06-18",
        "capabilities": {"logging": {}, "tools": {"listChanged": True}},
        "serverInfo": {"name": "notes", "version": "0.0.0"},
    }
    assert "mcp-session-id" not in opened.headers
    assert (noticed.status, noticed.raw, noticed.headers["cache-control"]) == (202, b"", "no-store")
    assert [tool["name"] for tool in listed.body["result"]["tools"]] == ["add", "read", "fail"]
    assert called.body["result"] == {"content": [{"type": "text", "text": "3"}], "isError": False}
    assert pinged.body == {"jsonrpc": "2.0", "id": 1, "result": {}}


async def test_without_a_token_the_challenge_says_where_to_begin() -> None:
    answer = await McpWorld().post(PING, headers_for(token=None))

    assert answer.status == 401
    assert answer.headers["www-authenticate"] == f'{CHALLENGE}, scope="notes:read notes:write base"'
    assert answer.body == {"detail": "Send an access token: Authorization: Bearer TOKEN."}


async def test_a_token_in_the_url_is_refused_even_beside_one_that_was_verified_before() -> None:
    world = McpWorld()
    await world.post(PING)

    answer = await world.post(PING, query=b"access_token=" + READER.encode())

    assert (answer.status, answer.body["error"]) == (400, "invalid_request")


async def test_a_token_verified_a_moment_ago_needs_no_store() -> None:
    world = McpWorld()
    await world.post(PING)
    world.grants.is_down = True

    assert (await world.post(PING)).status == 200


async def test_a_store_that_is_down_is_503_and_never_401(caplog: pytest.LogCaptureFixture) -> None:
    world = McpWorld()
    world.grants.is_down = True

    answer = await world.post(PING)

    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    (record,) = map(vars, caplog.records)
    assert record["reason"] == "store_unavailable"
    assert answer.body["error"] == {
        "code": -32603,
        "message": "The server cannot reach its data now; try again in 5 seconds. "
        f"Its log explains it as incident {record['incident']}.",
    }
    assert "no token like gp_at_…" in caplog.text
    assert READER not in caplog.text


async def test_a_store_that_fails_while_a_target_uses_it_is_503() -> None:
    assert (await McpWorld(Failing(StoreUnavailable())).post(PING)).status == 503


async def test_without_a_guard_everybody_is_served_what_needs_no_scope() -> None:
    world = McpWorld(is_guarded=False)
    answer = await world.post({**PING, "method": "tools/list"}, headers_for(token=None))

    assert [tool["name"] for tool in answer.body["result"]["tools"]] == ["add", "fail"]


async def test_a_scope_of_the_whole_endpoint_is_asked_for_before_the_message_is_read() -> None:
    answer = await McpWorld(required_scopes=frozenset({"base"})).post("not a message", headers_for(token=STRANGER))

    assert answer.status == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert answer.headers["www-authenticate"].endswith('scope="base"')


@pytest.mark.parametrize("era", ["modern", "handshake"])
async def test_a_tool_that_needs_more_scopes_is_answered_403_with_all_that_are_needed(era: str) -> None:
    world = McpWorld(required_scopes=frozenset({"base"}))

    answer = await getattr(world, era)("tools/call", {"name": "write", "arguments": {"text": "a"}})

    assert answer.status == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert answer.headers["www-authenticate"].endswith(', scope="notes:write base"')
    assert answer.body == {
        "jsonrpc": "2.0",
        "id": 1,
        "error": {
            "code": -32600,
            "message": "The access token lacks a scope that this operation needs.",
            "data": {"error": "insufficient_scope", "scope": "base notes:write"},
        },
    }


async def test_a_target_may_ask_for_scopes_where_nobody_can_be_challenged() -> None:
    world = McpWorld(Failing(InsufficientScope(frozenset({"x"}))), is_guarded=False)

    answer = await world.post(PING)

    assert (answer.status, "www-authenticate" in answer.headers) == (403, False)


async def test_a_tool_knows_the_caller_and_can_ask_for_the_request() -> None:
    answer = await McpWorld().modern("tools/call", {"name": "read"})

    assert answer.body["result"]["content"][0]["text"] == "ann ann test/1"


async def test_a_body_may_come_in_pieces() -> None:
    pieces = [{"type": "http.request", "body": b'{"jsonrpc":"2.0","id":1,"met', "more_body": True}]
    pieces.append({"type": "http.request", "body": b'hod":"ping"}', "more_body": False})

    assert (await McpWorld().post(None, chunks=pieces)).body == {"jsonrpc": "2.0", "id": 1, "result": {}}


@pytest.mark.parametrize(
    ("message", "code", "request_id"),
    [
        ([PING], -32600, None),
        ({**PING, "id": None}, -32600, None),
        ({**PING, "jsonrpc": "1"}, -32600, 1),
    ],
)
async def test_what_is_no_message_is_400(message: Any, code: int, request_id: int | None) -> None:
    answer = await McpWorld().post(message)

    assert (answer.status, answer.body["error"]["code"], answer.body.get("id")) == (400, code, request_id)


@pytest.mark.parametrize(
    ("send", "status", "code"),
    [
        (lambda world: world.modern("unknown/method"), 404, -32601),
        (lambda world: world.modern("initialize"), 404, -32601),
        (lambda world: world.modern("tools/call", {"name": "nope"}), 400, -32602),
        (lambda world: world.handshake("unknown/method"), 200, -32601),
        (lambda world: world.handshake("tools/call", {"name": "nope"}), 200, -32602),
        (lambda world: world.handshake("initialize"), 200, -32602),
        (lambda world: world.handshake("tools/list", version="2026-07-28"), 400, -32602),
        (lambda world: world.handshake("tools/list", version="v999"), 400, -32022),
        (lambda world: world.handshake("tools/list", version="2024-11-05"), 400, -32022),
        (lambda world: world.post(PING | {"method": "tools/list", "params": {"_meta": {}}}), 200, None),
    ],
)
async def test_the_status_follows_the_era(send: Callable[[McpWorld], Any], status: int, code: int | None) -> None:
    answer = await send(McpWorld())

    assert (answer.status, answer.body.get("error", {}).get("code"), answer.body["id"]) == (status, code, 1)


@pytest.mark.parametrize(
    ("version", "headers", "code"),
    [
        ("v999", {"version": "v999", "method": "tools/list"}, -32022),
        ("2099-01-01", {"version": None, "method": "tools/list"}, -32022),
        ("v999", {"version": "2026-07-28", "method": "tools/list"}, -32020),
        ("2026-07-28", {"version": None, "method": "tools/list"}, -32020),
        ("2026-07-28", {"version": "2026-07-28"}, -32020),
        ("2026-07-28", {"version": "2026-07-28", "method": "Tools/list"}, -32020),
    ],
)
async def test_a_modern_version_that_is_not_served_and_headers_that_disagree_are_400(
    version: str, headers: dict[str, Any], code: int
) -> None:
    meta = {**MODERN_META, "io.modelcontextprotocol/protocolVersion": version}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}

    answer = await McpWorld().post(message, headers_for(**headers))

    assert (answer.status, answer.body["error"]["code"], answer.body["id"]) == (400, code, 1)
    if code == -32022:
        assert answer.body["error"]["data"] == {"supported": list(SUPPORTED), "requested": version}


async def test_a_session_id_means_nothing_to_a_modern_request() -> None:
    meta = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": MODERN_META}}
    headers = headers_for(version="2026-07-28", method="tools/list")

    answer = await McpWorld().post(meta, [*headers, (b"mcp-session-id", b"x"), (b"last-event-id", b"y")])

    assert (answer.status, "mcp-session-id" in answer.headers) == (200, False)


@pytest.mark.parametrize(
    ("message", "version", "status"),
    [
        ({"jsonrpc": "2.0", "method": "notifications/anything"}, None, 202),
        ({"jsonrpc": "2.0", "method": "notifications/anything"}, "2026-07-28", 202),
        ({"jsonrpc": "2.0", "method": "notifications/anything"}, "v999", 400),
        ({"jsonrpc": "2.0", "id": 1, "result": {}}, "2025-11-25", 202),
        ({"jsonrpc": "2.0", "id": 1, "result": {}}, "2026-07-28", 400),
        ({"jsonrpc": "2.0", "id": 1, "error": {}}, "2026-07-28", 400),
    ],
)
async def test_messages_that_are_owed_no_answer_get_none(
    message: dict[str, Any], version: str | None, status: int
) -> None:
    answer = await McpWorld().post(message, headers_for(version=version))

    assert (answer.status, answer.raw == b"") == (status, status == 202)


@pytest.mark.parametrize(("message", "request_id"), [(PING, 1), ({"jsonrpc": "2.0", "method": "x"}, None)])
async def test_a_fault_of_ours_is_an_incident_that_the_log_explains(
    message: dict[str, Any], request_id: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await McpWorld(Failing(RuntimeError(f"token {READER}"))).post(message)

    assert (answer.status, answer.body["error"], answer.body.get("id")) == (
        500,
        {"code": -32603, "message": INCIDENT},
        request_id,
    )
    [record] = caplog.records
    assert (record.name, vars(record)["reason"], vars(record)["incident"]) == (
        "gatepost.mcp",
        "internal_error",
        "abababababababab",
    )
    assert "RuntimeError: token gp_at_…" in caplog.text


async def test_a_result_that_json_has_no_form_for_is_an_incident(caplog: pytest.LogCaptureFixture) -> None:
    answer = await McpWorld(Failing({"value": object()})).post(PING)

    assert (answer.status, answer.body["error"]) == (200, {"code": -32603, "message": INCIDENT})
    assert "a result cannot be written as JSON" in caplog.text


async def test_a_bare_function_is_served_in_both_eras() -> None:
    def handler(request: dict[str, Any]) -> dict[str, Any] | None:
        if request["method"] == "tools/list":
            return {"jsonrpc": "2.0", "id": request["id"], "result": {"tools": [], "who": request["subject"]}}
        return None

    world = McpWorld(HandlerTarget(handler, name="notes", version="0.0.0"))

    assert (await world.modern("tools/list")).body["result"] == {
        "resultType": "complete",
        "tools": [],
        "who": "ann",
        "ttlMs": 0,
        "cacheScope": "private",
        "_meta": WHO,
    }
    assert (await world.handshake("tools/list")).body["result"] == {"tools": [], "who": "ann"}
    assert (await world.handshake("initialize", {"protocolVersion": "2025-11-25"})).status == 200
    assert (await world.modern("tools/call", {"name": "x"})).status == 404
    assert (await world.handshake("tools/call", {"name": "x"})).body["error"]["code"] == -32601


async def test_every_refusal_is_logged_with_its_reason_and_nothing_that_was_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = McpWorld()
    with caplog.at_level(logging.INFO, "gatepost.mcp"):
        await world.post(PING, replaced(b"host", b"evil/example"))
        await world.post(PING, headers_for(token="gp_at_secret"))
        await world.post(PING, replaced(b"content-type", b"text/evil"))
        await world.modern("evil/method")
        await world.modern("tools/call", {"name": "write"})
        await world.post([])

    assert [(vars(record)["reason"], vars(record)["status"]) for record in caplog.records] == [
        ("host_foreign", 421),
        ("token_unknown", 401),
        ("content_type_unsupported", 415),
        ("rpc_method_unknown", 404),
        ("scope_insufficient", 403),
        ("message_malformed", 400),
    ]
    assert {vars(record)["address"] for record in caplog.records} == {"198.51.100.7"}
    sent = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    assert "evil" not in sent
    assert "secret" not in sent

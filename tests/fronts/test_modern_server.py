"""A front before a server elsewhere that knows the modern era alone."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.fronts.front_world import ALL, Front
from tests.fronts.remote_server import Asked, RawServer, raw_server, remote_front
from tests.web.mcp.sessions.session_world import request, text_of

INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
INFO = {"name": "modern", "title": "Modern server", "version": "1"}
REGION = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}
FORM = {"method": "elicitation/create", "params": {"message": "Name?"}}


class ModernServer:
    """Answers POST as the modern era has it, and checks the headers."""

    def __init__(self, server: RawServer, status: int = 400, code: int = -32022) -> None:
        self.server = server
        self.refusal = status, code
        self.subscribed: list[Any] = []
        self.changes = False
        self.schema: dict[str, Any] = REGION
        server.refuse = self.serve

    async def serve(self, asked: Asked) -> None:
        method, params = asked.message["method"], asked.message["params"]
        if method == "initialize":
            status, code = self.refusal
            await self._fail(asked, code, status)
            return
        name = params.get("name") or params.get("uri")
        meta = params["_meta"]
        headers = asked.headers
        if (
            headers.get("mcp-protocol-version") != meta["io.modelcontextprotocol/protocolVersion"]
            or headers.get("mcp-method") != method
            or (name and headers.get("mcp-name") != name)
        ):
            await self._fail(asked, -32020)
        elif method == "server/discover":
            capabilities = {"tools": {"listChanged": True}, "resources": {"subscribe": True}, "logging": {}}
            found = {"supportedVersions": ["2026-07-28"], "capabilities": capabilities, "instructions": "Be modern."}
            await asked.result({**found, "_meta": {"io.modelcontextprotocol/serverInfo": INFO}})
        elif method == "tools/list":
            await asked.result({"resultType": "complete", "tools": [{"name": "region", "inputSchema": self.schema}]})
        elif method == "subscriptions/listen":
            await self._listen(asked)
        elif name == "region" and headers.get("mcp-param-region") != "=?base64?TcO8bmNoZW4=?=":
            await self._fail(asked, -32020)
        elif name == "ask":
            await self._ask(asked)
        elif name == "repeat":
            error = {"code": -32602, "message": f"unlike {headers['authorization']}"}
            await asked.json({"jsonrpc": "2.0", "id": asked.id, "error": error}, 400)
        elif name == "wait":
            await asked.stream()
            await asked.event({"method": "notifications/message", "params": {"level": "error", "data": 1.0}})
            await asked.until_gone()
        else:
            await asked.result({"resultType": "complete", "content": [{"type": "text", "text": json.dumps(meta)}]})

    async def _ask(self, asked: Asked) -> None:
        params = asked.message["params"]
        if "inputResponses" not in params:
            await asked.result({"resultType": "input_required", "inputRequests": {"k": FORM}, "requestState": "s"})
        else:
            await asked.text(json.dumps([params["inputResponses"], params["requestState"]]))

    async def _listen(self, asked: Asked) -> None:
        self.subscribed.append(asked.message["params"]["notifications"])
        await asked.stream()
        await asked.event({"method": "notifications/subscriptions/acknowledged", "params": {}})
        if self.changes:
            await asked.event({"method": "notifications/tools/list_changed"})
        await asked.until_gone()

    async def _fail(self, asked: Asked, code: int, status: int = 400) -> None:
        error = {"code": code, "message": "no", "data": {"supported": ["2026-07-28"]}}
        await asked.json({"jsonrpc": "2.0", "id": asked.id, "error": error}, status)


async def begin(front: Front, **options: Any) -> str:
    session = await front.begin(**options)
    await front.send(INITIALIZED, session=session)
    return session


@pytest.mark.parametrize(("status", "code"), [(400, -32022), (404, -32601), (400, -32020), (200, -32601)])
async def test_clients_of_both_eras_are_served(tmp_path: Path, status: int, code: int) -> None:
    async with raw_server() as server, remote_front(tmp_path, server.url, is_known=False, is_tried=True) as front:
        ModernServer(server, status, code)
        params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "old", "version": "1"}}
        begun = await front.send(request("initialize", params))
        session = begun.headers["mcp-session-id"]

        assert begun.body["result"]["serverInfo"] == INFO
        assert begun.body["result"]["protocolVersion"] == "2025-06-18"
        assert begun.body["result"]["instructions"] == "Be modern."
        assert (await front.send(request("logging/setLevel", {"level": "error"}), session=session)).body["result"] == {}
        meta = json.loads(text_of(await front.call(session, "echo", meta={"own": 1})))
        assert meta == {
            "own": 1,
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "old", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/logLevel": "error",
        }

        found = (await front.modern("server/discover"))["result"]
        assert found["_meta"]["io.modelcontextprotocol/serverInfo"] == INFO
        assert (await front.modern_call("echo"))["result"]["resultType"] == "complete"


async def test_questions_are_asked_in_the_words_of_each_era(tmp_path: Path) -> None:
    async with raw_server() as server, remote_front(tmp_path, server.url) as front:
        ModernServer(server)
        session = await begin(front, capabilities={"elicitation": {}})
        call = front.open_call(session, "ask")
        (question,) = await call.until_messages(1)
        assert question["params"] == FORM["params"]
        await front.respond(session, question, {"action": "decline"})
        answered = [{"k": {"action": "decline"}}, "s"]
        assert json.loads(text_of((await call.ended()).messages[-1])) == answered

        asked = (await front.modern_call("ask", capabilities=ALL))["result"]
        responses = {key: {"action": "decline"} for key in asked["inputRequests"]}
        params = {"requestState": asked["requestState"], "inputResponses": responses}
        done = await front.modern("tools/call", {"name": "ask", "arguments": {}, **params}, capabilities=ALL)
        assert json.loads(text_of(done)) == answered

        refused = await front.modern_call("ask")
        assert refused["error"]["code"] == -32601


async def test_mirrored_arguments_stand_in_headers_also_when_nobody_has_listed_the_tools(tmp_path: Path) -> None:
    async with raw_server() as server, remote_front(tmp_path, server.url) as front:
        ModernServer(server)
        session = await begin(front)
        for _ in range(2):
            answer = await front.call(session, "region", {"region": "M\u00fcnchen"})
            assert "io.modelcontextprotocol/protocolVersion" in text_of(answer)

        assert [asked.message["method"] for asked in server.asked if asked.message["method"].startswith("tools")] == [
            "tools/call",
            "tools/list",
            "tools/call",
            "tools/call",
        ]


async def test_changes_come_by_a_subscription(tmp_path: Path) -> None:
    async with raw_server() as server, remote_front(tmp_path, server.url) as front:
        modern = ModernServer(server)
        modern.changes = True
        session = await front.begin()
        listening = front.listen(session)
        await front.send(INITIALIZED, session=session)
        assert (await listening.until_messages(1))[0]["method"] == "notifications/tools/list_changed"
        await front.send(request("resources/subscribe", {"uri": "note://1"}), session=session)
        await front.until(lambda: len(modern.subscribed) == 2)

        assert modern.subscribed == [
            {"toolsListChanged": True},
            {"toolsListChanged": True, "resourceSubscriptions": ["note://1"]},
        ]
        listening.gone.set()


async def test_a_cancelled_call_ends_its_stream_and_no_notification_is_sent(tmp_path: Path) -> None:
    async with raw_server() as server, remote_front(tmp_path, server.url) as front:
        ModernServer(server)
        session = await begin(front)
        call = front.open_call(session, "wait", request_id="mine")
        (log,) = await call.until_messages(1)
        assert log["params"] == {"level": "error", "data": 1.0}
        waiting = server.sent("tools/call")[0]
        cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "mine"}}
        await front.send(cancelled, session=session)
        await call.ended()
        async with asyncio.timeout(10):
            await waiting.until_gone()

        assert not server.sent("notifications/cancelled")


async def test_a_refusal_without_the_modern_era_behind_it_stays_one(tmp_path: Path) -> None:
    async def refuse(asked: Asked) -> None:
        error = {"code": -32602, "message": "no"}
        await asked.json({"jsonrpc": "2.0", "id": asked.id, "error": error}, 400)

    async with raw_server() as server, remote_front(tmp_path, server.url) as front:
        server.refuse = refuse
        answer = await front.send(request("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}}))

        assert answer.body["error"]["code"] == -32603
        assert [asked.message["method"] for asked in server.asked] == ["initialize", "server/discover"]


async def test_a_tool_that_says_its_headers_wrongly_is_in_the_log_once_for_all_sessions(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with raw_server() as server, remote_front(tmp_path, server.url) as front:
        modern = ModernServer(server)
        modern.schema = {"type": "object", "x-mcp-header": "No"}
        for _ in range(2):
            session = await front.begin()
            for _ in range(2):
                assert (await front.send(request("tools/list"), session=session)).body["result"]["tools"]

    assert caplog.text.count("a tool of the server behind is annotated wrongly") == 1

"""A stream of changes, from a real server to a real connection."""

from __future__ import annotations

import json
from pathlib import Path

from tests.end_to_end import local_http
from tests.end_to_end.running_server import REPOSITORY, RunningServer

TARGET = f"{REPOSITORY / 'examples' / 'notes.py'}:server"
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


def test_a_server_that_stops_ends_its_streams_in_good_order(tmp_path: Path) -> None:
    message = {
        "jsonrpc": "2.0",
        "id": "changes",
        "method": "subscriptions/listen",
        "params": {"_meta": META, "notifications": {"toolsListChanged": True}},
    }
    headers = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "subscriptions/listen",
    }
    with (
        RunningServer(TARGET, tmp_path / "data", environment={"MCP_REQUIRE_AUTH": "false"}) as server,
        local_http.stream("POST", server.mcp_url, json=message, headers=headers) as response,
    ):
        lines = (line.removeprefix("data: ") for line in response.iter_lines() if line.startswith("data: "))
        first = json.loads(next(lines))
        server.stop()
        last = json.loads(next(lines))

        assert first["method"] == "notifications/subscriptions/acknowledged"
        assert last["id"] == "changes"
        assert last["result"]["resultType"] == "complete"
        assert list(lines) == []

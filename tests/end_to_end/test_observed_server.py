"""Figures of a running server with two workers, and a collector that never answers."""

from __future__ import annotations

import http.client
import json
import re
import socket
from pathlib import Path

from gatepost.telemetry.catalogue import METRICS
from tests.end_to_end.running_server import RunningServer, free_port

TARGET = "examples/notes.py:server"
LIST = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/list",
    "params": {
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    },
}
HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": "2026-07-28",
    "MCP-Method": "tools/list",
}


def ask(port: int, method: str, path: str, body: str | None = None, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def list_tools(server: RunningServer) -> int:
    return ask(server.port, "POST", "/mcp", json.dumps(LIST), **HEADERS)[0]


def test_one_address_shows_the_figures_of_all_workers_and_of_their_parent(tmp_path: Path) -> None:
    port = free_port()
    environment = {"MCP_METRICS_LISTEN": f"127.0.0.1:{port}", "MCP_REQUIRE_AUTH": "false", "MCP_WORKERS": "2"}
    with RunningServer(TARGET, tmp_path / "data", environment=environment) as server:
        assert [list_tools(server) for _ in range(6)] == [200] * 6
        assert ask(server.port, "POST", "/oauth/token", "grant_type=x")[0] in {400, 401, 415}
        assert ask(server.port, "GET", "/metrics")[0] == 404
        text = ask(port, "GET", "/metrics")[1]
    calls = re.findall(
        r'^mcp_server_operation_duration_seconds_count\{.*mcp_method_name="tools/list".*\} (\S+)$', text, re.MULTILINE
    )
    assert sum(map(float, calls)) == 6
    assert re.search(r'^gatepost_workers_starts_total\{cause="start"\} [12]$', text, re.MULTILINE)
    names = {name for metric in METRICS for name in (metric.prometheus_name, f"{metric.prometheus_name}_count")}
    shown = set(re.findall(r"^((?:gatepost|mcp)_\w+?)(?:_bucket|_sum)?(?:\{.*\})? \S+$", text, re.MULTILINE))
    assert shown <= names
    assert len(shown) > 8


def test_a_collector_that_never_answers_stops_no_request_and_no_end(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        environment = {
            "MCP_TELEMETRY": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "OTEL_BSP_MAX_QUEUE_SIZE": "8",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4",
            "OTEL_BSP_SCHEDULE_DELAY": "1",
            "MCP_REQUIRE_AUTH": "false",
        }
        server = RunningServer(TARGET, tmp_path / "data", environment=environment).start()
        try:
            silent.settimeout(120)
            assert [list_tools(server) for _ in range(40)] == [200] * 40
            # It was really asked, and says nothing.
            connection, _ = silent.accept()
            assert connection.recv(4) == b"POST"
            assert list_tools(server) == 200
        finally:
            assert server.stop() == 0
        connection.close()
    collector = environment["OTEL_EXPORTER_OTLP_ENDPOINT"]
    assert f"  Sends    traces and metrics to {collector}, which OpenTelemetry's variables name\n" in server.output

"""The app of `create_app` under an ASGI server that is not ours: what would last ends at the signal."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import httpx2
import pytest

from tests.end_to_end import local_http
from tests.end_to_end.conftest import OPEN
from tests.end_to_end.running_server import RunningServer

APP = """
import asyncio
import os
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from gatepost import Server, create_app

server = Server("elsewhere")


@server.tool
async def hang(directory: str) -> str:
    (Path(directory) / "begun").touch()
    try:
        await asyncio.Event().wait()
    finally:
        (Path(directory) / "cleaned").touch()


app = create_app(server)
if os.environ["WAY"] == "mounted":
    outer = FastAPI()
    outer.mount("/", app)
    app = outer
lifespan = "off" if os.environ["WAY"] == "without" else "on"
uvicorn.run(app, port=int(os.environ["MCP_PORT"]), lifespan=lifespan)
"""
HEADERS = {"Accept": "application/json, text/event-stream"}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


def called(server: RunningServer, directory: Path, answers: list[httpx2.Response]) -> threading.Thread:
    """Call the tool that hangs, and wait until it does."""
    params = {"name": "hang", "arguments": {"directory": str(directory)}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    calling = threading.Thread(
        target=lambda: answers.append(local_http.post(server.mcp_url, json=message, headers=HEADERS))
    )
    calling.start()
    while not (directory / "begun").exists():
        assert calling.is_alive()
    return calling


@pytest.mark.parametrize("way", ["with", "without", "mounted"])
def test_streams_and_tools_end_at_the_signal_with_or_without_a_lifespan(tmp_path: Path, way: str) -> None:
    (tmp_path / "elsewhere.py").write_text(APP, encoding="utf-8")
    environment = {**OPEN, "MCP_SHUTDOWN_SECONDS": "0", "WAY": way}
    server = RunningServer("", tmp_path / "data", cwd=tmp_path, environment=environment, module="elsewhere")
    message = {
        "jsonrpc": "2.0",
        "id": "changes",
        "method": "subscriptions/listen",
        "params": {"_meta": META, "notifications": {"toolsListChanged": True}},
    }
    headers = {**HEADERS, "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen"}
    answers: list[httpx2.Response] = []
    # Where there is no lifespan the server says that it is there only when somebody has asked.
    asked = threading.Thread(target=first_request, args=(server,))
    asked.start()
    with server:
        asked.join()
        calling = called(server, tmp_path, answers)
        with local_http.stream("POST", server.mcp_url, json=message, headers=headers) as stream:
            lines = (line.removeprefix("data: ") for line in stream.iter_lines() if line.startswith("data: "))
            next(lines)
            server.stop()
            assert json.loads(next(lines))["result"]["resultType"] == "complete"
            assert list(lines) == []
        calling.join()

    (answer,) = answers
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert (tmp_path / "cleaned").exists()
    assert "Traceback" not in server.output


def first_request(server: RunningServer) -> None:
    while True:
        try:
            local_http.get(f"{server.origin}/health")
        except httpx2.ConnectError:
            continue
        return

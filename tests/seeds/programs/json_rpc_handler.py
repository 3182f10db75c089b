"""One JSON-RPC function is the whole server."""

from __future__ import annotations

from typing import Any

from gatepost import run


def error(request: dict[str, Any], code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request["id"], "error": {"code": code, "message": message}}


def my_handler(request: dict[str, Any]) -> dict[str, Any] | None:
    method = request.get("method")
    if method == "tools/list":
        tools = [{"name": "ping", "description": "Returns pong"}, {"name": "execute_trade"}, {"name": "crash"}]
        return {"jsonrpc": "2.0", "id": request.get("id"), "result": {"tools": tools}}
    if method == "tools/call":
        tool = request["params"]["name"]
        if tool == "execute_trade" and "trades:execute" not in request["scopes"]:
            return error(request, -32603, "missing required scope: trades:execute")
        if tool == "crash":
            raise RuntimeError("the database is on fire")
        text = {"ping": "pong", "execute_trade": f"traded for {request['subject']}"}[tool]
        return {"jsonrpc": "2.0", "id": request["id"], "result": {"content": [{"type": "text", "text": text}]}}
    return None


if __name__ == "__main__":
    run(my_handler, title="My MCP Server")

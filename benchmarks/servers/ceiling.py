"""The ceiling: an ASGI app that reads the body, parses it, adds two numbers and answers. No checks, no framework.

What is left to be had above a server's own figure is the distance to this one: the HTTP server, the event loop and two
passes through the JSON library cost the same for everybody.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import orjson
import uvicorn

_JSON_HEADERS = [(b"content-type", b"application/json")]


def _tool(name: str) -> dict[str, Any]:
    number = {"type": "integer"}
    return {
        "name": name,
        "description": "Add two numbers.",
        "inputSchema": {"type": "object", "properties": {"a": number, "b": number}, "required": ["a", "b"]},
    }


_LISTED = orjson.dumps([_tool(f"add_{index}") for index in range(int(os.environ["BENCHMARK_TOOLS"]))])


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer `tools/call` and `tools/list`."""
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    request = orjson.loads(body)
    if request["method"] == "tools/list":
        result: Any = {"tools": orjson.Fragment(_LISTED)}
    else:
        arguments = request["params"]["arguments"]
        total = arguments["a"] + arguments["b"]
        result = {"content": [{"type": "text", "text": str(total)}], "structuredContent": {"result": total}}
    answer = orjson.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result})
    length = (b"content-length", b"%d" % len(answer))
    await send({"type": "http.response.start", "status": 200, "headers": [*_JSON_HEADERS, length]})
    await send({"type": "http.response.body", "body": answer})


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
    )

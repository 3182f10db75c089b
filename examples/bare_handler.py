"""A server that is one function: a JSON-RPC message in, an answer out, with scopes by name.

python examples/bare_handler.py
"""

from typing import Any

from gatepost import JsonRpcHandler, ScopeMap, run

TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
TOOLS = [
    {"name": "echo", "description": "Say the same.", "inputSchema": TEXT},
    {"name": "shout", "description": "Say the same, louder.", "inputSchema": TEXT},
]
INVALID_PARAMS = -32602


def handle(message: dict[str, Any]) -> dict[str, Any] | None:
    """Answer one JSON-RPC message; None for a method that is not known here.

    Gatepost answers what every MCP server has to, and adds `subject`, who calls, and `scopes`, what their token allows.
    """
    match message["method"]:
        case "tools/list":
            return answer(message, {"tools": TOOLS})
        case "tools/call":
            return call(message)
    return None


def call(message: dict[str, Any]) -> dict[str, Any]:
    """Call a tool."""
    params = message["params"]
    text = params.get("arguments", {}).get("text")
    if params["name"] not in {tool["name"] for tool in TOOLS} or not isinstance(text, str):
        error = {"code": INVALID_PARAMS, "message": "There are echo and shout, and both take a text."}
        return {"jsonrpc": "2.0", "id": message["id"], "error": error}
    said = text if params["name"] == "echo" else f"{text.upper()}!"
    return answer(message, {"content": [{"type": "text", "text": f"{message['subject']}: {said}"}]})


def answer(message: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """Return a result to a request."""
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


scopes = ScopeMap(
    tools={"echo": ["speech:quiet"], "shout": ["speech:loud"]},
    descriptions={"speech:quiet": "Repeat what you say", "speech:loud": "Shout what you say"},
    implied_scopes={"speech:loud": ["speech:quiet"]},
)
handler = JsonRpcHandler(handle, scopes=scopes, title="Echo")

if __name__ == "__main__":
    run(handler)

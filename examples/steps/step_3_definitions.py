"""Step 3: definitions of two tools and two prompts, which a client lists; none can be used yet.

python examples/steps/step_3_definitions.py
"""

from typing import Any

from gatepost import run
from gatepost.configuration.settings import load_settings

Message = dict[str, Any]

TOOLS: list[Message] = [
    {
        "name": "echo",
        "description": "Repeat a message.",
        "inputSchema": {
            "type": "object",
            "properties": {"message": {"type": "string"}},
            "required": ["message"],
        },
    },
    {
        "name": "get_time",
        "description": "Tell the time in UTC.",
        "inputSchema": {"type": "object"},
    },
]
PROMPTS: list[Message] = [
    {
        "name": "greeting",
        "description": "Greet somebody.",
        "arguments": [{"name": "name", "description": "whom to greet", "required": True}],
    },
    {"name": "help", "description": "Say what this server does."},
]


def server(message: Message) -> Message | None:
    """Answer one JSON-RPC message; None for a method that is not known here."""
    match message["method"]:
        case "initialize":
            return answer(message, initialize(message["params"]))
        case "tools/list":
            return answer(message, {"tools": TOOLS})
        case "prompts/list":
            return answer(message, {"prompts": PROMPTS})
    return None


def initialize(params: Message) -> Message:
    """Say who this server is, and that it has tools and prompts."""
    return {
        "protocolVersion": params["protocolVersion"],
        "capabilities": {"tools": {}, "prompts": {}},
        "serverInfo": {"name": "step-3", "version": "1"},
    }


def answer(message: Message, result: Message) -> Message:
    """Return a result to a request."""
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


OPEN = {"MCP_REQUIRE_AUTH": "false", "OAUTH_ENABLED": "false"}

if __name__ == "__main__":
    run(server, settings=load_settings(OPEN))

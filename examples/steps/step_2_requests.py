"""Step 2: requests and answers of MCP, which are JSON-RPC.

python examples/steps/step_2_requests.py
"""

from typing import Any

from gatepost import run
from gatepost.configuration.settings import load_settings

Message = dict[str, Any]


def server(message: Message) -> Message | None:
    """Answer one JSON-RPC message; None for a method that is not known here."""
    match message["method"]:
        case "initialize":
            return answer(message, initialize(message["params"]))
        case "ping":
            return answer(message, {})
    return None


def initialize(params: Message) -> Message:
    """Say who this server is, and which revision of the protocol the two will speak."""
    return {
        "protocolVersion": params["protocolVersion"],
        "capabilities": {},
        "serverInfo": {"name": "step-2", "version": "1"},
    }


def answer(message: Message, result: Message) -> Message:
    """Return a result to a request: the `id` says to which one."""
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


OPEN = {"MCP_REQUIRE_AUTH": "false", "OAUTH_ENABLED": "false"}

if __name__ == "__main__":
    run(server, settings=load_settings(OPEN))

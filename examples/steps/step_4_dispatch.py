"""Step 4: dispatch by hand: a call finds its function, a mistake gets an error that says what it is.

python examples/steps/step_4_dispatch.py
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from gatepost import run
from gatepost.configuration.settings import load_settings

Message = dict[str, Any]
INVALID_PARAMS = -32602


def echo(message: str) -> str:
    """Repeat a message."""
    return message


def get_time() -> str:
    """Tell the time in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def greeting(name: str) -> str:
    """Greet somebody."""
    return f"Greet {name} in one friendly sentence."


def help_text() -> str:
    """Say what this server does."""
    return "Say what the tools of this server do, in two sentences."


# For each name: the function, and the arguments that it needs, all of them texts.
TOOLS: dict[str, tuple[Callable[..., str], list[str]]] = {"echo": (echo, ["message"]), "get_time": (get_time, [])}
PROMPTS: dict[str, tuple[Callable[..., str], list[str]]] = {"greeting": (greeting, ["name"]), "help": (help_text, [])}


def server(message: Message) -> Message | None:
    """Answer one JSON-RPC message; None for a method that is not known here."""
    match message["method"]:
        case "initialize":
            return answer(message, initialize(message["params"]))
        case "tools/list":
            return answer(message, {"tools": [tool_definition(name) for name in TOOLS]})
        case "prompts/list":
            return answer(message, {"prompts": [prompt_definition(name) for name in PROMPTS]})
        case "tools/call":
            return call_tool(message)
        case "prompts/get":
            return get_prompt(message)
    return None


def call_tool(message: Message) -> Message:
    """Run a tool. What is wrong with the arguments is a result, which the model reads and can mend."""
    name = message["params"]["name"]
    if name not in TOOLS:
        return failure(message, f"There is no tool {name!r}.")
    function, needed = TOOLS[name]
    arguments = message["params"].get("arguments", {})
    if (wrong := objection(needed, arguments)) is not None:
        return answer(message, {"content": [{"type": "text", "text": wrong}], "isError": True})
    return answer(message, {"content": [{"type": "text", "text": function(**arguments)}]})


def get_prompt(message: Message) -> Message:
    """Write a prompt. What is wrong with the arguments is an error, since a person chose them, not a model."""
    name = message["params"]["name"]
    if name not in PROMPTS:
        return failure(message, f"There is no prompt {name!r}.")
    function, needed = PROMPTS[name]
    arguments = message["params"].get("arguments", {})
    if (wrong := objection(needed, arguments)) is not None:
        return failure(message, wrong)
    written = {"type": "text", "text": function(**arguments)}
    return answer(message, {"messages": [{"role": "user", "content": written}]})


def objection(needed: list[str], arguments: Message) -> str | None:
    """Say what is wrong with arguments; None if nothing is."""
    for name in needed:
        if not isinstance(arguments.get(name), str):
            return f"The argument {name!r} is missing or no text."
    unknown = sorted(set(arguments) - set(needed))
    return f"There is no argument {unknown[0]!r}." if unknown else None


def tool_definition(name: str) -> Message:
    """Describe a tool to clients."""
    function, needed = TOOLS[name]
    schema = {"type": "object", "properties": {one: {"type": "string"} for one in needed}, "required": needed}
    return {"name": name, "description": function.__doc__, "inputSchema": schema}


def prompt_definition(name: str) -> Message:
    """Describe a prompt to clients."""
    function, needed = PROMPTS[name]
    arguments = [{"name": one, "required": True} for one in needed]
    return {"name": name, "description": function.__doc__, "arguments": arguments}


def initialize(params: Message) -> Message:
    """Say who this server is, and that it has tools and prompts."""
    return {
        "protocolVersion": params["protocolVersion"],
        "capabilities": {"tools": {}, "prompts": {}},
        "serverInfo": {"name": "step-4", "version": "1"},
    }


def answer(message: Message, result: Message) -> Message:
    """Return a result to a request."""
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


def failure(message: Message, words: str) -> Message:
    """Return an error to a request."""
    return {"jsonrpc": "2.0", "id": message["id"], "error": {"code": INVALID_PARAMS, "message": words}}


OPEN = {"MCP_REQUIRE_AUTH": "false", "OAUTH_ENABLED": "false"}

if __name__ == "__main__":
    run(server, settings=load_settings(OPEN))

"""A raw MCP server on standard input and output: no SDK, one tool per feature, and a record of every line it reads.

It speaks the handshake only, as most servers do. Members that nobody knows, numbers that are easily rounded and codes
of its own show whether what lies in front of it leaves them alone.

    recording_server.py [RECORD] [--die | --silent | --refuses | --nonsense | --noisy | --asks-first | --stays |
                                  --stubborn | --mirrors | --waits-for=FILE | --says-pid=FILE | --public]
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

FLAGS = {argument for argument in sys.argv[1:] if argument.startswith("--")}
RECORD = next((Path(argument) for argument in sys.argv[1:] if not argument.startswith("--")), None)
FORM = {"message": "Name?", "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}}}
ECHO_RESULT = (
    '{"content":[{"type":"text","text":TEXT,"annotations":{"own":1}}],"own":{"big":1152921504606846976,"one":1.0,'
    '"huge":123456789012345678901234567890},"structuredContent":{"text":TEXT}}'
)
INTRODUCTION = {
    "capabilities": {
        "tools": {"listChanged": True},
        "logging": {},
        "resources": {"subscribe": True},
        "experimental": {"own": {"a": 1.0}},
    },
    "serverInfo": {"name": "recording", "title": "Recording server", "version": "7", "own": 1.0},
    "instructions": "Be brief.",
}
Call = dict[str, Any]


class State:
    """What the process remembers."""

    def __init__(self) -> None:
        self.writing = threading.Lock()
        self.arrived = threading.Condition()
        self.answers: dict[Any, Any] = {}
        self.asked = 0
        self.count = 0
        self.declared: dict[str, Any] = {}


state = State()


def record(line: str) -> None:
    if RECORD is not None:
        with state.writing, RECORD.open("a", encoding="utf-8") as file:
            file.write(f"{os.getpid()} {line}\n")


def write(text: str) -> None:
    with state.writing:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def say(message: dict[str, Any]) -> None:
    write(json.dumps({"jsonrpc": "2.0", **message}, separators=(",", ":")))


def result(request: Call, value: dict[str, Any]) -> None:
    say({"id": request["id"], "result": value})


def text(request: Call, value: str) -> None:
    result(request, {"content": [{"type": "text", "text": value}]})


def fail(request: Call, code: int, message: str, **more: Any) -> None:
    say({"id": request["id"], "error": {"code": code, "message": message, **more}})


def ask(method: str, params: dict[str, Any]) -> Any:
    """Send a request to the client and wait for the answer."""
    with state.arrived:
        state.asked += 1
        request_id = f"s{state.asked}"
    say({"id": request_id, "method": method, "params": params})
    with state.arrived:
        state.arrived.wait_for(lambda: request_id in state.answers)
        return state.answers.pop(request_id)


def arguments_of(request: Call) -> dict[str, Any]:
    arguments: dict[str, Any] = request["params"].get("arguments", {})
    return arguments


def token_of(request: Call) -> Any:
    return request["params"].get("_meta", {}).get("progressToken")


# The tools, a thread each.


def echo(request: Call) -> None:
    """Answer as Python writes, with numbers that are easily rounded."""
    answer = ECHO_RESULT.replace("TEXT", json.dumps(arguments_of(request).get("text", "")))
    write(f'{{"jsonrpc":"2.0","id":{json.dumps(request["id"])},"result":{answer}}}')


def last(request: Call) -> None:
    """Answer as the TypeScript SDK writes."""
    write(f'{{"result":{{"content":[],"own":1.0}},"jsonrpc":"2.0","id":{json.dumps(request["id"])}}}')


def progress(request: Call) -> None:
    token = token_of(request)
    for step in (1, 2):
        params = {"progressToken": token, "progress": step, "total": 2, "own": 1.0}
        say({"method": "notifications/progress", "params": params})
    text(request, repr(token))


def late(request: Call) -> None:
    """Report progress after the answer."""
    text(request, "early")
    say({"method": "notifications/progress", "params": {"progressToken": token_of(request), "progress": 9}})


def log(request: Call) -> None:
    for level in ("debug", "error"):
        say({"method": "notifications/message", "params": {"level": level, "data": {"own": 1.0}}})
    text(request, "logged")


def ask_user(request: Call) -> None:
    text(request, json.dumps(ask("elicitation/create", FORM)))


def ask_twice(request: Call) -> None:
    first = ask("elicitation/create", FORM)
    text(request, json.dumps([first, ask("elicitation/create", {**FORM, "message": "Again?"})]))


def ask_and_report(request: Call) -> None:
    ask("elicitation/create", FORM)
    progress(request)


def ask_both(request: Call) -> None:
    """Ask two things side by side."""
    questions = {"both-1": ("elicitation/create", FORM), "both-2": ("roots/list", {})}
    for request_id, (method, params) in questions.items():
        say({"id": request_id, "method": method, "params": params})
    with state.arrived:
        state.arrived.wait_for(lambda: questions.keys() <= state.answers.keys())
    text(request, json.dumps([state.answers[request_id] for request_id in questions]))


def withdraw(request: Call) -> None:
    """Ask, and take the question back."""
    say({"id": "q", "method": "elicitation/create", "params": FORM})
    say({"method": "notifications/cancelled", "params": {"requestId": "q"}})
    text(request, "withdrawn")


def ask_as_told(request: Call) -> None:
    text(request, json.dumps(ask(arguments_of(request)["method"], {"own": 1.0})))


def shout(request: Call) -> None:
    for number in range(200):
        sys.stderr.write(f"line {number}\n")
    sys.stderr.write("x" * 5000 + "\n")
    sys.stderr.flush()
    text(request, "shouted")


def mute(_request: Call) -> None:
    """Close the output and go on."""
    sys.stdout.flush()
    os.close(1)


def ask_with_token(request: Call) -> None:
    meta = {"_meta": {"progressToken": arguments_of(request)["token"]}}
    text(request, json.dumps(ask("elicitation/create", {**FORM, **meta})))


def sample(request: Call) -> None:
    text(request, json.dumps(ask("sampling/createMessage", {"messages": [], "maxTokens": 5})))


def roots(request: Call) -> None:
    text(request, json.dumps(ask("roots/list", {})))


def change(request: Call) -> None:
    say({"method": "notifications/tools/list_changed"})
    text(request, "changed")


def update(request: Call) -> None:
    say({"method": "notifications/resources/updated", "params": {"uri": arguments_of(request)["uri"]}})
    text(request, "updated")


def fail_as_told(request: Call) -> None:
    fail(request, arguments_of(request).get("code", -32099), "own", data={"a": 1.0})


def environment(request: Call) -> None:
    text(request, json.dumps(dict(os.environ)))


def ids(request: Call) -> None:
    text(request, json.dumps([os.getpid(), os.getpgid(0), os.getsid(0), str(Path.cwd()), sys.argv[1:]]))


def count(request: Call) -> None:
    """Count without a lock, and let others in between reading and writing."""
    before = state.count
    threading.Event().wait(0.002)
    state.count = before + 1
    text(request, str(state.count))


def die(_request: Call) -> None:
    sys.stderr.write("about to die\n")
    sys.stderr.flush()
    os._exit(3)


def wait(request: Call) -> None:
    """Say that it has begun, and never answer."""
    say({"method": "notifications/progress", "params": {"progressToken": token_of(request), "progress": 0}})


TOOLS: dict[str, Callable[[Call], None]] = {
    "echo": echo,
    "last": last,
    "progress": progress,
    "late": late,
    "log": log,
    "ask": ask_user,
    "ask_twice": ask_twice,
    "ask_and_report": ask_and_report,
    "ask_both": ask_both,
    "withdraw": withdraw,
    "ask_as_told": ask_as_told,
    "ask_with_token": ask_with_token,
    "shout": shout,
    "mute": mute,
    "sample": sample,
    "roots": roots,
    "change": change,
    "update": update,
    "fail": fail_as_told,
    "environment": environment,
    "ids": ids,
    "count": count,
    "die": die,
    "wait": wait,
}


# The methods.


def initialize(request: Call) -> None:
    if "--refuses" in FLAGS:
        fail(request, -32000, "No.")
        return
    if "--nonsense" in FLAGS:
        result(request, {"protocolVersion": "2025-11-25", "capabilities": 1, "serverInfo": []})
        return
    params = request["params"]
    state.declared = params.get("capabilities", {})
    result(request, {"protocolVersion": params["protocolVersion"], **INTRODUCTION})


def list_tools(request: Call) -> None:
    if "cursor" in request.get("params", {}):
        result(request, {"tools": []})
        return
    schema = {"type": "object", "$defs": {"own": {"type": "string"}}}
    tools: list[dict[str, Any]] = [{"name": name, "inputSchema": schema, "own": 1.0} for name in TOOLS]
    if "--mirrors" in FLAGS:
        tools[0]["inputSchema"] = {"type": "object", "properties": {"text": {"type": "string", "x-mcp-header": "Text"}}}
        tools[1]["inputSchema"] = {"type": "object", "x-mcp-header": "No"}
    hints = {"ttlMs": 60_000, "cacheScope": "public"} if "--public" in FLAGS else {}
    result(request, {"tools": tools, "nextCursor": "2", "_meta": {"declared": sorted(state.declared)}, **hints})


def call_tool(request: Call) -> None:
    tool = TOOLS.get(request["params"]["name"])
    if tool is None:
        fail(request, -32602, "Unknown tool")
    else:
        threading.Thread(target=tool, args=(request,), daemon=True).start()


def read_resource(request: Call) -> None:
    if "--public" in FLAGS:
        result(request, {"contents": [], "own": 1.0, "ttlMs": 60_000, "cacheScope": "public"})
    else:
        fail(request, -32002, "Resource not found")


def own_method(request: Call) -> None:
    result(request, {"given": request.get("params"), "own": 1.0})


def unknown(request: Call) -> None:
    fail(request, -32601, "Method not found")


METHODS: dict[str, Callable[[Call], None]] = {
    "initialize": initialize,
    "tools/list": list_tools,
    "tools/call": call_tool,
    "own/method": own_method,
    "logging/setLevel": lambda request: result(request, {}),
    "resources/subscribe": lambda request: result(request, {}),
    "resources/unsubscribe": lambda request: result(request, {}),
    "resources/read": read_resource,
}


def take(message: dict[str, Any]) -> None:
    if "method" not in message:
        with state.arrived:
            state.answers[message["id"]] = message.get("result", message.get("error"))
            state.arrived.notify_all()
    elif "id" in message:
        METHODS.get(message["method"], unknown)(message)
    elif message["method"] == "notifications/initialized" and "--asks-first" in FLAGS:
        asking = threading.Thread(target=lambda: record("roots " + json.dumps(ask("roots/list", {}))), daemon=True)
        asking.start()


def main() -> None:
    sys.stderr.write("recording server is up\n")
    sys.stderr.flush()
    if "--die" in FLAGS:
        sys.exit("AttributeError: no such thing")
    if "--noisy" in FLAGS:
        write("a stray print\n\r\n[]\n{")
    if "--stays" in FLAGS:
        # What it launches holds its output and its process group, as what npx launches does.
        child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], stdin=subprocess.DEVNULL)
        record(f"child {child.pid}")
    for path in [Path(flag.partition("=")[2]) for flag in FLAGS if flag.startswith("--says-pid=")]:
        path.with_suffix(".new").write_text(str(os.getpid()))
        path.with_suffix(".new").rename(path)
    gates = [Path(flag.partition("=")[2]) for flag in FLAGS if flag.startswith("--waits-for=")]
    while not all(gate.exists() for gate in gates):
        threading.Event().wait(0.01)
    for line in sys.stdin:
        record(line.rstrip("\n"))
        if "--silent" not in FLAGS:
            take(json.loads(line))
    record("EOF")
    if "--stubborn" in FLAGS:
        signal.signal(signal.SIGTERM, lambda *_: record("SIGTERM"))
        while True:
            signal.pause()


if __name__ == "__main__":
    main()

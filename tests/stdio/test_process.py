"""The process: the official client in both eras, and clean ends."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.session import ClientRequestContext
from mcp_types import ElicitRequestParams, ElicitResult, TextContent

FILE = Path(__file__).with_name("stdio_target.py")
LOOP_FILE = Path(__file__).with_name("loop_target.py")
COMMAND = [sys.executable, "-m", "gatepost", "stdio", f"{FILE}:server"]
HEADER = ["--header", "X-Team: garden"]
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}},
}
CALL = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "team", "arguments": {}}}


def run(command: list[str], *lines: bytes) -> tuple[int, list[dict[str, Any]], str]:
    ended = subprocess.run(command, input=b"".join(lines), capture_output=True, timeout=180, check=False)
    return ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()], ended.stderr.decode()


def line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


async def _answer(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
    del context, params
    return ElicitResult(action="accept", content={"name": "Ada"})


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28", "auto"])
async def test_the_official_client_lists_calls_and_answers(mode: str) -> None:
    parameters = StdioServerParameters(command=COMMAND[0], args=[*COMMAND[1:], *HEADER])
    async with Client(parameters, mode=mode, elicitation_callback=_answer) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["team", "greet", "stubborn"]
        for name, text in (("team", "garden ''"), ("greet", "Hello Ada")):
            (block,) = (await client.call_tool(name, {})).content
            assert isinstance(block, TextContent)
            assert block.text == text


@pytest.mark.parametrize("command", [[*COMMAND, *HEADER], [sys.executable, str(FILE)]])
def test_only_messages_are_on_standard_output(command: list[str]) -> None:
    code, answers, log = run(command, line(INITIALIZE), line(CALL))
    assert (code, [answer["id"] for answer in answers]) == (0, [1, 2])
    for words in ("by print", "by the system call", "by a child"):
        assert f"printed {words}" in log


def test_a_line_that_is_too_long_is_refused_and_the_next_is_served() -> None:
    code, answers, _ = run(COMMAND, b"[" + b"1" * (5 * 1024 * 1024) + b"]\n", line(INITIALIZE))
    assert code == 0
    assert answers[0]["error"]["code"] == -32600
    assert answers[1]["id"] == 1


def test_the_end_of_input_ends_it_also_when_a_tool_does_not_let_itself_be_cancelled() -> None:
    call = {**CALL, "params": {"name": "stubborn", "arguments": {}}}
    code, answers, log = run(COMMAND, line(INITIALIZE), line(call))
    assert (code, [answer["id"] for answer in answers]) == (0, [1])
    assert "is ended in" in log


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(number: signal.Signals) -> None:
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(line(INITIALIZE))
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["id"] == 1
        process.send_signal(number)
        assert process.wait(180) == 0
        assert b"Traceback" not in process.stderr.read()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([f"{FILE}:number"], "cannot be served"),
        ([f"{FILE}:absent"], "has no 'absent'"),
        ([f"{FILE}:server", "--header", "nothing"], "write NAME:VALUE"),
        ([f"{FILE}:server", "--header", "X Y: z"], "a header is a name"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(arguments: list[str], words: str) -> None:
    code, answers, log = run([*COMMAND[:4], *arguments])
    assert (code, answers) == (2, [])
    assert words in log
    assert "Traceback" not in log


def test_at_a_terminal_it_says_what_it_waits_for() -> None:
    leader, terminal = os.openpty()
    try:
        with subprocess.Popen(COMMAND, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            os.close(terminal)
            assert process.stderr is not None
            said = ""
            while "To try" not in said:  # what the target prints comes before
                said += process.stderr.readline().decode()
            os.write(leader, b"\x04")  # Ctrl-D
            output, log = process.communicate(timeout=180)
    finally:
        os.close(leader)
    assert (process.returncode, output, log) == (0, b"", b"")
    assert "waits for an MCP client" in said
    assert said.endswith(f"To try {FILE}:server in a browser: gatepost dev {FILE}:server\n")


def test_a_bare_function_is_served() -> None:
    code, answers, _ = run([*COMMAND[:4], f"{FILE}:not_json"], line(INITIALIZE))
    assert (code, answers[0]["result"]["serverInfo"]["name"]) == (0, "not_json")


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_a_program_with_an_event_loop_serves_in_it(mode: str) -> None:
    parameters = StdioServerParameters(command=sys.executable, args=[str(LOOP_FILE)])
    async with Client(parameters, mode=mode) as client:
        (block,) = (await client.call_tool("team", {})).content
        assert isinstance(block, TextContent)
        assert block.text == "garden True False"


def test_when_input_ends_the_program_goes_on_and_signals_are_its_own_again() -> None:
    code, answers, log = run([sys.executable, str(LOOP_FILE)], line(INITIALIZE), line(CALL))
    assert (code, [answer["id"] for answer in answers]) == (0, [1, 2])
    assert "went on: True" in log


def test_outside_of_the_main_thread_it_leaves_signals_alone() -> None:
    code, answers, log = run([sys.executable, str(LOOP_FILE), "thread"], line(INITIALIZE), line(CALL))
    assert (code, answers[1]["result"]["content"][0]["text"]) == (0, "thread True False")
    assert "Traceback" not in log


def test_a_signal_ends_serving_in_a_loop_too() -> None:
    command = [sys.executable, str(LOOP_FILE)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(line(INITIALIZE))
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["id"] == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(180) == 0
        assert b"went on: True" in process.stderr.read()

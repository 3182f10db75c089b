"""The table of docs/arguments.md, sent by clients that others wrote."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from fastmcp import Client
from mcp_types import TextContent

from tests.conftest import RequireService
from tests.end_to_end.conftest import OPEN
from tests.end_to_end.local_http import PATIENCE
from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.sent_arguments_target import Row, rows, tool_of
from tests.end_to_end.test_typescript_clients import DEADLINE, PACKAGES, SOURCE, install
from tools.npm_packages import NODE, node_environment

FROM_N8N = {"sessionId": "s", "action": "sendMessage", "chatInput": "hello", "toolCallId": "call_1"}

REFUSED = object()

Calls = list[tuple[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The server that has a tool for every row."""
    data = tmp_path_factory.mktemp("arguments")
    with RunningServer("tests/end_to_end/sent_arguments_target.py:server", data, environment=OPEN) as running:
        yield running


def calls() -> Calls:
    """Return a call for each row, and two that no table can show."""
    sent: Calls = [(tool_of(declared), {"value": json.loads(value)}) for declared, value, _ in rows()]
    return [*sent, ("search", {"text": "a", **FROM_N8N}), ("search", {"text": "a", "action": "delete"})]


def expected() -> list[tuple[Row, Any]]:
    """Return each row with what its call gives."""
    by_row = [(row, REFUSED if row[2] is None else json.loads(row[2])) for row in rows()]
    return [*by_row, (("search", "n8n", "a"), "a"), (("search", "action", None), REFUSED)]


def read(texts: list[str | None]) -> list[tuple[Row, Any]]:
    """Return the rows with what came of them."""
    *of_table, one, other = texts
    values = [REFUSED if text is None else json.loads(text) for text in of_table]
    others = [REFUSED if text is None else text for text in (one, other)]
    return [(row, value) for (row, _), value in zip(expected(), [*values, *others], strict=True)]


async def test_fastmcp_sends_what_models_send(serving: RunningServer) -> None:
    texts: list[str | None] = []
    async with Client(serving.mcp_url, timeout=PATIENCE) as client:
        for name, given in calls():
            result = await client.call_tool(name, given, raise_on_error=False)
            (block,) = result.content
            assert isinstance(block, TextContent)
            texts.append(None if result.is_error else block.text)

    assert read(texts) == expected()


@pytest.mark.parametrize("which", ["v1", "v2"])
def test_the_typescript_client_sends_what_models_send(
    require_service: RequireService, serving: RunningServer, which: str
) -> None:
    require_service("the official TypeScript client (npm)", available=install())
    program = shutil.copy(SOURCE / "calls.mjs", PACKAGES / "calls.mjs")
    done = subprocess.run(
        [str(NODE), str(program), which, serving.mcp_url],
        input=json.dumps(calls()),
        cwd=PACKAGES,
        env=node_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )

    assert done.returncode == 0, done.stderr
    assert read(json.loads(done.stdout)) == expected()


def test_the_page_has_a_row_for_every_kind() -> None:
    assert len(rows()) == len(set(rows())) > 30

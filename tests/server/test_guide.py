"""The page about tools, resources and prompts shows what happens."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import orjson
import pytest
from pydantic import Field

from gatepost.protocol.messages import Request
from gatepost.protocol.versions import REVISION_2025_11_25
from gatepost.server.calls.exchange import Exchange
from gatepost.server.declared.tools import Tool
from gatepost.server.dispatch import ServerTarget

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "tools-resources-prompts.md").read_text(encoding="utf-8")


@pytest.fixture
def names() -> dict[str, Any]:
    """What the page defines."""
    names: dict[str, Any] = {"__name__": "library"}
    code = "\n".join(re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
    exec(compile(code, "tools-resources-prompts.md", "exec"), names)  # noqa: S102 - the page's own code
    return names


@pytest.fixture
def target(names: dict[str, Any]) -> ServerTarget:
    """The server of the page."""
    return ServerTarget(names["server"])


async def ask(target: ServerTarget, method: str, **params: Any) -> Any:
    """The result of one request."""
    caller = Exchange()
    return await target.answer(Request(1, method, params), REVISION_2025_11_25, caller)


def test_the_page_says_which_dialect_of_json_schema_there_is() -> None:
    assert "Schemas are JSON Schema 2020-12, and no other dialect is supported" in PAGE


async def test_the_page_renames_a_book(target: ServerTarget) -> None:
    arguments = {"number": 1, "title": "Persuasion"}

    assert (await ask(target, "tools/call", name="rename", arguments=arguments))["content"][0]["text"] == "Persuasion"
    assert (await ask(target, "tools/call", name="rename", arguments={**arguments, "number": 3}))["isError"]


async def listed(target: ServerTarget) -> Any:
    """The tools of a server."""
    return orjson.loads(orjson.dumps(await ask(target, "tools/list")))["tools"]


async def test_the_page_returns_structured_content_and_an_image(target: ServerTarget) -> None:
    (lend,) = [tool for tool in (await listed(target)) if tool["name"] == "lend"]
    lent = await ask(target, "tools/call", name="lend", arguments={"number": 1})
    covered = await ask(target, "tools/call", name="cover", arguments={"number": 1})

    assert lend["title"] == "Lend a book"
    assert set(lend["outputSchema"]["properties"]) == {"title", "days"}
    assert lent["structuredContent"] == {"title": "Emma", "days": 14}
    assert lent["content"] == [{"type": "text", "text": '{"title":"Emma","days":14}'}]
    assert [block["type"] for block in covered["content"]] == ["text", "image"]


async def test_the_page_shares_a_desk(names: dict[str, Any]) -> None:
    desk = ServerTarget(names["desk"])

    async with desk.lifespan():
        looked = await ask(desk, "tools/call", name="look", arguments={})

    assert looked["content"][0]["text"] == "desk of desk"


def test_the_page_says_what_the_fields_of_a_model_and_a_header_are(names: dict[str, Any]) -> None:
    shelf = Annotated[str, Field(json_schema_extra={"x-mcp-header": "Shelf"})]

    def add(loan: Any) -> None: ...
    def put(shelf: Any) -> None: ...

    add.__annotations__["loan"] = names["Loan"]
    put.__annotations__["shelf"] = shelf

    assert "`def add(loan: Loan)`" in PAGE
    assert list(Tool(add).definition["inputSchema"]["properties"]) == ["title", "days"]
    assert "`Mcp-Param-Shelf`" in PAGE
    assert [mirrored.header for mirrored in Tool(put).mirrored] == [b"mcp-param-shelf"]


async def test_the_page_reads_its_resources(target: ServerTarget) -> None:
    hours = await ask(target, "resources/read", uri="library://opening-hours")
    book = await ask(target, "resources/read", uri="library://books/2")
    logo = await ask(target, "resources/read", uri="library://logo")

    assert [read["contents"][0]["mimeType"] for read in (hours, book, logo)] == [
        "text/plain",
        "application/json",
        "image/png",
    ]
    assert book["contents"][0]["text"] == '{"title":"Middlemarch"}'


async def test_the_page_writes_its_prompts(target: ServerTarget) -> None:
    review = await ask(target, "prompts/get", name="review", arguments={"number": "1"})
    summary = await ask(target, "prompts/get", name="summary", arguments={"title": "Emma"})

    assert [message["role"] for message in review["messages"]] == ["assistant", "user"]
    assert review["messages"][1]["content"]["text"] == "Review Emma in English."
    assert summary["messages"][0]["content"]["text"] == "Summarise Emma for me."


async def test_the_page_completes_titles(target: ServerTarget) -> None:
    completed = await ask(
        target,
        "completion/complete",
        ref={"type": "ref/prompt", "name": "summary"},
        argument={"name": "title", "value": "march"},
    )

    assert completed["completion"] == {"values": ["Middlemarch"], "total": 1, "hasMore": False}

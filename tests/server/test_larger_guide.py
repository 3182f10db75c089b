"""The page about larger servers shows what happens."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from gatepost.protocol.errors import InvalidParams
from gatepost.protocol.messages import Request
from gatepost.protocol.versions import REVISION_2025_11_25
from gatepost.server.calls.exchange import Exchange
from gatepost.server.dispatch import ServerTarget

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "larger-servers.md").read_text(encoding="utf-8")


@pytest.fixture
def names() -> dict[str, Any]:
    """What the page defines."""
    names: dict[str, Any] = {"__name__": "office"}
    code = "\n".join(re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
    exec(compile(code, "larger-servers.md", "exec"), names)  # noqa: S102 - the page's own code
    return names


@pytest.fixture
def target(names: dict[str, Any]) -> ServerTarget:
    """The server of the page."""
    return ServerTarget(names["server"])


async def ask(target: ServerTarget, method: str, **params: Any) -> Any:
    """The result of one request."""
    return await target.answer(Request(1, method, params), REVISION_2025_11_25, Exchange())


async def test_the_page_answers_ten_questions_a_minute(target: ServerTarget) -> None:
    arguments = {"question": "why?"}
    answers = [await ask(target, "tools/call", name="ask", arguments=arguments) for _ in range(11)]

    assert answers[0]["content"][0]["text"] == "It depends: why?"
    assert [answer["isError"] for answer in answers] == [False] * 10 + [True]
    assert 0 < answers[10]["_meta"]["retryAfter"] <= 6


async def test_the_page_closes_and_opens(target: ServerTarget) -> None:
    closed = await ask(target, "tools/call", name="close", arguments={})

    assert closed["content"][0]["text"] == "closed by anonymous"
    with pytest.raises(InvalidParams, match="Unknown tool: ask"):
        await ask(target, "tools/call", name="ask", arguments={"question": "why?"})
    await ask(target, "tools/call", name="open_again", arguments={})
    assert not (await ask(target, "tools/call", name="ask", arguments={"question": "why?"}))["isError"]


async def test_the_page_finds_a_paper_in_an_open_drawer(names: dict[str, Any], target: ServerTarget) -> None:
    found = await ask(target, "tools/call", name="find", arguments={"colour": "blue"})

    assert found["content"][0]["text"] == "nothing, blue, from a drawer that is open"
    assert set(names["server"].tools["find"].definition["inputSchema"]["properties"]) == {"colour"}


async def test_the_page_times_and_caches(names: dict[str, Any], target: ServerTarget) -> None:
    papers = names["Drawer"].papers
    papers["anonymous"] = "a letter"
    first = await ask(target, "tools/call", name="find", arguments={"colour": "blue"})
    papers["anonymous"] = "a bill"
    second = await ask(target, "tools/call", name="find", arguments={"colour": "blue"})

    assert first == second
    await ask(target, "tools/list")
    assert names["seconds"].keys() == {"tool find", "list tools"}


async def test_the_page_includes_the_post(names: dict[str, Any], target: ServerTarget) -> None:
    sent = await ask(target, "tools/call", name="post_send", arguments={"letter": "a letter"})
    stamps = await ask(target, "resources/read", uri="post://stamps")

    assert sent["content"][0]["text"] == "sent a letter"
    assert [one["text"] for one in stamps["contents"]] == ["red", "blue"]
    assert names["server"].scope_descriptions["post:send"] == "Send letters"

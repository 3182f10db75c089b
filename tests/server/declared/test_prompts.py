from __future__ import annotations

from typing import Annotated, Any

import mcp_types
import pytest
from pydantic import Field

from gatepost.server.calls.context import Context
from gatepost.server.calls.exchange import Exchange
from gatepost.server.declared.prompts import Prompt
from gatepost.server.errors import InvalidResult, ToolDefinitionError
from gatepost.server.server import Server

TEXT = {"type": "text", "text": "Hi"}
IMAGE = {"type": "image", "data": "YQ==", "mimeType": "image/png"}
AUDIO = {"type": "audio", "data": "YQ==", "mimeType": "audio/wav"}
LINK = {"type": "resource_link", "uri": "notes://x", "name": "x"}
EMBEDDED = {"type": "resource", "resource": {"uri": "notes://x", "text": "x"}}


async def messages(value: Any, *, revision: str = "2026-07-28") -> list[dict[str, Any]]:
    """What comes of a prompt whose function returns `value`."""

    async def func() -> Any:
        return value

    got = await Prompt(func).get({}, revision, Exchange())
    assert got.keys() == {"messages"}
    found: list[dict[str, Any]] = got["messages"]
    return found


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Hi", [{"role": "user", "content": TEXT}]),
        (["Hi", "Hi"], [{"role": "user", "content": TEXT}] * 2),
        (mcp_types.ImageContent(data="YQ==", mime_type="image/png"), [{"role": "user", "content": IMAGE}]),
        (mcp_types.AudioContent(data="YQ==", mime_type="audio/wav"), [{"role": "user", "content": AUDIO}]),
        (
            mcp_types.EmbeddedResource(resource=mcp_types.TextResourceContents(uri="notes://x", text="x")),
            [{"role": "user", "content": EMBEDDED}],
        ),
        (
            mcp_types.PromptMessage(role="assistant", content=mcp_types.TextContent(text="Hi")),
            [{"role": "assistant", "content": TEXT}],
        ),
        ({"role": "assistant", "content": "Hi"}, [{"role": "assistant", "content": TEXT}]),
        (
            [{"role": "user", "content": IMAGE}, "Hi"],
            [{"role": "user", "content": IMAGE}, {"role": "user", "content": TEXT}],
        ),
        (
            {"role": "user", "content": mcp_types.ImageContent(data="YQ==", mime_type="image/png")},
            [{"role": "user", "content": IMAGE}],
        ),
        ([], []),
    ],
)
async def test_what_is_returned_becomes_messages(value: Any, expected: list[dict[str, Any]]) -> None:
    assert await messages(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        None,
        ["Hi", None],
        {"role": "system", "content": "Hi"},
        {"role": "user"},
        {"role": "user", "content": "Hi", "more": 1},
        {"role": "user", "content": None},
        {"role": "user", "content": {"type": "text"}},
        object(),
    ],
)
async def test_what_is_no_message_is_refused(value: Any) -> None:
    with pytest.raises(InvalidResult):
        await messages(value)


async def test_a_whole_result_keeps_its_own_description() -> None:
    async def func() -> Any:
        """Mine."""
        return mcp_types.GetPromptResult(
            description="Its own.",
            messages=[mcp_types.PromptMessage(role="user", content=mcp_types.TextContent(text="Hi"))],
        )

    got = await Prompt(func).get({}, "2026-07-28", Exchange())

    assert got == {"description": "Its own.", "messages": [{"role": "user", "content": TEXT}]}


async def test_the_oldest_revision_gets_a_text_for_a_link() -> None:
    link = {"role": "user", "content": LINK}

    assert await messages(link, revision="2025-06-18") == [link]
    assert await messages(link, revision="2025-03-26") == [
        {"role": "user", "content": {"type": "text", "text": "x: notes://x"}}
    ]


async def test_arguments_are_typed_and_the_context_is_none_of_them() -> None:
    def func(
        count: Annotated[int, Field(description="How many.", ge=1)], ctx: Context, names: list[str] | None = None
    ) -> str:
        return f"{count} {names} {ctx.user.subject}"

    prompt = Prompt(func, name="counted", description="Counts.", title="Count")

    assert prompt.definition == {
        "name": "counted",
        "title": "Count",
        "description": "Counts.",
        "arguments": [
            {"name": "count", "description": "How many.", "required": True},
            {"name": "names", "required": False},
        ],
    }
    got = await prompt.get({"count": "2", "names": '["a"]'}, "2026-07-28", Exchange())
    assert got["messages"][0]["content"]["text"] == "2 ['a'] anonymous"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": ""}, "is no name for a prompt"),
        ({"name": "x" * 129}, "is no name for a prompt"),
        ({"name": "a\nb"}, "is no name for a prompt"),
        ({"scopes": "x"}, "scopes takes a list"),
        ({"completions": {"x": ["a"]}}, "which it does not take"),
    ],
)
def test_what_cannot_be_a_prompt_is_refused_with_its_reason(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ToolDefinitionError, match=message):
        Prompt(_hello, **options)


def test_a_server_takes_each_name_once_and_names_the_scopes() -> None:
    server = Server("notes", prompts=[_hello])
    assert server.prompt(name="other", scopes=["a"])(_hello) is _hello

    with pytest.raises(ToolDefinitionError, match="there is a prompt '_hello' already"):
        server.prompt(_hello)
    with pytest.raises(ToolDefinitionError, match="there is a prompt 'other' already"):
        server.add_prompt(Prompt(_hello, name="other"))
    assert list(server.prompts) == ["_hello", "other"]
    assert server.scope_descriptions == {"a": "a"}


async def _hello() -> str:
    return "hello"

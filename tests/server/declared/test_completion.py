from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gatepost.server.calls.context import Context
from gatepost.server.calls.exchange import Exchange
from gatepost.server.declared.completion import Completion
from gatepost.server.declared.prompts import Prompt
from gatepost.server.errors import ToolDefinitionError


def _takes(value: str) -> str:
    return value


async def completion(completer: Any, value: str = "a") -> dict[str, Any]:
    """What a completer answers."""
    prompt = Prompt(_takes, completions={"value": completer})
    return await prompt.complete("value", value, {"b": "c"}, Exchange())


async def returned(values: Any) -> dict[str, Any]:
    """What comes of a completing function that returns `values`."""

    async def complete(_value: str) -> Any:
        return values

    return await completion(complete)


async def test_texts_to_choose_from_are_chosen_by_how_they_begin() -> None:
    choices = ["Apple", "banana", "avocado"]

    assert await completion(choices) == {"values": ["Apple", "avocado"], "total": 2, "hasMore": False}
    assert await completion(iter(choices), "B") == {"values": ["banana"], "total": 1, "hasMore": False}


def _many() -> Iterator[str]:
    yield from map(str, range(1000))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["b", "a"], {"values": ["b", "a"], "total": 2, "hasMore": False}),
        (None, {"values": [], "total": 0, "hasMore": False}),
        (Completion(["a"], has_more=True), {"values": ["a"], "hasMore": True}),
        (Completion(["a"], total=5), {"values": ["a"], "total": 5, "hasMore": False}),
        (_many(), {"values": list(map(str, range(100))), "hasMore": True}),
        (list(map(str, range(150))), {"values": list(map(str, range(100))), "total": 150, "hasMore": True}),
    ],
)
async def test_what_a_function_returns_is_sent_as_far_as_an_answer_goes(values: Any, expected: dict[str, Any]) -> None:
    assert await returned(values) == expected


@pytest.mark.parametrize("values", ["text", [1], Completion([None]), 5])  # type: ignore[list-item] # wrong on purpose
async def test_a_function_that_returns_no_texts_fails(values: Any) -> None:
    with pytest.raises(TypeError):
        await returned(values)


async def test_a_sync_function_may_take_the_other_arguments_and_a_context() -> None:
    def complete(ctx: Context, text: str, others: dict[str, str]) -> list[str]:
        return [text, *others, ctx.user.subject]

    assert (await completion(complete))["values"] == ["a", "b", "anonymous"]


def _nothing() -> None: ...


def _three(a: str, b: str, c: str) -> None: ...


@pytest.mark.parametrize("completer", [_nothing, _three, "text", [], [1]])
def test_what_cannot_complete_is_refused(completer: Any) -> None:
    with pytest.raises(ToolDefinitionError, match="the completion of 'value'"):
        Prompt(_takes, completions={"value": completer})

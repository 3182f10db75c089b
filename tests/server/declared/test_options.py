"""The options of tools, resources and prompts: stated once, checked by mypy and when the program runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gatepost.server.declared.prompts import Prompt, PromptOptions
from gatepost.server.declared.resources import Resource, ResourceOptions
from gatepost.server.declared.tools import Tool, ToolOptions
from gatepost.server.errors import ToolDefinitionError
from gatepost.server.server import Server

COMMON = {"name", "title", "description", "scopes", "icons"}


async def _hello() -> str:
    return "hello"


def test_each_kind_has_its_own_options_beside_the_common_ones() -> None:
    assert ToolOptions.__optional_keys__ - COMMON == {
        "inputs",
        "output",
        "annotations",
        "strict_arguments",
        "authorize",
        "timeout",
        "rate",
        "return_error_message",
        "task",
        "ui",
    }
    assert ResourceOptions.__optional_keys__ - COMMON == {
        "mime_type",
        "size",
        "annotations",
        "completions",
        "fresh_for",
    }
    assert PromptOptions.__optional_keys__ - COMMON == {"arguments_type", "completions"}


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (
            lambda options: Tool(_hello, **options),
            "a tool has no option 'scope'; there are annotations, authorize, description, icons, inputs, name, output",
        ),
        (lambda options: Server("notes").tool(**options)(_hello), "a tool has no option 'scope'"),
        (
            lambda options: Resource(_hello, "notes://x", **options),
            "a resource has no option 'scope'; there are annotations, completions, description, fresh_for, icons",
        ),
        (lambda options: Server("notes").resource("notes://x", **options)(_hello), "a resource has no option 'scope'"),
        (
            lambda options: Prompt(_hello, **options),
            "a prompt has no option 'scope'; there are arguments_type, completions, description, icons, name",
        ),
        (lambda options: Server("notes").prompt(**options)(_hello), "a prompt has no option 'scope'"),
    ],
)
def test_an_option_that_there_is_not_is_refused_with_those_that_there_are(
    declare: Callable[[dict[str, Any]], Any], message: str
) -> None:
    with pytest.raises(ToolDefinitionError) as raised:
        declare({"scope": ["notes:read"]})

    assert str(raised.value).startswith(f"{__name__}._hello: {message}")


def test_mypy_checks_the_options() -> None:
    server = Server("notes")

    # `unused-ignore` of mypy turns these comments into tests: without the errors they would be errors themselves.
    for wrong in (
        lambda: Tool(_hello, scope=["a"]),  # type: ignore[call-arg]  # the wrong name is the test
        lambda: server.tool(scope=["a"])(_hello),  # type: ignore[call-overload]  # likewise
        lambda: server.prompt(mime_type="text/plain")(_hello),  # type: ignore[call-overload]  # likewise
        lambda: server.resource("notes://x", inputs=None)(_hello),  # type: ignore[call-arg]  # likewise
        lambda: server.resource("notes://x", icons=[{"source": "x"}], size="5")(_hello),  # type: ignore[arg-type]  # the test
    ):
        with pytest.raises(TypeError):
            wrong()

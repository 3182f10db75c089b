"""Tools, prompts and resources as `gatepost call` shows them."""

from __future__ import annotations

from typing import Any

import pytest
from mcp_types import Prompt, PromptArgument, Resource, ResourceTemplate, Tool

from gatepost.cli.calls.lists import kind_of, prompt_lines, resource_lines, tool_lines

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["text"],
    "properties": {
        "text": {"type": "string", "description": "What to keep."},
        "times": {"type": "integer", "default": 1},
        "mood": {"enum": ["good", "bad"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "who": {"anyOf": [{"$ref": "#/$defs/Person"}, {"type": "null"}]},
        "odd": True,
    },
    "$defs": {"Person": {"type": "object"}},
}


def test_a_tool_is_its_name_its_description_and_its_arguments_in_words() -> None:
    tool = Tool(name="add", description="Keep a note.\n\nIt stays.", input_schema=SCHEMA)
    assert [*tool_lines(tool)] == [
        "add",
        "    Keep a note.",
        "",
        "    It stays.",
        "    - text (text): What to keep.",
        "    - times (whole number, 1 if left out)",
        "    - mood (one of good, bad, optional)",
        "    - tags (list of text, optional)",
        "    - who (object, optional)",
        "    - odd (anything, optional)",
    ]


def test_what_a_server_says_moves_no_cursor_and_hides_nothing() -> None:
    tool = Tool(
        name="a\x1b[2Jb",
        description="red\x1b[31m \u202eesrever",
        input_schema={"properties": {"x\x07": {"type": "\x9b5m", "default": "\x1bc", "description": "a\rb"}}},
    )
    lines = "\n".join(tool_lines(tool))
    assert not set(lines) & set("\x1b\x07\x9b\r\u202e")
    assert lines.splitlines()[0] == "a\ufffd[2Jb"


def test_prompts_and_resources_are_shown_likewise() -> None:
    arguments = [PromptArgument(name="text", description="Which.", required=True), PromptArgument(name="tone")]
    assert [*prompt_lines(Prompt(name="review", title="Review a text", arguments=arguments))] == [
        "review",
        "    Review a text",
        "    - text (text): Which.",
        "    - tone (text, optional)",
    ]
    assert [*resource_lines(Resource(uri="notes://all", name="All notes", mime_type="text/plain"))] == [
        "notes://all  (text/plain)",
        "    All notes",
    ]
    template = ResourceTemplate(uri_template="notes://{id}", name="note", description="One note.")
    assert [*resource_lines(template)] == ["notes://{id}", "    One note."]


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": ["string", "null"]}, "text or null"),
        ({"const": "x"}, "x"),
        ({"oneOf": [{"type": "number"}, {"type": "boolean"}]}, "number or true or false"),
        ({"anyOf": [{"type": "null"}]}, "null"),
        ({"$ref": "#/$defs/None"}, "object"),
        ({}, "anything"),
    ],
)
def test_kinds_are_said_in_words(schema: dict[str, Any], words: str) -> None:
    assert kind_of(schema, {}) == words

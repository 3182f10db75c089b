"""The fixture server of the conformance suite: what it declares is what the suite looks for."""

from __future__ import annotations

import re
from base64 import b64decode
from typing import Any

import pytest

from examples.everything import AUDIO, IMAGE, server
from gatepost.testing import Client


def test_every_tool_and_prompt_has_a_description_and_a_name_that_the_suite_takes() -> None:
    definitions = [tool.definition for tool in server.tools.values()]
    definitions += [prompt.definition for prompt in server.prompts.values()]

    assert all(re.fullmatch(r"[A-Za-z0-9_./-]{1,64}", definition["name"]) for definition in definitions)
    assert all(definition["description"] for definition in definitions)


def test_the_image_and_the_sound_are_what_they_say() -> None:
    assert b64decode(IMAGE.data).startswith(b"\x89PNG\r\n\x1a\n")
    sound = b64decode(AUDIO.data)
    assert (sound[:4], sound[8:12]) == (b"RIFF", b"WAVE")


def test_the_schema_of_the_contact_keeps_what_only_json_schema_says() -> None:
    schema = server.tools["json_schema_2020_12_tool"].definition["inputSchema"]

    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$defs"]["address"]["$anchor"] == "addressDef"
    assert schema["allOf"] == [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}]
    assert schema.keys() >= {"if", "then", "else"}
    assert schema["additionalProperties"] is False


def test_what_content_tools_return_is_no_structured_result() -> None:
    assert [name for name, tool in server.tools.items() if "Content" in str(tool.definition.get("outputSchema"))] == []


@pytest.mark.parametrize("era", ["modern", "handshake"])
async def test_the_official_client_is_shown_every_tool_in_either_era(era: Any) -> None:
    async with Client(server, era=era) as client:
        shown = {tool.name for tool in (await client.list_tools()).tools}

    assert shown == {*server.tools}

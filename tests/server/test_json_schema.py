"""The schemas that tools publish: one dialect, and nothing that would have to be fetched."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from gatepost.server.declared.tools import Tool
from gatepost.server.errors import ToolDefinitionError

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FAR = {"$ref": "https://example.com/schema.json"}


def with_extra(extra: dict[str, Any]) -> Tool:
    """A tool with an argument whose schema has something more."""

    def keep(text: Annotated[str, Field(json_schema_extra=extra)]) -> None: ...

    return Tool(keep)


@pytest.mark.parametrize(
    "extra",
    [
        {"$schema": DIALECT},
        {"anyOf": [{"$dynamicRef": "#x"}]},
        {"default": FAR, "examples": [FAR], "enum": [FAR], "const": FAR},
        {"properties": {"$ref": {"type": "string"}, "default": {"type": "string"}}},
    ],
)
def test_a_schema_that_stays_at_home_is_published(extra: dict[str, Any]) -> None:
    assert with_extra(extra).definition["inputSchema"]["properties"]["text"] == {"type": "string", **extra}


@pytest.mark.parametrize(
    "extra",
    [
        FAR,
        {"$dynamicRef": "https://example.com/#x"},
        {"anyOf": [FAR]},
        {"items": FAR},
        {"properties": {"default": FAR}},
        {"$defs": {"enum": FAR}},
    ],
)
def test_a_reference_that_leads_out_of_its_schema_is_refused(extra: dict[str, Any]) -> None:
    with pytest.raises(ToolDefinitionError, match="keep: parameter 'text': its .* leads out of the schema"):
        with_extra(extra)


@pytest.mark.parametrize("dialect", ["http://json-schema.org/draft-07/schema#", ""])
def test_a_schema_of_another_dialect_is_refused_by_name(dialect: str) -> None:
    class Answer(BaseModel):
        model_config = ConfigDict(json_schema_extra={"$schema": dialect})

        text: str

    def ask() -> Answer:
        return Answer(text="")

    with pytest.raises(ToolDefinitionError, match=r"ask: its result.* 2020-12"):
        Tool(ask)
    with pytest.raises(ToolDefinitionError, match="2020-12"):
        with_extra({"$schema": dialect})

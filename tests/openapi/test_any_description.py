"""Whatever a description holds, it becomes a server or an error that says why."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonschema_rs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatepost import Server, Tool
from gatepost.openapi.errors import UnusableDescription
from tests.openapi.described import STRING, URL, body, description, json_answer, parameter

WHOLE = description(
    {
        "/pets/{id}": {
            "parameters": [parameter("id", "path", style="label", explode=True)],
            "put": {
                "operationId": "call",
                "tags": ["pets"],
                "summary": "s",
                "deprecated": False,
                "servers": [
                    {"url": "https://{h}", "variables": {"h": {"default": "api.example", "enum": ["api.example"]}}}
                ],
                "parameters": [{"$ref": "#/components/parameters/q"}],
                **body(
                    "multipart/form-data",
                    {"type": "object", "properties": {"f": {"type": "string", "format": "binary"}}},
                    encoding={"f": {"contentType": "image/png", "style": "form", "explode": True}},
                ),
                "responses": {"200": json_answer({"$ref": "#/components/schemas/Pet"}), "default": {"description": ""}},
            },
        }
    },
    components={
        "parameters": {"q": {"name": "q", "in": "query", "content": {"application/json": {"schema": STRING}}}},
        "schemas": {
            "Pet": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {**STRING, "pattern": "^a", "maxLength": 3},
                    "mother": {"$ref": "#/components/schemas/Pet"},
                },
                "allOf": [{"minProperties": 1}],
                "additionalProperties": {"type": ["integer", "null"], "minimum": 1},
            }
        },
    },
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["$ref", "type", "schema", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(place for step, one in inner for place in places(one, (*path, step)))]


PLACES = [place for place in places(WHOLE) if place]


def tools_of(described: Any) -> list[Tool]:
    """Return the tools of a description; none if it is refused, by an error of the one class that says why."""
    try:
        return list(Server.from_openapi(described, server_url=URL).tools.values())
    except UnusableDescription:
        return []


def test_the_description_that_is_changed_below_is_whole() -> None:
    assert [tool.name for tool in tools_of(WHOLE)] == ["call"]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(PLACES), JSON, st.sampled_from(["3.0.3", "3.1.0"]))
def test_a_description_with_anything_anywhere_is_served_or_refused_with_a_sentence(
    place: tuple[Any, ...], value: Any, version: str
) -> None:
    described = {**copy.deepcopy(WHOLE), "openapi": version}
    holder = described
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = value
    for tool in tools_of(described):
        json.dumps(tool.definition)
        assert jsonschema_rs.meta.is_valid(
            {**tool.input_schema, "$schema": "https://json-schema.org/draft/2020-12/schema"}
        )

from __future__ import annotations

from typing import Any

import pytest

from gatepost.protocol.errors import HeaderMismatch
from gatepost.protocol.header_values import (
    InvalidAnnotation,
    MirroredArgument,
    check_mirrors,
    mirrored_arguments,
)

REGION = {"type": "string", "x-mcp-header": "Region"}


def an_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def test_annotated_arguments_are_found_also_inside_of_objects() -> None:
    schema = an_object(
        region=REGION,
        query={"type": "string", "default": {"x-mcp-header": "no"}, "enum": [{"x-mcp-header": "no"}]},
        deep=an_object(count={"type": "integer", "x-mcp-header": "Count"}),
        flag={"type": "boolean", "x-mcp-header": "X_flag"},
    )

    assert mirrored_arguments(schema) == (
        MirroredArgument(b"mcp-param-region", ("region",)),
        MirroredArgument(b"mcp-param-count", ("deep", "count")),
        MirroredArgument(b"mcp-param-x_flag", ("flag",)),
    )


def test_an_argument_may_be_called_like_a_keyword() -> None:
    schema = an_object(
        **{"x-mcp-header": {"type": "string"}, "properties": an_object(properties=REGION), "items": REGION}
    )

    with pytest.raises(InvalidAnnotation, match="two arguments"):
        mirrored_arguments(schema)
    del schema["properties"]["items"]
    assert mirrored_arguments(schema) == (MirroredArgument(b"mcp-param-region", ("properties", "properties")),)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "é", 5, None, ["a"]])
def test_a_name_is_a_part_of_a_headers_name(name: Any) -> None:
    with pytest.raises(InvalidAnnotation, match=r"RFC 9110"):
        mirrored_arguments(an_object(a={"type": "string", "x-mcp-header": name}))


def test_a_refusal_says_where_the_argument_is() -> None:
    name = an_object(deep=an_object(a={"type": "string", "x-mcp-header": "a b"}))
    kind = an_object(deep=an_object(a={"type": "number", "x-mcp-header": "A"}))
    for schema, words in (
        (name, "deep.a: x-mcp-header 'a b' is no part of a header's name (RFC 9110 section 5.1)"),
        (kind, "deep.a: x-mcp-header takes a str, int or bool, without None or other alternatives"),
    ):
        with pytest.raises(InvalidAnnotation) as refused:
            mirrored_arguments(schema)
        assert str(refused.value) == words


@pytest.mark.parametrize("kind", ["number", "array", "object", "null", None])
def test_only_texts_whole_numbers_and_booleans_are_mirrored(kind: Any) -> None:
    with pytest.raises(InvalidAnnotation, match="str, int or bool"):
        mirrored_arguments(an_object(a={"type": kind, "x-mcp-header": "A"}))


def test_names_differ_by_more_than_case() -> None:
    with pytest.raises(InvalidAnnotation, match="two arguments"):
        mirrored_arguments(an_object(a=REGION, b={"type": "string", "x-mcp-header": "REGION"}))


@pytest.mark.parametrize(
    "schema",
    [
        {"x-mcp-header": "Root", "type": "string"},
        an_object(a={"type": "array", "items": REGION}),
        an_object(a={"type": "array", "prefixItems": [REGION]}),
        an_object(a={"anyOf": [REGION, {"type": "null"}]}),
        an_object(a={"type": "array", "items": an_object(b=REGION)}),
        {**an_object(), "allOf": [an_object(a=REGION)]},
        {**an_object(), "if": an_object(a=REGION)},
        *(
            {**an_object(), keyword: {"default": REGION}}
            for keyword in ("patternProperties", "dependentSchemas", "$defs", "definitions")
        ),
        {**an_object(), "$defs": {"a": REGION}},
        {**an_object(), "patternProperties": {"a": REGION}},
        {**an_object(), "additionalProperties": REGION},
    ],
)
def test_an_annotation_where_no_header_reaches_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(InvalidAnnotation, match="no header can reach"):
        mirrored_arguments(schema)


MIRRORED = mirrored_arguments(
    an_object(
        region=REGION,
        count={"type": "integer", "x-mcp-header": "Count"},
        flag={"type": "boolean", "x-mcp-header": "Flag"},
        deep=an_object(name={"type": "string", "x-mcp-header": "Name"}),
    )
)


@pytest.mark.parametrize(
    ("arguments", "headers"),
    [
        ({}, {}),
        ({"region": None, "deep": 5, "other": 1}, {b"mcp-param-unknown": b"x"}),
        ({"region": "us-west1"}, {b"mcp-param-region": b"us-west1"}),
        ({"region": "Hello, 世界"}, {b"mcp-param-region": b"=?base64?SGVsbG8sIOS4lueVjA==?="}),
        ({"region": " padded "}, {b"mcp-param-region": b"=?base64?IHBhZGRlZCA=?="}),
        ({"region": "=?base64?literal?="}, {b"mcp-param-region": b"=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="}),
        ({"region": ""}, {b"mcp-param-region": b""}),
        ({"count": 42}, {b"mcp-param-count": b"42"}),
        ({"count": 42}, {b"mcp-param-count": b"42.0"}),
        ({"count": 42.0}, {b"mcp-param-count": b"42"}),
        ({"count": -7}, {b"mcp-param-count": b"-7"}),
        ({"count": 2**53 - 1}, {b"mcp-param-count": b"9007199254740991"}),
        ({"count": 1 - 2**53}, {b"mcp-param-count": b"-9007199254740991"}),
        ({"flag": True}, {b"mcp-param-flag": b"true"}),
        ({"flag": False}, {b"mcp-param-flag": b"false"}),
        ({"deep": {"name": "x"}}, {b"mcp-param-name": b"x"}),
        ({"region": ["no text"]}, {b"mcp-param-region": b"whatever"}),
    ],
)
def test_headers_that_say_what_the_body_says_pass(arguments: dict[str, Any], headers: dict[bytes, bytes]) -> None:
    check_mirrors(MIRRORED, arguments, headers)


@pytest.mark.parametrize(
    ("arguments", "headers", "problem"),
    [
        ({"region": "us"}, {}, "missing"),
        ({"region": "us"}, {b"mcp-param-region": b"eu"}, "differs"),
        ({"region": "us"}, {b"mcp-param-region": b"US"}, "differs"),
        ({"region": "us"}, {b"mcp-param-region": b"=?BASE64?dXM=?="}, "differs"),
        ({"region": "us"}, {b"mcp-param-region": b"=?base64?dXM?="}, "malformed"),
        ({"region": "us"}, {b"mcp-param-region": b"=?base64?!!!?="}, "malformed"),
        ({"region": "é"}, {b"mcp-param-region": "é".encode()}, "malformed"),
        ({}, {b"mcp-param-region": b"us"}, "does not have"),
        ({"region": None}, {b"mcp-param-region": b"null"}, "does not have"),
        ({"count": 42}, {b"mcp-param-count": b"43"}, "differs"),
        ({"count": 42}, {b"mcp-param-count": b"42.5"}, "differs"),
        ({"count": 42}, {b"mcp-param-count": b"forty-two"}, "differs"),
        ({"count": 2**53}, {b"mcp-param-count": b"9007199254740992"}, "beyond"),
        ({"count": -(2**53)}, {b"mcp-param-count": b"-9007199254740992"}, "beyond"),
        ({"flag": True}, {b"mcp-param-flag": b"True"}, "differs"),
        ({"flag": True}, {b"mcp-param-flag": b"1"}, "differs"),
    ],
)
def test_headers_that_say_something_else_are_refused(
    arguments: dict[str, Any], headers: dict[bytes, bytes], problem: str
) -> None:
    with pytest.raises(HeaderMismatch, match=problem) as caught:
        check_mirrors(MIRRORED, arguments, headers)
    assert caught.value.code == -32020

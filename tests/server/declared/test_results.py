from __future__ import annotations

import base64
import datetime as dt
import enum
import inspect
import json
import pathlib
import subprocess
import sys
import types
import uuid
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Never

import mcp_types
import pytest
from pydantic import BaseModel, Field, computed_field, field_serializer
from typing_extensions import TypedDict

from gatepost.protocol.messages import result_response
from gatepost.server.declared.results import OutputType, output_type, to_result
from gatepost.server.errors import InvalidResult, ToolDefinitionError

PICTURE = base64.b64encode(b"png").decode()
SECRET = "hunter2-and-a-half"


class Weather(BaseModel):
    degrees: float = Field(alias="deg", ge=-300)
    day: dt.date = dt.date(2026, 7, 28)


class Forecast(Weather):
    internal: str = "not for everybody"


class Square(BaseModel):
    side: int

    @computed_field  # type: ignore[prop-decorator] # as Pydantic documents it
    @property
    def area(self) -> int:
        """The side, squared."""
        return self.side**2


class Unready(BaseModel):
    side: int = 1

    @field_serializer("side")
    def side_in_metres(self, side: int) -> int:
        """Fail."""
        raise ValueError(SECRET + str(side))


def circular() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@dataclass
class Point:
    x: int
    y: int = 0


class Size(TypedDict):
    width: int


class Colour(enum.StrEnum):
    RED = "red"


def output(declared: Any) -> OutputType:
    found = output_type(declared, "notes.keep")
    assert found is not None
    return found


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


@pytest.mark.parametrize(
    "declared",
    [
        inspect.Signature.empty,
        None,
        type(None),
        str,
        Any,
        object,
        Never,
        str | None,
        Annotated[str, "a text"],
        mcp_types.TextContent,
        mcp_types.ContentBlock,
        mcp_types.CallToolResult,
        list[mcp_types.ImageContent | str],
        list[mcp_types.ContentBlock] | None,
    ],
)
def test_texts_content_and_the_unknown_have_no_output_schema(declared: Any) -> None:
    assert output_type(declared, "notes.keep") is None


@pytest.mark.parametrize(
    ("declared", "schema"),
    [
        (int, {"type": "integer"}),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (list[str], {"type": "array", "items": {"type": "string"}}),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (
            Size,
            {"type": "object", "title": "Size", "properties": {"width": {"type": "integer"}}, "required": ["width"]},
        ),
        (
            Square,
            {
                "type": "object",
                "title": "Square",
                "properties": {
                    "side": {"type": "integer"},
                    "area": {"type": "integer", "readOnly": True, "description": "The side, squared."},
                },
                "required": ["side", "area"],
            },
        ),
    ],
)
def test_other_types_have_the_schema_of_what_is_sent(declared: Any, schema: dict[str, Any]) -> None:
    assert output(declared).schema == schema


@pytest.mark.parametrize("declared", [bytes, bytearray, memoryview])
def test_bytes_are_refused_when_declared(declared: Any) -> None:
    with pytest.raises(ToolDefinitionError, match=r"notes\.keep: it returns bytes, and bytes have no place in JSON"):
        output_type(declared, "notes.keep")


def test_a_result_without_a_schema_is_refused_when_declared() -> None:
    class Connection:
        pass

    with pytest.raises(
        ToolDefinitionError,
        match=r"notes\.keep: its result of type .*Connection cannot be described in JSON Schema \(make .* a dataclass",
    ):
        output_type(Connection, "notes.keep")


@pytest.mark.parametrize(
    ("value", "content"),
    [
        ("hello", [text("hello")]),
        ("", [text("")]),
        (None, []),
        (5, [text("5")]),
        (True, [text("true")]),
        (1.5, [text("1.5")]),
        ({"a": [1, None]}, [text('{"a":[1,null]}')]),
        ([], [text("[]")]),
        (["a", "b"], [text('["a","b"]')]),
        ((1, 2), [text("[1,2]")]),
        ({1: "a"}, [text('{"1":"a"}')]),
        ({1}, [text("[1]")]),
        ("grüße", [text("grüße")]),
        (Colour.RED, [text("red")]),
        (dt.date(2026, 7, 28), [text("2026-07-28")]),
        (uuid.UUID(int=1), [text("00000000-0000-0000-0000-000000000001")]),
        (Point(1), [text('{"x":1,"y":0}')]),
        (Weather(deg=1.5), [text('{"deg":1.5,"day":"2026-07-28"}')]),
        ([Weather(deg=1.5)], [text('[{"deg":1.5,"day":"2026-07-28"}]')]),
        ({"at": dt.datetime(2026, 7, 28, tzinfo=dt.UTC)}, [text('{"at":"2026-07-28T00:00:00Z"}')]),
    ],
)
def test_without_a_declared_output_a_value_is_text(value: Any, content: list[dict[str, Any]]) -> None:
    assert to_result(value, None) == {"content": content, "isError": False}


@pytest.mark.parametrize(
    ("block", "wire"),
    [
        (mcp_types.TextContent(text="a"), text("a")),
        (
            mcp_types.ImageContent(data=PICTURE, mime_type="image/png"),
            {"type": "image", "data": PICTURE, "mimeType": "image/png"},
        ),
        (
            mcp_types.AudioContent(data=PICTURE, mime_type="audio/wav"),
            {"type": "audio", "data": PICTURE, "mimeType": "audio/wav"},
        ),
        (
            mcp_types.ResourceLink(uri="file:///a", name="a"),
            {"type": "resource_link", "uri": "file:///a", "name": "a"},
        ),
        (
            mcp_types.EmbeddedResource(
                resource=mcp_types.TextResourceContents(uri="file:///a", text="b"),
                annotations=mcp_types.Annotations(audience=["user"], priority=0.5),
            ),
            {
                "type": "resource",
                "resource": {"uri": "file:///a", "text": "b"},
                "annotations": {"audience": ["user"], "priority": 0.5},
            },
        ),
    ],
)
def test_content_blocks_are_sent_as_they_are(block: Any, wire: dict[str, Any]) -> None:
    assert to_result(block, None) == {"content": [wire], "isError": False}
    assert to_result([block, "and", None, {"a": 1}], None) == {
        "content": [wire, text("and"), text('{"a":1}')],
        "isError": False,
    }


@pytest.mark.parametrize(
    ("declared", "value", "structured", "shown"),
    [
        (int, 5, 5, "5"),
        (int, "5", 5, "5"),
        (bool, True, True, "true"),
        (float, 1.5, 1.5, "1.5"),
        (float, 1, 1.0, "1.0"),
        (int | None, None, None, "null"),
        (list[int], [1, 2], [1, 2], "[1,2]"),
        (Literal["a"], "a", "a", "a"),
        (Colour, Colour.RED, "red", "red"),
        (dt.date, dt.date(2026, 7, 28), "2026-07-28", "2026-07-28"),
        (Point, Point(1), {"x": 1, "y": 0}, '{"x":1,"y":0}'),
        (Size, {"width": 1}, {"width": 1}, '{"width":1}'),
        (Square, Square(side=2), {"side": 2, "area": 4}, '{"side":2,"area":4}'),
        (Weather, Weather(deg=1), {"deg": 1.0, "day": "2026-07-28"}, '{"deg":1.0,"day":"2026-07-28"}'),
        (Weather, {"deg": 1}, {"deg": 1.0, "day": "2026-07-28"}, '{"deg":1.0,"day":"2026-07-28"}'),
        (Weather, Forecast(deg=1), {"deg": 1.0, "day": "2026-07-28"}, '{"deg":1.0,"day":"2026-07-28"}'),
        (dict[str, Any], {"a": None}, {"a": None}, '{"a":null}'),
    ],
)
def test_a_declared_output_is_structured_and_text(declared: Any, value: Any, structured: Any, shown: str) -> None:
    result = to_result(value, output(declared))
    assert result == {"content": [text(shown)], "structuredContent": structured, "isError": False}
    assert type(result["structuredContent"]) is type(structured)


@pytest.mark.parametrize(
    ("declared", "value", "reason"),
    [
        (int, SECRET, r"a str was returned that is not what is declared: the result \[int_parsing\]"),
        (int, None, r"the result \[int_type\]"),
        (Weather, {"deg": SECRET}, r"a dict was returned that is not what is declared: deg \[float_parsing\]"),
        (Weather, {}, r"deg \[missing\]"),
        (list[int], [1, SECRET], r"a list was returned that is not what is declared: 1 \[int_parsing\]"),
        (Weather, Weather.model_construct(degrees=SECRET), "a Weather was returned that is not .*: degrees$"),
        (list[Weather], [Weather.model_construct(degrees=SECRET)], "a list was returned that is not .*: degrees$"),
        (Unready, Unready(), "a Unready was returned that is not what is declared: the result$"),
        (float, float("nan"), "a number that JSON lacks"),
        (list[float], [1.0, float("inf")], "a number that JSON lacks"),
        (dict[str, list[float | None]], {"a": [None, float("-inf")]}, "a number that JSON lacks"),
        pytest.param(int, 10**5000, "it holds an integer of more digits than Python writes", id="huge"),
        (list, circular(), "what is declared: it nests too deep, or holds itself"),
    ],
)
def test_what_is_not_as_declared_is_refused_without_showing_it(declared: Any, value: Any, reason: str) -> None:
    with pytest.raises(InvalidResult, match=reason) as raised:
        to_result(value, output(declared))
    error: BaseException = raised.value
    assert SECRET not in str(error)
    assert error.__cause__ is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"png", "a bytes was returned that cannot be sent as JSON: bytes have no place in JSON"),
        ({"a": [bytearray(b"png")]}, "bytes have no place in JSON"),
        (object(), "a object was returned that cannot be sent as JSON: Type is not JSON serializable: object"),
        ({"a": object()}, "Type is not JSON serializable: object"),
        ({("a", "b"): 1}, "a dict was returned that cannot be sent as JSON: "),
        (dict.fromkeys(["a\ud800", "a\udc01"], SECRET), "two of its names differ only in what cannot be sent"),
        (circular(), "it nests deeper than 250 levels, or holds itself"),
    ],
)
def test_what_is_not_json_is_refused(value: Any, reason: str) -> None:
    with pytest.raises(InvalidResult, match=reason) as raised:
        to_result(value, None)
    assert SECRET not in str(raised.value)


def test_a_whole_result_is_sent_as_it_is() -> None:
    made = mcp_types.CallToolResult(
        content=[mcp_types.TextContent(text="a")], structured_content={"a": None}, is_error=True, _meta={"k": 1}
    )
    assert to_result(made, None) == {
        "content": [text("a")],
        "structuredContent": {"a": None},
        "isError": True,
        "_meta": {"k": 1},
    }


def test_a_whole_result_has_to_fit_the_declared_output_unless_it_is_an_error() -> None:
    fitting = mcp_types.CallToolResult(content=[], structured_content={"deg": 1})
    failed = mcp_types.CallToolResult(content=[mcp_types.TextContent(text="no")], is_error=True)
    assert to_result(fitting, output(Weather)) == {
        "content": [],
        "structuredContent": {"deg": 1.0, "day": "2026-07-28"},
        "isError": False,
    }
    assert to_result(failed, output(Weather)) == {"content": [text("no")], "isError": True}
    for wrong in (None, {"deg": "x"}):
        with pytest.raises(InvalidResult):
            to_result(mcp_types.CallToolResult(content=[], structured_content=wrong), output(Weather))
    with pytest.raises(InvalidResult):
        to_result(mcp_types.CallToolResult(content=[], structured_content={"a": 10**5000}), None)


def test_where_anything_is_allowed_what_json_lacks_becomes_null() -> None:
    assert to_result({"a": float("nan")}, output(dict[str, Any]))["structuredContent"] == {"a": None}


def test_content_types_that_another_thread_is_importing_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp_types", types.ModuleType("mcp_types"))
    assert to_result([1], None) == {"content": [text("[1]")], "isError": False}
    assert to_result([1], output(list[int]))["structuredContent"] == [1]


def test_content_types_are_not_imported_for_those_who_do_not_use_them() -> None:
    program = """
import asyncio, json, sys
from gatepost import Server
from gatepost.server.calls.exchange import Exchange
server = Server("a")
@server.tool
async def add(a: int, b: int) -> list[int]:
    return [a, b]
@server.tool
async def each(a: int):
    return [a, {"b": None}]
results = [asyncio.run(server.tools["add"].call({"a": 1, "b": 2}, Exchange())),
           asyncio.run(server.tools["each"].call({"a": 1}, Exchange()))]
heavy = sorted({"mcp_types", "fastapi", "starlette"} & sys.modules.keys())
print(json.dumps([results, heavy]))
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert json.loads(answer) == [
        [
            {"content": [text("[1,2]")], "structuredContent": [1, 2], "isError": False},
            {"content": [text('[1,{"b":null}]')], "isError": False},
        ],
        [],
    ]


@pytest.mark.parametrize("declared", [list, list[Any], tuple[Any, ...]])
def test_a_block_in_a_list_that_is_declared_as_data_is_refused(declared: Any) -> None:
    output = output_type(declared, "notes.keep")
    assert output is not None

    assert to_result([1, {"type": "image"}], output)["structuredContent"] == [1, {"type": "image"}]
    with pytest.raises(InvalidResult, match=r"a block of content.*; write list\[str \| ImageContent\], or Any$"):
        to_result(["a", mcp_types.ImageContent(data=PICTURE, mime_type="image/png")], output)


@dataclass
class File:
    name: str
    size: int = 1


class Number:
    """What libraries for numbers give: no number of Python's, but one in disguise."""

    def tolist(self) -> float:
        return 1.5


HALF = "caf\udce9"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (HALF, "caf\ufffd"),
        ("\ud83d\ude00\ude00", "\U0001f600\ufffd"),
        ({"name": HALF}, '{"name":"caf\ufffd"}'),
        ({HALF: 1}, '{"caf\ufffd":1}'),
        ([1, (HALF,)], '[1,["caf\ufffd"]]'),
        (File(HALF), '{"name":"caf\ufffd","size":1}'),
        (pathlib.Path(HALF), "caf\ufffd"),
        (2**70, "1180591620717411303424"),
        (-(2**70), "-1180591620717411303424"),
        ({"n": [2**64]}, '{"n":[18446744073709551616]}'),
        ({2**70: True}, '{"1180591620717411303424":true}'),
        (File("a", 2**70), '{"name":"a","size":1180591620717411303424}'),
        (Number(), "1.5"),
        ({"n": Number()}, '{"n":1.5}'),
    ],
)
def test_half_a_character_and_wide_integers_are_sent(value: Any, shown: str) -> None:
    """A file's name in Latin-1, a text that was cut, 2 to the power of 70: a result and no incident (record 0042)."""
    assert to_result(value, None)["content"] == [text(shown)]


@pytest.mark.parametrize(
    ("declared", "value", "structured"),
    [
        (dict[str, str], {"name": HALF}, {"name": "caf\ufffd"}),
        (dict, {HALF: 1}, {"caf\ufffd": 1}),
        (list[str], [HALF], ["caf\ufffd"]),
        (File, File(HALF, 2**70), {"name": "caf\ufffd", "size": 2**70}),
        (pathlib.Path, pathlib.Path(HALF), "caf\ufffd"),
        (int, 2**70, 2**70),
    ],
)
def test_so_they_are_in_structured_results(declared: Any, value: Any, structured: Any) -> None:
    sent = json.loads(result_response(1, to_result(value, output(declared))))["result"]
    assert sent["structuredContent"] == structured
    (block,) = sent["content"]
    assert block["text"] == structured if isinstance(structured, str) else json.loads(block["text"]) == structured


def test_blocks_of_content_are_sent_with_half_a_character_replaced() -> None:
    sent = json.loads(result_response(1, to_result(mcp_types.TextContent(text=HALF), None)))
    assert sent["result"]["content"] == [text("caf\ufffd")]

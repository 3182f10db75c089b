from __future__ import annotations

import datetime as dt
import enum
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal, NotRequired

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from gatepost.server.calls.context import Context
from gatepost.server.declared.inputs import InputType, input_type
from gatepost.server.declared.signature import read_signature
from gatepost.server.errors import InvalidArguments, ToolDefinitionError


def inputs(func: Any, model: Any = None, *, strict: bool = False) -> InputType:
    return input_type("tested", read_signature(func), model, strict=strict)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Size(TypedDict):
    width: int
    height: NotRequired[int]


@dataclass
class Point:
    x: int
    y: int = 0


class Note(BaseModel):
    """A note."""

    text: str = Field(description="What to keep.", max_length=100)
    tags: list[str] = []


class Tree(BaseModel):
    name: str
    children: list[Tree] = []


def test_plain_parameters_become_properties() -> None:
    def search(query: str, limit: Annotated[int, Field(ge=1, le=50, description="At most.")] = 10) -> None: ...

    assert inputs(search).schema == {
        "type": "object",
        "properties": {
            "query": {"type": "string"},
            "limit": {"type": "integer", "minimum": 1, "maximum": 50, "description": "At most.", "default": 10},
        },
        "required": ["query"],
        "additionalProperties": False,
    }


def test_no_parameters_are_an_object_without_properties() -> None:
    def ping(ctx: Context) -> None: ...

    assert inputs(ping).schema == {"type": "object", "properties": {}, "additionalProperties": False}
    assert inputs(ping).validate({}) == {}


def test_the_schema_refers_only_to_itself() -> None:
    def keep(note: Note, colour: Colour = Colour.RED, size: Size | None = None) -> None: ...

    schema = inputs(keep).schema
    assert schema["$defs"].keys() == {"Note", "Colour", "Size"}
    assert schema["properties"]["note"] == {"$ref": "#/$defs/Note"}
    assert schema["properties"]["colour"] == {"$ref": "#/$defs/Colour", "default": "red"}


def test_defaults_are_filled_in_and_never_shared_between_calls() -> None:
    def keep(
        text: str,
        tags: list[str] = [],  # noqa: B006 (people write this)
        owner: str = Field("me", min_length=1),
        seen: dict[str, int] = Field(default_factory=dict),  # noqa: B008 (likewise)
    ) -> None: ...

    tool = inputs(keep)
    first, second = tool.validate({"text": "a"}), tool.validate({"text": "a"})
    assert first == {"text": "a", "tags": [], "owner": "me", "seen": {}}
    assert first["tags"] is not second["tags"]
    assert first["seen"] is not second["seen"]


def test_a_default_that_json_cannot_carry_stays_out_of_the_schema() -> None:
    nothing = object()

    def keep(text: str = nothing) -> None: ...  # type: ignore[assignment]  # the wrong default is the test

    tool = inputs(keep)
    assert tool.schema["properties"] == {"text": {"type": "string"}}
    assert tool.validate({}) == {"text": nothing}


def test_names_that_models_could_not_have_and_aliases_work() -> None:
    def keep(
        schema: str, _private: int, model_config: bool, from_: Annotated[str, Field(alias="from")] = "me"
    ) -> None: ...

    tool = inputs(keep)
    assert tool.schema["properties"].keys() == {"schema", "_private", "model_config", "from"}
    assert tool.validate({"schema": "a", "_private": 1, "model_config": True, "from": "b"}) == {
        "schema": "a",
        "_private": 1,
        "model_config": True,
        "from_": "b",
    }


@pytest.mark.parametrize(
    ("declared", "given", "expected"),
    [
        (dt.datetime, "2026-07-28T12:00:00+00:00", dt.datetime(2026, 7, 28, 12, tzinfo=dt.UTC)),
        (dt.date, "2026-07-28", dt.date(2026, 7, 28)),
        (dt.timedelta, "PT5M", dt.timedelta(minutes=5)),
        (uuid.UUID, "12345678-1234-5678-1234-567812345678", uuid.UUID("12345678123456781234567812345678")),
        (Decimal, "1.50", Decimal("1.50")),
        (Colour, "red", Colour.RED),
        (Literal["a", "b"], "b", "b"),
        (Literal[1, 2], 2, 2),
        (set[int], [1, 2, 1], {1, 2}),
        (tuple[int, str], [1, "a"], (1, "a")),
        (bytes, "ab", b"ab"),
        (Size, {"width": 1}, {"width": 1}),
        (Point, {"x": 1}, Point(1)),
        (Note, {"text": "a"}, Note(text="a")),
        (Tree, {"name": "a", "children": [{"name": "b"}]}, Tree(name="a", children=[Tree(name="b")])),
        (int | None, None, None),
        (int | str, "5", "5"),
        (float, 1, 1.0),
        (int, 5.0, 5),
        (list[int], [1.0, 2, 3.0], [1, 2, 3]),
        (dict[str, Note], {"a": {"text": "b"}}, {"a": Note(text="b")}),
        (dict[str, Any], {"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}),
        (Any, 5.0, 5.0),
    ],
)
def test_json_becomes_what_is_declared(declared: Any, given: Any, expected: Any) -> None:
    # Optional, so that a model is a parameter here and not the arguments themselves.
    def keep(value: Any = None) -> None: ...

    keep.__annotations__["value"] = declared
    value = inputs(keep).validate({"value": given})["value"]
    assert (value, type(value)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("declared", "given", "message"),
    [
        (int, "5", "value: should be a valid integer, not a string"),
        (int, True, "value: should be a valid integer, not a boolean"),
        (int, 5.5, "value: should be a valid integer, not a floating-point number"),
        (int, 1e300, "value: should be a valid integer, not a floating-point number"),
        (list[int], [1.0, "2"], "value[1]: should be a valid integer, not a string"),
        (str, 5, "value: should be a valid string, not an integer"),
        (str, None, "value: should be a valid string, not null"),
        (bool, 1, "value: should be a valid boolean, not an integer"),
        (bool, "true", "value: should be a valid boolean, not a string"),
        (float, "1.5", "value: should be a valid number, not a string"),
        (float, False, "value: should be a valid number, not a boolean"),
        (dt.datetime, 1_700_000_000, "value: should be a valid datetime, not an integer"),
        (dt.timedelta, 5, "value: should be a valid duration, not an integer"),
        (uuid.UUID, "hunter2", "value: should be a valid UUID"),
        (Colour, "green", "value: should be 'red' or 'blue'"),
        (Literal["a", "b"], "c", "value: should be 'a' or 'b'"),
        (Annotated[int, Field(le=5)], 6, "value: should be less than or equal to 5"),
        (Point, {"x": 1, "y": "2"}, "value.y: should be a valid integer, not a string"),
        (Note, {}, "value.text: is required"),
        (dict[str, int], {"a": 1, "b": "2"}, "value.b: should be a valid integer, not a string"),
        (
            int | list[str],
            [1],
            "value: should be a valid integer, not an array; value[0]: should be a valid string, not an integer",
        ),
        (int | bool, "x", "value: should be a valid integer or should be a valid boolean, not a string"),
    ],
)
def test_another_type_is_refused_naming_the_field_and_what_it_takes(declared: Any, given: Any, message: str) -> None:
    def keep(value: Any = None) -> None: ...

    keep.__annotations__["value"] = declared
    with pytest.raises(InvalidArguments) as raised:
        inputs(keep, strict=True).validate({"value": given})
    assert str(raised.value) == f"Invalid arguments for tested: {message}."


def test_a_type_without_a_schema_is_refused_naming_function_and_parameter() -> None:
    class Connection:
        pass

    def query(sql: str, connection: Connection) -> None: ...
    def watch(callback: type) -> None: ...

    with pytest.raises(ToolDefinitionError) as raised:
        inputs(query)
    assert "query: parameter 'connection' of type " in str(raised.value)
    assert "Connection cannot be described in JSON Schema (" in str(raised.value)
    assert "Connection'> a dataclass, a TypedDict or a Pydantic model)" in str(raised.value)
    with pytest.raises(
        ToolDefinitionError, match="watch: parameter 'callback' of type type cannot be described in JSON Schema"
    ):
        inputs(watch)


def test_types_that_have_a_schema_only_each_alone_are_refused_together() -> None:
    class OnlyOnce:
        looks = 0

        @classmethod
        def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> Any:
            cls.looks += 1
            if cls.looks == 1:
                raise TypeError("not with the other")
            return {"type": "any"}

    def keep(one: OnlyOnce) -> None: ...

    with pytest.raises(
        ToolDefinitionError, match=r"keep: its parameters cannot be described in JSON Schema \(not with the other\)"
    ):
        inputs(keep)


def test_two_parameters_of_one_name_are_refused() -> None:
    def keep(one: Annotated[int, Field(alias="two")], two: int) -> None: ...

    with pytest.raises(ToolDefinitionError, match="keep: two of its parameters have the same name, given by an alias"):
        inputs(keep)


def test_only_arguments_that_json_has_itself_skip_the_second_pass() -> None:
    def plain(
        text: str, numbers: list[int | float], note: Note | None = None, more: dict[str, Any] | None = None
    ) -> None: ...
    def tree(root: Tree, kind: Literal["a", "b"] = "a") -> None: ...
    def dated(when: dt.datetime) -> None: ...
    def counted(counts: dict[int, str]) -> None: ...
    def chosen(choice: Literal[1, "a"]) -> None: ...

    assert [inputs(func).same_in_python for func in (plain, tree, dated, counted, chosen)] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_arguments_that_json_cannot_carry_are_refused() -> None:
    def keep(when: dt.date, more: Any = None) -> None: ...

    nested: Any = []
    for _ in range(300):
        nested = [nested]
    for more in (nested, "\ud800", 2**70):
        with pytest.raises(InvalidArguments, match="nested too deeply, or with a number or text that JSON cannot"):
            inputs(keep).validate({"when": "2026-07-28", "more": more})


def test_a_deeply_nested_argument_is_refused_and_not_followed() -> None:
    def plant(tree: Tree, count: int) -> None: ...

    nested: Any = {"name": "a"}
    for _ in range(900):
        nested = {"name": "a", "children": [nested]}
    with pytest.raises(InvalidArguments):
        inputs(plant).validate({"tree": nested, "count": 1.0})


def test_one_bad_collection_costs_one_error() -> None:
    class Batch(BaseModel):
        texts: list[str]
        counts: dict[str, int]
        type: set[int] = set()

    def load(batch: Batch, texts: list[str]) -> None: ...

    wrong = {"texts": [0] * 500, "counts": {str(number): "a" for number in range(500)}, "type": ["a"] * 500}
    with pytest.raises(InvalidArguments) as raised:
        inputs(load).validate({"batch": wrong, "texts": [0] * 500})
    assert [problem.location for problem in raised.value.problems] == [
        "batch.texts[0]",
        "batch.counts.0",
        "batch.type[0]",
        "texts[0]",
    ]


def test_a_flood_of_unknown_names_is_counted_and_not_listed() -> None:
    def keep(text: str) -> None: ...

    with pytest.raises(InvalidArguments) as raised:
        inputs(keep).validate({"text": "a", **{f"n{number}": 1.5 for number in range(5000)}})
    assert str(raised.value) == "Invalid arguments for tested: 5000 values do not fit."

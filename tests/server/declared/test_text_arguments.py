from __future__ import annotations

from collections.abc import Callable
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from gatepost.server.declared.completion import TextArguments
from gatepost.server.declared.signature import read_signature
from gatepost.server.errors import InvalidArguments, ToolDefinitionError


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Point(BaseModel):
    x: int
    inner: Point | None = None


def arguments_of(func: Callable[..., Any]) -> TextArguments:
    return TextArguments("sample", read_signature(func))


def parsed(annotation: Any, text: str) -> Any:
    def func(value: Any) -> None: ...

    func.__annotations__["value"] = annotation
    return arguments_of(func).parse({"value": text})["value"]


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (str, "5", "5"),
        (str, '"quoted"', '"quoted"'),
        (Any, "5", "5"),
        (str | None, "null", "null"),
        (int, "5", 5),
        (int | None, "5", 5),
        (float, "1.5", 1.5),
        (bool, "true", True),
        (date, "2026-07-28", date(2026, 7, 28)),
        (Colour, "red", Colour.RED),
        (Literal["a", "b"], "b", "b"),
        (Literal[1, 2], "2", 2),
        (list[int], "[1, 2]", [1, 2]),
        (list[int] | None, "null", None),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (Point, '{"x": 1, "inner": {"x": 2}}', Point(x=1, inner=Point(x=2))),
    ],
)
def test_a_text_is_read_as_what_the_parameter_takes(annotation: Any, text: str, value: Any) -> None:
    assert parsed(annotation, text) == value


@pytest.mark.parametrize(
    ("annotation", "text", "message"),
    [
        (int, "secret", "value: should be a valid integer, unable to parse string as an integer"),
        (Literal[1, 2], "3", "value: should be 1 or 2"),
        (Literal["a", "b"], "secret", "value: should be 'a' or 'b'"),
        (list[int], "secret", "value: Invalid JSON: expected value at line 1 column 1"),
        (Annotated[str, Field(max_length=3)], "secret", "value: String should have at most 3 characters"),
        (Colour, '"red"', "value: should be 'red' or 'blue'"),
    ],
)
def test_a_text_that_does_not_fit_is_refused_and_not_repeated(annotation: Any, text: str, message: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        parsed(annotation, text)

    assert str(caught.value) == f"Invalid arguments for sample: {message}."


def test_missing_and_unknown_arguments_are_named_all_at_once() -> None:
    def func(a: str, b: int, c: str = "c") -> None: ...

    with pytest.raises(InvalidArguments) as caught:
        arguments_of(func).parse({"b": "x", "d": "1", "e f": "2"})

    assert [str(problem) for problem in caught.value.problems] == [
        "d: is not an argument here",
        "…: is not an argument here",
        "a: is required",
        "b: should be a valid integer, unable to parse string as an integer",
    ]


def test_arguments_left_out_are_left_to_the_functions_defaults() -> None:
    def func(a: str, b: int = 3) -> None: ...

    assert arguments_of(func).parse({"a": "x"}) == {"a": "x"}


def test_a_parameter_goes_by_its_own_name() -> None:
    def func(a: Annotated[str, Field(alias="b")]) -> None: ...

    with pytest.raises(ToolDefinitionError, match="parameter 'a' has an alias"):
        arguments_of(func)


def test_a_default_stands_in_the_signature() -> None:
    def func(a: Annotated[str, Field(default="x")]) -> None: ...

    with pytest.raises(ToolDefinitionError, match="write the default of parameter 'a' as a: "):
        arguments_of(func)


def test_a_parameter_without_a_schema_is_refused() -> None:
    def func(a: Callable[[], None]) -> None: ...

    with pytest.raises(ToolDefinitionError, match="parameter 'a'"):
        arguments_of(func)


def test_types_that_list_their_values_offer_them_for_completion() -> None:
    def func(a: Colour, b: Literal["x", "y"] | None, c: str, d: Literal[1, "one"], e: Literal["only"]) -> None: ...

    arguments = arguments_of(func).by_name

    assert {name: argument.candidates() for name, argument in arguments.items()} == {
        "a": ("red", "blue"),
        "b": ("x", "y"),
        "c": (),
        "d": ("one",),
        "e": ("only",),
    }

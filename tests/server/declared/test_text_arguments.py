from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal, NotRequired

import pytest
from pydantic import BaseModel, Field, model_validator
from typing_extensions import TypedDict

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
    return TextArguments("sample", read_signature(func), spreads=True)


def parsed(annotation: Any, text: str) -> Any:
    # Another parameter, so that a model is an argument here and not the arguments themselves.
    def func(value: Any, other: str = "") -> None: ...

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
        (list[int], "secret", "value: should be an array, as JSON"),
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


def test_arguments_left_out_have_their_defaults() -> None:
    def func(a: str, b: int = 3, c: Annotated[str, Field(default="c")] = "d") -> None: ...

    assert arguments_of(func).parse({"a": "x"}) == {"a": "x", "b": 3, "c": "d"}


@pytest.mark.parametrize(
    ("annotation", "default"),
    [
        (int, 3), (int | None, None), (date, date(2026, 7, 28)), (Colour, Colour.RED), (Literal["a"], "a"),
        (list[int], []), (Annotated[str, Field(min_length=1)], "x"),
    ],
)  # fmt: skip
def test_an_empty_text_that_does_not_fit_an_optional_argument_is_one_left_out(annotation: Any, default: Any) -> None:
    def func(a: str = "a", value: Any = default) -> None: ...

    func.__annotations__["value"] = annotation

    assert arguments_of(func).parse({"a": "", "value": ""}) == {"a": "", "value": default}


def test_an_empty_text_for_a_required_argument_is_refused() -> None:
    def func(a: int, b: int = 1) -> None: ...

    with pytest.raises(InvalidArguments, match="a: should be a valid integer"):
        arguments_of(func).parse({"a": "", "b": ""})


def test_a_boolean_is_no_number() -> None:
    def func(a: int) -> None: ...

    with pytest.raises(InvalidArguments, match="a: should be a valid integer"):
        arguments_of(func).parse({"a": "true"})


class Trip(BaseModel):
    to: Annotated[str, "Which city."]
    nights: int = Field(default=1, ge=1, alias="for", description="How long.")
    on: date | None = None
    stops: list[str] = []

    @model_validator(mode="after")
    def reachable(self) -> Trip:
        if self.to == "Atlantis":
            raise ValueError("nothing goes there")
        return self


@dataclass
class Stay:
    to: str
    nights: int = 1


class Visit(TypedDict):
    to: Annotated[str, "Which city."]
    nights: NotRequired[int]


def test_the_fields_of_the_only_model_are_the_arguments() -> None:
    def book(trip: Trip) -> None: ...

    arguments = arguments_of(book)

    assert {name: (one.required, one.schema.get("description")) for name, one in arguments.by_name.items()} == {
        "to": (True, "Which city."),
        "for": (False, "How long."),
        "on": (False, None),
        "stops": (False, None),
    }
    texts = {"to": "Rome", "for": "2", "on": "2026-07-28", "stops": '["Pisa"]'}
    expected = Trip(to="Rome", on=date(2026, 7, 28), stops=["Pisa"], **{"for": 2})
    assert arguments.parse(texts) == {"trip": expected}
    assert arguments.parse({"to": "Rome", "for": ""}) == {"trip": Trip(to="Rome")}
    for wrong, message in (
        (
            {"for": "0", "on": "x", "more": "y"},
            "more: is not an argument here; to: is required; for: should be greater",
        ),
        ({"to": "Atlantis"}, "nothing goes there"),
    ):
        with pytest.raises(InvalidArguments, match=f"^Invalid arguments for sample: {message}"):
            arguments.parse(wrong)


def test_the_fields_of_a_dataclass_and_of_a_typed_dict_are_arguments_too() -> None:
    def stay(stay: Stay) -> None: ...
    def visit(visit: Annotated[Visit, "The visit."]) -> None: ...
    def either(visit: Visit | None = None) -> None: ...

    assert arguments_of(stay).parse({"to": "Rome", "nights": "3"}) == {"stay": Stay("Rome", 3)}
    assert arguments_of(visit).parse({"to": "Rome", "nights": "3"}) == {"visit": {"to": "Rome", "nights": 3}}
    assert arguments_of(visit).by_name["to"].schema["description"] == "Which city."
    assert arguments_of(either).parse({"visit": '{"to": "Rome"}'}) == {"visit": {"to": "Rome"}}


def test_a_parameter_goes_by_its_own_name() -> None:
    def func(a: Annotated[str, Field(alias="b")]) -> None: ...

    with pytest.raises(ToolDefinitionError, match="parameter 'a' has an alias"):
        arguments_of(func)


def test_a_default_may_stand_in_the_type() -> None:
    def func(a: Annotated[str, Field(default="x")]) -> None: ...

    assert arguments_of(func).parse({}) == {"a": "x"}


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

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, BaseModel, EmailStr, Field, HttpUrl, create_model, model_validator
from pydantic_core import Url
from typing_extensions import TypedDict

from gatepost.server.declared.inputs import input_type
from gatepost.server.declared.signature import read_signature
from gatepost.server.errors import ArgumentProblem, InvalidArguments

SECRET = "hunter2-and-a-half"


def refusal(declared: Any, given: Any) -> InvalidArguments:
    def keep(value: Any = None) -> None: ...

    keep.__annotations__["value"] = declared
    with pytest.raises(InvalidArguments) as raised:
        input_type("keep", read_signature(keep), None).validate({"value": given})
    return raised.value


def problems(declared: Any, given: Any) -> list[str]:
    return [str(problem) for problem in refusal(declared, given).problems]


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]


@dataclass
class Point:
    x: int


class Size(TypedDict):
    width: int


class Range(BaseModel):
    start: int
    end: int
    label: str = ""

    @model_validator(mode="after")
    def ordered(self) -> Range:
        """Refuse what runs backwards, and labels that it quotes."""
        if self.label:
            raise ValueError(f"the label {self.label!r} is taken")
        if self.end < self.start:
            raise ValueError("end is before start")
        return self


class Tags(BaseModel):
    tags: list[list[str]]

    @model_validator(mode="after")
    def known(self) -> Tags:
        """Refuse them all, and quote them."""
        raise ValueError(f"unknown tags: {self.tags}")


def unlucky(value: int) -> int:
    if value == 13:
        raise AssertionError("this number is unlucky")
    return value


def silent(_: str) -> str:
    raise ValueError


def parsed(value: str) -> int:
    return int(value)


def test_an_error_knows_its_tool_and_each_place() -> None:
    error = refusal(list[Cat], [{"kind": "cat", "lives": 9}, {"kind": "cat"}])
    assert (error.tool, error.problems) == ("keep", (ArgumentProblem("value[1].lives", "is required"),))
    assert str(error) == "Invalid arguments for keep: value[1].lives: is required."


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (list[int], "value: should be an array"),
        (tuple[int, int], "value: should be an array"),
        (set[int], "value: should be an array"),
        (frozenset[int], "value: should be an array"),
        (dict[str, int], "value: should be an object"),
        (Cat, "value: should be an object"),
        (Point, "value: should be an object"),
        (Size, "value: should be an object"),
    ],
)
def test_arrays_and_objects_are_called_so(declared: Any, expected: str) -> None:
    assert problems(declared, 5) == [f"{expected}, not an integer"]


def test_missing_and_unknown_arguments_bring_a_hint() -> None:
    def send(to: str, text: str, urgent: bool = False) -> None: ...

    with pytest.raises(InvalidArguments) as raised:
        input_type("send", read_signature(send), None).validate({"to": "a", "txt": "b"})
    assert str(raised.value) == (
        "Invalid arguments for send: text: is required; txt: is not an argument here. "
        "It takes: to (required), text (required), urgent."
    )


def test_a_tool_without_arguments_says_so() -> None:
    def ping() -> None: ...

    with pytest.raises(InvalidArguments, match=r"host: is not an argument here\. It takes no arguments\.$"):
        input_type("ping", read_signature(ping), None).validate({"host": 1})


def test_the_hint_is_bounded() -> None:
    many = create_model("Many", **{f"field_{number}": (int, 0) for number in range(40)})  # type: ignore[call-overload]  # names made at run time

    def keep() -> None: ...

    with pytest.raises(InvalidArguments) as raised:
        input_type("keep", read_signature(keep), many).validate({"other": 1})
    assert str(raised.value).endswith("field_28, field_29, ….")


def test_fields_that_a_nested_model_forbids_are_named() -> None:
    class Strict(BaseModel, extra="forbid"):
        a: int = 0

    assert problems(Strict, {"b": 1}) == ["value.b: is not a known field"]


@pytest.mark.parametrize("name", ["a b", "", "x" * 65, "a\nb", "\u202e", "<b>"])
def test_a_name_that_is_no_plain_name_is_not_repeated(name: str) -> None:
    error = refusal(dict[str, int], {name: "x"})
    assert [str(problem) for problem in error.problems] == ["value.…: should be a valid integer, not a string"]


def test_the_text_is_bounded_in_problems_and_in_length() -> None:
    many = InvalidArguments("keep", [ArgumentProblem(f"a{number}", "is required") for number in range(12)])
    assert str(many).endswith("a9: is required; and 2 more.")
    assert len(many.problems) == 12
    long = InvalidArguments("keep", [ArgumentProblem("a", "x" * 5000)], hint="It takes: a.")
    assert str(long).endswith("x… It takes: a.")
    assert len(str(long)) == 2000 + len(" It takes: a.")


@pytest.mark.parametrize(
    ("declared", "given", "expected"),
    [
        (uuid.UUID, SECRET, "value: should be a valid UUID"),
        (Url, SECRET, "value: should be a valid URL"),
        (HttpUrl, f"ftp://{SECRET}", "value: URL scheme should be 'http' or 'https'"),
        (int, SECRET, "value: should be a valid integer"),
        (Annotated[str, Field(pattern="^[a-z]$")], SECRET, "value: String should match pattern '^[a-z]$'"),
        (Annotated[str, Field(max_length=5)], SECRET, "value: String should have at most 5 characters"),
        (
            Annotated[Cat | Dog, Field(discriminator="kind")],
            {"kind": SECRET},
            "value: 'kind' should be one of 'cat', 'dog'",
        ),
        (Annotated[Cat | Dog, Field(discriminator="kind")], {"kind": "cat", "lives": SECRET}, "value.lives: should be"),
    ],
)
def test_the_value_is_not_repeated(declared: Any, given: Any, expected: str) -> None:
    error = refusal(declared, given)
    assert [str(problem)[: len(expected)] for problem in error.problems] == [expected]
    assert SECRET not in str(error)


def test_an_authors_words_are_passed_on_unless_they_repeat_the_value() -> None:
    assert problems(Range, {"start": 2, "end": 1}) == ["value: end is before start"]
    assert problems(Range, {"start": 1, "end": 2, "label": SECRET}) == ["value: is not accepted"]
    assert problems(Annotated[int, AfterValidator(unlucky)], 13) == ["value: this number is unlucky"]
    assert problems(Tags, {"tags": [["a", SECRET]]}) == ["value: is not accepted"]
    assert problems(list[Annotated[str, AfterValidator(parsed)]], [SECRET]) == ["value[0]: is not accepted"]
    assert problems(Annotated[str, AfterValidator(silent)], "a") == ["value: is not accepted"]
    assert problems(EmailStr, SECRET)[0].startswith("value: value is not a valid email address: ")


def test_a_problem_with_the_arguments_as_a_whole_names_no_field() -> None:
    def plan(span: Range) -> None: ...

    with pytest.raises(InvalidArguments) as raised:
        input_type("plan", read_signature(plan), None).validate({"start": 2, "end": 1})
    assert str(raised.value) == "Invalid arguments for plan: end is before start."


def test_neither_the_error_nor_its_causes_hold_the_value() -> None:
    error = refusal(list[int], [SECRET])
    assert (error.__cause__, error.__context__) == (None, None)

"""What holds of every call, whatever the arguments are."""

from __future__ import annotations

import asyncio
import datetime as dt
import enum
import importlib
import json
import uuid
from dataclasses import replace
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, EmailStr, Field, HttpUrl, ValidationError
from pydantic_core import from_json

from gatepost.server.calls.exchange import Exchange
from gatepost.server.declared.inputs import InputType
from gatepost.server.declared.tools import Tool
from gatepost.server.errors import InvalidArguments

MARK = "hunter2"
"""In every text that the strategies make, so that an echo shows."""


class Colour(enum.Enum):
    RED = "red"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    puppies: list[Dog] = []


class Order(BaseModel):
    number: int = Field(gt=0)
    note: str | None = None
    lines: dict[str, list[float]] = {}
    ready: bool = False


async def plain(
    number: int,
    text: Annotated[str, Field(min_length=1, max_length=20)] = "a",
    ratio: Annotated[float, Field(ge=0)] = 0.5,
    ready: bool = False,
    numbers: list[int] = [],  # noqa: B006 (people write this)
    either: int | str | None = None,
    kind: Literal["a", "b"] = "a",
    order: Order | None = None,
    anything: Any = None,
) -> None:
    """Take what JSON has itself."""


async def rich(
    day: dt.date,
    at: dt.datetime | None = None,
    key: uuid.UUID | None = None,
    colour: Colour = Colour.RED,
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None,
    pair: tuple[int, str] = (1, "a"),
    unique: frozenset[int] = frozenset(),
    by_number: dict[int, str] = {},  # noqa: B006 (people write this)
    url: HttpUrl | None = None,
    mail: EmailStr | None = None,
    wait: dt.timedelta = dt.timedelta(0),
) -> None:
    """Take what JSON has as texts and lists."""


async def whole(order: Order) -> None:
    """Take the fields of a model."""


PLAIN, RICH, WHOLE = (Tool(func) for func in (plain, rich, whole))

texts = st.text(max_size=8).map(lambda text: MARK + text)
# A whole number that is written as a float and lies beyond what floats tell apart is refused, which no schema says.
# Infinity is no JSON; a message that holds it is refused before (protocol.strict_json).
floats = st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda number: not number.is_integer() or abs(number) <= 2**53
)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | floats | texts
keys = st.sampled_from(["kind", "lives", "puppies", "number", "note", "lines", "ready", "0"]) | st.text(max_size=5)
values = st.recursive(
    scalars | st.sampled_from(["cat", "dog", "a", "red", "2026-07-28", 0, 1, 5.0]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


def arguments_for(tool: Tool) -> st.SearchStrategy[dict[str, Any]]:
    names = st.sampled_from(sorted(tool.definition["inputSchema"]["properties"])) | st.text(max_size=5)
    return st.dictionaries(names, values, max_size=6)


def answer(tool: Tool, arguments: dict[str, Any]) -> InvalidArguments | dict[str, Any]:
    try:
        return asyncio.run(tool.call(arguments, Exchange()))
    except InvalidArguments as error:
        return error


@pytest.mark.parametrize("tool", [PLAIN, RICH, WHOLE], ids=lambda tool: tool.name)
@given(data=st.data())
def test_a_call_ends_well_or_with_invalid_arguments_that_repeat_no_value(tool: Tool, data: st.DataObject) -> None:
    outcome = answer(tool, data.draw(arguments_for(tool)))
    if isinstance(outcome, InvalidArguments):
        assert outcome.problems
        assert MARK not in str(outcome)
        assert all(MARK not in str(problem) for problem in outcome.problems)
    else:
        assert outcome == {"content": [], "isError": False}


@pytest.mark.parametrize("tool", [PLAIN, WHOLE], ids=lambda tool: tool.name)
@given(data=st.data())
def test_the_schema_and_the_validator_agree(tool: Tool, data: st.DataObject) -> None:
    arguments = data.draw(arguments_for(tool))
    # It comes with a development dependency and has no types.
    validator = importlib.import_module("jsonschema").Draft202012Validator(tool.definition["inputSchema"])
    accepted = not isinstance(answer(tool, arguments), InvalidArguments)
    assert accepted == validator.is_valid(arguments)


@pytest.mark.parametrize("tool", [PLAIN, RICH, WHOLE], ids=lambda tool: tool.name)
def test_schemas_are_valid_json_schema(tool: Tool) -> None:
    importlib.import_module("jsonschema").Draft202012Validator.check_schema(tool.definition["inputSchema"])


@pytest.mark.parametrize("tool", [PLAIN, WHOLE], ids=lambda tool: tool.name)
@given(data=st.data())
def test_validating_python_values_and_json_text_is_the_same(tool: Tool, data: st.DataObject) -> None:
    arguments = data.draw(arguments_for(tool))
    taken = tool._input
    assert isinstance(taken, InputType)

    def outcome(*, same_in_python: bool) -> Any:
        try:
            return replace(taken, same_in_python=same_in_python).validate(arguments)
        except InvalidArguments as error:
            return str(error)

    assert taken.same_in_python
    assert repr(outcome(same_in_python=True)) == repr(outcome(same_in_python=False))


@given(value=values)
@settings(max_examples=50)
def test_what_a_tool_returns_is_what_is_sent(value: Any) -> None:
    async def give() -> Any:
        return value

    outcome = answer(Tool(give, output=dict[str, Any] | list[Any] | float | str | None), {})
    assert isinstance(outcome, dict)
    if not outcome["isError"]:
        structured = outcome["structuredContent"]
        shown = outcome["content"][0]["text"]
        assert structured == (shown if isinstance(structured, str) else json.loads(shown))
    try:
        from_json(json.dumps(value), allow_inf_nan=False)
    except (ValueError, ValidationError):
        return
    assert not outcome["isError"]

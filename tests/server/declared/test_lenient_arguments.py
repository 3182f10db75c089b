from __future__ import annotations

import datetime as dt
import enum
import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from gatepost.server.declared.inputs import InputType, input_type
from gatepost.server.declared.signature import read_signature
from gatepost.server.declared.tools import Tool
from gatepost.server.errors import InvalidArguments
from gatepost.server.server import Server


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


class Filter(BaseModel):
    tag: str = "all"
    limit: int = 10
    since: dt.date | None = None


@dataclass
class Point:
    x: int
    y: int = 0


class Area(TypedDict):
    corner: Point


def inputs(func: Any, *, strict: bool = False) -> InputType:
    return input_type("tested", read_signature(func), None, strict=strict)


def of_type(declared: Any, *, strict: bool = False, **default: Any) -> InputType:
    """What takes one argument, `value`, beside another, so that a model is not the arguments themselves."""

    def keep(value: Any, other: int = 0) -> None: ...

    keep.__annotations__["value"] = declared
    if default:
        keep.__defaults__ = (default["default"], 0)
    return inputs(keep, strict=strict)


@pytest.mark.parametrize(
    ("declared", "sent", "taken"),
    [
        (int, "5", 5),
        (int, "-5", -5),
        (int, "5.0", 5),
        (int | None, "5", 5),
        (int | None, "null", None),
        (float, "1.5", 1.5),
        (float, "5", 5.0),
        (bool, "true", True),
        (bool, "false", False),
        (bool, "True", True),
        (bool, "False", False),
        (Literal[1, 2], "2", 2),
        (Size, "2", Size.LARGE),
        (list[str], '["a", "b"]', ["a", "b"]),
        (list[str] | None, '["a"]', ["a"]),
        (list[int], '["1", "2"]', [1, 2]),
        (list[int], ["1", "2", 3], [1, 2, 3]),
        (tuple[int, str], ["1", "2"], (1, "2")),
        (set[int], "[1, 2]", {1, 2}),
        (dict[str, int], '{"a": "1"}', {"a": 1}),
        (dict[str, int] | None, ' {"a": 1}\n', {"a": 1}),
        (Filter, '{"tag": "a", "limit": "5"}', Filter(tag="a", limit=5)),
        (Filter | None, '{"since": "2026-07-28"}', Filter(since=dt.date(2026, 7, 28))),
        (Point, '{"x": 1}', Point(1)),
        (Area, {"corner": '{"x": "1"}'}, {"corner": Point(1)}),
        (list[Filter], [{"limit": "5"}, {"tag": None}], [Filter(limit=5), Filter()]),
        (dict[str, Any], '{"a": "1"}', {"a": "1"}),
    ],
)
def test_a_text_is_read_as_what_it_is_the_json_of_where_no_text_is_taken(declared: Any, sent: Any, taken: Any) -> None:
    value = of_type(declared).validate({"value": sent})["value"]
    assert (value, type(value)) == (taken, type(taken))
    with pytest.raises(InvalidArguments):
        of_type(declared, strict=True).validate({"value": sent})


@pytest.mark.parametrize(
    ("declared", "sent"),
    [
        (int, "5.5"), (int, "five"), (int, ""), (int, "0x5"), (int, "05"), (int, "5,0"), (int, "true"), (int, '"5"'),
        (int, str(2**70)), (int, True), (int, 5.5), (int, [5]), (int, "1e300"), (int, "NaN"),
        (int, "\N{ARABIC-INDIC DIGIT FIVE}"),
        (float, "1,5"), (float, "Infinity"), (float, "1e400"), (float, True),
        (bool, "yes"), (bool, "1"), (bool, "TRUE"), (bool, ""), (bool, 1), (bool, 0),
        (str, 5), (str, True), (str, None), (str, ["a"]), (str, {"a": 1}),
        (list[str], "a"), (list[str], "a, b"), (list[str], '"a"'), (list[str], '{"a": 1}'), (list[int], "[1, 2.5]"),
        (list[str], "['a']"), (list[str], "[1]"), (dict[str, int], "[]"), (dict[str, int], '{"a": 1, "a": 2}'),
        (Filter, '{"other": "'), (Filter, "[" * 100 + "]" * 100), (Point, '{"y": 1}'), (Literal["a", "b"], '"a"'),
        (int | bool, "5"), (int | bool, "true"), (int | list[int], "5"), (Point | Filter, '{"x": 1}'),
        (dict[str, int], {"a": None}), (list[int], [None]), (dt.date, 20260728), (Size, "3"), (Size, "LARGE"),
    ],
)  # fmt: skip
def test_what_could_mean_something_else_or_nothing_is_refused(declared: Any, sent: Any) -> None:
    with pytest.raises(InvalidArguments):
        of_type(declared).validate({"value": sent})


@pytest.mark.parametrize(
    ("declared", "sent"),
    [
        (str, "5"), (str, "true"), (str, "null"), (str, '{"a": 1}'), (str | None, "null"), (str | int, "5"),
        (int | str, "5"), (list[str] | str, '["a"]'), (Any, "5"), (Any, '{"a": 1}'), (Any, None),
        (Literal["1", 1], "1"),
        (dict[str, Any], {"a": "1", "b": None}), (list[str | int], ["1", 1]), (str | None, None),
    ],
)  # fmt: skip
def test_what_the_schema_admits_is_never_read_otherwise(declared: Any, sent: Any) -> None:
    # Beside an argument that has to be read leniently.
    taken = of_type(declared).validate({"value": sent, "other": "5"})
    assert taken == {"value": sent, "other": 5}
    assert type(taken["value"]) is type(sent)


@pytest.mark.parametrize("declared", [int, str, list[str], Filter, Literal["a", "b"], dt.date, bool])
def test_null_for_an_argument_with_a_default_is_one_left_out(declared: Any) -> None:
    default = object()
    assert of_type(declared, default=default).validate({"value": None})["value"] is default
    with pytest.raises(InvalidArguments, match="value: should be .*, not null"):
        of_type(declared).validate({"value": None})


def test_null_is_left_out_of_models_too_but_never_of_a_mapping() -> None:
    def find(where: Filter) -> None: ...
    def count(ages: dict[str, int], where: list[Filter] | None = None) -> None: ...

    assert inputs(find).validate({"tag": None, "limit": None}) == {"where": Filter()}
    assert inputs(count).validate({"ages": {}, "where": [{"tag": None}]}) == {"ages": {}, "where": [Filter()]}
    with pytest.raises(InvalidArguments, match="ages.a: should be a valid integer, not null"):
        inputs(count).validate({"ages": {"a": None}})


N8N = {"sessionId": "s", "action": "sendMessage", "chatInput": "hello", "toolCallId": "call_1"}


def test_what_n8n_adds_to_every_call_is_passed_over() -> None:
    def add(text: str) -> None: ...
    def find(where: Filter) -> None: ...
    def act(action: str, limit: int = 1) -> None: ...

    assert inputs(add).validate({"text": "a", **N8N}) == {"text": "a"}
    assert inputs(find).validate({"limit": "5", **N8N}) == {"where": Filter(limit=5)}
    assert inputs(act).validate({"limit": "5", **N8N}) == {"action": "sendMessage", "limit": 5}
    assert inputs(add).validate({"text": "a", "toolCallId": "call_1"}) == {"text": "a"}


@pytest.mark.parametrize("sent", [{"action": "delete"}, {"chatInput": "x", "sessionId": "s"}, {**N8N, "txt": "a"}])
def test_other_unknown_names_are_refused(sent: dict[str, Any]) -> None:
    def add(text: str) -> None: ...

    with pytest.raises(InvalidArguments, match="is not an argument here"):
        inputs(add).validate({"text": "a", **sent})


def test_what_was_sent_stays_as_it_was() -> None:
    def add(numbers: list[int], where: Filter | None = None, text: str = "") -> None: ...

    sent: dict[str, Any] = {"numbers": ["1"], "where": {"limit": "5", "tag": None}, "text": None}
    before = json.dumps(sent)
    inputs(add).validate(sent)
    assert json.dumps(sent) == before


def test_an_error_says_what_was_expected_and_what_came() -> None:
    def add(count: int, tags: list[str], where: Filter, flag: bool, text: str = "") -> None: ...

    sent = {"count": "many", "tags": {"a": 1}, "where": '{"limit": "few"}', "flag": 1.5, "text": 5}
    with pytest.raises(InvalidArguments) as raised:
        inputs(add).validate(sent)
    assert [str(problem) for problem in raised.value.problems] == [
        "count: should be a valid integer, not a string",
        "tags: should be an array, not an object",
        "where.limit: should be a valid integer, not a string",
        "flag: should be a valid boolean, not a floating-point number",
        "text: should be a valid string, not an integer",
    ]


def test_large_arguments_are_not_searched_for_every_fault() -> None:
    def add(numbers: list[int], more: int = 0) -> None: ...

    few, many = [str(number) for number in range(50)], [str(number) for number in range(50_000)]
    assert inputs(add).validate({"numbers": few}) == {"numbers": list(range(50)), "more": 0}
    with pytest.raises(InvalidArguments, match=r"numbers\[\d\]: should be a valid integer, not a string\.$"):
        inputs(add).validate({"numbers": many})
    # As one text they are one fault.
    assert inputs(add).validate({"numbers": json.dumps(list(range(50_000)))})["numbers"][-1] == 49_999


def test_a_server_and_a_tool_may_be_strict() -> None:
    def add(number: int) -> None: ...

    strict, lenient = Server("a", tools=[add], strict_arguments=True), Server("b", tools=[add])
    strict.tool(name="other", strict_arguments=False)(add)
    strict.tool(name="same")(add)
    own = Tool(add, name="own", strict_arguments=True)

    def takes_text(tool: Tool) -> bool:
        try:
            tool._input.validate({"number": "5"})
        except InvalidArguments:
            return False
        return True

    assert {name: takes_text(tool) for name, tool in strict.tools.items()} == {
        "add": False,
        "other": True,
        "same": False,
    }
    assert (takes_text(lenient.tools["add"]), takes_text(own)) == (True, False)
    assert strict.tools["add"].definition == lenient.tools["add"].definition


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
TYPES: list[Any] = [
    int, float, bool, str, int | None, list[int], dict[str, int], Filter, Point, Literal[1, "a"], int | str, Any,
    Annotated[int, Field(ge=0)], list[Filter],
]  # fmt: skip


@given(st.sampled_from(TYPES), VALUES, st.booleans())
def test_whatever_strict_validation_takes_means_the_same(declared: Any, sent: Any, as_text: bool) -> None:
    if as_text:
        sent = json.dumps(sent)
    try:
        strict = of_type(declared, strict=True).validate({"value": sent})
    except InvalidArguments:
        return
    lenient = of_type(declared).validate({"value": sent, "other": "0"})
    assert (repr(lenient), json.dumps(sent)) == (repr(strict), json.dumps(sent))

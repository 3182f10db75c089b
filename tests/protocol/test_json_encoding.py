"""What is written of values that the encoder refuses though JSON can say them (record 0042)."""

from __future__ import annotations

import enum
from typing import Any

import orjson
import pytest

from gatepost.protocol.json_encoding import encode, made_whole, whole_text

LARGEST = 2**63 - 1
SMALLEST = -(2**63)


class Word(enum.Enum):
    """A text that was cut."""

    CUT = "a\udcff"


class Number(enum.IntEnum):
    """A number that is one."""

    WIDE = 2**64


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("plain", "plain"),
        ("grüße 🗒", "grüße 🗒"),
        ("a\ud800", "a\ufffd"),
        ("\udfffb", "\ufffdb"),
        ("\udc00\ud83d", "\ufffd\ufffd"),
        ("\ud83d\udcdd", "📝"),
    ],
)
def test_half_a_surrogate_pair_becomes_a_replacement_character(text: str, whole: str) -> None:
    assert whole_text(text) == whole


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"a": [1, None, True, 1.5, "x"]}, '{"a":[1,null,true,1.5,"x"]}'),
        ({"\ud800": "\udcff", "n": (1, "é")}, '{"\ufffd":"\ufffd","n":[1,"é"]}'),
        ([Word.CUT, {"w": Word.CUT}], '["a\ufffd",{"w":"a\ufffd"}]'),
        (LARGEST, "9223372036854775807"),
        (2**64, "18446744073709551616"),
        (SMALLEST, "-9223372036854775808"),
        (SMALLEST - 1, "-9223372036854775809"),
        ([-(2**70), {"n": 2**70}], '[-1180591620717411303424,{"n":1180591620717411303424}]'),
        ([2**64, LARGEST, SMALLEST, True], "[18446744073709551616,9223372036854775807,-9223372036854775808,true]"),
        ([2**64, 2**63], "[18446744073709551616,9223372036854775808]"),
        ([Number.WIDE], "[18446744073709551616]"),
    ],
)
def test_what_json_can_say_is_written(value: Any, written: str) -> None:
    assert encode(value).decode() == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({1: "a\ud800"}, '{"1":"a\ufffd"}'),
        ({True: "a\ud800", None: 1, 2**64 - 1: 2}, '{"true":"a\ufffd","null":1,"18446744073709551615":2}'),
        ({2**63 - 1: "a\ud800", -(2**63): 1}, '{"9223372036854775807":"a\ufffd","-9223372036854775808":1}'),
        ({2**64: 1}, '{"18446744073709551616":1}'),
        ({-(2**63) - 1: 2**64}, '{"-9223372036854775809":18446744073709551616}'),
    ],
)
def test_names_that_are_numbers_are_written_with_all_their_digits(value: Any, written: str) -> None:
    assert encode(value, None, orjson.OPT_NON_STR_KEYS).decode() == written


def test_only_what_the_encoder_is_not_sure_to_take_is_given_to_it_as_text() -> None:
    assert made_whole([LARGEST, SMALLEST]) == [LARGEST, SMALLEST]
    assert [type(one) for one in made_whole([LARGEST + 1, SMALLEST - 1])] == [orjson.Fragment, orjson.Fragment]


def test_what_stands_for_a_value_is_made_whole_too() -> None:
    def default(value: object) -> object:
        assert isinstance(value, complex)
        return [value.real, "a\ud800", 2**64]

    assert encode({"c": 1j}, default).decode() == '{"c":[0.0,"a\ufffd",18446744073709551616]}'
    assert encode(["\ud800", 1j], default, orjson.OPT_APPEND_NEWLINE).decode() == (
        '["\ufffd",[0.0,"a\ufffd",18446744073709551616]]\n'
    )
    assert encode([1j], lambda _value: "x", orjson.OPT_APPEND_NEWLINE) == b'["x"]\n'


def test_two_names_that_would_be_one_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^two of its names differ only in what cannot be sent$"):
        encode(dict.fromkeys(("a\ud800", "a\udfff"), 1))


def nested(depth: int, inside: Any) -> Any:
    for _ in range(depth):
        inside = [inside]
    return inside


def named(depth: int, inside: Any) -> Any:
    for _ in range(depth):
        inside = {"n": inside}
    return inside


def test_what_nests_too_deep_or_holds_itself_is_refused() -> None:
    for inside, written in (("\ud800", '"\ufffd"'), (Word.CUT, '"a\ufffd"')):
        assert encode(nested(250, inside)).decode() == "[" * 250 + written + "]" * 250
    assert encode(named(250, "\ud800")).decode() == '{"n":' * 250 + '"\ufffd"' + "}" * 250
    itself: list[Any] = ["\ud800"]
    itself.append(itself)
    for value in (nested(251, "\ud800"), nested(251, Word.CUT), named(251, "\ud800"), itself):
        with pytest.raises(ValueError, match=r"^it nests deeper than 250 levels, or holds itself$"):
            encode(value)


def test_an_integer_of_more_digits_than_python_writes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^it holds an integer of more digits than Python writes "):
        encode([10**5000])


def test_what_json_has_no_form_for_is_refused() -> None:
    for value in ({1}, ["\ud800", object()]):
        with pytest.raises(TypeError):
            encode(value)

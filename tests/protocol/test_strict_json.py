from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatepost.protocol import strict_json
from gatepost.protocol.errors import InvalidJsonRpcRequest, ParseError

REPEATED = "An object in the body names a member twice."
WIDE = "An integer in the body does not fit into 64 bits; send it as a text."
DEEP = "The body nests deeper than 64 levels."
MANY = "The body has more than 200000 values."


def nested(depth: int, innermost: bytes = b"1") -> bytes:
    """Arrays in arrays, `depth` of them."""
    return b"[" * depth + innermost + b"]" * depth


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"{}", {}),
        (b'{"a":1,"b":[{"a":2}]}', {"a": 1, "b": [{"a": 2}]}),
        (b'{ "a" : 1 }', {"a": 1}),
        (b'{"a": 1, "b": [1, 2]}', {"a": 1, "b": [1, 2]}),
        (b'{"a: b": ", "}', {"a: b": ", "}),
        (b'{"url":"https://x/?a:b"}', {"url": "https://x/?a:b"}),
        (b'{"text":"{\\"a\\":1}"}', {"text": '{"a":1}'}),
        (b'{"a":{"same":1},"b":{"same":1}}', {"a": {"same": 1}, "b": {"same": 1}}),
        (b"18446744073709551615", 2**64 - 1),
        (b"-9223372036854775808", -(2**63)),
        (b"[ 18446744073709551615 ]", [2**64 - 1]),
        (b"[ -9223372036854775808 ]", [-(2**63)]),
        (b"1e300", 1e300),
        (b"[-1e20]", [-1e20]),
        ('"ä☃"'.encode(), "ä☃"),
    ],
)
def test_honest_documents_are_read(raw: bytes, value: Any) -> None:
    assert strict_json.load(raw) == value


@pytest.mark.parametrize(
    "raw", [b"", b" ", b"{", b"nul", b"NaN", b"[1,]", b"\xff", b"{}{}", b'"\\ud800', b"[1e999", b"[NaN,1e999]"]
)
def test_what_is_not_json_in_utf8_is_a_parse_error(raw: bytes) -> None:
    with pytest.raises(ParseError) as caught:
        strict_json.load(raw)

    assert caught.value.message == "The body is not valid JSON in UTF-8."


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1,"a":2}',
        b'{"a":1,"\\u0061":2}',
        b'{"a" :1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a": 1, "a": 1}',
        b'{"a: ": 1, "a: ": 1}',
        b'{"a":", ","a":1}',
        b'{"a":{"b":1,"b":1}}',
        b'[{"x":{"a":[],"a":[]}}]',
        b'{"":1,"":2}',
        b'{"a":' + nested(10) + b',"a":1}',
    ],
)
def test_a_member_named_twice_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidJsonRpcRequest) as caught:
        strict_json.load(raw)

    assert caught.value.message == REPEATED


@pytest.mark.parametrize(
    "raw",
    [
        b"18446744073709551616",
        b"-9223372036854775809",
        b'{"a":[100000000000000000000]}',
        b"1" * 300,
        nested(64, b"9" * 30),
    ],
)
def test_an_integer_beyond_64_bits_is_refused_and_not_rounded(raw: bytes) -> None:
    with pytest.raises(InvalidJsonRpcRequest) as caught:
        strict_json.load(raw)

    assert caught.value.message == WIDE


def objects(depth: int, innermost: bytes = b"1") -> bytes:
    """Objects in objects, `depth` of them."""
    return b'{"a":' * depth + innermost + b"}" * depth


@pytest.mark.parametrize("levels", [nested, objects])
@pytest.mark.parametrize("innermost", [b"1", b"1e99", b'"[["', b"[]", b"{}"])
def test_64_levels_are_read_and_65_are_refused(levels: Callable[[int, bytes], bytes], innermost: bytes) -> None:
    most = 63 if innermost in {b"[]", b"{}"} else 64
    # Brackets beside them, without which nobody would count levels.
    deepest, deeper = (b"[%b%b]" % (levels(depth, innermost), b",[]" * 64) for depth in (most - 1, most))
    assert strict_json.load(deepest) == orjson.loads(deepest)
    with pytest.raises(InvalidJsonRpcRequest) as caught:
        strict_json.load(deeper)

    assert caught.value.message == DEEP


def test_depth_that_a_repeated_name_hides_is_refused() -> None:
    with pytest.raises(InvalidJsonRpcRequest):
        strict_json.load(b'{"a":' + nested(1000) + b',"a":1}')


def test_nesting_beyond_what_the_decoder_takes_is_refused() -> None:
    with pytest.raises(ParseError):
        strict_json.load(nested(100_000))


@pytest.mark.parametrize(
    "raw",
    [
        b"[" + b"[]," * 200_000 + b"[]]",
        b"[" + b"{}," * 200_000 + b"{}]",
        b"[" + b"[" * 63 + b"]" * 63 + b",[]" + b",1" * 200_000 + b"]",
        b"[1" + b" ,1" * 200_000 + b"]",
        b'{"a" :[' + b"1," * 200_000 + b"1]}",
        b'{"x" :1' + b"".join(b',"%d":""' % number for number in range(200_000)) + b"}",
    ],
    ids=["arrays", "objects", "beside-depth", "spaced", "integers", "members"],
)
def test_looking_at_values_one_by_one_ends(raw: bytes) -> None:
    with pytest.raises(InvalidJsonRpcRequest) as caught:
        strict_json.load(raw)

    assert caught.value.message == MANY


@pytest.mark.parametrize(
    "document",
    [
        lambda count: b"[" + b"[]," * (count - 1) + b"[]]",
        lambda count: b"[1" + b" ,1" * (count - 1) + b"]",
        # An object is one itself.
        lambda count: b'{"x" :""' + b"".join(b',"%d":""' % number for number in range(count - 2)) + b"}",
        lambda count: b"[" + b"{}, " * (count - 1) + b"{} ]",
        lambda count: b"[" + b"[]," * 99_999 + b"[" + b"1," * (count - 100_001) + b"1]]",
        lambda count: b'[ {"a":[],' + b",".join(b'"%d":""' % number for number in range(count - 4)) + b'},{"b":1}]',
    ],
    ids=["arrays", "integers", "members", "objects", "levels", "members-of-two"],
)
def test_200000_values_are_looked_at_and_no_more(document: Callable[[int], bytes]) -> None:
    assert strict_json.load(document(200_000)) == orjson.loads(document(200_000))
    with pytest.raises(InvalidJsonRpcRequest) as caught:
        strict_json.load(document(200_001))

    assert caught.value.message == MANY


@pytest.mark.parametrize("separator", [b",", b", "])
def test_a_long_document_in_a_usual_style_needs_no_look(separator: bytes) -> None:
    assert strict_json.load(b"[" + separator.join([b"1"] * 300_001) + b"]") == [1] * 300_001
    with_separators_in_texts = b'["a, b: c",' + b"1," * 300_000 + b"1]"
    assert len(strict_json.load(with_separators_in_texts)) == 300_002
    members = separator.join(b'"%d": ""' % number for number in range(300_000))
    assert len(strict_json.load(b"{" + members + b"}")) == 300_000


# Names that repeat often, and texts that look like structure.
_TEXT = st.text(alphabet='":\\ \tab{},', max_size=4)
_PADDING = st.sampled_from(["", " ", "\t", "\n", "\r\n"])


@st.composite
def documents(draw: st.DrawFn, depth: int = 3) -> str:
    """The text of a JSON document in any style, in which names repeat often."""
    if depth == 0 or draw(st.booleans()):
        return json.dumps(draw(st.one_of(_TEXT, st.integers(-(2**65), 2**65), st.booleans(), st.none())))
    members = draw(st.lists(st.tuples(_TEXT, documents(depth=depth - 1), _PADDING, _PADDING), max_size=4))
    if draw(st.booleans()):
        return "[" + ",".join(before + value + after for _, value, before, after in members) + "]"
    return "{" + ",".join(f"{json.dumps(name)}{before}:{after}{value}" for name, value, before, after in members) + "}"


def exact(text: str) -> bool:
    """Say, member by member and digit by digit, whether the document is one we take."""

    def pairs(found: list[tuple[str, Any]]) -> None:
        if len({name for name, _ in found}) != len(found):
            raise LookupError

    def integer(literal: str) -> None:
        if not -(2**63) <= int(literal) < 2**64:
            raise LookupError

    try:
        json.loads(text, object_pairs_hook=pairs, parse_int=integer)
    except LookupError:
        return False
    return True


@given(documents())
@example('{"a":1,"a":1}')
@example('{"a: b":1,"a:b":1}')
@example("[18446744073709551616]")
def test_the_short_cut_and_the_exact_check_agree(text: str) -> None:
    try:
        strict_json.load(text.encode())
    except InvalidJsonRpcRequest:
        assert not exact(text)
    else:
        assert exact(text)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with contextlib.suppress(ParseError, InvalidJsonRpcRequest):
        strict_json.load(raw)

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.protocol.header_values import (
    MirroredArgument,
    check_mirrors,
    decode_header_value,
    encode_header_value,
    mirrors_of,
    plain_header_value,
)


def encoded(text: str) -> bytes:
    """The encoded form of a header value."""
    return b"=?base64?" + base64.b64encode(text.encode()) + b"?="


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"us-west1", "us-west1"),
        (b"  add\t", "add"),
        (b"", ""),
        (b"a\tb c", "a\tb c"),
        (b"X add X", "X add X"),
        (b"=?base64?SGVsbG8sIOS4lueVjA==?=", "Hello, 世界"),
        (b"=?base64?IHBhZGRlZCA=?=", " padded "),
        (b"=?base64?bGluZTEKbGluZTI=?=", "line1\nline2"),
        (b"=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=", "=?base64?literal?="),
        (b"=?base64??=", ""),
        (b"SGVsbG8=", "SGVsbG8="),
        (b"=?base64?SGVsbG8=", "=?base64?SGVsbG8="),
        (b"=?base64?=", "=?base64?="),
        (b"=?BASE64?SGVsbG8=?=", "=?BASE64?SGVsbG8=?="),
    ],
)
def test_a_value_stands_for_itself_or_for_what_it_encodes(raw: bytes, value: str) -> None:
    assert decode_header_value(raw) == value


@pytest.mark.parametrize(
    "raw",
    [
        b"=?base64?SGVsbG8?=",  # padding is missing
        b"=?base64?SGVs!!!bG8=?=",  # not the alphabet
        b"=?base64?SGVsbG9=?=",  # a second spelling of "Hello"
        b"=?base64?/w==?=",  # not UTF-8
        "ä".encode(),
        b"a\x00b",
        b"\x0cadd",
        b"add\n",
        b"\radd",
        b"a\x7fb",
        b"\xff",
    ],
)
def test_a_malformed_value_stands_for_nothing(raw: bytes) -> None:
    assert decode_header_value(raw) is None


def test_a_plain_value_is_never_decoded() -> None:
    assert plain_header_value(b" =?base64?SGVsbG8=?= ") == "=?base64?SGVsbG8=?="


@given(st.text())
def test_every_text_survives_encoding(text: str) -> None:
    assert decode_header_value(encoded(text)) == text


@given(st.text())
def test_what_is_encoded_here_says_the_same_there(text: str) -> None:
    assert decode_header_value(encode_header_value(text).encode("ascii")) == text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("us-west1", "us-west1"),
        ("Hello, \u4e16\u754c", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        (" padded ", "=?base64?IHBhZGRlZCA=?="),
        ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
        ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ("", ""),
    ],
)
def test_values_are_written_as_the_specification_has_them(text: str, written: str) -> None:
    assert encode_header_value(text) == written


def test_arguments_are_mirrored_where_they_are_there() -> None:
    mirrored = [
        MirroredArgument(b"mcp-param-region", ("region",)),
        MirroredArgument(b"mcp-param-count", ("inner", "count")),
        MirroredArgument(b"mcp-param-all", ("all",)),
        MirroredArgument(b"mcp-param-none", ("none",)),
        MirroredArgument(b"mcp-param-absent", ("absent",)),
    ]
    arguments = {"region": "\u00fc", "inner": {"count": -7}, "all": True, "none": None}
    headers = mirrors_of(mirrored, arguments)

    assert headers == {"mcp-param-region": "=?base64?w7w=?=", "mcp-param-count": "-7", "mcp-param-all": "true"}
    check_mirrors(mirrored, arguments, {name.encode(): value.encode() for name, value in headers.items()})

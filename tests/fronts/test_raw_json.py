"""Messages of servers, in their own spelling."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.fronts.raw_json import (
    Additions,
    Answer,
    NotAMessage,
    ServerNotification,
    ServerRequest,
    made_private,
    members_of,
    read_message,
    with_entries,
)

EXACT = '{"big":1152921504606846976,"one":1.0,"huge":123456789012345678901234567890,"e":1E2}'


@pytest.mark.parametrize(
    "line",
    [
        f'{{"jsonrpc":"2.0","id":7,"result":{EXACT}}}',
        f'{{"jsonrpc": "2.0", "id": 7, "result": {EXACT}}}',
        f'{{"result":{EXACT},"jsonrpc":"2.0","id":7}}',
        f'{{"id":7,"result":{EXACT},"jsonrpc":"2.0"}}',
        f'{{"id":7,"own":[1,{{"a":"}}"}}],"result": {EXACT} ,"jsonrpc":"2.0"}}',
        f'  {{ "id" : 7 , "result" : {EXACT} , "jsonrpc" : "2.0" }} \r',
    ],
)
def test_a_result_stays_as_it_is_spelled_wherever_it_stands(line: str) -> None:
    assert read_message(line.encode()) == Answer(7, EXACT.encode(), None)


def test_members_behind_a_result_are_none_of_it() -> None:
    line = b'{"jsonrpc":"2.0","id":7,"result":{"a":1},"own":{"b":2}}'

    assert read_message(line) == Answer(7, b'{"a":1}', None)


def test_an_error_keeps_code_message_data_and_what_nobody_knows() -> None:
    error = {"code": -32099, "message": "own", "data": {"a": 1.0}, "own": 2**60}

    assert read_message(json.dumps({"jsonrpc": "2.0", "id": "x", "error": error}).encode()) == Answer("x", None, error)


def test_requests_and_notifications_are_told_apart_by_the_id() -> None:
    assert read_message(b'{"jsonrpc":"2.0","id":0,"method":"roots/list"}') == ServerRequest(0, "roots/list", {})
    raw = b'{"jsonrpc":"2.0","method":"own","params":{"a":1.0}}'
    assert read_message(raw) == ServerNotification("own", {"a": 1.0}, raw)


@pytest.mark.parametrize(
    "line",
    [
        b"a stray print",
        b"",
        b"[]",
        b"{",
        b'"text"',
        b'{"jsonrpc":"2.0"}',
        b'{"jsonrpc":"2.0","id":1}',
        b'{"jsonrpc":"2.0","id":true,"result":{}}',
        b'{"jsonrpc":"2.0","id":null,"result":{}}',
        b'{"jsonrpc":"2.0","id":1,"result":[]}',
        b'{"jsonrpc":"2.0","id":1,"result":{}',
        b'{"jsonrpc":"2.0","id":1,"result":{"a":NaN}}',
        b'{"jsonrpc":"2.0","id":1,"id":2,"result":{}}',
        b'{"jsonrpc":"2.0","id":1,"error":{"code":"x","message":"m"}}',
        b'{"jsonrpc":"2.0","id":1,"error":"text"}',
        b'{"jsonrpc":"2.0","method":1}',
        b'{"jsonrpc":"2.0","method":"m","params":[]}',
        b'{"jsonrpc":"2.0","id":{},"method":"m"}',
        b'{"jsonrpc":"2.0","id":1,"result":{}} {}',
        b'\xff{"jsonrpc":"2.0","id":1,"result":{}}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_message_is_said_to_be_none(line: bytes) -> None:
    with pytest.raises(NotAMessage):
        read_message(line)


def test_raw_line_ends_between_values_become_blanks() -> None:
    assert read_message(b'{"jsonrpc":"2.0",\r\n"id":1,"result":{"a":\r1}}') == Answer(1, b'{"a": 1}', None)


NAMES = st.text("ab_meta", max_size=3) | st.just("_meta")
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)
objects = st.dictionaries(NAMES, values, max_size=3)


@given(objects, st.sampled_from([(",", ":"), (", ", ": "), (" ,  ", " : ")]))
def test_members_are_cut_where_they_end(value: dict[str, Any], separators: tuple[str, str]) -> None:
    text = json.dumps(value, separators=separators)

    assert {name: json.loads(raw) for name, raw in members_of(text).items()} == value


@given(objects, objects, objects)
def test_what_is_added_never_replaces_what_is_there(
    value: dict[str, Any], added: dict[str, Any], meta: dict[str, Any]
) -> None:
    added.pop("_meta", None)
    given_meta = value.get("_meta", {})
    expected = {**added, **value, "_meta": {**meta, **given_meta} if type(given_meta) is dict else given_meta}

    assert json.loads(Additions(added, meta).put_into(json.dumps(value).encode())) == expected


def test_adding_changes_no_spelling() -> None:
    assert Additions({"b": 2}, {"c": 3}).put_into(b'{"a":1.0}') == b'{"b":2,"_meta":{"c":3},"a":1.0}'
    assert Additions({"b": 2}, {"c": 3}).put_into(b"{ }") == b'{"b":2,"_meta":{"c":3}}'
    assert (
        Additions({"b": 2}, {"c": 3}).put_into(b'{"_meta":{"a":1.0},"b":1E2}') == b'{"_meta":{"a":1.0,"c":3},"b":1E2}'
    )


def test_entries_are_left_out_and_the_rest_stays_as_it_is_spelled() -> None:
    raw = b'{"tools": [ {"name":"a","own":1.0} , {"name":"b"},{"name":"c","own":1E2} ],"nextCursor":"2"}'

    kept = with_entries(raw, "tools", lambda entry: entry["name"] != "b")

    assert kept == b'{"tools":[{"name":"a","own":1.0},{"name":"c","own":1E2}],"nextCursor":"2"}'
    assert with_entries(b'{"tools":[]}', "tools", lambda _: True) == b'{"tools":[]}'
    assert with_entries(b'{"own":1.0}', "tools", lambda _: True) == b'{"own":1.0}'


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"a":1.0,"cacheScope" : "public"}', b'{"a":1.0,"cacheScope":"private"}'),
        (b'{"cache\\u0053cope":"public"}', b'{"cacheScope":"private"}'),
        (b'{"text":"cacheScope","a":{"cacheScope":"public"}}', b'{"text":"cacheScope","a":{"cacheScope":"public"}}'),
        (b'{"text":"\\u0000" }', b'{"text":"\\u0000" }'),
        (b'{ "a": 1 }', b'{ "a": 1 }'),
    ],
)
def test_a_result_for_its_caller_alone_says_so_and_nothing_else_changes(raw: bytes, expected: bytes) -> None:
    assert made_private(raw) == expected

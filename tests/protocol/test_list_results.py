"""Lists in messages of others are cut, and nothing else of these is touched."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.protocol.list_results import UnreadableMessage, cut_lists

MEMBERS = ("tools", "resources")


def keep(_member: str, entry: Any) -> bool:
    return isinstance(entry, dict) and entry.get("name") in {"a", "é"}


def cut(message: str) -> str:
    return cut_lists(message.encode(), MEMBERS, keep).decode()


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        # Numbers, escapes and blanks of what stays are as they were written.
        (
            '{"id": 1.0, "result": {"tools": [ {"name":"a","n": 1E2} , {"name": "b"}, {"name":"\\u00e9"} ], "x":""}}\n',
            '{"id": 1.0, "result": {"tools": [{"name":"a","n": 1E2},{"name":"\\u00e9"}], "x":""}}\n',
        ),
        ('{"result":{"tools":[{"name":"b"}]}}', '{"result":{"tools":[]}}'),
        ('{"result":{"t\\u006fols":[{"name":"b"}]}}', '{"result":{"t\\u006fols":[]}}'),
        ('{"r\\u0065sult":{"tools":[7]}}', '{"r\\u0065sult":{"tools":[]}}'),
        # One that stands twice is cut twice, since readers differ about which counts.
        (
            '{"result":{"tools":[{"name":"b"}],"tools":[{"name":"a"},{"name":"b"}]},"result":{"tools":[{"name":"b"}]}}',
            '{"result":{"tools":[],"tools":[{"name":"a"}]},"result":{"tools":[]}}',
        ),
        # An array of messages, which one older revision has.
        (
            '[{"result":{"tools":[{"name":"b"}]}}, {"result":{"resources":[{"name":"a"},{}]}}]',
            '[{"result":{"tools":[]}}, {"result":{"resources":[{"name":"a"}]}}]',
        ),
        (
            '{"result":{"cacheScope":"public","tools":[{"name":"b"}]}}',
            '{"result":{"cacheScope":"private","tools":[]}}',
        ),
        (
            '{"result":{"tools":[{"name":"a"}],"cacheScope" : 5}}',
            '{"result":{"tools":[{"name":"a"}],"cacheScope" : "private"}}',
        ),
        ('\ufeff {"result":{"tools":[0]}} ', '\ufeff {"result":{"tools":[]}} '),
    ],
)
def test_entries_are_cut_and_all_else_stays(message: str, answer: str) -> None:
    assert cut(message) == answer


@pytest.mark.parametrize(
    "message",
    [
        '{ "result" : { "tools" : [ { "name" : "a" } ] , "n" : 12345678901234567890123 } }',
        '{"result":{"content":[{"tools":[{"name":"b"}]}],"cacheScope":"private"}}',
        '{"params":{"tools":[{"name":"b"}]}}',
        '{"result":{"tools":{"name":"b"}}}',
        '{"result":[{"tools":[{"name":"b"}]}]}',
        '{"result":{}}',
        '{"error":{"code":1}}',
        "{}",
        "[]",
    ],
)
def test_what_holds_nothing_to_cut_is_the_same_text(message: str) -> None:
    assert cut(message) == message


@pytest.mark.parametrize(
    "message",
    [
        "",
        " ",
        "7",
        '"tools"',
        "{",
        "[",
        '{"result"',
        '{"result":',
        '{"result":{"tools":[',
        '{"a":1,}',
        '{"a" 1}',
        "{'a':1}",
        '{"result":{"tools":[{"name":"a"} {"name":"b"}]}}',
        '{"a":1} {"result":1}',
        '{"a":' + "[" * 100_000,
        "[1]",
        "{1:2}",
    ],
)
def test_what_cannot_be_read_is_refused(message: str) -> None:
    with pytest.raises(UnreadableMessage):
        cut(message)


def test_what_is_not_utf_8_is_refused() -> None:
    with pytest.raises(UnreadableMessage):
        cut_lists(b'{"result":{"tools":[{"name":"\xff"}]}}', MEMBERS, keep)


ENTRIES = st.lists(st.one_of(st.integers(), st.fixed_dictionaries({"name": st.sampled_from(["a", "b", "é", '"]'])})))
RESULTS = st.fixed_dictionaries({}, optional={"tools": ENTRIES, "resources": ENTRIES, "other": ENTRIES})


@given(RESULTS, st.sampled_from([None, 1]), st.booleans())
def test_a_cut_message_says_what_it_said_without_what_was_cut(result: Any, indent: int | None, is_ascii: bool) -> None:
    message = json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}, indent=indent, ensure_ascii=is_ascii)
    shown = {
        member: [entry for entry in entries if member == "other" or keep(member, entry)]
        for member, entries in result.items()
    }

    assert json.loads(cut(message)) == {"jsonrpc": "2.0", "id": 1, "result": shown}

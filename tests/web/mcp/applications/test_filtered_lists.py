"""Answers of an application, with the entries of lists that the caller may not see cut out of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message

from gatepost.protocol.list_results import UnreadableMessage, cut_lists
from gatepost.web.mcp.applications.filtered_lists import LONGEST, EventFilter, FilteredLists

cut = partial(cut_lists, members=("tools",), keep=lambda _member, entry: entry == {"name": "a"})

WHOLE = b'{"id": 1, "result": {"tools": [{"name":"a"}, {"name":"b"}]}}'
SHOWN = b'{"id": 1, "result": {"tools": [{"name":"a"}]}}'


async def passed(
    body: Sequence[bytes],
    content_type: bytes | None = b"application/json",
    *,
    status: int = 200,
    is_answer: bool = True,
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> tuple[list[Message], int]:
    """What goes out of an application's answer in pieces, and how often it was withheld."""
    out: list[Message] = []
    withheld = 0

    async def send(message: Message) -> None:
        out.append(message)

    async def withhold() -> None:
        nonlocal withheld
        withheld += 1

    filtered = FilteredLists(send, cut, withhold, is_answer=is_answer)
    typed = [] if content_type is None else [(b"Content-Type", content_type)]
    await filtered({"type": "http.response.start", "status": status, "headers": [*typed, *headers]})
    for number, piece in enumerate(body, start=1):
        await filtered({"type": "http.response.body", "body": piece, "more_body": number < len(body)})
    return out, withheld


def content(out: list[Message]) -> bytes:
    return b"".join(message.get("body", b"") for message in out)


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_json_is_collected_and_cut_and_its_length_is_said(size: int) -> None:
    pieces = [WHOLE[at : at + size] for at in range(0, len(WHOLE), size)]
    out, withheld = await passed(pieces, headers=[(b"Content-Length", b"60"), (b"X-Own", b"kept")])

    assert out == [
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"application/json"),
                (b"x-own", b"kept"),
                (b"content-length", b"%d" % len(SHOWN)),
            ],
        },
        {"type": "http.response.body", "body": SHOWN},
    ]
    assert withheld == 0


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", None, 202),
        (b"", b"text/plain", 200),
        (b'{"error": {"code": 1}}', b"application/json; charset=utf-8", 400),
        (b"no JSON", b"application/json", 500),
        (b"no JSON", b"text/plain", 404),
    ],
)
async def test_what_holds_no_list_is_passed_on(body: bytes, content_type: bytes | None, status: int) -> None:
    out, withheld = await passed([body], content_type, status=status)

    assert (out[0]["status"], content(out), withheld) == (status, body, 0)


@pytest.mark.parametrize(
    ("body", "content_type", "headers"),
    [
        (b"no JSON", b"application/json", []),
        (WHOLE, b"text/plain", []),
        (WHOLE, None, []),
        (b"\x1f\x8b", b"application/json", [(b"Content-Encoding", b"gzip")]),
        (b"\x1f\x8b", b"text/event-stream", [(b"Content-Encoding", b"gzip")]),
        (b"[" * 1000 + WHOLE, b"application/json", []),
    ],
)
async def test_the_answer_to_a_list_is_withheld_where_it_cannot_be_read(
    body: bytes, content_type: bytes | None, headers: list[tuple[bytes, bytes]]
) -> None:
    out, withheld = await passed([body, b"more"], content_type, headers=headers)

    assert (out, withheld) == ([], 1)


async def test_an_answer_that_is_too_long_is_withheld() -> None:
    out, withheld = await passed([b" " * LONGEST, WHOLE, WHOLE])

    assert (out, withheld) == ([], 1)


async def test_a_compressed_answer_says_so_itself_where_it_is_not() -> None:
    out, withheld = await passed([WHOLE], headers=[(b"content-encoding", b"identity")])

    assert (content(out), withheld) == (SHOWN, 0)


async def test_of_other_answers_streams_alone_are_looked_at() -> None:
    page, _ = await passed([WHOLE], b"application/json", is_answer=False)
    stream, _ = await passed([b"data: " + WHOLE + b"\n\n"], b"text/event-stream", is_answer=False)

    assert content(page) == WHOLE
    assert content(stream) == b"data: " + SHOWN + b"\n\n"
    assert stream[0]["headers"] == [(b"content-type", b"text/event-stream")]


async def test_what_else_an_application_sends_goes_out_where_no_list_is_asked_for() -> None:
    out: list[Message] = []

    async def send(message: Message) -> None:
        out.append(message)

    async def never() -> None:
        raise AssertionError

    hints = {"type": "http.response.debug", "info": {}}
    for is_answer in (True, False):
        await FilteredLists(send, cut, never, is_answer=is_answer)(hints)
    assert out == [hints]


STREAM = (
    b": a comment\r\n\r\n"
    b"event: endpoint\ndata: /messages?session=1\n\n"
    b'id: 7\rretry: 100\rdata: {"method":"notifications/progress"}\r\r'
    b"event: message\nid: 8\ndata: " + WHOLE + b"\n\n"
    b'data: {"id": 1, "result":\ndata:  {"tools": [{"name":"b"}]}}\n\n'
    b"data\n\n"
)
CUT = (
    b": a comment\r\n\r\n"
    b"event: endpoint\ndata: /messages?session=1\n\n"
    b'id: 7\rretry: 100\rdata: {"method":"notifications/progress"}\r\r'
    b"event: message\nid: 8\ndata: " + SHOWN + b"\n\n"
    b'data: {"id": 1, "result":\ndata:  {"tools": []}}\n\n'
    b"data\n\n"
)


@given(st.lists(st.integers(1, len(STREAM) - 1), max_size=8))
def test_events_are_cut_however_they_arrive(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    events = EventFilter(cut)
    out = [events.take(STREAM[begin:end]) for begin, end in itertools.pairwise(places)]

    assert b"".join(out) + events.end() == CUT


def test_an_event_goes_out_as_soon_as_it_is_whole() -> None:
    events = EventFilter(cut)

    assert events.take(b"data: " + WHOLE + b"\n") == b""
    assert events.take(b"\nid: 9") == b"data: " + SHOWN + b"\n\n"
    assert events.take(b"\n\n") == b"id: 9\n\n"


@pytest.mark.parametrize("end", [b"", b"\n", b"\r"])
def test_an_event_that_is_not_ended_is_cut_all_the_same(end: bytes) -> None:
    events = EventFilter(cut)

    assert events.take(b"data: " + WHOLE + end) == b""
    assert b'"b"' not in events.end()


def test_a_byte_order_mark_hides_no_data() -> None:
    assert EventFilter(cut).take(b"\xef\xbb\xbfdata:" + WHOLE + b"\n\n") == b"data: " + SHOWN + b"\n\n"


@pytest.mark.parametrize("data", [b'{"result":', b"[" * 100_000, b'{"result":{"tools":[{"name":"\xff"}]}}'])
def test_an_event_that_cannot_be_read_ends_the_stream(data: bytes) -> None:
    with pytest.raises(UnreadableMessage):
        EventFilter(cut).take(b"data: " + data + b"\n\n")


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_an_event_without_an_end_is_not_collected_for_ever(end: bytes) -> None:
    events: Any = EventFilter(cut)
    events.take(b"data: " + b"x" * (LONGEST - 100) + end)

    with pytest.raises(UnreadableMessage):
        events.take(b"y" * 200)

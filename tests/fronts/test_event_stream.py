"""Server-sent events cut out of chunks (WHATWG HTML, "Interpreting an event stream")."""

from __future__ import annotations

import pytest

from gatepost.fronts.event_stream import MessageTooLong, ReceivedEvents

STREAM = (
    b": hello\r\nid: 1\r\nevent: message\r\ndata: {}\r\n\r\n"
    b"retry: 250\rid:2\rdata:a\rdata: b\r\rdata\n\nid: 3\ndata:\n\n"
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_the_same_however_the_stream_is_cut(size: int) -> None:
    events = ReceivedEvents(100)
    found = [data for at in range(0, len(STREAM), size) for data in events.feed(STREAM[at : at + size])]

    assert found == [b"{}", b"a\nb"]
    assert (events.last_event_id, events.retry) == ("3", 0.25)


def test_a_half_event_and_its_id_do_not_count() -> None:
    events = ReceivedEvents(100, "0")

    assert events.feed(b"\xef\xbb\xbfdata: whole\nid: 1\n\nid: 2\ndata: half\n") == [b"whole"]
    assert events.last_event_id == "1"
    assert ReceivedEvents(100, "0").last_event_id == "0"


def test_events_of_other_names_and_ids_with_null_are_passed_over() -> None:
    events = ReceivedEvents(100)

    assert events.feed(b"event: ping\ndata: {}\nid: a\0b\n\ndata: x\nretry: soon\nown: y\n\n") == [b"x"]
    assert (events.last_event_id, events.retry) == ("", None)


@pytest.mark.parametrize("stream", [b"data: " + b"x" * 101, b"data: xxxxxxxxxx\n" * 11])
def test_an_event_beyond_the_limit_is_refused(stream: bytes) -> None:
    with pytest.raises(MessageTooLong):
        ReceivedEvents(100).feed(stream)

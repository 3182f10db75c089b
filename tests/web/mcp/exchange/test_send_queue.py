"""What is kept for a client that is slow to read."""

import pytest

from gatepost.web.mcp.exchange.send_queue import MOST_POSTED, MOST_POSTED_BYTES, Outgoing


def taken(outgoing: Outgoing) -> list[bytes]:
    return [outgoing.take() for _ in range(len(outgoing))]


@pytest.fixture
def outgoing() -> Outgoing:
    return Outgoing()


def test_messages_go_out_in_the_order_in_which_they_were_given(outgoing: Outgoing) -> None:
    outgoing.put(b"1")
    outgoing.post(b"2")
    outgoing.put(b"3")
    assert taken(outgoing) == [b"1", b"2", b"3"]


def test_of_too_many_posted_messages_the_oldest_are_given_up(outgoing: Outgoing) -> None:
    outgoing.put(b"sent")
    for number in range(MOST_POSTED + 2):
        outgoing.post(b"%d" % number)
    assert taken(outgoing) == [b"sent", *(b"%d" % number for number in range(2, MOST_POSTED + 2))]


def test_posted_messages_that_are_long_are_given_up_sooner(outgoing: Outgoing) -> None:
    third = MOST_POSTED_BYTES // 3
    for text in (b"a", b"b", b"c", b"d"):
        outgoing.post(text * third)
    assert [message[:1] for message in taken(outgoing)] == [b"b", b"c", b"d"]


def test_what_somebody_waits_for_is_never_given_up(outgoing: Outgoing) -> None:
    long = b"x" * (2 * MOST_POSTED_BYTES)
    outgoing.put(long)
    outgoing.post(b"one")
    outgoing.put(long)
    assert taken(outgoing) == [long, b"one", long]


def test_a_message_that_is_too_long_by_itself_is_still_sent(outgoing: Outgoing) -> None:
    long = b"x" * (MOST_POSTED_BYTES + 1)
    outgoing.post(b"one")
    outgoing.post(long)
    assert taken(outgoing) == [long]


def test_what_was_sent_makes_room_again(outgoing: Outgoing) -> None:
    half = b"x" * (MOST_POSTED_BYTES // 2)
    for _ in range(10):
        outgoing.post(half)
        outgoing.post(half)
        assert taken(outgoing) == [half, half]

"""What is written in one turn of the event loop goes out in one write (record 0021)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from gatepost.listening.write_coalescing import CoalescingTransport

MOST = 64 * 1024


class Line:
    """A transport and the loop that it lives in, turned by hand."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.soon: list[Callable[[], None]] = []
        self.is_closed = self.is_cut = False
        self.transport = CoalescingTransport(cast("Any", self), cast("Any", self))

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.soon.append(callback)

    def turn(self) -> None:
        """Do what the loop was asked to do."""
        due, self.soon = self.soon, []
        for callback in due:
            callback()

    def write(self, data: bytes) -> None:
        assert not self.is_closed
        self.written.append(data)

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = self.is_cut = True

    def is_closing(self) -> bool:
        return self.is_closed

    def get_write_buffer_size(self) -> int:
        return 7


def test_what_is_written_in_one_turn_of_the_loop_is_one_write() -> None:
    line = Line()
    line.transport.write(b"head")
    line.transport.write(b"body")
    assert line.written == []
    line.turn()
    assert line.written == [b"headbody"]


def test_a_later_turn_is_another_write() -> None:
    line = Line()
    for data in (b"head", b"body"):
        line.transport.write(data)
        line.turn()
    assert line.written == [b"head", b"body"]


def test_more_than_should_wait_goes_out_at_once_and_in_its_order() -> None:
    line = Line()
    for data in (b"a" * MOST, b"b", b"c", b"d" * MOST):
        line.transport.write(data)
    assert line.written == [b"a" * MOST + b"b", b"c" + b"d" * MOST]
    line.transport.write(b"e")
    line.turn()
    assert line.written[2:] == [b"e"]


def test_what_nothing_is_to_follow_goes_out_at_once() -> None:
    line = Line()
    line.transport.write_whole(b"answer")
    assert (line.written, line.soon) == ([b"answer"], [])


def test_what_nothing_is_to_follow_goes_out_behind_what_waits() -> None:
    line = Line()
    line.transport.write(b"the rest of an answer, ")
    line.transport.write_whole(b"and the next")
    line.turn()
    assert line.written == [b"the rest of an answer, and the next"]


def test_nothing_is_written_to_a_transport_that_closes() -> None:
    line = Line()
    line.transport.close()
    line.transport.write_whole(b"answer")
    assert line.written == []


def test_writing_nothing_asks_nothing_of_the_loop() -> None:
    line = Line()
    line.transport.write(b"")
    assert line.soon == []


def test_what_waits_is_written_before_the_connection_closes() -> None:
    line = Line()
    line.transport.write(b"answer")
    line.transport.close()
    line.turn()
    assert (line.written, line.is_closed) == ([b"answer"], True)


def test_what_waits_is_lost_with_a_connection_that_is_cut() -> None:
    line = Line()
    line.transport.write(b"answer")
    line.transport.abort()
    line.turn()
    assert (line.written, line.is_cut) == ([], True)


def test_nothing_is_written_to_a_connection_that_has_closed_meanwhile() -> None:
    line = Line()
    line.transport.write(b"answer")
    line.close()
    line.turn()
    assert line.written == []


def test_everything_else_is_asked_of_the_transport_itself() -> None:
    transport = Line().transport
    assert transport.get_write_buffer_size() == 7
    with pytest.raises(AttributeError):
        transport.no_such_thing  # noqa: B018 - the look-up is the test

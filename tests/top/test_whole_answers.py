"""Head and body of an answer in one write (record 0021)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
import uvicorn
from uvicorn.server import ServerState

from gatepost.slow_readers import WatchedConnection
from gatepost.whole_answers import WholeAnswers

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"


class Line:
    """A transport and the loop that it lives in, turned by hand."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.soon: list[Callable[[], None]] = []
        self.is_closed = self.is_cut = False
        self.answers = WholeAnswers(cast("Any", self), cast("Any", self))

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

    def get_extra_info(self, name: str) -> str:
        return f"the {name}"


def test_a_head_and_the_body_that_follows_it_are_one_write() -> None:
    line = Line()
    line.answers.write(HEAD)
    assert line.written == []
    line.answers.write(b"body")
    line.turn()
    assert line.written == [HEAD + b"body"]


def test_a_head_whose_body_is_slow_goes_out_when_the_loop_has_turned() -> None:
    line = Line()
    line.answers.write(HEAD)
    line.turn()
    assert line.written == [HEAD]
    line.answers.write(b"body")
    line.turn()
    assert line.written == [HEAD, b"body"]


def test_a_body_in_pieces_and_the_next_answer_keep_their_order() -> None:
    line = Line()
    for data in (HEAD, b"bo", b"dy", HEAD, HEAD, b"body"):
        line.answers.write(data)
    line.turn()
    assert b"".join(line.written) == HEAD + b"body" + HEAD + HEAD + b"body"
    assert line.written[1] == b"dy"


def test_what_waits_is_written_before_the_connection_closes() -> None:
    line = Line()
    line.answers.write(HEAD)
    line.answers.close()
    line.turn()
    assert (line.written, line.is_closed) == ([HEAD], True)


def test_what_waits_is_lost_with_a_connection_that_is_cut() -> None:
    line = Line()
    line.answers.write(HEAD)
    line.answers.abort()
    line.turn()
    assert (line.written, line.is_cut) == ([], True)


def test_nothing_is_written_to_a_connection_that_has_closed_meanwhile() -> None:
    line = Line()
    line.answers.write(HEAD)
    line.close()
    line.turn()
    assert line.written == []


def test_everything_else_is_asked_of_the_transport_itself() -> None:
    answers = Line().answers
    assert answers.get_write_buffer_size() == 7
    assert answers.get_extra_info("peername") == "the peername"
    with pytest.raises(AttributeError):
        answers.no_such_thing  # noqa: B018 - the look-up is the test


class Connected(Line):
    """A line that a connection can be put on."""

    def call_later(self, _seconds: float, _callback: Callable[[], None]) -> Connected:
        return self

    def cancel(self) -> None: ...

    def get_extra_info(self, name: str) -> Any: ...


def test_the_connections_of_gatepost_serve_answer_whole() -> None:
    async def app(_scope: Any, _receive: Any, _send: Any) -> None: ...

    line = Connected()
    connection = WatchedConnection(uvicorn.Config(app, log_config=None), ServerState(), {}, cast("Any", line))
    connection.connection_made(cast("Any", line))
    connection.transport.write(HEAD)
    connection.transport.write(b"body")
    assert line.written == [HEAD + b"body"]

"""Answers of an application on their way to a caller, without the entries of lists that the caller may not see.

JSON is collected and sent when it is whole, an event of a stream when that is. All but the lists stays byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.types import Message, Send

from gatepost.protocol.list_results import UnreadableMessage

LONGEST: Final = 16 * 1024 * 1024
"""Bytes of one message that is collected."""
_LINE: Final = re.compile(rb"([^\r\n]*)(\r\n|\n|\r)")
_NOT_SAID: Final = frozenset({b"content-length", b"content-encoding"})
_SUCCESS: Final = range(200, 300)

Cut = Callable[[bytes], bytes]
"""Returns a message without what the caller may not see; raises UnreadableMessage."""


class FilteredLists:
    """In place of `send`, for one response.

    Args:
        send: to the caller.
        cut: takes what the caller may not see out of a message.
        withhold: answers in place of a response that cannot be read.
        is_answer: whether the response is the answer to a request for a list, so that nothing but one that can be read
            may go out. Else it may be anything, and event streams alone are looked at.
    """

    def __init__(self, send: Send, cut: Cut, withhold: Callable[[], Awaitable[None]], *, is_answer: bool) -> None:
        self._send, self._cut, self._withhold = send, cut, withhold
        self._is_answer = is_answer
        self._start: Message = {}
        self._take: Callable[[bytes, bool], Awaitable[None]] = self._pass
        self._body = bytearray()
        self._events: EventFilter | None = None

    async def __call__(self, message: Message) -> None:
        """Take one ASGI message of the application's."""
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif message["type"] == "http.response.body":
            await self._take(message.get("body", b""), message.get("more_body", False))
        elif not self._is_answer:
            await self._send(message)

    async def _begin(self, start: Message) -> None:
        headers: list[tuple[bytes, bytes]] = [(name.lower(), value) for name, value in start.get("headers", ())]
        content_type = dict(headers).get(b"content-type", b"").partition(b";")[0].strip().lower()
        is_encoded = any(name == b"content-encoding" and value != b"identity" for name, value in headers)
        is_stream = content_type == b"text/event-stream"
        if not is_stream and not self._is_answer:
            await self._send(start)
            return
        self._start = {**start, "headers": [header for header in headers if header[0] not in _NOT_SAID]}
        if is_encoded:
            self._take = self._refuse
        elif is_stream:
            self._events = EventFilter(self._cut)
            self._take = self._stream
            await self._send(self._start)
        elif content_type == b"application/json" or start["status"] not in _SUCCESS:
            self._take = self._collect
        else:
            self._take = self._refuse_content

    async def _pass(self, body: bytes, more: bool) -> None:  # noqa: FBT001 - a part of the body, as ASGI has it
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def _collect(self, body: bytes, more: bool) -> None:  # noqa: FBT001 - likewise
        self._body += body
        if len(self._body) > LONGEST:
            await self._refuse(b"", False)  # noqa: FBT003 - likewise
        elif not more:
            await self._finish(bytes(self._body))

    async def _finish(self, whole: bytes) -> None:
        if whole:
            try:
                whole = self._cut(whole)
            except UnreadableMessage:
                # An error of the application's may be any text; a list is JSON.
                if self._start["status"] in _SUCCESS:
                    await self._refuse(b"", False)  # noqa: FBT003 - likewise
                    return
        length = (b"content-length", b"%d" % len(whole))
        await self._send({**self._start, "headers": [*self._start["headers"], length]})
        await self._send({"type": "http.response.body", "body": whole})

    async def _stream(self, body: bytes, more: bool) -> None:  # noqa: FBT001 - likewise
        assert self._events is not None  # noqa: S101 - this is taken for streams alone; tells mypy
        out = self._events.take(body) + (b"" if more else self._events.end())
        if out or not more:
            await self._pass(out, more)

    async def _refuse_content(self, body: bytes, more: bool) -> None:  # noqa: FBT001 - likewise
        if body:
            await self._refuse(body, more)
        elif not more:
            await self._finish(b"")

    async def _refuse(self, body: bytes, more: bool) -> None:  # noqa: FBT001 - likewise
        del body, more
        self._take = _drop
        await self._withhold()


async def _drop(body: bytes, more: bool) -> None:  # noqa: FBT001 - likewise
    del body, more


class EventFilter:
    """The events of one stream (HTML standard, "Server-sent events"), those with a list without what is cut of it."""

    def __init__(self, cut: Cut) -> None:
        self._cut = cut
        self._pending = b""
        self._lines: list[tuple[bytes, bytes]] = []
        """Those of the event that is not whole yet, each with its end."""
        self._length = 0

    def take(self, chunk: bytes) -> bytes:
        """Return what can go out of all that has come.

        Raises:
            UnreadableMessage: an event holds what looks like a message and cannot be read, or is too long.
        """
        text, at, out = self._pending + chunk, 0, []
        while (found := _LINE.match(text, at)) is not None:
            if found[2] == b"\r" and found.end() == len(text):
                break  # a line feed may follow
            at = found.end()
            self._lines.append((found[1], found[2]))
            self._length += len(found[0])
            if not found[1]:
                out.append(self._event())
        self._pending = text[at:]
        if self._length + len(self._pending) > LONGEST:
            raise UnreadableMessage("an event is too long")
        return b"".join(out)

    def end(self) -> bytes:
        """Return what is left when the stream ends."""
        if self._pending:
            line = self._pending.rstrip(b"\r")
            self._lines.append((line, self._pending[len(line) :]))
            self._pending = b""
        return self._event()

    def _event(self) -> bytes:
        lines, self._lines, self._length = self._lines, [], 0
        data = [value for line, _ in lines if (value := _data_of(line)) is not None]
        raw = b"".join(line + end for line, end in lines)
        whole = b"\n".join(data)
        if not whole.lstrip().startswith((b"{", b"[")):
            return raw  # such as the address in the first event of the transport of 2024-11-05
        cut = self._cut(whole)
        if cut == whole:
            return raw
        kept = [(line, end) for line, end in lines if _data_of(line) is None and line]
        sent = [(b"data: " + line, b"\n") for line in cut.split(b"\n")]
        return b"".join(line + end for line, end in (*kept, *sent, (b"", b"\n")))


def _data_of(line: bytes) -> bytes | None:
    """Return the value of a `data` field, None where the line is another one."""
    name, _, value = line.removeprefix(b"\xef\xbb\xbf").partition(b":")
    return value.removeprefix(b" ") if name == b"data" else None


def quiet_about_encodings(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, Any]]:
    """Return a request's headers without what would have its answer compressed."""
    return [header for header in headers if header[0] != b"accept-encoding"]

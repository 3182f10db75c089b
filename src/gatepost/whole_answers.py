"""Answers that are handed over whole: head and body in one write.

By ASGI a server gets the head of an answer and then its body; uvicorn looks at every header twice and writes each of
the two as it comes, which together costs a fifth of a small MCP call, and the network two packets (record 0021). Where
an answer is complete and plain, as nearly all of MCP are, the endpoint can do better if the server lets it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.types import Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gatepost.web.mcp_answers import PLAIN_HEADERS, Answer

_STATUS: Final = b"HTTP/1.1 200 OK\r\n"

_Headers = Sequence[tuple[bytes, bytes]]

_head: tuple[_Headers, bytes] = ((), b"")
"""The server's own headers (`Date`), and what every plain answer begins with for as long as they are these."""


def answer_whole(cycle: RequestResponseCycle, send: Send, answer: Answer) -> bool:
    """Send a plain answer; False when it has to be sent in the usual way, and nothing was done yet.

    The usual way is also that of a `send` which is not the cycle's: cross-origin rules and middleware of the user put
    their own in its place, to see an answer or to add to it. This is what `RequestResponseCycle.send` does with both
    messages, where none of its questions arises.
    """
    status, body, headers = answer
    if send != cycle.send:
        return False
    if status != 200 or body is None or headers:  # noqa: PLR2004 - the status that `_STATUS` says
        return False
    if cycle.response_started or cycle.disconnected or not cycle.keep_alive:
        return False
    if cycle.flow.write_paused or cycle.access_log:
        return False
    global _head  # noqa: PLW0603 - a cache of one entry, which any connection may renew
    own_headers = cycle.default_headers
    known, head = _head
    if known is not own_headers:
        lines = [b"%s: %s\r\n" % header for header in (*own_headers, *PLAIN_HEADERS)]
        head = b"".join([_STATUS, *lines, b"content-length: "])
        _head = (own_headers, head)
    cycle.response_started = True
    cycle.waiting_for_100_continue = False
    cycle.transport.write(b"%s%d\r\n\r\n%s" % (head, len(body), body))
    cycle.response_complete = True
    cycle.message_event.set()
    cycle.on_response()
    return True

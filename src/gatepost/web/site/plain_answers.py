"""Answers whose head is always the same, and the short way out that a server may have for them (record 0021)."""

from __future__ import annotations

from typing import Any, Final, Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

FAST_PATH: Final = "gatepost.fast_path"
"""Where in the scope the server may have left the request's `FastPath` (`gatepost.web.mcp.exchange.answers`)."""
NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache", "X-Content-Type-Options": "nosniff"}
"""The headers of what nobody may keep (RFC 6749 section 5.1, RFC 9111 section 5.2.2.5)."""


class PlainHead:
    """The head of answers with status 200: these headers, beside those of the server and the length.

    Args:
        headers: their names in lower case.
    """

    __slots__ = ("headers", "made")

    def __init__(self, *headers: tuple[bytes, bytes]) -> None:
        self.headers = headers
        self.made: tuple[object, bytes] = (None, b"")
        """For the server: its own headers, and all of the head that it has made with them."""


class PlainWriter(Protocol):
    """The part of a `FastPath` that sends."""

    def answer_with(self, send: Send, head: PlainHead, body: bytes) -> bool:
        """Send an answer, and say whether that could be; if not, nothing was done yet."""
        ...


_HEAD: Final = PlainHead(
    (b"content-type", b"application/json"),
    *((name.lower().encode(), value.encode()) for name, value in NO_STORE.items()),
)


class NoStoreJson(Response):
    """A JSON answer with status 200 and the headers `NO_STORE`, which are made for who asks for them."""

    media_type = "application/json"
    status_code = 200
    background = None

    def __init__(self, body: bytes) -> None:
        self.body: bytes = body

    def __getattr__(self, name: str) -> Any:
        """Make the headers."""
        if name != "raw_headers":
            raise AttributeError(name)
        self.init_headers(NO_STORE)
        return self.raw_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, by the short way if there is one, and nobody has looked at its headers or changed anything."""
        fast_path: PlainWriter | None = scope.get(FAST_PATH)
        is_plain = fast_path is not None and vars(self).keys() == {"body"}
        if fast_path is None or not is_plain or not fast_path.answer_with(send, _HEAD, self.body):
            await super().__call__(scope, receive, send)

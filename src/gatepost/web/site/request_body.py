"""Reading request bodies within a limit, and saying what they are (RFC 9110 sections 8.3 and 15.5.14)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from starlette.types import Receive

from gatepost.coroutines import resume
from gatepost.oauth.errors import InvalidRequest
from gatepost.oauth.reasons import Reason

BODY_SECONDS: Final = 30.0
"""How long a body may take to arrive."""


class BodyTooLarge(InvalidRequest):
    """The body is longer than this endpoint reads (RFC 9110 section 15.5.14)."""

    status = 413

    def __init__(self, limit: int) -> None:
        super().__init__(Reason.BODY_TOO_LARGE, f"The body is too large; send at most {limit} bytes.")
        self.limit = limit
        """In bytes."""


class BodyTooSlow(InvalidRequest):
    """The body did not arrive in time (RFC 9110 section 15.5.9)."""

    status = 408

    def __init__(self) -> None:
        super().__init__(Reason.BODY_TOO_SLOW, "The body did not arrive in time; send it again, at once.")


class ClientDisconnected(Exception):
    """The client went away before its body was complete; there is nobody to answer."""


async def read_body(receive: Receive, *, limit: int, seconds: float = BODY_SECONDS) -> bytes:
    """Return the whole request body.

    The length is counted as it arrives: a `Content-Length` may be absent or untrue.

    Args:
        receive: the ASGI channel of this request, not yet read from.
        limit: the most that is read, in bytes.
        seconds: how long the whole of it may take.

    Raises:
        BodyTooLarge: the body is longer; the rest of it is not read.
        BodyTooSlow: it did not arrive in time.
        ClientDisconnected: the client went away.
    """
    reading = _read(receive, limit)
    # Nearly every body is here already, and needs no timer.
    try:
        awaited = reading.send(None)
    except StopIteration as finished:
        body: bytes = finished.value
        return body
    try:
        async with asyncio.timeout(seconds):
            return await resume(reading, awaited)
    except TimeoutError:
        raise BodyTooSlow from None


async def _read(receive: Receive, limit: int) -> bytes:
    chunks: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        chunk: bytes = message.get("body", b"")
        length += len(chunk)
        if length > limit:
            raise BodyTooLarge(limit)
        if not message.get("more_body", False):
            # Nearly every body arrives in one piece, which then needs no copy.
            return b"".join((*chunks, chunk)) if chunks else chunk
        chunks.append(chunk)


def media_type(raw_headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the media type of a request in lower case, without parameters such as `charset`.

    None when the request names none, or names several: nobody can say then which one the sender meant.

    Args:
        raw_headers: the `headers` of an ASGI scope.
    """
    values = [value for name, value in raw_headers if name.lower() == b"content-type"]
    if len(values) != 1:
        return None
    return values[0].partition(b";")[0].strip().lower().decode("latin-1") or None

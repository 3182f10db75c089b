"""The HTTP of one session with a remote server: requests with their headers, and bodies of bounded length.

No redirect is followed, no cookie kept, and nothing of a client's own request is sent on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from gatepost.fronts.backend import SessionUser
from gatepost.fronts.credentials import Credentials
from gatepost.fronts.event_stream import MessageTooLong

MESSAGE_LIMIT: Final = 32 * 1024 * 1024
"""The longest message that is read from a server, in bytes."""
EVENT_STREAM: Final = "text/event-stream"
_JSON: Final = "application/json"
_REFUSAL_LIMIT: Final = 64 * 1024
_UNAUTHORIZED: Final = 401
_LONG: Final = 8
"""From so many characters on a token stands nowhere by chance."""
_CONNECT_SECONDS: Final = 10.0
_WRITE_SECONDS: Final = 60.0


@dataclass(slots=True, eq=False, kw_only=True)
class RemoteHttp:
    """Sends the requests of one session."""

    url: httpx2.URL
    transport: httpx2.AsyncBaseTransport
    credentials: Credentials
    user: SessionUser | None
    """Whose session it is."""
    session_id: str | None = None
    """`Mcp-Session-Id`, once the server has given one."""
    version: str | None = None
    """`MCP-Protocol-Version`, once one is agreed on."""
    _personal_token: bytes | None = None
    """What no app may see, as JSON spells it."""

    @asynccontextmanager
    async def asked(
        self,
        verb: str,
        data: bytes | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        read_seconds: float | None = None,
    ) -> AsyncIterator[httpx2.Response]:
        """Send a request, and give its response, whose body is still to come.

        Credentials that are refused are renewed once, where there are others.

        Args:
            verb: POST, GET or DELETE.
            data: the body.
            headers: of this request, beside those that every one has.
            read_seconds: how long the server may be silent; for ever when None.

        Raises:
            httpx2.HTTPError: the server cannot be reached, or the connection broke.
            ToolError: the user has to do something first.
        """
        given = await self.credentials.headers(self.user)
        response = await self._sent(verb, data, headers, given, read_seconds)
        if response.status_code == _UNAUTHORIZED:
            renewed = await self.credentials.headers(self.user, refused=given)
            if renewed != given:
                await response.aclose()
                response = await self._sent(verb, data, headers, renewed, read_seconds)
        try:
            yield response
        finally:
            await response.aclose()

    def shows_token(self, message: bytes) -> bool:
        """Say whether a message holds the access token with which it was asked for."""
        token = self._personal_token
        return token is not None and (token in message or token.replace(b"/", b"\\/") in message)

    async def _sent(
        self,
        verb: str,
        data: bytes | None,
        more: Mapping[str, str] | None,
        given: Mapping[str, str],
        read_seconds: float | None,
    ) -> httpx2.Response:
        token = self.credentials.personal_token(given)
        self._personal_token = None if token is None or len(token) < _LONG else token.encode()
        headers = {"User-Agent": "gatepost", "Accept": EVENT_STREAM, **given}
        if data is not None:
            headers |= {"Accept": f"{_JSON}, {EVENT_STREAM}", "Content-Type": _JSON}
        if self.session_id is not None:
            headers["Mcp-Session-Id"] = self.session_id
        if self.version is not None:
            headers["MCP-Protocol-Version"] = self.version
        if more is not None:
            headers |= more
        timeout: dict[str, Any] = {"connect": _CONNECT_SECONDS, "write": _WRITE_SECONDS, "read": read_seconds}
        request = httpx2.Request(
            verb, self.url, headers=headers, content=data, extensions={"timeout": {**timeout, "pool": None}}
        )
        # The transport itself, past httpx's client: that would follow redirects and keep cookies, and takes its time.
        return await self.transport.handle_async_request(request)


def content_type(response: httpx2.Response) -> str:
    """Return the media type of a response, without parameters."""
    return response.headers.get("content-type", "").partition(";")[0].strip().lower()


async def whole_body(response: httpx2.Response, limit: int = MESSAGE_LIMIT) -> bytes:
    """Return the body; raises MessageTooLong, httpx2.HTTPError."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in chunks_of(response):
        size += len(chunk)
        if size > limit:
            raise MessageTooLong
        chunks.append(chunk)
    return b"".join(chunks)


async def refusal_body(response: httpx2.Response) -> bytes:
    """Return the body of a refusal, as far as it is short; nothing of one that is not, or breaks off."""
    try:
        return await whole_body(response, _REFUSAL_LIMIT)
    except (MessageTooLong, httpx2.HTTPError):
        return b""


def chunks_of(response: httpx2.Response) -> AsyncIterator[bytes]:
    """Return what comes of a body, as it comes."""
    stream = response.stream
    assert isinstance(stream, httpx2.AsyncByteStream)  # noqa: S101 - of an asynchronous transport; tells mypy
    return stream.__aiter__()

"""The HTTP of one session with a remote server: requests with their headers, and bodies of bounded length.

No redirect is followed, no cookie kept, and nothing of a client's own request is sent on.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Final

import httpx2

from gatepost.fronts.backend import SessionUser
from gatepost.fronts.credentials import Credentials
from gatepost.fronts.event_stream import MessageTooLong
from gatepost.late_dataclass import dataclass
from gatepost.outbound.streamed import StreamedAnswer, StreamedWay

MESSAGE_LIMIT: Final = 32 * 1024 * 1024
"""The longest message that is read from a server, in bytes."""
EVENT_STREAM: Final = "text/event-stream"
_JSON: Final = "application/json"
_REFUSAL_LIMIT: Final = 64 * 1024
_UNAUTHORIZED: Final = 401
_LONG: Final = 8
"""From so many characters on a token stands nowhere by chance."""


@dataclass(slots=True, eq=False, kw_only=True)
class RemoteHttp:
    """Sends the requests of one session."""

    way: StreamedWay
    credentials: Credentials
    user: SessionUser | None
    """Whose session it is."""
    session_id: str | None = None
    """`Mcp-Session-Id`, once the server has given one."""
    version: str | None = None
    """`MCP-Protocol-Version`, once one is agreed on."""
    _personal_token: bytes | None = None
    """What no app may see, as JSON spells it."""

    def asked(
        self,
        verb: str,
        data: bytes | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        read_seconds: float | None = None,
    ) -> Asked:
        """Send a request, and give its answer, whose body is still to come: an asynchronous context manager.

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
        return Asked(self, verb, data, headers, read_seconds)

    def shows_token(self, message: bytes) -> bool:
        """Say whether a message holds the access token with which it was asked for."""
        token = self._personal_token
        return token is not None and (token in message or token.replace(b"/", b"\\/") in message)

    async def answer(
        self, verb: str, data: bytes | None, headers: Mapping[str, str] | None, read_seconds: float | None
    ) -> StreamedAnswer:
        """Send a request, and return its answer, which has to be closed; see `asked`."""
        given = await self.credentials.headers(self.user)
        answer = await self.way.ask(verb, self._headers(data, headers, given), data, read_seconds=read_seconds)
        if answer.status == _UNAUTHORIZED:
            try:
                renewed = await self.credentials.headers(self.user, refused=given)
            except BaseException:
                await answer.aclose()
                raise
            if renewed != given:
                await answer.aclose()
                answer = await self.way.ask(
                    verb, self._headers(data, headers, renewed), data, read_seconds=read_seconds
                )
        return answer

    def _headers(
        self, data: bytes | None, more: Mapping[str, str] | None, given: Mapping[str, str]
    ) -> Mapping[str, str]:
        token = self.credentials.personal_token(given)
        self._personal_token = None if token is None or len(token) < _LONG else token.encode()
        headers = {"User-Agent": "gatepost", "Accept": EVENT_STREAM, **given}
        if data is not None:
            headers["Accept"] = f"{_JSON}, {EVENT_STREAM}"
            headers["Content-Type"] = _JSON
        if self.session_id is not None:
            headers["Mcp-Session-Id"] = self.session_id
        if self.version is not None:
            headers["MCP-Protocol-Version"] = self.version
        if more is not None:
            headers |= more
        return headers


class Asked:
    """One request, sent when its context is entered; its answer is done with when that is left."""

    __slots__ = ("_answer", "_http", "_request")

    def __init__(
        self,
        http: RemoteHttp,
        verb: str,
        data: bytes | None,
        headers: Mapping[str, str] | None,
        read_seconds: float | None,
    ) -> None:
        self._http = http
        self._request = verb, data, headers, read_seconds
        self._answer: StreamedAnswer

    async def __aenter__(self) -> StreamedAnswer:
        self._answer = await self._http.answer(*self._request)
        return self._answer

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._answer.aclose()


def content_type(answer: StreamedAnswer) -> str:
    """Return the media type of an answer, without parameters."""
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()


async def whole_body(answer: StreamedAnswer, limit: int = MESSAGE_LIMIT) -> bytes:
    """Return the body; raises MessageTooLong, httpx2.HTTPError."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in answer.chunks():
        size += len(chunk)
        if size > limit:
            raise MessageTooLong
        chunks.append(chunk)
    return b"".join(chunks)


async def refusal_body(answer: StreamedAnswer) -> bytes:
    """Return the body of a refusal, as far as it is short; nothing of one that is not, or breaks off."""
    try:
        return await whole_body(answer, _REFUSAL_LIMIT)
    except (MessageTooLong, httpx2.HTTPError):
        return b""

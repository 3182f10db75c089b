"""A server on Streamable HTTP elsewhere (2025-11-25 basic/transports): a session there for each connection.

initialize      a POST; what it answers gives the session its id and revision
a request       a POST in a task of its own, whose answer is JSON, or a stream that may break and be resumed
other messages  a POST, waited for
GET             the session's own stream, opened when the session is initialized; servers need not have one
DELETE          the end of the session
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import field
from typing import Final

import httpx2

from gatepost.fronts.backend import BackendLost, BackendUnavailable, Outgoing, Receiver, RequestNotTaken, SessionUser
from gatepost.fronts.calls_under_way import CallsUnderWay
from gatepost.fronts.credentials import Credentials
from gatepost.fronts.event_stream import MessageTooLong, ReceivedEvents
from gatepost.fronts.mirrored_headers import HeaderAnnotations
from gatepost.fronts.modern_link import REFUSALS, ModernLink
from gatepost.fronts.raw_json import decoded
from gatepost.fronts.remote_answers import RETRY_SECONDS, refusal
from gatepost.fronts.remote_http import (
    EVENT_STREAM,
    MESSAGE_LIMIT,
    RemoteHttp,
    content_type,
    refusal_body,
    whole_body,
)
from gatepost.late_dataclass import dataclass
from gatepost.outbound.streamed import StreamedAnswer, StreamedWay
from gatepost.protocol.errors import ApplicationError, RequestId

_CANCELLED: Final = "notifications/cancelled"
_INITIALIZED: Final = "notifications/initialized"
_VERSION: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SESSION_ID: Final = re.compile(r"[\x21-\x7e]{1,1024}")
_TAKEN: Final = range(200, 300)
_PASSING: Final = (408, 429, *range(500, 600))
"""Statuses that say nothing about the request."""

logger = logging.getLogger("gatepost.front")


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """How long is waited for what, in seconds."""

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    end: float = 1.0
    """For the end of a stream after its answer; a stream that was read to its end leaves its connection for others."""
    notice: float = 30.0
    """For the answer to a notification or a response, of which nothing depends."""
    goodbye: float = 3.0
    """For the answer to DELETE."""
    silence: float = 5.0
    """For something on a stream that was resumed. Some servers have lost the call's stream by then, and say what came
    meanwhile only to who resumes again."""
    longest_silence: float = 60.0
    pause: float = 1.0
    """Before a stream is opened again, where the server does not say."""
    longest_pause: float = 60.0
    most_resumptions: int = 20
    """How often a stream is resumed without anything coming."""


@dataclass(slots=True, eq=False, kw_only=True)
class RemoteBackend:
    """Begins sessions with a remote server."""

    url: str
    credentials: Credentials
    way: Callable[[str], StreamedWay]
    """Returns a way to an address."""
    waits: Waits = field(default_factory=Waits)
    _annotations: HeaderAnnotations = field(default_factory=HeaderAnnotations, init=False)

    @property
    def name(self) -> str:
        return httpx2.URL(self.url).host

    @property
    def is_same_for_all(self) -> bool:
        return self.credentials.are_same_for_all

    @property
    def is_needed_at_start(self) -> bool:
        return False

    async def connect(self, receiver: Receiver, user: SessionUser | None) -> RemoteLink:
        # Before anything else, so that whoever has no token yet hears what to do.
        await self.credentials.headers(user)
        http = RemoteHttp(way=self.way(self.url), credentials=self.credentials, user=user)
        return RemoteLink(http, receiver, self.waits, self._annotations)

    def last_words(self) -> str:
        return ""


class RemoteLink:
    """One session with a remote server.

    Args:
        http: sends its requests.
        receiver: takes its messages.
        waits: how long is waited for what.
        annotations: reads what tools say of headers; of all sessions with the server.
    """

    def __init__(self, http: RemoteHttp, receiver: Receiver, waits: Waits, annotations: HeaderAnnotations) -> None:
        self._http = http
        self._receiver = receiver
        self._waits = waits
        self._annotations = annotations
        self._calls = CallsUnderWay()
        self._listening: asyncio.Task[None] | None = None
        self._modern: ModernLink | None = None
        self._initialize_id: RequestId | None = None
        self._is_over = False

    async def send(self, message: Outgoing) -> None:
        if self._is_over:
            raise BackendLost("The session is over.")
        if self._modern is not None:
            await self._modern.send(message)
            return
        if message.method is not None and message.id is not None:
            self._calls.begin(message.id, self._ask(message, message.id))
            return
        await self._tell(message)
        if message.method == _CANCELLED:
            # The server may go on with the call, and need not say anything about it any more.
            self._calls.end(message.params.get("requestId"))
        elif message.method == _INITIALIZED and self._listening is None:
            self._listening = asyncio.get_running_loop().create_task(self._listen())

    async def close(self) -> None:
        if self._http.session_id is not None and not self._is_over:
            self._is_over = True
            await self._say_goodbye()
        self._is_over = True
        if self._modern is not None:
            await self._modern.close()
        await self._calls.close(self._listening)
        await self._http.way.aclose()

    async def _ask(self, message: Outgoing, request_id: RequestId) -> None:
        """Send a request, and see to it that it is answered, or fails."""
        try:
            events = await self._post(message, request_id)
            if events is not None and self._receiver.awaits(request_id):
                await self._resume(request_id, events)
            error: Exception = BackendLost("The answer's stream ended before the answer, and cannot be resumed.")
        except httpx2.HTTPError as broken:
            error = _unreachable(broken)
        except MessageTooLong:
            error = BackendLost(f"It sent a message of more than {MESSAGE_LIMIT} bytes.")
        except Exception as other:  # noqa: BLE001 - whatever it is, somebody waits for an answer
            error = other
        if (
            message.method == "initialize"
            and isinstance(error, ApplicationError)
            and await self._is_modern(message, error)
        ):
            return
        self._receiver.failed(request_id, error)
        if isinstance(error, RequestNotTaken):
            self._lose(str(error))

    async def _is_modern(self, message: Outgoing, refused: ApplicationError) -> bool:
        """Speak with a server of the modern era alone, if that is why it refused `initialize`; it is answered then."""
        if refused.body()["code"] not in REFUSALS:
            return False
        modern = ModernLink(self._http, self._receiver, self._waits, message.params, self._annotations)
        self._http.session_id = None
        if message.id is not None and await modern.begin(message.id):
            self._modern = modern
        return self._modern is not None

    async def _post(self, message: Outgoing, request_id: RequestId) -> ReceivedEvents | None:
        """Send a request, and take its answer if it comes at once; return the stream if that is how it comes."""
        is_first = message.method == "initialize"
        if is_first:
            self._initialize_id = request_id
        async with self._http.asked("POST", message.data) as response:
            if response.status not in _TAKEN:
                raise await self._refusal(response)
            if is_first:
                given = response.headers.get("mcp-session-id", "")
                self._http.session_id = given if _SESSION_ID.fullmatch(given) else None
            if content_type(response) != EVENT_STREAM:
                self._take(await whole_body(response), request_id)
                return None
            events = ReceivedEvents(MESSAGE_LIMIT)
            await self._read(response, events, request_id)
            return events

    async def _read(
        self, response: StreamedAnswer, events: ReceivedEvents, about: RequestId | None, silence: float | None = None
    ) -> bool:
        """Take what comes on a stream until it ends, breaks, or is silent for too long; say whether anything came.

        Raises MessageTooLong.
        """
        loop, something = asyncio.get_running_loop(), False
        try:
            async with asyncio.timeout(silence) as bound:
                async for chunk in response.chunks():
                    found = events.feed(chunk)
                    for data in found:
                        something = True
                        self._take(data, about)
                    if about is not None and not self._receiver.awaits(about):
                        bound.reschedule(loop.time() + self._waits.end)
                    elif found and silence is not None:
                        bound.reschedule(loop.time() + silence)
        except TimeoutError:
            logger.debug("a stream of the server behind was silent for too long")
        except httpx2.HTTPError as error:
            logger.debug("a stream of the server behind broke: %s", type(error).__name__)
        return something

    async def _resume(self, request_id: RequestId, events: ReceivedEvents) -> None:
        """Open the stream of a call again, with the last event that came, until the call is answered.

        2025-11-25 basic/transports, "Resumability and Redelivery". Some servers replay what was missed and then nothing
        more, although the call goes on: so a resumed stream that is silent is resumed again.
        """
        fruitless, silence = 0, self._waits.silence
        while self._receiver.awaits(request_id) and events.last_event_id and fruitless < self._waits.most_resumptions:
            before, pause = events.last_event_id, self._pause(events.retry, fruitless)
            await self._waits.sleep(pause)
            events = ReceivedEvents(MESSAGE_LIMIT, before, events.retry)
            try:
                async with self._http.asked("GET", headers={"Last-Event-ID": before}) as response:
                    if response.status in _TAKEN and content_type(response) == EVENT_STREAM:
                        await self._read(response, events, request_id, silence)
                    elif response.status not in _PASSING:
                        raise await self._refusal(response)
            except httpx2.HTTPError as error:
                logger.debug("a stream of the server behind cannot be resumed now: %s", type(error).__name__)
            is_further = events.last_event_id != before
            fruitless = 0 if is_further else fruitless + 1
            silence = self._waits.silence if is_further else min(silence * 2, self._waits.longest_silence)

    async def _listen(self) -> None:
        """Keep the session's own stream open, if the server has one (2025-11-25 basic/transports, "Listening")."""
        last_event_id, retry, fruitless, was_open = "", None, 0, False
        while not self._is_over:
            events = ReceivedEvents(MESSAGE_LIMIT, last_event_id, retry)
            something = False
            try:
                headers = {"Last-Event-ID": last_event_id} if last_event_id else None
                async with self._http.asked("GET", headers=headers) as response:
                    if response.status in _TAKEN and content_type(response) == EVENT_STREAM:
                        was_open = True
                        something = await self._read(response, events, None)
                    elif response.status not in _PASSING:
                        self._without_stream(await self._refusal(response), was_open=was_open)
                        return
            except Exception as error:  # noqa: BLE001 - the session goes on without its stream
                logger.debug("the stream of a session with the server behind broke: %s", type(error).__name__)
            last_event_id, retry = events.last_event_id, events.retry
            fruitless = 0 if something else fruitless + 1
            await self._waits.sleep(self._pause(retry, fruitless))

    def _without_stream(self, refused: Exception, *, was_open: bool) -> None:
        """Go on without the session's own stream, which few servers have; one that had it has lost the session."""
        if was_open and isinstance(refused, RequestNotTaken):
            self._lose(str(refused))
        logger.debug("the server behind has no stream for what belongs to no request: %s", refused)

    async def _tell(self, message: Outgoing) -> None:
        """Send a notification or a response."""
        try:
            async with self._http.asked("POST", message.data, read_seconds=self._waits.notice) as response:
                if response.status in _TAKEN:
                    # 202 has no body (2025-11-25 basic/transports, "Sending Messages to the Server").
                    limit = 0 if response.status == 202 else MESSAGE_LIMIT  # noqa: PLR2004 - RFC 9110, 15.3.3
                    await whole_body(response, limit=limit)
                    return
                refused = await self._refusal(response)
        except Exception as error:  # noqa: BLE001 - nobody waits for an answer
            refused = error
        if isinstance(refused, RequestNotTaken):
            self._lose(str(refused))
        logger.debug("the server behind did not take a %s: %s", message.method or "response", type(refused).__name__)

    async def _say_goodbye(self) -> None:
        try:
            async with asyncio.timeout(self._waits.goodbye), self._http.asked("DELETE") as response:
                await refusal_body(response)
        except Exception as error:  # noqa: BLE001 - the session ends anyway, there by its idle limit
            logger.debug("a session with the server behind could not be ended there: %s", type(error).__name__)

    async def _refusal(self, response: StreamedAnswer) -> Exception:
        in_session = self._http.session_id is not None
        body = await refusal_body(response)
        if self._http.shows_token(body):
            body = b""
        return refusal(response.status, response.headers, body, in_session=in_session)

    def _take(self, data: bytes, about: RequestId | None) -> None:
        if about is not None and about == self._initialize_id:
            self._note_version(data)
        if self._http.shows_token(data):
            logger.error("the server behind sent a message that holds the caller's own access token; it was dropped")
            if about is not None:
                self._receiver.failed(about, BackendLost("It shows an access token, which no app may see."))
            return
        self._receiver.take(data, about)

    def _note_version(self, data: bytes) -> None:
        """Keep the revision that the server has agreed to: every request names it from now on.

        Raises ApplicationError: the server refused.
        """
        try:
            message = decoded(data)
        except ValueError:
            return
        result, error = message.get("result"), message.get("error")
        if type(error) is dict and error.get("code") in REFUSALS:
            raise ApplicationError({"message": "", **error})
        version = result.get("protocolVersion") if type(result) is dict else None
        if type(version) is str and _VERSION.fullmatch(version):
            self._http.version = version

    def _pause(self, retry: float | None, fruitless: int) -> float:
        """Return how long to wait before a stream is opened again; the server's own wish is a MUST."""
        pause = self._waits.pause * 2 ** min(fruitless, 10)
        return min(max(pause, retry or 0.0) if fruitless else (retry or pause), self._waits.longest_pause)

    def _lose(self, why: str) -> None:
        if not self._is_over:
            self._is_over = True
            # The server says of each of them itself whether it knows the session.
            self._receiver.lost(why, are_calls_over=False)


def _unreachable(error: httpx2.HTTPError) -> Exception:
    """Return what a broken connection means for the request on it."""
    kind = type(error).__name__
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.ProxyError):
        return BackendUnavailable(f"It cannot be reached ({kind}: {error}).", retry_after=RETRY_SECONDS)
    # Whether the server took the request, nobody can say, so it is not sent again.
    return BackendUnavailable(f"The connection broke before the answer ({kind}).", retry_after=RETRY_SECONDS)

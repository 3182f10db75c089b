"""How a server is asked: each request as it is given, bounded in time and size, and no redirect followed.

Who is asked: the host that was given, and what its metadata names. A server that is on the internet may name only hosts
that are, by https, so that nobody's metadata leads into the network of whoever runs the doctor.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import TracebackType
from typing import Final, Self

import httpx2

from gatepost import __version__
from gatepost.doctor.answers import MAX_BODY, ProbeAnswer, printable
from gatepost.outbound.named_hosts import NamedHosts, Resolve, resolve

ANSWER_SECONDS: Final = 15.0
"""How long one answer may take. claude.ai waits 10 s for discovery: what takes longer has to be seen to be said."""
WALK_SECONDS: Final = 180.0
"""How long all of them together may take, so that a server that answers nothing costs minutes and not an hour."""
_STAYS_SECONDS: Final = 0.25
"""How long a stream is watched after its first event: one that ends does so at once."""
USER_AGENT: Final = f"gatepost-doctor/{__version__}"

Headers = Mapping[str, str]


class Requester:
    """Asks. An async context manager, so that connections are closed.

    Args:
        url: the MCP URL that was given.
        transport: what carries requests; None for the network, through the proxies that the environment names.
        clock: seconds that only grow, for how long answers take.
        answer_seconds: how long one answer may take.
        walk_seconds: how long all of them may take.
        resolve: finds the addresses of the host that was given, and of those that metadata names.
    """

    def __init__(
        self,
        url: str,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        answer_seconds: float = ANSWER_SECONDS,
        walk_seconds: float = WALK_SECONDS,
        resolve: Resolve = resolve,
    ) -> None:
        self._hosts = NamedHosts(url, resolve)
        self._clock = clock
        self._answer_seconds = answer_seconds
        self._walk_seconds = walk_seconds
        self._spent = 0.0
        # What is sent is what stands in the request: this client follows nothing and adds nothing.
        self._http = httpx2.AsyncClient(transport=transport, timeout=httpx2.Timeout(answer_seconds))

    async def __aenter__(self) -> Self:
        await self._hosts.look()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    def start_anew(self) -> None:
        """Give what follows the whole time of a walk: what was made has to be removed, however long it took."""
        self._spent = 0.0

    async def ask(self, method: str, url: str, headers: Headers | None = None, body: bytes = b"") -> ProbeAnswer:
        """Send one request and return what came. A `User-Agent` that is empty is left out; nothing else is added."""
        return await self._measured(method, url, headers or {}, body, self._whole)

    async def listen(self, method: str, url: str, headers: Headers, body: bytes, *, seconds: float) -> ProbeAnswer:
        """Send a request whose answer is a stream, and return what came of it until it ended, or until `seconds`.

        `problem` is `"open"` if it was still open then. The time does not count as time of the walk.
        """

        async def listen(request: httpx2.Request) -> ProbeAnswer:
            return await self._stream(request, seconds)

        spent = self._spent
        answer = await self._measured(method, url, headers, body, listen)
        self._spent = spent
        return answer

    async def first_event(self, method: str, url: str, headers: Headers, body: bytes) -> ProbeAnswer:
        """Send a request whose answer is a stream, and return what came of it until its first event with data.

        `problem` is `"open"` if the stream was still open a moment after that. Any other answer is read to its end.
        """

        async def take(request: httpx2.Request) -> ProbeAnswer:
            async with asyncio.timeout(self._answer_seconds):
                response = await self._http.send(request, stream=True)
            return await self._until_event(request, response)

        return await self._measured(method, url, headers, body, take)

    async def _until_event(self, request: httpx2.Request, response: httpx2.Response) -> ProbeAnswer:
        is_stream = response.headers.get("content-type", "").startswith("text/event-stream")
        body, has_come = b"", False
        try:
            async with asyncio.timeout(self._answer_seconds) as limit:
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > MAX_BODY:
                        return _answer(request, response, b"", f"more than {MAX_BODY} bytes")
                    if is_stream and not has_come and _holds_an_event(body):
                        has_come = True
                        limit.reschedule(asyncio.get_running_loop().time() + _STAYS_SECONDS)
        except TimeoutError:
            problem = "open" if has_come else f"no event within {self._answer_seconds:g} s"
            return _answer(request, response, body, problem)
        finally:
            await response.aclose()
        return _answer(request, response, body, "")

    async def _measured(
        self,
        method: str,
        url: str,
        headers: Headers,
        body: bytes,
        send: Callable[[httpx2.Request], Awaitable[ProbeAnswer]],
    ) -> ProbeAnswer:
        if refusal := await self.refusal(url):
            return ProbeAnswer(method=method, url=url, problem=refusal)
        if self._spent >= self._walk_seconds:
            return ProbeAnswer(method=method, url=url, problem="not asked: the answers before took too long")
        began = self._clock()
        try:
            request = httpx2.Request(method, url, headers=_sent(headers), content=body or None)
            answer = await send(request)
        except TimeoutError:
            answer = ProbeAnswer(method=method, url=url, problem=f"no answer within {self._answer_seconds:g} s")
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            answer = ProbeAnswer(method=method, url=url, problem=_cause(error))
        seconds = max(0.0, self._clock() - began)
        self._spent += seconds
        return ProbeAnswer(
            method=method,
            url=url,
            status=answer.status,
            headers=answer.headers,
            body=answer.body,
            seconds=seconds,
            problem=answer.problem,
        )

    async def _whole(self, request: httpx2.Request) -> ProbeAnswer:
        async with asyncio.timeout(self._answer_seconds):
            response = await self._http.send(request, stream=True)
            try:
                body, problem = b"", ""
                is_stream = response.headers.get("content-type", "").startswith("text/event-stream")
                if is_stream and request.method == "GET":
                    return _answer(request, response, body, problem)  # that it opened is all that is to be known
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > MAX_BODY:
                        body, problem = b"", f"more than {MAX_BODY} bytes"
                        break
                    if is_stream and _holds_an_answer(body):
                        break
                return _answer(request, response, body, problem)
            finally:
                await response.aclose()

    async def _stream(self, request: httpx2.Request, seconds: float) -> ProbeAnswer:
        # Silence is what is looked for: the time to read has no bound but that of the whole.
        request.extensions["timeout"] = httpx2.Timeout(self._answer_seconds, read=None).as_dict()
        async with asyncio.timeout(self._answer_seconds):
            response = await self._http.send(request, stream=True)
        body = b""
        try:
            async with asyncio.timeout(seconds):
                async for chunk in response.aiter_raw():
                    body = (body + chunk)[-MAX_BODY:]
        except TimeoutError:
            return _answer(request, response, body, "open")
        except httpx2.HTTPError as error:
            return _answer(request, response, body, _cause(error))
        finally:
            await response.aclose()
        return _answer(request, response, body, "")

    async def refusal(self, url: str) -> str:
        """Return why a URL is not asked, or nothing."""
        refusal = await self._hosts.refusal(url)
        return f"not asked: {refusal}" if refusal else ""


def _sent(headers: Headers) -> dict[str, str]:
    # Not packed: so a body that is small on the way stays small here.
    sent = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers}
    return {name: value for name, value in sent.items() if value}


def _answer(request: httpx2.Request, response: httpx2.Response, body: bytes, problem: str) -> ProbeAnswer:
    return ProbeAnswer(
        method=request.method,
        url=str(request.url),
        status=response.status_code,
        headers=[(name.lower(), value) for name, value in response.headers.multi_items()],
        body=body,
        problem=problem,
    )


def _holds_an_answer(body: bytes) -> bool:
    """Say whether an event stream has said what was asked for: it may stay open for as long as it likes."""
    return body.replace(b"\r\n", b"\n").endswith(b"\n\n") and (b'"result"' in body or b'"error"' in body)


def _holds_an_event(body: bytes) -> bool:
    """Say whether an event stream has said anything; comments say nothing."""
    *whole, _rest = body.replace(b"\r\n", b"\n").split(b"\n\n")
    return any(line.startswith(b"data:") for event in whole for line in event.split(b"\n"))


def _cause(error: Exception) -> str:
    """Return why no answer came, as people know it."""
    for cause in _chain(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate does not count: {printable(cause.verify_message)}"
        if isinstance(cause, ssl.SSLError):
            return "no TLS connection came about"
        if isinstance(cause, ConnectionRefusedError):
            return "nobody listens there: connection refused"
    if isinstance(error, httpx2.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpx2.ConnectError):
        return f"no connection: {printable(str(error)) or type(error).__name__}"
    return f"no answer that can be read: {printable(str(error)) or type(error).__name__}"


def _chain(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__

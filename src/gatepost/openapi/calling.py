"""Requests to an API, and what goes with each of them: headers, the person's token, limits.

What the client of this server sent of its own (its access token, its headers) is never passed on. A cookie that an API
sets is not kept: the next request may be another person's.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import quote, urljoin

import httpx2
from mcp_types import CallToolResult

from gatepost.late_dataclass import dataclass
from gatepost.openapi.answers import APIAnswer, to_tool_result
from gatepost.openapi.documents import origin_of
from gatepost.openapi.outputs import Outputs
from gatepost.openapi.requests import APIRequest, RequestForm
from gatepost.outbound.fetching import system_trust
from gatepost.outbound.transport import way_to
from gatepost.server.calls.context import Context
from gatepost.server.errors import ToolError

SECONDS: Final = 30.0
LARGEST_ANSWER: Final = 1024 * 1024
_MOST_REDIRECTS: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_RETRIED: Final = frozenset({"GET", "HEAD"})
_UNAUTHORIZED: Final = 401
_SHORTEST_SECRET: Final = 8
_SECRET_NAME: Final = re.compile(r"auth|cookie|credential|key|password|secret|session|signature|token", re.IGNORECASE)
"""In the name of a header or parameter whose value is a secret."""

Headers = Mapping[str, str]
GiveHeaders = Callable[[Context], Headers | Awaitable[Headers]]


class APIUnreachable(ToolError):
    """No answer came: there is no connection, or it broke."""


class APITimedOut(ToolError):
    """No whole answer came in time."""


class AnswerTooLarge(ToolError):
    """The answer has more bytes than a result may have."""


class RedirectedElsewhere(ToolError):
    """The API sends whoever asks to another server, which gets none of these requests."""


class _KeepsNoCookies(DefaultCookiePolicy):
    def set_ok(self, cookie: Any, request: Any) -> bool:  # noqa: ARG002 - that of the standard library
        return False


@dataclass(slots=True, eq=False, kw_only=True)
class API:
    """How the API of one description is asked."""

    given: httpx2.AsyncClient | None
    """The operator's client, who closes it."""
    url: str
    headers: Headers | GiveHeaders
    query: Mapping[str, str]
    upstream: str | None
    """The login provider whose tokens go with each request."""
    seconds: float
    largest_answer: int
    _open: httpx2.AsyncClient | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Have connections."""
        async with AsyncExitStack() as stack:
            if self.given is not None:
                # It stays open afterwards: it is the operator's.
                self.given.cookies.jar.set_policy(_KeepsNoCookies())
                self._open = self.given
            else:
                self._open = await stack.enter_async_context(self._own_client())
            try:
                yield
            finally:
                self._open = None

    def _own_client(self) -> httpx2.AsyncClient:
        # How long a call may take, and how much may come, is said where it is made.
        way = way_to(self.url, None, system_trust, limit=None)
        jar = CookieJar(policy=_KeepsNoCookies())
        agent = {"User-Agent": "gatepost"}
        return httpx2.AsyncClient(transport=way, trust_env=False, cookies=jar, timeout=None, headers=agent)

    async def call(self, form: RequestForm, given: Mapping[str, Any], ctx: Context) -> APIAnswer:
        """Return what an operation answers to checked arguments, without what is secret in it.

        Raises:
            APIUnreachable, APITimedOut, AnswerTooLarge, RedirectedElsewhere: There is no answer.
            NotLinked, UpstreamUnavailable, NoPerson: There is no token of the person's (`Context.upstream_token`).
        """
        headers = await self._headers(ctx)
        token = None if self.upstream is None else await ctx.upstream_token(self.upstream)
        answer = await self._answer(form, form.request(given), headers, token)
        if answer.status == _UNAUTHORIZED and self.upstream is not None:
            # It was revoked over there, perhaps; once more with another one, and no further.
            token = await ctx.upstream_token(self.upstream, refused=token)
            answer = await self._answer(form, form.request(given), headers, token)
        return answer

    async def _headers(self, ctx: Context) -> Headers:
        if not callable(self.headers):
            return self.headers
        headers = self.headers(ctx)
        return await headers if inspect.isawaitable(headers) else headers

    async def _answer(self, form: RequestForm, request: APIRequest, own: Headers, token: str | None) -> APIAnswer:
        http = self._client()
        added = dict(own) if token is None else {**_without(own, "authorization"), "Authorization": f"Bearer {token}"}
        secrets = Secrets.of(added, self.query, http.headers)
        try:
            async with asyncio.timeout(self.seconds):
                answer = await self._followed(
                    http, form.method, _request(http, form.method, request, added, self.query)
                )
        except (TimeoutError, httpx2.TimeoutException):
            problem: ToolError = APITimedOut(
                f"The API did not answer within {self.seconds:g} seconds."
                + ("" if form.method in _RETRIED else " What was asked for may have been done all the same.")
            )
        except httpx2.HTTPError as error:
            problem = APIUnreachable(f"The API cannot be reached just now ({type(error).__name__}).")
        else:
            return secrets.cut_from(answer)
        # Outside of any `except`: what httpx says may hold the address, with what is secret in it.
        raise problem

    def _client(self) -> httpx2.AsyncClient:
        if self._open is None:
            raise RuntimeError("the server's lifespan is not open, so there are no connections")
        return self._open

    async def _followed(self, http: httpx2.AsyncClient, method: str, request: httpx2.Request) -> APIAnswer:
        """Return the answer, also from where it leads on to at the same origin, if reading was all that was asked."""
        for _ in range(_MOST_REDIRECTS):
            response = await http.send(request, stream=True, follow_redirects=False)
            try:
                if response.status_code not in _REDIRECTS or "location" not in response.headers:
                    return await self._read(response)
            finally:
                await response.aclose()
            target = urljoin(str(request.url), response.headers["location"])
            if origin_of(target) != origin_of(str(request.url)):
                host = origin_of(target)[1] or "elsewhere"
                raise RedirectedElsewhere(f"The API leads on to another server, {host[:253]}, which is not followed.")
            if method not in _RETRIED:
                raise RedirectedElsewhere("The API leads on to another address, which is followed for GET alone.")
            request = httpx2.Request(method, target, headers=request.headers)
        raise RedirectedElsewhere("The API leads on and on.")

    async def _read(self, response: httpx2.Response) -> APIAnswer:
        limit = self.largest_answer
        said = response.headers.get("content-length", "")
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise APIUnreachable("The API sends its answer packed, though it was not asked to.")
        content = bytearray()
        if said.isdecimal() and int(said[:20]) > limit:
            raise _too_large(limit)
        async for chunk in response.aiter_raw():
            content += chunk
            if len(content) > limit:
                raise _too_large(limit)
        return APIAnswer(
            status=response.status_code,
            reason=response.reason_phrase,
            media_type=response.headers.get("content-type", ""),
            charset=response.charset_encoding or "utf-8",
            content=bytes(content),
            retry_after=response.headers.get("retry-after"),
        )


def _too_large(limit: int) -> AnswerTooLarge:
    return AnswerTooLarge(
        f"The API's answer has more than {limit} bytes, and is not passed on. Ask for less, if the tool lets you."
    )


def _without(headers: Headers, name: str) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key.lower() != name}


def _request(
    http: httpx2.AsyncClient, method: str, request: APIRequest, added: Headers, query: Mapping[str, str]
) -> httpx2.Request:
    url = request.url
    if query:
        fixed = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query.items())
        url = f"{url}{'&' if '?' in url else '?'}{fixed}"
    lower = {name.lower() for name in added}
    asked = {name: value for name, value in request.headers.items() if name.lower() not in lower}
    # What comes is counted as it comes; unpacked, it could grow.
    together = {**asked, **added, "Accept-Encoding": "identity"}
    headers = [(name.encode(), value.encode(errors="replace")) for name, value in together.items()]
    written = request.body
    if written is None:
        return http.build_request(method, url, headers=headers)
    if written.parts:
        return http.build_request(method, url, headers=headers, files=list(written.parts))
    return http.build_request(method, url, headers=headers, content=written.content)


@dataclass(frozen=True, slots=True)
class Secrets:
    """What goes with requests and is for no client's eyes; some APIs show whoever asks what they were sent."""

    values: tuple[bytes, ...]

    @classmethod
    def of(cls, *sent: Mapping[str, str]) -> Secrets:
        """Return the secrets in headers and parameters: their values, and what follows a word such as `Bearer`."""
        values: dict[str, None] = {}
        for headers in sent:
            for name, value in headers.items():
                if _SECRET_NAME.search(name):
                    values |= dict.fromkeys((value, value.rpartition(" ")[2], quote(value, safe="")))
        kept = sorted((value for value in values if len(value) >= _SHORTEST_SECRET), key=len, reverse=True)
        return cls(tuple(value.encode() for value in kept))

    def cut_from(self, answer: APIAnswer) -> APIAnswer:
        """Return an answer without them."""
        content = answer.content
        for secret in self.values:
            content = content.replace(secret, b"***")
        return replace(answer, content=content)


@dataclass(frozen=True, slots=True, eq=False)
class OperationCall:
    """What the tool for an operation calls."""

    api: API
    form: RequestForm
    outputs: Outputs | None
    name: str

    async def __call__(self, arguments: dict[str, Any], ctx: Context) -> CallToolResult:
        """Ask the API."""
        answer = await self.api.call(self.form, arguments, ctx)
        return to_tool_result(answer, self.outputs, self.name)

"""A session with an MCP server of either era, by the official client, with a bearer token from `credentials`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import field
from typing import TYPE_CHECKING, Final, TypeVar

import httpx2

from gatepost.client.credentials import TokenSource
from gatepost.client.protection import read_challenge
from gatepost.client.refusals import CallRefused, ServerAway
from gatepost.late_dataclass import dataclass
from gatepost.outbound.addresses import names_this_machine
from gatepost.outbound.fetching import system_trust
from gatepost.outbound.proxy import ForwardProxy
from gatepost.outbound.transport import Bounded, transport

if TYPE_CHECKING:
    from mcp import Client
    from mcp.client.session import ElicitationFnT, LoggingFnT

Answer = TypeVar("Answer")

_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_PASSING: Final = (408, 429, *range(500, 600))
"""Statuses that say nothing about whoever asks: nobody has to log in because of them."""
_TIMEOUT: Final = httpx2.Timeout(30.0, read=None)
"""A tool may be silent for as long as it likes; Ctrl-C ends the call."""
MAX_RESULT: Final = 64 * 1024 * 1024
"""Bytes of an answer. Of a stream, the official client bounds each event."""


@dataclass(eq=False)
class BearerAuth(httpx2.Auth):
    """Shows the token, and gets another one where it is refused (RFC 6750).

    What keeps a call from going on is kept in `failure`: the official client only logs what its transport raises.
    """

    credentials: TokenSource
    failure: asyncio.Future[CallRefused] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    _alone: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Requests go out side by side, and one login is enough."""
    _token: str | None = None
    _is_asked: bool = False

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Send the request, with another token if the first one is refused."""
        try:
            shown = await self._current()
            response = yield self._showing(request, shown)
            for _ in range(2):  # a refresh, and then a login
                challenge = read_challenge(response.headers.get("www-authenticate"))
                needs_more = response.status_code == _FORBIDDEN and challenge.error == "insufficient_scope"
                if response.status_code != _UNAUTHORIZED and not needs_more:
                    break
                async with self._alone:
                    if self._token == shown:
                        self._token = await self.credentials.renewed(shown, challenge)
                    shown = self._token
                response = yield self._showing(request, shown)
            self._judge(response)
        except CallRefused as refused:
            if not self.failure.done():
                self.failure.set_result(refused)
            raise

    async def _current(self) -> str | None:
        async with self._alone:
            if not self._is_asked:
                self._token, self._is_asked = await self.credentials.token(), True
            return self._token

    def _showing(self, request: httpx2.Request, token: str | None) -> httpx2.Request:
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        return request

    def _judge(self, response: httpx2.Response) -> None:
        status, url = response.status_code, response.request.url
        if status in _PASSING:
            when = response.headers.get("retry-after", "")
            again = f"in {when} seconds" if when.isdecimal() else "later"
            raise ServerAway(f"{url} cannot answer now ({status}). Try again {again}.")
        if status in (_UNAUTHORIZED, _FORBIDDEN):
            challenge = read_challenge(response.headers.get("www-authenticate"))
            why = challenge.description or challenge.error or "it says no more"
            raise CallRefused(f"{url} refuses ({status}): {why}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """How to speak with a server, and who hears what it says meanwhile."""

    mode: str = "auto"
    """As the official client takes it: `auto`, `legacy`, or a revision of the modern era."""
    proxy: ForwardProxy | None = None
    on_log: LoggingFnT | None = None
    on_elicitation: ElicitationFnT | None = None


def bounded_way(inner: httpx2.AsyncBaseTransport) -> Bounded:
    """Return the way to an MCP server that is not trusted with the memory of this machine."""
    return Bounded(inner, MAX_RESULT, spares_events=True)


@asynccontextmanager
async def connected(url: str, auth: BearerAuth, options: SessionOptions) -> AsyncIterator[Client]:
    """Open a session for as long as the context lasts.

    Raises:
        ModuleNotFoundError: the official client is not installed.
    """
    from mcp import Client  # noqa: PLC0415 - an extra, and half a second
    from mcp.client.streamable_http import streamable_http_client  # noqa: PLC0415 - likewise
    from mcp_types import Implementation  # noqa: PLC0415 - likewise

    from gatepost import __version__  # noqa: PLC0415 - of the package around

    logging.getLogger("mcp").setLevel(logging.CRITICAL)  # what it logs of refusals is said in a sentence
    proxy = None if names_this_machine(httpx2.URL(url).host) else options.proxy
    async with (
        httpx2.AsyncClient(
            transport=bounded_way(transport(proxy, system_trust)),
            trust_env=False,
            auth=auth,
            timeout=_TIMEOUT,
            headers={"User-Agent": f"gatepost/{__version__}"},
        ) as http,
        Client(
            streamable_http_client(url, http_client=http),
            mode=options.mode,
            client_info=Implementation(name="gatepost call", version=__version__),
            logging_callback=options.on_log,
            log_level="info",
            elicitation_callback=options.on_elicitation,
        ) as client,
    ):
        yield client


async def until_refused(auth: BearerAuth, work: Callable[[], Awaitable[Answer]]) -> Answer:
    """Do the work of a session, and stop as soon as its requests are refused.

    Raises:
        CallRefused: they are.
    """

    async def run() -> Answer:
        return await work()

    task = asyncio.create_task(run())
    try:
        await asyncio.wait((task, auth.failure), return_when=asyncio.FIRST_COMPLETED)
        if auth.failure.done():
            raise auth.failure.result()
        return await task
    finally:
        task.cancel()
        # What it raises then is of no interest; nobody would have looked at it.
        await asyncio.gather(task, return_exceptions=True)

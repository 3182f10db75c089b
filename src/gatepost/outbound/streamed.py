"""Requests to one server whose answers may last: what a way there has to do, and the way through a forward proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Protocol

import httpx2

CONNECT_SECONDS: Final = 10.0
"""How long a connection may take to be there, and TLS on it."""
WRITE_SECONDS: Final = 60.0
"""How long the server may let a request wait of which it takes nothing."""


class StreamedAnswer(Protocol):
    """An answer whose body is still to come."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By name, in lower case; of a name that stands twice the values, joined by a comma (RFC 9110, 5.3)."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Return what comes of the body, as it comes; raises httpx2.HTTPError: it broke off."""
        ...

    async def aclose(self) -> None:
        """Be done with it: a connection on which something is missing is closed. Closing twice is fine."""
        ...


class StreamedWay(Protocol):
    """Sends requests to the one URL that it was made for. It follows no redirect and keeps no cookie."""

    async def ask(
        self, verb: str, headers: Mapping[str, str], body: bytes | None, *, read_seconds: float | None
    ) -> StreamedAnswer:
        """Send a request, and return its answer once its head is here.

        Args:
            verb: the method.
            headers: those that the request has beside `Host`, its length and `Accept-Encoding`.
            body: None for none.
            read_seconds: how long the server may be silent; for ever when None.

        Raises:
            httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError: nothing was sent.
            httpx2.HTTPError: anything else; nobody knows whether the server took the request.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


class TransportWay:
    """The way through a transport of httpx's, which knows proxies.

    Args:
        url: where requests go.
        transport: sends them, and lets nothing come back packed.
    """

    def __init__(self, url: httpx2.URL, transport: httpx2.AsyncBaseTransport) -> None:
        self._url = url
        self._transport = transport

    async def ask(
        self, verb: str, headers: Mapping[str, str], body: bytes | None, *, read_seconds: float | None
    ) -> StreamedAnswer:
        """See `StreamedWay`."""
        timeout: dict[str, Any] = {"connect": CONNECT_SECONDS, "write": WRITE_SECONDS, "read": read_seconds}
        request = httpx2.Request(
            verb, self._url, headers=headers, content=body, extensions={"timeout": {**timeout, "pool": None}}
        )
        # The transport itself, past httpx's client: that would follow redirects and keep cookies, and takes its time.
        return _OfTransport(await self._transport.handle_async_request(request))

    async def aclose(self) -> None:
        """See `StreamedWay`."""
        await self._transport.aclose()


class _OfTransport:
    def __init__(self, response: httpx2.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    def chunks(self) -> AsyncIterator[bytes]:
        stream = self._response.stream
        assert isinstance(stream, httpx2.AsyncByteStream)  # noqa: S101 - of an asynchronous transport; tells mypy
        return stream.__aiter__()

    async def aclose(self) -> None:
        await self._response.aclose()

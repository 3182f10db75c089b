"""httpx's transport, straight or through a forward proxy. Imported late: nothing is fetched at the start.

Servers that the operator names are asked by `way_to`: the guard of `fetching` is against addresses that strangers
choose, and an OpenID provider may well lie inside the own network. What they answer is bounded all the same. Those
whose answers are streams that last are asked by `way_for_streams`, past httpx where no proxy is between (record 0072).
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, cast

import httpx2

from gatepost.outbound.addresses import names_this_machine
from gatepost.outbound.http1 import Http1Way
from gatepost.outbound.proxy import ForwardProxy
from gatepost.outbound.streamed import StreamedWay, TransportWay


def transport(proxy: ForwardProxy | None, tls: Callable[[], ssl.SSLContext], **more: Any) -> httpx2.AsyncHTTPTransport:
    """Return a transport on which the environment has no say; `more` is what httpx's own takes."""
    if proxy is None:
        return httpx2.AsyncHTTPTransport(verify=tls(), trust_env=False, **more)
    to_proxy = tls() if proxy.url.startswith("https:") else None
    return _Tunnel(verify=tls(), trust_env=False, proxy=httpx2.Proxy(proxy.url, ssl_context=to_proxy), **more)


MAX_ANSWER: Final = 256 * 1024
"""Bytes of what a server that the operator names may answer."""


def way_to(
    url: str, proxy: ForwardProxy | None, tls: Callable[[], ssl.SSLContext], *, limit: int | None = MAX_ANSWER
) -> httpx2.AsyncBaseTransport:
    """Return the way to a server that the operator names; no proxy leads to this very machine.

    `limit` is of the bytes of an answer; None where whoever reads it counts them.
    """
    return Bounded(transport(_proxy_to(url, proxy), tls), limit)


_STREAMS: Final = httpx2.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=3.0)
"""Streams hold connections for as long as they last, so their number has no bound here. Servers close idle connections
after five seconds and more; one that is closed just as it is used loses a request that must not be sent again."""


def way_for_streams(url: str, proxy: ForwardProxy | None, tls: Callable[[], ssl.SSLContext]) -> StreamedWay:
    """Return the way to a server that the operator names and whose answers may last, and be of any length.

    Whoever reads them bounds what is kept of them. A peer that is gone without a word is noticed after some minutes.
    """
    target, through = httpx2.URL(url), _proxy_to(url, proxy)
    if through is None:
        return Http1Way(target, tls, _watched())
    inner = transport(through, tls, limits=_STREAMS, socket_options=_watched())
    return TransportWay(target, Bounded(inner, limit=None))


def _proxy_to(url: str, proxy: ForwardProxy | None) -> ForwardProxy | None:
    return None if names_this_machine(httpx2.URL(url).host) else proxy


def _watched() -> list[tuple[int, int, int]]:
    """Return socket options for TCP keep-alive: probed after a minute of silence, given up after two more."""
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 20), ("TCP_KEEPCNT", 6)):
        # Not every system has a name for each of them.
        if (number := getattr(socket, name, None)) is not None:
            options.append((socket.IPPROTO_TCP, number, value))
    return options


class Bounded(httpx2.AsyncBaseTransport):
    """A transport whose answers have at most so many bytes, or any number if `limit` is None, none of them packed.

    Event streams that last are spared by `spares_events`: whoever reads them then bounds the single event.
    """

    def __init__(
        self, inner: httpx2.AsyncBaseTransport, limit: int | None = MAX_ANSWER, *, spares_events: bool = False
    ) -> None:
        self._inner = inner
        self._limit = limit
        self._spares_events = spares_events

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request, and count what comes."""
        request.headers["Accept-Encoding"] = "identity"
        response = await self._inner.handle_async_request(request)
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            await response.aclose()
            raise httpx2.DecodingError("packed, though it was not asked for", request=request)
        media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        is_spared = self._spares_events and media_type == "text/event-stream"
        if self._limit is not None and not is_spared:
            response.stream = _BoundedStream(cast("httpx2.AsyncByteStream", response.stream), self._limit)
        return response

    async def aclose(self) -> None:
        """Close its connections."""
        await self._inner.aclose()


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream, limit: int) -> None:
        self._inner = inner
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._limit
        async for chunk in self._inner:
            left -= len(chunk)
            if left < 0:
                raise httpx2.ReadError(f"more than {self._limit} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Tunnel(httpx2.AsyncHTTPTransport):
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.url = _Bracketed(request.url)
        return await super().handle_async_request(request)


class _Bracketed(httpx2.URL):
    """httpcore2 (2.16) writes CONNECT from the bare host; an IPv6 address has brackets there (RFC 3986, 3.2.2)."""

    @property
    def raw_host(self) -> bytes:
        host = super().raw_host
        return b"[%b]" % host if b":" in host else host

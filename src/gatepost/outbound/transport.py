"""httpx's transport, straight or through a forward proxy. Imported late: nothing is fetched at the start.

Servers that the operator names are asked by `way_to`: the guard of `fetching` is against addresses that strangers
choose, and an OpenID provider may well lie inside the own network. What they answer is bounded all the same.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from typing import Final, cast

import httpx2

from gatepost.outbound.addresses import names_this_machine
from gatepost.outbound.proxy import ForwardProxy


def transport(proxy: ForwardProxy | None, tls: Callable[[], ssl.SSLContext]) -> httpx2.AsyncHTTPTransport:
    """Return a transport on which the environment has no say."""
    if proxy is None:
        return httpx2.AsyncHTTPTransport(verify=tls(), trust_env=False)
    to_proxy = tls() if proxy.url.startswith("https:") else None
    return _Tunnel(verify=tls(), trust_env=False, proxy=httpx2.Proxy(proxy.url, ssl_context=to_proxy))


MAX_ANSWER: Final = 256 * 1024
"""Bytes of what a server that the operator names may answer."""


def way_to(url: str, proxy: ForwardProxy | None, tls: Callable[[], ssl.SSLContext]) -> httpx2.AsyncBaseTransport:
    """Return the way to a server that the operator names; no proxy leads to this very machine."""
    return Bounded(transport(None if names_this_machine(httpx2.URL(url).host) else proxy, tls))


class Bounded(httpx2.AsyncBaseTransport):
    """A transport whose answers have at most `MAX_ANSWER` bytes, none of them packed."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request, and count what comes."""
        request.headers["Accept-Encoding"] = "identity"
        response = await self._inner.handle_async_request(request)
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            await response.aclose()
            raise httpx2.DecodingError("packed, though it was not asked for", request=request)
        response.stream = _BoundedStream(cast("httpx2.AsyncByteStream", response.stream))
        return response

    async def aclose(self) -> None:
        """Close its connections."""
        await self._inner.aclose()


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MAX_ANSWER
        async for chunk in self._inner:
            left -= len(chunk)
            if left < 0:
                raise httpx2.ReadError(f"more than {MAX_ANSWER} bytes")
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

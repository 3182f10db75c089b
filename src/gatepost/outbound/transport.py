"""httpx's transport, straight or through a forward proxy. Imported late: nothing is fetched at the start."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import httpx2

from gatepost.outbound.proxy import ForwardProxy


def transport(proxy: ForwardProxy | None, tls: Callable[[], ssl.SSLContext]) -> httpx2.AsyncHTTPTransport:
    """Return a transport on which the environment has no say."""
    if proxy is None:
        return httpx2.AsyncHTTPTransport(verify=tls(), trust_env=False)
    to_proxy = tls() if proxy.url.startswith("https:") else None
    return _Tunnel(verify=tls(), trust_env=False, proxy=httpx2.Proxy(proxy.url, ssl_context=to_proxy))


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

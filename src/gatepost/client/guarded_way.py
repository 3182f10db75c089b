"""The way to the servers that a server names, to those alone that it may name."""

from __future__ import annotations

import httpx2

from gatepost.client.protection import origin_of
from gatepost.client.refusals import CallRefused
from gatepost.late_dataclass import dataclass
from gatepost.outbound.issuer_documents import Transport
from gatepost.outbound.named_hosts import NamedHosts


@dataclass(frozen=True, slots=True)
class GuardedWay:
    """Looks at each URL before it is asked: discovery and registration come before anybody has seen where they go."""

    given: str
    hosts: NamedHosts
    transport: Transport

    async def check(self, url: str) -> None:
        """Raise CallRefused for a URL that the server may not name (`NamedHosts`)."""
        if refusal := await self.hosts.refusal(url):
            raise CallRefused(f"{origin_of(url)} is not asked for {self.given}: {refusal}.")

    def __call__(self, url: str) -> httpx2.AsyncBaseTransport:
        """Return the way to a URL, on which each request is checked."""
        return _Guarded(self, self.transport(url))


class _Guarded(httpx2.AsyncBaseTransport):
    def __init__(self, way: GuardedWay, inner: httpx2.AsyncBaseTransport) -> None:
        self._way = way
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        await self._way.check(str(request.url))
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()

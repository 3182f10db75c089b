"""The way to servers that the operator names: bounded, unpacked, by the proxy."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator

import httpx2
import pytest

from gatepost.outbound.fetching import system_trust
from gatepost.outbound.proxy import ForwardProxy
from gatepost.outbound.streamed import StreamedWay
from gatepost.outbound.transport import MAX_ANSWER, Bounded, way_for_streams, way_to
from tests.outbound.connect_proxy import ConnectProxy
from tests.outbound.tls_server import TlsServer


async def pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 60_000):
        yield body[start : start + 60_000]


async def answered(body: bytes, **headers: str) -> httpx2.Response:
    def answer(request: httpx2.Request) -> httpx2.Response:
        assert request.headers["accept-encoding"] == "identity"
        return httpx2.Response(200, content=pieces(body), headers=headers)

    async with httpx2.AsyncClient(transport=Bounded(httpx2.MockTransport(answer))) as http:
        return await http.get("https://id.example")


async def test_an_answer_may_have_so_many_bytes_and_no_more() -> None:
    assert len((await answered(b"x" * MAX_ANSWER)).content) == MAX_ANSWER
    with pytest.raises(httpx2.ReadError, match=f"more than {MAX_ANSWER} bytes"):
        await answered(b"x" * (MAX_ANSWER + 1))


async def test_nothing_is_unpacked() -> None:
    with pytest.raises(httpx2.DecodingError):
        await answered(gzip.compress(b"{}"), **{"content-encoding": "gzip"})
    assert (await answered(b"{}", **{"content-encoding": "Identity"})).content == b"{}"


async def test_the_proxy_leads_to_everybody_but_this_machine(server: TlsServer) -> None:
    server.answer({"a": 1})
    async with ConnectProxy(leads_to=server.port) as proxy:
        forward = ForwardProxy(f"http://127.0.0.1:{proxy.port}", "", "HTTPS_PROXY")
        for host in ("client.example", "localhost"):
            url = f"https://{host}:{server.port}/client.json"
            async with httpx2.AsyncClient(transport=way_to(url, forward, server.trust)) as http:
                assert (await http.get(url)).json() == {"a": 1}
    assert proxy.asked == [f"CONNECT client.example:{server.port} HTTP/1.1"]


async def test_a_certificate_of_nobody_is_not_taken(server: TlsServer) -> None:
    url = f"https://localhost:{server.port}/client.json"
    async with httpx2.AsyncClient(transport=way_to(url, None, system_trust)) as http:
        with pytest.raises(httpx2.ConnectError):
            await http.get(url)


async def test_the_way_for_streams_has_no_bound_verifies_and_leads_through_the_proxy(server: TlsServer) -> None:
    server.answer({"a": "x" * MAX_ANSWER})
    async with ConnectProxy(leads_to=server.port) as proxy:
        forward = ForwardProxy(f"http://127.0.0.1:{proxy.port}", "", "HTTPS_PROXY")
        url = f"https://client.example:{server.port}/client.json"
        assert len(await asked(way_for_streams(url, forward, server.trust))) > MAX_ANSWER
        local = f"https://localhost:{server.port}/client.json"
        assert len(await asked(way_for_streams(local, forward, server.trust))) > MAX_ANSWER
        with pytest.raises(httpx2.ConnectError):
            await asked(way_for_streams(local, forward, system_trust))
    assert proxy.asked == [f"CONNECT client.example:{server.port} HTTP/1.1"]


async def asked(way: StreamedWay) -> bytes:
    """Return what a way leads to, and close it."""
    try:
        answer = await way.ask("GET", {"Accept": "*/*"}, None, read_seconds=60)
        return b"".join([chunk async for chunk in answer.chunks()])
    finally:
        await way.aclose()

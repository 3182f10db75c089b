"""Fetching through a forward proxy: what it is asked for, and what never reaches it."""

import asyncio
import base64
import logging
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.outbound import transport
from gatepost.outbound.addresses import is_local_name, is_public
from gatepost.outbound.fetching import Fault, Fetched, FetchFailed, GuardedFetcher
from gatepost.outbound.proxy import ForwardProxy
from tests.outbound.connect_proxy import ConnectProxy
from tests.outbound.test_addresses import NOT_PUBLIC
from tests.outbound.test_fetching import answering
from tests.outbound.tls_server import TlsServer

LIMIT = 1000
LOCAL_NAMES = [
    *("localhost", "intranet", "db.local", "api.internal", "metadata.google.internal", "a.localhost", "x.home.arpa"),
    *("kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "nas.lan", "10.0.0.1", "127.1", "::1"),
]


def proxied(proxy: ConnectProxy, server: TlsServer | None, *addresses: str, **options: Any) -> GuardedFetcher:
    """A fetcher for which every name has these addresses."""
    scheme, user = options.pop("scheme", "http"), options.pop("user", "")
    host = "localhost" if scheme == "https" else "127.0.0.1"
    forward = ForwardProxy(
        f"{scheme}://{user}{host}:{proxy.port}",
        f"{host}:{proxy.port}",
        "HTTPS_PROXY",
        options.pop("resolves_names", False),
    )
    if server is not None:
        options["tls"] = server.trust
    return GuardedFetcher(**{"resolve": answering(*(addresses or ("8.8.8.8",))), "proxy": forward, **options})


async def failure(fetching: GuardedFetcher, url: str) -> tuple[str, Fault]:
    with pytest.raises(FetchFailed) as failed:
        await fetching.fetch(url, limit=LIMIT)
    return failed.value.cause, failed.value.fault


async def test_the_proxy_is_asked_for_the_address_and_the_server_for_the_name(server: TlsServer) -> None:
    server.answer({"a": 1}, headers="Cache-Control: max-age=300\r\n")
    async with ConnectProxy(leads_to=server.port) as proxy:
        fetched = await proxied(proxy, server).fetch(server.url(), limit=LIMIT)
    assert fetched == Fetched(b'{"a": 1}', 300)
    assert proxy.asked == [f"CONNECT 8.8.8.8:{server.port} HTTP/1.1"]
    assert "client.example" not in proxy.heads[0]
    assert server.names == ["client.example"]
    assert f"Host: client.example:{server.port}\r\n" in server.requests[0]


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_credentials_go_to_the_proxy_and_nowhere_else(
    server: TlsServer, authority: Path, scheme: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.answer({})
    async with ConnectProxy(leads_to=server.port, authority=authority if scheme == "https" else None) as proxy:
        fetcher = proxied(proxy, server, scheme=scheme, user="us%40er:s3cr%3At@")
        await fetcher.fetch(server.url(), limit=LIMIT)
    credentials = base64.b64encode(b"us@er:s3cr:t").decode()
    assert f"Proxy-Authorization: Basic {credentials}\r\n" in proxy.heads[0]
    assert "authorization" not in server.requests[0].lower()
    for text in (repr(fetcher), caplog.text):
        assert "s3cr" not in text
        assert credentials not in text


@pytest.mark.parametrize(
    ("addresses", "asked"),
    [
        (("2606:4700::1111",), ["[2606:4700::1111]"]),
        (("2606:4700::1111", "2606:4700::1112", "8.8.8.8"), ["8.8.8.8"]),
    ],
)
async def test_ipv6_addresses_have_brackets_and_come_last(
    server: TlsServer, addresses: tuple[str, ...], asked: list[str]
) -> None:
    server.answer({})
    async with ConnectProxy(leads_to=server.port) as proxy:
        await proxied(proxy, server, *addresses).fetch(server.url(), limit=LIMIT)
    assert proxy.asked == [f"CONNECT {address}:{server.port} HTTP/1.1" for address in asked]


async def test_a_proxy_that_resolves_names_is_asked_for_the_name_and_nobody_else_is(server: TlsServer) -> None:
    async def never(host: str, port: int) -> Sequence[str]:
        raise AssertionError((host, port))

    server.answer({})
    async with ConnectProxy(leads_to=server.port) as proxy:
        fetcher = proxied(proxy, server, resolve=never, resolves_names=True)
        await fetcher.fetch(server.url(), limit=LIMIT)
    assert proxy.asked == [f"CONNECT client.example:{server.port} HTTP/1.1"]
    assert server.names == ["client.example"]


@pytest.mark.parametrize("host", LOCAL_NAMES)
async def test_no_proxy_is_asked_for_a_name_that_is_local(host: str) -> None:
    netloc = f"[{host}]" if ":" in host else host
    async with ConnectProxy(answer=b"") as proxy:
        fetcher = proxied(proxy, None, resolves_names=True)
        assert await failure(fetcher, f"https://{netloc}/c") == ("address", Fault.DOCUMENT)
    assert proxy.heads == []


@pytest.mark.parametrize("host", ["claude.ai", "client.example", "local.example", "a.internal.example", "x.co.uk"])
def test_other_names_are_not_local(host: str) -> None:
    assert not is_local_name(host)


@pytest.mark.parametrize("public", [[], ["8.8.8.8"]])
async def test_no_proxy_is_asked_for_an_address_that_is_not_public(public: list[str]) -> None:
    async with ConnectProxy(answer=b"") as proxy:
        for address in NOT_PUBLIC:
            for addresses in ([*public, address], [address, *public]):
                fetcher = proxied(proxy, None, *addresses)
                assert await failure(fetcher, "https://client.example/c") == ("address", Fault.DOCUMENT)
    assert proxy.heads == []


@given(st.lists(st.ip_addresses(), max_size=4))
def test_whatever_a_name_resolves_to_a_proxy_is_asked_for_public_addresses_of_it_only(
    answers: list[IPv4Address | IPv6Address],
) -> None:
    addresses, asked = [str(answer) for answer in answers], []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.host)
        raise httpx2.ConnectError("no")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transport, "transport", lambda *_: httpx2.MockTransport(answer))
        fetcher = GuardedFetcher(
            resolve=answering(*addresses), proxy=ForwardProxy("http://proxy.example", "proxy.example:80", "HTTPS_PROXY")
        )
        asyncio.run(failure(fetcher, "https://client.example/c"))
    assert set(asked) <= set(addresses)
    assert all(map(is_public, asked))
    if not all(map(is_public, addresses)):
        assert asked == []


async def test_nothing_is_fetched_past_a_proxy_that_is_out_of_reach(server: TlsServer) -> None:
    server.answer({})
    async with ConnectProxy() as proxy:
        pass
    fetcher = proxied(proxy, server, "127.0.0.1", allow_loopback=True)
    assert await failure(fetcher, server.url()) == ("ConnectError", Fault.EGRESS)
    assert server.connections == 0


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", ("proxy_407", Fault.EGRESS)),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", ("proxy_403", Fault.EGRESS)),
        (b"HTTP/1.1 301 Moved\r\nLocation: http://10.0.0.1/\r\n\r\n", ("proxy_301", Fault.EGRESS)),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", ("proxy_503", Fault.CONNECTION)),
        (b"SSH-2.0-OpenSSH_9.7\r\n", ("RemoteProtocolError", Fault.CONNECTION)),
        (b"", ("timeout", Fault.CONNECTION)),
        (b"HTTP/1.1 200 OK\r\n\r\nno TLS here", ("ConnectError", Fault.CONNECTION)),
    ],
)
async def test_a_proxy_that_refuses_is_our_fault_and_one_that_fails_may_have_met_a_host_that_does(
    answer: bytes, expected: tuple[str, Fault]
) -> None:
    async with ConnectProxy(answer=answer) as proxy:
        fetcher = proxied(proxy, None, total_seconds=0.3 if not answer else 5.0)
        assert await failure(fetcher, "https://client.example/c") == expected
    assert proxy.asked == ["CONNECT 8.8.8.8:443 HTTP/1.1"]


async def test_a_certificate_for_another_name_is_refused_through_a_proxy_too(server: TlsServer) -> None:
    server.answer({})
    async with ConnectProxy(leads_to=server.port) as proxy:
        refused = await failure(proxied(proxy, server), server.url(host="other.example"))
        assert refused == ("ConnectError", Fault.CONNECTION)
        missing = await failure(proxied(proxy, server), server.url("/missing"))
    assert missing == ("status", Fault.ANSWER)
    assert len(server.requests) == 1


async def test_a_proxy_whose_certificate_is_not_trusted_is_our_fault(server: TlsServer, authority: Path) -> None:
    async with ConnectProxy(leads_to=server.port, authority=authority) as proxy:
        assert await failure(proxied(proxy, None, scheme="https"), server.url()) == ("ConnectError", Fault.EGRESS)
    assert proxy.heads == []


async def test_names_that_are_not_resolved_here_are_our_fault_with_a_proxy_too() -> None:
    async def fails(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_AGAIN, f"{host}:{port}")

    async with ConnectProxy(answer=b"") as proxy:
        fetcher = proxied(proxy, None, resolve=fails)
        assert await failure(fetcher, "https://client.example/c") == ("gaierror", Fault.EGRESS)
    assert proxy.heads == []

"""Fetching, against a real TLS server on loopback; only the name's addresses are made up."""

import asyncio
import errno
import socket
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from gatepost.outbound.fetching import (
    Fault,
    Fetched,
    FetchFailed,
    GuardedFetcher,
    Resolve,
    document_lifetime,
    resolve,
    system_trust,
)
from tests.outbound.tls_server import TlsServer
from tests.patience import PATIENCE

LIMIT = 1000


def answering(*addresses: str) -> Resolve:
    """A resolver that knows every name at these addresses."""

    async def resolved(host: str, port: int) -> Sequence[str]:
        del host, port
        return addresses

    return resolved


def fetcher(server: TlsServer, *addresses: str, **options: Any) -> GuardedFetcher:
    return GuardedFetcher(
        **{
            "allow_loopback": True,
            "resolve": answering(*(addresses or ("127.0.0.1",))),
            "tls": server.trust,
            **options,
        }
    )


async def cause(fetching: GuardedFetcher, url: str) -> str:
    with pytest.raises(FetchFailed) as failure:
        await fetching.fetch(url, limit=LIMIT)
    return failure.value.cause


async def fault_of(fetching: GuardedFetcher, url: str) -> Fault:
    with pytest.raises(FetchFailed) as failure:
        await fetching.fetch(url, limit=LIMIT)
    return failure.value.fault


async def test_a_document_is_fetched_by_its_name_from_the_resolved_address(server: TlsServer) -> None:
    server.answer({"a": 1}, headers="Cache-Control: max-age=300\r\n")
    assert await fetcher(server).fetch(server.url(), limit=LIMIT) == Fetched(b'{"a": 1}', 300)
    assert server.names == ["client.example"]
    (request,) = server.requests
    lines = request.split("\r\n")
    assert lines[0] == "GET /client.json HTTP/1.1"
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
    assert headers["host"] == f"client.example:{server.port}"
    assert headers["accept-encoding"] == "identity"
    assert not {"cookie", "authorization"} & set(headers)


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "application/client+json", "APPLICATION/JSON"]
)
async def test_every_json_media_type_counts(server: TlsServer, content_type: str) -> None:
    server.answer({}, content_type=content_type)
    assert (await fetcher(server).fetch(server.url(), limit=LIMIT)).body == b"{}"


@pytest.mark.parametrize(
    "content_type", ["text/html", "application/jsonx", "text/json", "", "application/octet-stream"]
)
async def test_other_media_types_are_refused(server: TlsServer, content_type: str) -> None:
    server.answer({}, content_type=content_type)
    assert await cause(fetcher(server), server.url()) == "content_type"


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "307 Redirect", "304 Not Modified", "201 Created", "404 No", "500 No"]
)
async def test_every_status_but_200_is_a_failure_and_no_redirect_is_followed(server: TlsServer, status: str) -> None:
    server.answer({}, path="/elsewhere")
    server.answer({}, status=status, headers=f"Location: {server.url('/elsewhere')}\r\n")
    assert await cause(fetcher(server), server.url()) == "status"
    assert server.connections == 1


async def test_a_document_may_have_the_limit_and_not_one_byte_more(server: TlsServer) -> None:
    server.answer(b" " * LIMIT)
    assert len((await fetcher(server).fetch(server.url(), limit=LIMIT)).body) == LIMIT
    server.answer(b" " * (LIMIT + 1))
    assert await cause(fetcher(server), server.url()) == "size"


async def test_a_document_without_a_length_is_cut_off_at_the_limit(server: TlsServer) -> None:
    server.answers["/client.json"] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + b" " * (LIMIT * 50)
    assert await cause(fetcher(server), server.url()) == "size"


async def test_a_packed_document_is_refused_unopened(server: TlsServer) -> None:
    server.answer(b"\x1f\x8b", headers="Content-Encoding: gzip\r\n")
    assert await cause(fetcher(server), server.url()) == "content_encoding"


async def test_a_server_that_never_answers_costs_the_whole_time_and_no_more(server: TlsServer) -> None:
    server.is_silent = True
    assert await cause(fetcher(server, total_seconds=0.2), server.url()) == "timeout"


async def test_a_resolver_that_never_answers_counts_against_the_same_time(server: TlsServer) -> None:
    async def never(host: str, port: int) -> Sequence[str]:
        del host, port
        await asyncio.Event().wait()
        return ()

    assert await cause(fetcher(server, resolve=never, total_seconds=0.05), server.url()) == "timeout"


async def test_what_is_no_http_is_a_failure(server: TlsServer) -> None:
    server.answers["/client.json"] = b"SSH-2.0-OpenSSH_9.7\r\n"
    assert await cause(fetcher(server), server.url()) == "RemoteProtocolError"


async def test_a_certificate_for_another_name_is_refused(server: TlsServer) -> None:
    server.answer({})
    assert await cause(fetcher(server), server.url(host="other.example")) == "ConnectError"
    assert server.requests == []


async def test_a_certificate_of_an_unknown_authority_is_refused(server: TlsServer) -> None:
    server.answer({})
    assert await cause(fetcher(server, tls=system_trust), server.url()) == "ConnectError"
    assert server.requests == []


async def test_the_second_address_is_tried_when_the_first_does_not_answer(server: TlsServer) -> None:
    server.answer({})
    refused = fetcher(server, "127.0.0.2", "127.0.0.1")
    assert (await refused.fetch(server.url(), limit=LIMIT)).body == b"{}"


async def test_a_name_without_addresses_is_a_failure(server: TlsServer) -> None:
    async def unknown(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, f"{host}:{port}")

    async def empty(host: str, port: int) -> Sequence[str]:
        del host, port
        return ()

    assert await cause(fetcher(server, resolve=unknown), server.url()) == "gaierror"
    assert await cause(fetcher(server, resolve=empty), server.url()) == "address"


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (socket.gaierror(socket.EAI_NONAME, "no such name"), Fault.DOCUMENT),
        (socket.gaierror(socket.EAI_AGAIN, "no answer"), Fault.EGRESS),
        (socket.gaierror(socket.EAI_FAIL, "refused"), Fault.EGRESS),
        (OSError(errno.EMFILE, "too many files"), Fault.EGRESS),
        (UnicodeError("label too long"), Fault.DOCUMENT),
        (None, Fault.EGRESS),
    ],
)
async def test_a_name_that_does_not_exist_is_the_documents_fault_and_no_answer_is_ours(
    server: TlsServer, error: Exception | None, fault: Fault
) -> None:
    async def fails(host: str, port: int) -> Sequence[str]:
        if error is None:
            await asyncio.Event().wait()
        raise error or AssertionError((host, port))

    assert await fault_of(fetcher(server, resolve=fails, total_seconds=0.05), server.url()) is fault


async def test_how_far_a_request_came_says_whose_fault_it_is(
    server: TlsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer({}, path="/html", content_type="text/html")
    assert await fault_of(fetcher(server), server.url("/html")) is Fault.ANSWER
    assert await fault_of(fetcher(server), server.url("/missing")) is Fault.ANSWER
    assert await fault_of(fetcher(server, "10.0.0.1"), server.url()) is Fault.DOCUMENT
    assert await fault_of(fetcher(server), server.url(host="other.example")) is Fault.CONNECTION
    assert await fault_of(fetcher(server, "127.0.0.2"), server.url()) is Fault.CONNECTION
    server.is_silent = True
    assert await fault_of(fetcher(server, total_seconds=0.3), server.url()) is Fault.ANSWER

    def no_route(*_: object, **__: object) -> None:
        raise OSError(errno.ENETUNREACH, "no route")

    monkeypatch.setattr("asyncio.BaseEventLoop.create_connection", no_route)
    assert await fault_of(fetcher(server, "8.8.8.8"), server.url()) is Fault.EGRESS


async def test_proxies_of_the_environment_are_not_used(server: TlsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server.answer({})
    assert (await fetcher(server).fetch(server.url(), limit=LIMIT)).body == b"{}"


async def test_the_system_resolves_names_in_order_and_once_each() -> None:
    addresses = await resolve("localhost", 443)
    assert set(addresses) <= {"127.0.0.1", "::1"}
    assert len(addresses) == len(set(addresses)) > 0


async def test_names_that_take_for_ever_keep_no_other_from_being_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    ask = socket.getaddrinfo

    def getaddrinfo(host: str, *arguments: Any, **options: Any) -> Any:
        if host.endswith("slow.example"):
            answered.wait()
            raise OSError
        return ask(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    waiting = [asyncio.create_task(resolve(f"{number}.slow.example", 443)) for number in range(40)]
    await asyncio.sleep(0)
    try:
        async with asyncio.timeout(PATIENCE):
            assert await resolve("localhost", 443)
    finally:
        answered.set()
        await asyncio.gather(*waiting, return_exceptions=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 3600),
        ({"cache-control": "public"}, 3600),
        ({"cache-control": ""}, 3600),
        ({"cache-control": "max-age=x"}, 3600),
        ({"cache-control": "public, max-age=300"}, 300),
        ({"cache-control": 'MAX-AGE="300"'}, 300),
        ({"cache-control": "max-age=300", "age": "100"}, 200),
        ({"cache-control": "max-age=300", "age": "1000"}, 60),
        ({"cache-control": "max-age=300", "age": "soon"}, 300),
        ({"cache-control": "max-age=300, s-maxage=600"}, 600),
        ({"cache-control": "max-age=0"}, 60),
        ({"cache-control": "no-store"}, 60),
        ({"cache-control": "no-cache, max-age=86400"}, 60),
        ({"cache-control": "max-age=31536000, immutable"}, 86400),
        ({"cache-control": "max-age=" + "9" * 400}, 86400),
    ],
)
def test_the_servers_word_counts_inside_our_bounds(headers: dict[str, str], seconds: int) -> None:
    assert document_lifetime(headers) == seconds

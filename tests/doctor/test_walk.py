"""How a server is asked: what is said when nothing comes, when it is too much, and when the walk is broken off."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from gatepost.doctor.answers import ProbeAnswer
from gatepost.doctor.clients import REGISTERING
from gatepost.doctor.examination import WalkOptions, diagnose, examine
from gatepost.doctor.report import text_of
from gatepost.doctor.requester import Requester
from gatepost.doctor.seen import Seen
from tests.doctor.broken_server import (
    URL,
    Answered,
    Asked,
    BreakingProxy,
    GoOn,
    answered,
    at,
    concerned,
    diagnosed,
    everywhere_public,
    named,
    oauth_error,
    our_app,
)


def asking(transport: httpx2.AsyncBaseTransport, **options: Any) -> Requester:
    """A requester on this network."""
    return Requester(URL, transport=transport, resolve=everywhere_public, **options)


class Failing(httpx2.AsyncBaseTransport):
    """A network on which nothing comes."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        del request
        raise self._error


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def expired() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError()
    error.verify_message = "certificate has expired"
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            caused(httpx2.ConnectError("x"), expired()),
            "the certificate does not count: certificate has expired",
        ),
        (caused(httpx2.ConnectError("x"), ssl.SSLError()), "no TLS connection came about"),
        (caused(httpx2.ConnectError("x"), ConnectionRefusedError()), "nobody listens there: connection refused"),
        (httpx2.ConnectError("Name or service not known"), "no connection: Name or service not known"),
        (httpx2.ReadTimeout("x"), "no answer in time"),
        (httpx2.RemoteProtocolError("\x1b[2Jillegal"), "no answer that can be read: [2Jillegal"),
        (TimeoutError(), "no answer within 15 s"),
    ],
    ids=["certificate", "TLS", "refused", "name", "slow", "no HTTP", "silent"],
)
async def test_why_nothing_came_is_told_as_people_know_it(error: Exception, said: str) -> None:
    async with asking(Failing(error)) as requester:
        answer = await requester.ask("GET", URL)

    assert (answer.status, answer.problem) == (0, said)


class Silent(httpx2.AsyncByteStream):
    """A body that begins and never ends."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk
        await asyncio.Event().wait()


class Streaming(httpx2.AsyncBaseTransport):
    """A server whose answers stay open."""

    def __init__(self, media_type: str, *chunks: bytes) -> None:
        self._media_type = media_type
        self._chunks = chunks

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        stream = Silent(*self._chunks)
        return httpx2.Response(200, headers={"content-type": self._media_type}, stream=stream, request=request)


async def test_an_answer_that_does_not_end_is_given_up() -> None:
    async with asking(Streaming("application/json", b"{"), answer_seconds=0.05) as requester:
        answer = await requester.ask("POST", URL)

    assert answer.problem == "no answer within 0.05 s"


async def test_an_event_stream_is_read_until_it_has_answered() -> None:
    events = (b": hello\r\n\r\n", b'data: {"jsonrpc":"2.0","method":"x"}\r\n\r\n', b'data: {"result":{}}\r\n\r\n')
    async with asking(Streaming("text/event-stream", *events)) as requester:
        answer = await requester.ask("POST", URL)
        opened = await requester.ask("GET", URL)

    assert answer.message == {"result": {}}
    assert (opened.status, opened.body) == (200, b"")


async def test_a_stream_that_is_open_at_the_end_is_told_from_one_that_ended() -> None:
    async with asking(Streaming("text/event-stream", b": x\n\n")) as requester:
        held = await requester.listen("GET", URL, {}, b"", seconds=0.05)
    ended = Answered(200, {"content-type": "text/event-stream"}, b": x\n\n")

    async def ends(_asked: Asked, _go_on: GoOn) -> Answered:
        return ended

    async with asking(BreakingProxy(nobody, ends)) as requester:
        cut = await requester.listen("GET", URL, {}, b"", seconds=60.0)

    assert (held.problem, cut.problem) == ("open", "")


async def nobody(*_: Any) -> None:
    """An app that is never asked."""


def test_http_keeps_those_out_that_run_at_their_vendors() -> None:
    locked = ProbeAnswer(method="POST", url="x", status=404)
    diagnosis = diagnose(Seen("http://mcp.example.com/mcp", initialize=locked))

    assert named(diagnosis) == {"https": "fails", "asks-for-login": "fails"}
    assert next(f.clients for check, f in diagnosis.findings if check.id == "https") == ("claude-ai", "chatgpt")


def test_of_this_machine_nothing_is_said_for_those_that_cannot_reach_it() -> None:
    unlocked = ProbeAnswer(method="POST", url="x", status=200)
    report = text_of(diagnose(Seen("http://127.0.0.1:8000/mcp", initialize=unlocked)))

    assert "  -         claude.ai " in report


async def test_a_server_that_has_enough_of_registrations_gets_no_more() -> None:
    counted: list[int] = []

    async def limits(asked: Asked, go_on: GoOn) -> Answered:
        if at("/oauth/register", "POST")(asked):
            counted.append(1)
            if len(counted) > 3:
                return replace(answered(429, {"error": "slow_down"}), headers={"retry-after": "60"})
        return await go_on(asked)

    async with our_app() as app:
        diagnosis = await diagnosed(app, limits)

    assert len(counted) == 4
    assert named(diagnosis) == {"registration-open": "note"}
    assert concerned(diagnosis) == set()


async def test_without_registration_nobody_is_registered_and_the_report_says_what_is_unknown() -> None:
    async with our_app() as app:
        transport = BreakingProxy(app, lambda asked, go_on: go_on(asked))
        async with asking(transport) as requester:
            diagnosis = await examine(URL, requester, WalkOptions(registers=False))

    assert named(diagnosis) == {}
    assert "/oauth/register" not in [asked.path for asked in transport.asked if asked.method == "POST"]
    assert text_of(diagnosis).endswith("nothing is known of registering and of logins that begin with it.")


async def test_a_walk_that_is_broken_off_removes_what_it_registered() -> None:
    removed: list[str] = []

    async def breaks_off(asked: Asked, go_on: GoOn) -> Answered:
        if asked.path == "/oauth/authorize":
            raise asyncio.CancelledError
        answer = await go_on(asked)
        removed.extend([asked.path] if asked.method == "DELETE" and answer.status == 204 else [])
        return answer

    async with our_app() as app:
        with pytest.raises(asyncio.CancelledError):
            await diagnosed(app, breaks_off)

    assert len(removed) == len(REGISTERING)


async def test_an_openid_server_below_a_path_is_found_at_its_third_address() -> None:
    """As older versions of Keycloak have it."""
    realm = "https://mcp.example.com/realms/notes"

    async def keycloak(asked: Asked, go_on: GoOn) -> Answered:
        answer = await go_on(asked)
        if asked.path.startswith("/.well-known/oauth-protected-resource"):
            return answer.saying(authorization_servers=[realm])
        if asked.path == "/realms/notes/.well-known/openid-configuration":
            found = await go_on(replace(asked, url="https://mcp.example.com/.well-known/openid-configuration"))
            return found.saying(issuer=realm, authorization_response_iss_parameter_supported=None)
        return oauth_error("not_found", 404) if "/realms/notes" in asked.path else answer

    async with our_app() as app:
        diagnosis = await diagnosed(app, keycloak)

    findings = named(diagnosis)
    assert findings["server-metadata"] == "note"
    assert "issuer" not in findings

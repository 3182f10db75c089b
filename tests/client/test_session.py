"""The bearer header of a call: when another token is asked for, and when nobody is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from gatepost.client.protection import Challenge
from gatepost.client.refusals import CallRefused, ServerAway
from gatepost.client.session import MAX_RESULT, BearerAuth, bounded_way, until_refused

URL = "https://mcp.example/mcp"


class Tokens:
    """Gives one token after the other."""

    def __init__(self, *tokens: str, first: str | None = None) -> None:
        self.left = [*tokens]
        self.first = first
        self.refused: list[tuple[str | None, Challenge]] = []

    async def token(self) -> str | None:
        return self.first

    async def renewed(self, refused: str | None, challenge: Challenge) -> str:
        self.refused.append((refused, challenge))
        await asyncio.sleep(0)
        if not self.left:
            raise CallRefused("There is no other.")
        return self.left.pop(0)


class Resource:
    """Takes one token; what else it answers, by status."""

    def __init__(self, takes: str, *, header: str = 'Bearer error="invalid_token"', refusal: int = 401) -> None:
        self.takes, self.header, self.refusal = takes, header, refusal
        self.shown: list[str | None] = []

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        await asyncio.sleep(0)  # as over a network, others go on meanwhile
        shown = request.headers.get("authorization")
        self.shown.append(shown)
        if shown == f"Bearer {self.takes}":
            return httpx2.Response(200)
        return httpx2.Response(self.refusal, headers={"WWW-Authenticate": self.header, "Retry-After": "7"})

    async def ask(self, auth: BearerAuth, times: int = 1) -> list[int]:
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(self.answer), auth=auth) as http:
            return [answer.status_code for answer in await asyncio.gather(*(http.post(URL) for _ in range(times)))]


async def test_without_a_token_the_server_is_asked_first_and_may_want_none() -> None:
    tokens, resource = Tokens("one"), Resource("one")
    assert await resource.ask(BearerAuth(tokens)) == [200]
    assert resource.shown == [None, "Bearer one"]
    assert tokens.refused == [(None, Challenge("invalid_token"))]
    open_server = Resource("", refusal=200)
    assert await open_server.ask(BearerAuth(Tokens())) == [200]


async def test_a_refresh_and_then_a_login_are_tried_and_no_more() -> None:
    resource = Resource("nobody's")
    auth = BearerAuth(Tokens("new", "newest", "more", first="old"))
    with pytest.raises(CallRefused, match=r"refuses \(401\): invalid_token"):
        await resource.ask(auth)
    assert resource.shown == ["Bearer old", "Bearer new", "Bearer newest"]
    assert isinstance(auth.failure.result(), CallRefused)


async def test_requests_side_by_side_have_one_token_renewed() -> None:
    tokens = Tokens("new", first="old")
    assert await Resource("new").ask(BearerAuth(tokens), times=5) == [200] * 5
    assert len(tokens.refused) == 1


@pytest.mark.parametrize("status", [503, 502, 429, 500])
async def test_an_outage_asks_nobody_for_anything(status: int) -> None:
    tokens = Tokens("new", first="old")
    with pytest.raises(ServerAway, match=rf"cannot answer now \({status}\)\. Try again in 7 seconds"):
        await Resource("other", refusal=status).ask(BearerAuth(tokens))
    assert tokens.refused == []


async def test_too_few_scopes_lead_to_more_and_any_other_no_is_final() -> None:
    tokens = Tokens("wider", first="narrow")
    header = 'Bearer error="insufficient_scope", scope="a b"'
    assert await Resource("wider", header=header, refusal=403).ask(BearerAuth(tokens)) == [200]
    assert tokens.refused == [("narrow", Challenge("insufficient_scope", None, ("a", "b")))]
    with pytest.raises(CallRefused, match=r"refuses \(403\): it says no more"):
        await Resource("wider", header="Bearer", refusal=403).ask(BearerAuth(Tokens("x", first="narrow")))


async def test_work_ends_as_soon_as_its_requests_are_refused() -> None:
    auth = BearerAuth(Tokens())
    ended: list[str] = []

    async def work() -> None:
        auth.failure.set_result(CallRefused("no"))
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    with pytest.raises(CallRefused, match="no"):
        await until_refused(auth, work)
    assert ended == ["cancelled"]

    async def answer() -> str:
        return "yes"

    assert await until_refused(BearerAuth(Tokens()), answer) == "yes"


async def got(*chunks: bytes, **headers: str) -> int:
    """How many bytes of such an answer are read on the way of a session."""

    async def body() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={k.replace("_", "-"): v for k, v in headers.items()}, content=body())

    async with httpx2.AsyncClient(transport=bounded_way(httpx2.MockTransport(answer))) as http:
        return len((await http.post(URL)).content)


async def test_an_answer_without_measure_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatepost.client.session.MAX_RESULT", 10)
    assert MAX_RESULT == 64 * 1024 * 1024
    assert await got(b"12345", b"67890", content_type="application/json") == 10
    with pytest.raises(httpx2.ReadError, match="more than 10 bytes"):
        await got(b"12345", b"67890", b"1", content_type="application/json")


async def test_a_packed_answer_is_not_unpacked() -> None:
    with pytest.raises(httpx2.DecodingError, match="packed"):
        await got(b"x", content_type="application/json", content_encoding="gzip")


async def test_a_stream_of_events_may_be_longer_than_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatepost.client.session.MAX_RESULT", 10)
    assert await got(b": 456\n\n", b": 456\n\n", content_type="text/event-stream; charset=utf-8") == 14

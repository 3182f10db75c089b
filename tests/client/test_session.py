"""The bearer header of a call: when another token is asked for, and when nobody is."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from gatepost.client.protection import Challenge
from gatepost.client.refusals import CallRefused, ServerAway
from gatepost.client.session import BearerAuth, until_refused

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

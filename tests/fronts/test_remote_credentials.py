"""The caller's own access token of a login provider, as a remote server gets it in place of the client's."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gatepost.fronts.credentials import CallersTokens
from gatepost.resource.principal import Principal
from gatepost.server.calls.upstream import NotLinked, UpstreamUnavailable
from tests.fronts.front_world import ALL, CARL
from tests.fronts.remote_server import Asked, raw_server, remote_front
from tests.web.mcp.mcp_harness import READER
from tests.web.mcp.sessions.session_world import request, text_of

LINK = "https://mcp.example.com/oauth/account/link/github"
NEEDED = str(NotLinked("GitHub", LINK))


@dataclass
class Kept:
    """Tokens by subject: the first is given out until it is refused."""

    tokens: dict[str, list[str]] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    fails: Exception | None = None

    async def access_token(self, provider: str, principal: Principal, *, refused: str | None) -> str:
        self.asked.append((principal.subject, provider, refused))
        if self.fails is not None:
            raise self.fails
        known = self.tokens.get(principal.subject)
        if known is None:
            raise NotLinked("GitHub", LINK)
        if refused == known[0] and len(known) > 1:
            known.pop(0)
        return known[0]

    async def once_linked(self, provider: str, principal: Principal, *, refused: str | None) -> str:
        raise AssertionError(provider, principal, refused)  # a front waits for nobody to link an account


def of(kept: Kept | None) -> CallersTokens:
    return CallersTokens("github", kept, {"X-Own": "1"})


async def test_each_person_acts_as_themselves_in_both_eras(tmp_path: Path) -> None:
    kept = Kept({"ann": ["token-of-ann"], "carl": ["token-of-carl"]})
    async with raw_server() as server:
        async with remote_front(tmp_path, server.url, credentials=of(kept), is_known=False) as front:
            for token in (READER, CARL):
                session = await front.begin(authorization=f"Bearer {token}")
                await front.call(session, "echo", {"text": "x"}, authorization=f"Bearer {token}")
                await front.modern_call("echo", {"text": "x"}, authorization=f"Bearer {token}")

        assert all(asked.headers["x-own"] == "1" for asked in server.asked)
        pairs = {(asked.session, asked.headers["authorization"]) for asked in server.asked if asked.session}
        assert sorted(pairs, key=str) == [
            ("s1", "Bearer token-of-ann"),
            ("s2", "Bearer token-of-ann"),
            ("s3", "Bearer token-of-carl"),
            ("s4", "Bearer token-of-carl"),
        ]
        assert READER not in json.dumps([dict(asked.headers) for asked in server.asked])


async def test_a_discovery_in_a_persons_name_is_kept_for_nobody_else(tmp_path: Path) -> None:
    kept = Kept({"ann": ["token-of-ann"]})
    async with raw_server() as server:
        async with remote_front(tmp_path, server.url, credentials=of(kept), is_known=False) as front:
            assert (await front.modern("server/discover"))["result"]["cacheScope"] == "private"
        async with remote_front(tmp_path, server.url) as front:
            assert (await front.modern("server/discover"))["result"]["cacheScope"] == "public"


async def test_a_token_that_is_refused_is_renewed_once(tmp_path: Path) -> None:
    async def picky(asked: Asked) -> None:
        if asked.headers["authorization"] == "Bearer second-token":
            await asked.text("in")
        else:
            await asked.json(None, 401)

    kept = Kept({"ann": ["first-token", "second-token"]})
    async with raw_server() as server, remote_front(tmp_path, server.url, credentials=of(kept)) as front:
        server.tools["picky"] = picky
        session = await front.begin()
        assert text_of(await front.call(session, "picky")) == "in"
        assert ("ann", "github", "first-token") in kept.asked

        kept.tokens["ann"] = ["third-token"]
        answer = await front.call(session, "picky")
        assert answer["error"]["code"] == -32603
        assert len(server.sent("tools/call")) == 3


@pytest.mark.parametrize(
    ("fails", "sentence"),
    [(None, NEEDED), (UpstreamUnavailable("GitHub", 7), str(UpstreamUnavailable("GitHub", 7)))],
)
async def test_who_has_no_token_is_told_what_to_do(tmp_path: Path, fails: Exception | None, sentence: str) -> None:
    kept = Kept(fails=fails)
    async with raw_server() as server, remote_front(tmp_path, server.url, credentials=of(kept)) as front:
        for capabilities in ({}, ALL):
            answer = await front.modern_call("echo", capabilities=capabilities)
            assert answer["result"]["content"] == [{"type": "text", "text": sentence}]
            assert answer["result"]["isError"] is True
            assert answer["result"]["resultType"] == "complete"
        listed = await front.modern("tools/list")
        begun = await front.send(request("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}}))

        assert listed["error"] == begun.body["error"] == {"code": -32603, "message": sentence}
        assert not server.asked

        kept.fails, kept.tokens["ann"] = None, ["token-of-ann"]
        assert text_of(await front.modern_call("echo", {"text": "linked"})) == "linked"


async def test_who_loses_the_token_in_a_session_is_told_at_the_next_call(tmp_path: Path) -> None:
    kept = Kept({"ann": ["token-of-ann"]})
    async with raw_server() as server, remote_front(tmp_path, server.url, credentials=of(kept)) as front:
        session = await front.begin()
        kept.tokens.clear()
        answer = await front.call(session, "echo", {"text": "x"})

        assert answer["result"] == {"content": [{"type": "text", "text": NEEDED}], "isError": True}


async def test_an_answer_that_shows_the_token_reaches_no_app(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def echo(asked: Asked) -> None:
        await asked.stream()
        headers = dict(asked.headers)
        await asked.event({"method": "notifications/message", "params": {"level": "error", "data": headers}})
        await asked.last_event(json.dumps(headers), asked.id)
        asked.writer.close()

    kept = Kept({"ann": ["token/of+ann"]})
    async with raw_server() as server, remote_front(tmp_path, server.url, credentials=of(kept)) as front:
        server.tools["headers"] = echo
        session = await front.begin()
        call = await front.open_call(session, "headers").ended()

        assert b"token/of+ann" not in call.raw
        assert call.body["error"]["code"] == -32603
        assert "token/of+ann" not in caplog.text


async def test_nobody_acts_as_a_person_where_nobody_has_logged_in(tmp_path: Path) -> None:
    async with (
        raw_server() as server,
        remote_front(tmp_path, server.url, credentials=of(Kept()), is_guarded=False) as front,
    ):
        answer = await front.modern_call("echo", authorization=None)
        assert "nobody has logged in for this call" in answer["result"]["content"][0]["text"]


async def test_a_provider_that_there_is_not_is_the_operators_mistake(tmp_path: Path) -> None:
    async with raw_server() as server, remote_front(tmp_path, server.url, credentials=of(None)) as front:
        answer = await front.modern_call("echo")
        assert answer["error"]["code"] == -32603

"""Attacks on tokens of a login provider that are kept for tools: by apps, by other people, by who has the database."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.responses import JSONResponse, Response

from gatepost import Context, OpenIDConnect, Server, ToolError
from gatepost.assembly import login_provider
from gatepost.stores.sql.sqlite import file_store
from gatepost.stores.upstream_tokens import open_tokens
from gatepost.tokens.sealing import KeyRing, SealBroken
from tests.attacks.installed import ORIGIN, Installed, installed
from tests.identity.openid_issuer import CLIENT_ID, SECRET, Network
from tests.identity.rotating_issuer import RotatingIssuer
from tests.seeds.person import Person

ISSUER = "https://id.example"
SECRET_PART = "-that-nobody-may-see"
LINK = f"{ORIGIN}/oauth/account/link/oidc"

server = Server("acting")


@server.tool
async def act(ctx: Context) -> str:
    """Say as whom it acts: the number of the login that the token comes from."""
    return (await ctx.upstream_token("oidc")).split("-")[1]


@server.tool
async def give_away(ctx: Context, how: str) -> dict[str, str]:
    """Try to tell the token."""
    token = await ctx.upstream_token("oidc")
    if how == "error":
        raise ToolError(f"{token} was refused")
    if how == "log":
        ctx.log.warning("using %s", token)
    return {"token": token if how == "result" else "kept"}


@dataclass
class World:
    installed: Installed
    person: Person
    issuer: RotatingIssuer
    database: Path
    seen: list[str] = field(default_factory=list)
    """Whatever came to a browser or an app."""

    async def connect(self, sub: str) -> str:
        """Log in there as `sub` in a new browser, and return the access token that an app gets here."""
        self.person.http.cookies.clear()
        self.issuer.claims, self.issuer.userinfo = {"sub": sub}, {"sub": sub, "name": sub}
        self.issuer.clock[0] = self.installed.clock[0]
        there = (await self.person.arrive()).headers["location"]
        logged_in = await self.person.http.get(self.issuer.log_in(there))
        assert logged_in.status_code == 303, logged_in.text
        return await self.person.allow(logged_in)

    async def act(self, token: str | None) -> str:
        return await self.person.call(token, "act")

    def later(self, seconds: int) -> None:
        self.installed.clock[0] += seconds


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[World]:
    issuer = RotatingIssuer(ISSUER, [0])
    issuer.redirect_uri = f"{ORIGIN}/oauth/login/oidc/callback"
    issuer.tail = SECRET_PART
    network = Network(id_example=issuer.app)
    monkeypatch.setattr(login_provider, "_way_to", lambda _proxy, url: network(url))
    provider = OpenIDConnect(ISSUER, CLIENT_ID, SECRET, keep_tokens=True)
    database = tmp_path / "gatepost.db"
    variables: dict[str, Any] = {
        "OAUTH_ALLOWED_USERS": "*",
        "OAUTH_STORAGE_DIR": str(tmp_path),
        "OAUTH_ACCESS_TOKEN_TTL": "100000",
    }
    async with installed(provider=provider, target=server, store=file_store(database), **variables) as running:
        made = World(running, Person(running.http), issuer, database)

        async def note(response: httpx2.Response) -> None:
            made.seen += [str(response.headers), (await response.aread()).decode()]

        running.http.event_hooks["response"].append(note)
        yield made


async def test_no_app_or_browser_ever_sees_a_token(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        token = await world.connect("ada")
        assert await world.act(token) == "0"
        world.later(3600)
        assert await world.act(token) == "0"
        await world.person.http.get("/oauth/account")
        world.issuer.fails_with = JSONResponse({"error": "invalid_grant", "error_description": "rt-0-1"}, 400)
        world.later(3600)
        await world.act(token)
    assert world.issuer.refreshes == 2
    assert not any(SECRET_PART in text for text in world.seen)
    assert SECRET_PART not in caplog.text


@pytest.mark.parametrize("how", ["result", "error"])
async def test_a_tool_that_gives_a_token_away_is_not_let(world: World, how: str) -> None:
    said = await world.person.call(await world.connect("ada"), "give_away", how=how)
    assert said.startswith("The result cannot be sent")
    assert not any(SECRET_PART in text for text in world.seen)


async def test_everybody_acts_as_themselves_however_many_call_at_once(world: World) -> None:
    tokens = [await world.connect(name) for name in ("ada", "bob", "eve")]
    world.later(3600)
    assert await asyncio.gather(*(world.act(token) for token in tokens * 5)) == ["0", "1", "2"] * 5
    assert world.issuer.refreshes == 3


async def test_swapped_rows_open_for_nobody(world: World) -> None:
    tokens = [await world.connect(name) for name in ("ada", "bob")]
    kept = world.installed.store.upstream_tokens
    one, other = await kept.list_tokens(None, limit=9)
    await kept.reseal_tokens(one, other.sealed_tokens)
    await kept.reseal_tokens(other, one.sealed_tokens)
    for token in tokens:
        assert f"Open {LINK} in a browser" in await world.act(token)


async def test_a_stolen_database_holds_no_token(world: World) -> None:
    await world.connect("ada")
    bytes_of_files = b"".join(path.read_bytes() for path in world.database.parent.glob("gatepost.db*"))
    assert b"upstream_tokens" in bytes_of_files
    assert SECRET_PART.encode() not in bytes_of_files
    (kept,) = await world.installed.store.upstream_tokens.list_tokens(None, limit=9)
    with pytest.raises(SealBroken):
        open_tokens(kept, KeyRing(["another-key-0123456789abcdefghijklmnopqrstuvwxyz"]))


async def test_a_token_of_the_provider_opens_nothing_here(world: World) -> None:
    await world.connect("ada")
    for token in (*world.issuer.families[0].access_tokens, *world.issuer.families[0].refresh_tokens):
        answer = await world.person.http.post("/mcp", headers={"Authorization": f"Bearer {token}"}, json={})
        assert answer.status_code == 401


async def test_who_is_disabled_leaves_nothing_to_act_with(world: World) -> None:
    token = await world.connect("ada")
    assert await world.act(token) == "0"
    (kept,) = await world.installed.store.upstream_tokens.list_tokens(None, limit=9)
    await world.installed.store.users.disable_user(kept.subject, now=world.installed.clock[0])
    assert await world.installed.store.upstream_tokens.list_tokens(None, limit=9) == []
    # Until this process looks at the token again, the call is made; it acts as nobody.
    assert f"Open {LINK} in a browser" in await world.act(token)
    await world.installed.store.users.enable_user(kept.subject)
    assert await world.installed.store.upstream_tokens.list_tokens(None, limit=9) == []


async def test_callers_without_a_person_act_as_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(login_provider, "_way_to", lambda _proxy, url: Network()(url))
    provider = OpenIDConnect(ISSUER, CLIENT_ID, SECRET, keep_tokens=True)
    key = "an-api-key-of-the-operator-0123456789"
    variables: dict[str, Any] = {"OAUTH_ALLOWED_USERS": "*", "OAUTH_STORAGE_DIR": str(tmp_path), "MCP_API_KEY": key}
    async with installed(provider=provider, target=server, **variables) as running:
        said = await Person(running.http).call(key, "act")
    assert "nobody has logged in for this call" in said


async def test_a_dead_grant_there_ends_no_grant_here(world: World) -> None:
    token = await world.connect("ada")
    (refresh_token,) = (json.loads(text)["refresh_token"] for text in world.seen if "gp_rt_" in text)
    world.issuer.families[0].is_ended = True
    world.later(3600)
    assert f"Open {LINK} in a browser" in await world.act(token)

    form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": world.person.client_id}
    refreshed = await world.person.http.post("/oauth/token", data=form)
    assert refreshed.status_code == 200
    token = refreshed.json()["access_token"]
    assert f"Open {LINK} in a browser" in await world.act(token)
    await world.connect("ada")
    assert await world.act(token) == "1", "it is the same grant that acts again"


async def test_an_upstream_that_is_down_costs_nobody_anything(world: World) -> None:
    token = await world.connect("ada")
    world.later(3600)
    world.issuer.fails_with = Response("", 503, {"retry-after": "20"})
    answers = await asyncio.gather(*(world.act(token) for _ in range(10)))
    assert {answer.rpartition(": ")[2] for answer in answers} == {"try again in 20 seconds."}
    assert world.issuer.refreshes == 1
    world.issuer.fails_with = None
    world.later(20)
    assert await world.act(token) == "0"

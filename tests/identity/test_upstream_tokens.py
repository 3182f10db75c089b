"""Tokens for tools: kept at a login, renewed by one at a time, and never lost or doubled on the way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from gatepost.identity import upstream_tokens
from gatepost.identity.openid_connect import OpenIDConnect
from gatepost.identity.provider import Identity, Surroundings
from gatepost.identity.token_holder import TOTAL_SECONDS
from gatepost.identity.token_set import TokenSet
from gatepost.identity.upstream_tokens import LinkMissing, Unavailable, UpstreamTokens
from gatepost.stores.conformance.records import NOW, user
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.linked_logins import LinkedLogin, LinkOutcome, LoginKey, UnlinkOutcome
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.users import LOCAL
from gatepost.stores.sql.sqlite import file_store
from gatepost.stores.upstream_tokens import TokenPair, open_tokens
from gatepost.tokens.sealing import KeyRing
from tests.identity.openid_issuer import CLIENT_ID, SECRET, Network
from tests.identity.rotating_issuer import Family, RotatingIssuer

ISSUER = "https://id.example"
RING = KeyRing(["a-key-of-0123456789abcdefghijklmnopqrstuvwxyzABCDEF"])


@dataclass
class Process:
    """One process: its store, what it keeps tokens by, and what it has to say."""

    store: Store
    tokens: UpstreamTokens
    ended: list[str]
    slept: list[float]

    async def token(self, subject: str = "user-1", **options: Any) -> str:
        return await self.tokens.access_token(subject, "oidc", **options)


class World:
    """An issuer, people, and any number of processes over one store."""

    def __init__(self, directory: Path) -> None:
        self.clock = [NOW]
        self.issuer = RotatingIssuer(ISSUER, self.clock)
        self._database = directory / "gatepost.db"
        self._opened: list[Store] = []
        self._random = 0
        self.waited = asyncio.Event()
        """Set once somebody waits for another."""

    async def process(self, **changes: Any) -> Process:
        store = file_store(self._database)
        await store.open()
        self._opened.append(store)
        provider = OpenIDConnect(changes.pop("issuer", ISSUER), CLIENT_ID, SECRET, keep_tokens=True)
        surroundings = Surroundings(lambda: self.clock[0], self.random_bytes, Network(id_example=self.issuer.app))
        provider.connect(surroundings)
        ended: list[str] = []
        slept: list[float] = []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)
            self.waited.set()
            await asyncio.sleep(0.001)

        options: dict[str, Any] = {
            "providers": {"oidc": provider},
            "store": store.upstream_tokens,
            "key_ring": RING,
            "note_end": ended.append,
            "now": lambda: self.clock[0],
            "random_bytes": self.random_bytes,
            "sleep": sleep,
            **changes,
        }
        return Process(store, UpstreamTokens(**options), ended, slept)

    def random_bytes(self, length: int) -> bytes:
        self._random += 1
        return self._random.to_bytes(8, "big").rjust(length, b"\0")[-length:]

    async def log_in(self, process: Process, subject: str = "user-1", account: str = "4711", **changes: Any) -> None:
        """Log in there, as far as this is about the tokens."""
        family = Family(len(self.issuer.families))
        self.issuer.families.append(family)
        said = self.issuer._tokens(family)
        tokens = TokenSet(said["access_token"], said.get("refresh_token"), ("openid", "repo"), said.get("expires_in"))
        # A person has one login of an issuer; of a provider that speaks for several they may have others.
        issuer = ISSUER if (subject, account) == ("user-1", "4711") else f"{ISSUER}/{subject}/{account}"
        identity = Identity(account, issuer=issuer, tokens=replace(tokens, **changes))
        linked = LinkedLogin(issuer, account, subject, NOW)
        assert await process.store.linked_logins.link_login(linked) in {LinkOutcome.LINKED, LinkOutcome.OWN}
        await process.tokens.keep(subject, "oidc", identity)

    def later(self, seconds: int) -> None:
        self.clock[0] += seconds

    async def close(self) -> None:
        for store in self._opened:
            await store.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def one(world: World) -> Process:
    """A process; in its store are Ada, who has logged in there, and Bob, who has not."""
    process = await world.process()
    await process.store.users.add_user(user())
    await process.store.users.add_user(user("user-2", "bob"))
    await world.log_in(process)
    return process


async def test_a_token_that_counts_is_handed_out_as_it_is(world: World, one: Process) -> None:
    world.later(3600 - 61)
    assert await one.token() == "at-0-0"
    assert world.issuer.refreshes == 0


async def test_shortly_before_its_end_it_is_renewed_and_the_new_one_is_kept(world: World, one: Process) -> None:
    world.later(3600 - 60)
    assert await one.token() == "at-0-1"
    assert await one.token() == "at-0-1"
    kept = await one.store.upstream_tokens.find_tokens("user-1", "oidc")
    assert kept is not None
    assert open_tokens(kept, RING) == TokenPair("at-0-1", "rt-0-1")
    assert (kept.scopes, kept.linked_at, kept.renewed_at, kept.refresher) == (("openid", "repo"), NOW, NOW + 3540, None)
    assert (kept.expires_at, kept.ends_at) == (NOW + 3540 + 3600, None)
    assert world.issuer.refreshes == 1


async def test_one_that_lives_shortly_is_used_for_half_of_its_life(world: World, one: Process) -> None:
    world.issuer.lifetime = 20
    await world.log_in(one)
    world.later(9)
    assert await one.token() == "at-1-0"
    world.later(1)
    assert await one.token() == "at-1-1"


async def test_a_token_without_an_end_is_never_renewed(world: World, one: Process) -> None:
    world.issuer.lifetime = None
    await world.log_in(one)
    world.later(10 * 365 * 24 * 3600)
    assert await one.token() == "at-1-0"
    assert world.issuer.refreshes == 0


async def test_nobody_gets_anything_of_somebody_else(world: World, one: Process) -> None:
    with pytest.raises(LinkMissing):
        await one.token("user-2")
    await world.log_in(one, "user-2", "4712")
    assert [await one.token("user-1"), await one.token("user-2")] == ["at-0-0", "at-1-0"]


async def test_fifty_at_once_cause_one_refresh(world: World, one: Process) -> None:
    world.later(3600)
    world.issuer.goes_on.clear()
    calls = [asyncio.ensure_future(one.token()) for _ in range(50)]
    await world.issuer.asked_for_new.wait()
    world.issuer.goes_on.set()
    assert await asyncio.gather(*calls) == ["at-0-1"] * 50
    assert world.issuer.refreshes == 1


async def test_several_processes_cause_one_refresh(world: World, one: Process) -> None:
    others = [await world.process() for _ in range(3)]
    world.later(3600)
    world.issuer.goes_on.clear()
    calls = [asyncio.ensure_future(process.token()) for process in (one, *others) for _ in range(5)]
    await world.waited.wait()
    world.issuer.goes_on.set()
    assert await asyncio.gather(*calls) == ["at-0-1"] * 20
    assert world.issuer.refreshes == 1


async def test_who_leaves_does_not_stop_the_refresh_and_a_stop_waits_for_it(world: World, one: Process) -> None:
    world.later(3600)
    world.issuer.goes_on.clear()
    call = asyncio.ensure_future(one.token())
    await world.issuer.asked_for_new.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    stopping = asyncio.ensure_future(one.tokens.settle())
    await asyncio.sleep(0.01)
    assert not stopping.done()
    world.issuer.goes_on.set()
    await stopping
    assert await one.token() == "at-0-1"
    assert world.issuer.refreshes == 1


@pytest.mark.parametrize(
    ("answer", "pause"),
    [
        (Response("", 429, {"retry-after": "30"}), 30),
        (Response("", 503), 5),
        (Response("", 500, {"retry-after": "0"}), 5),
        (Response("", 500, {"retry-after": "99999"}), 3600),
        (JSONResponse({"error": "invalid_client"}, 401), 5),
    ],
)
async def test_while_the_provider_fails_nobody_loses_anything_and_it_is_left_alone(
    world: World, one: Process, answer: Response, pause: int
) -> None:
    another = await world.process()
    world.issuer.fails_with = answer
    world.later(3600)
    calls = [process.token() for process in (one, another) for _ in range(25)]
    failures = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(failure, Unavailable) and failure.retry_after == pause for failure in failures)
    world.later(pause - 1)
    with pytest.raises(Unavailable) as failure:
        await another.token()
    assert failure.value.retry_after == 1
    assert world.issuer.refreshes == 1

    world.issuer.fails_with = None
    world.later(1)
    assert await another.token() == "at-0-1"
    assert one.ended == another.ended == []


async def test_a_token_that_still_counts_serves_while_the_provider_fails(world: World, one: Process) -> None:
    world.issuer.fails_with = Response("", 500)
    world.later(3600 - 30)
    assert [await one.token() for _ in range(3)] == ["at-0-0"] * 3
    assert world.issuer.refreshes == 1
    world.later(30)
    with pytest.raises(Unavailable):
        await one.token()


async def test_a_grant_that_is_dead_ends_the_tokens_for_everybody_at_once(world: World, one: Process) -> None:
    another = await world.process()
    world.issuer.families[0].is_ended = True
    world.later(3600)
    calls = [process.token() for process in (one, another) for _ in range(25)]
    failures = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(failure, LinkMissing) for failure in failures)
    assert world.issuer.refreshes == 1
    assert one.ended + another.ended == ["user-1"]
    assert await one.store.upstream_tokens.list_tokens(None, limit=9) == []


async def test_a_token_that_is_over_and_cannot_be_renewed_needs_the_person(world: World, one: Process) -> None:
    world.issuer.gives_refresh_tokens = False
    await world.log_in(one, account="another")
    world.later(3599)
    assert await one.token() == "at-1-0"
    world.later(1)
    with pytest.raises(LinkMissing):
        await one.token()
    assert world.issuer.refreshes == 0


async def test_a_refresh_token_that_is_over_is_not_used(world: World, one: Process) -> None:
    await world.log_in(one, refresh_expires_in=7200)
    world.later(7200)
    with pytest.raises(LinkMissing):
        await one.token()
    assert world.issuer.refreshes == 0


async def test_a_token_that_the_api_refused_is_renewed_where_it_can_be(world: World, one: Process) -> None:
    assert await one.token(refused="at-of-before") == "at-0-0"
    assert await one.token(refused="at-0-0") == "at-0-1"
    assert await one.token(refused="at-0-0") == "at-0-1"
    assert world.issuer.refreshes == 1


async def test_a_token_that_the_api_refused_and_that_cannot_be_renewed_is_over(world: World, one: Process) -> None:
    world.issuer.gives_refresh_tokens, world.issuer.lifetime = False, None
    await world.log_in(one, account="another")
    assert await one.token(refused="at-0-0") == "at-1-0"
    with pytest.raises(LinkMissing):
        await one.token(refused="at-1-0")
    assert one.ended == ["user-1"]
    assert await one.store.upstream_tokens.list_tokens(None, limit=9) == []


async def test_a_refresh_token_that_is_not_replaced_stays(world: World, one: Process) -> None:
    world.issuer.rotates = False
    for number in (1, 2):
        world.later(3600)
        assert await one.token() == f"at-0-{number}"
    kept = await one.store.upstream_tokens.find_tokens("user-1", "oidc")
    assert kept is not None
    assert open_tokens(kept, RING) == TokenPair("at-0-2", "rt-0-0")


async def test_a_login_that_brings_no_refresh_token_leaves_that_of_the_account(world: World, one: Process) -> None:
    world.issuer.gives_refresh_tokens = False
    await world.log_in(one)
    kept = await one.store.upstream_tokens.find_tokens("user-1", "oidc")
    assert kept is not None
    assert open_tokens(kept, RING) == TokenPair("at-1-0", "rt-0-0")
    assert kept.is_refreshable

    await world.log_in(one, account="another")
    kept = await one.store.upstream_tokens.find_tokens("user-1", "oidc")
    assert kept is not None
    assert open_tokens(kept, RING) == TokenPair("at-2-0")
    assert (kept.external_subject, kept.is_refreshable, kept.ends_at) == ("another", False, NOW + 3600)


async def test_a_login_during_a_refresh_counts_and_the_refresh_does_not(world: World, one: Process) -> None:
    world.later(3600)
    world.issuer.goes_on.clear()
    call = asyncio.ensure_future(one.token())
    await world.issuer.asked_for_new.wait()
    await world.log_in(one)
    world.issuer.goes_on.set()
    assert await call == "at-1-0"
    assert world.issuer.revoked == []


async def test_a_grant_that_is_dead_takes_no_newer_login_along(world: World, one: Process) -> None:
    world.later(3600)
    world.issuer.goes_on.clear()
    call = asyncio.ensure_future(one.token())
    await world.issuer.asked_for_new.wait()
    world.issuer.families[0].is_ended = True
    await world.log_in(one)
    world.issuer.goes_on.set()
    assert await call == "at-1-0"
    assert one.ended == []


async def test_what_is_ended_during_a_refresh_is_ended_there_as_well(world: World, one: Process) -> None:
    world.later(3600)
    world.issuer.goes_on.clear()
    call = asyncio.ensure_future(one.token())
    await world.issuer.asked_for_new.wait()
    await one.store.users.disable_user("user-1", now=NOW)
    world.issuer.goes_on.set()
    with pytest.raises(LinkMissing):
        await call
    assert world.issuer.revoked == [{"token": "rt-0-1", "token_type_hint": "refresh_token"}]


async def test_ending_is_done_here_first_and_a_provider_that_fails_is_only_logged(
    world: World, one: Process, caplog: pytest.LogCaptureFixture
) -> None:
    world.issuer.instead["/revoke"] = Response("", 503)
    with caplog.at_level(logging.WARNING):
        ended = await one.tokens.end("user-1", provider="oidc")
        assert await one.tokens.end("user-1", provider="oidc") == []
        await one.tokens.tell(ended)
    assert "tokens that were ended here may live on there: its revocation endpoint answers 503" in caplog.text
    assert "rt-0-0" not in caplog.text
    with pytest.raises(LinkMissing):
        await one.token()


async def test_what_is_ended_here_is_ended_there(world: World, one: Process) -> None:
    await one.tokens.tell(await one.tokens.end("user-1", provider="oidc"))
    assert world.issuer.revoked == [{"token": "rt-0-0", "token_type_hint": "refresh_token"}]


async def test_whether_there_is_something_to_act_with_is_known(world: World, one: Process) -> None:
    assert [await one.tokens.has(subject, "oidc") for subject in ("user-1", "user-2")] == [True, False]
    world.later(3600)
    assert await one.tokens.has("user-1", "oidc")
    world.issuer.gives_refresh_tokens = False
    await world.log_in(one, account="another")
    assert await one.tokens.has("user-1", "oidc")
    world.later(3600)
    assert not await one.tokens.has("user-1", "oidc")


@pytest.mark.usefixtures("one")
async def test_tokens_of_another_issuer_under_the_same_name_go_nowhere(world: World) -> None:
    moved = await world.process(issuer="https://elsewhere.example")
    world.later(3600)
    with pytest.raises(LinkMissing):
        await moved.token()
    assert world.issuer.refreshes == 0
    await moved.tokens.tell(await moved.tokens.end("user-1", provider="oidc"))
    assert world.issuer.revoked == []


async def test_rows_that_were_swapped_open_for_nobody(
    world: World, one: Process, caplog: pytest.LogCaptureFixture
) -> None:
    await world.log_in(one, "user-2", "4712")
    ada, bob = await one.store.upstream_tokens.list_tokens(None, limit=9)
    await one.store.upstream_tokens.reseal_tokens(ada, bob.sealed_tokens)
    await one.store.upstream_tokens.reseal_tokens(bob, ada.sealed_tokens)
    for subject in ("user-1", "user-2"):
        with pytest.raises(LinkMissing):
            await one.token(subject)
    assert "do not open" in caplog.text
    await world.log_in(one)
    assert await one.token() == "at-2-0"


class Faults:
    """A store whose `keep_refreshed` fails as often as is said."""

    def __init__(self, store: Any, failures: int, *, after: bool) -> None:
        self._store, self._failures, self._after = store, failures, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def keep_refreshed(self, *arguments: Any, **options: Any) -> bool:
        kept: bool | None = None
        if self._after or not self._failures:
            kept = await self._store.keep_refreshed(*arguments, **options)
        if self._failures:
            self._failures -= 1
            raise StoreUnavailable("the disk is full")
        assert kept is not None
        return kept


@pytest.mark.parametrize("after", [True, False])
async def test_a_store_that_fails_for_a_while_loses_no_new_tokens(world: World, one: Process, *, after: bool) -> None:
    faulty = await world.process(store=Faults(one.store.upstream_tokens, 3, after=after))
    world.later(3600)
    assert await faulty.token() == "at-0-1"
    assert faulty.slept == [1, 1, 1]
    assert await one.token() == "at-0-1"
    assert world.issuer.refreshes == 1


async def test_a_process_that_dies_with_new_tokens_costs_a_strict_provider_s_login(world: World, one: Process) -> None:
    dying = await world.process(store=Faults(one.store.upstream_tokens, 1000, after=False))
    world.later(3600)
    with pytest.raises(StoreUnavailable):
        await dying.token()
    assert await one.store.upstream_tokens.find_tokens("user-1", "oidc"), "what there was is still there"

    # Until the claim is over nobody tries: the one that holds it may be alive.
    world.later(upstream_tokens.CLAIM_SECONDS - 1)
    with pytest.raises(Unavailable):
        await one.token()
    assert world.issuer.refreshes == 1
    # Then the refresh token is used once more. This provider takes that for theft, and the person logs in again.
    world.later(1)
    with pytest.raises(LinkMissing):
        await one.token()
    assert (world.issuer.refreshes, one.ended) == (2, ["user-1"])


async def test_an_answer_that_got_lost_at_a_provider_that_forgives_costs_nothing(world: World, one: Process) -> None:
    world.issuer.loses_answers = 1
    world.issuer.rotates = False
    world.later(3600)
    with pytest.raises(Unavailable):
        await one.token()
    world.later(5)
    assert await one.token() == "at-0-2"


class Sleeper:
    """A store whose process falls asleep once it has a claim, for longer than that lasts."""

    def __init__(self, store: Any, meanwhile: Callable[[], Awaitable[None]]) -> None:
        self._store, self._meanwhile = store, meanwhile
        self.has_slept = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def claim_refresh(self, *arguments: Any, **options: Any) -> bool:
        claimed: bool = await self._store.claim_refresh(*arguments, **options)
        if not self.has_slept:
            self.has_slept = True
            await self._meanwhile()
        return claimed


async def test_a_process_that_slept_through_its_claim_uses_no_old_refresh_token(world: World, one: Process) -> None:
    async def meanwhile() -> None:
        world.later(upstream_tokens.CLAIM_SECONDS)
        assert await one.token() == "at-0-1"

    sleeper = await world.process(store=Sleeper(one.store.upstream_tokens, meanwhile))
    world.later(3600)
    assert await sleeper.token() == "at-0-1"
    assert world.issuer.refreshes == 1
    assert world.issuer.is_good("at-0-1")


def test_claims_outlast_whatever_a_refresh_can_take() -> None:
    longest = upstream_tokens.LATEST + TOTAL_SECONDS + upstream_tokens.WRITES
    assert longest + 30 <= upstream_tokens.CLAIM_SECONDS


async def test_where_tokens_are_not_kept_a_login_leaves_none(world: World, one: Process) -> None:
    forgetful = await world.process(providers={})
    await world.log_in(forgetful, "user-2")
    await one.tokens.keep("user-2", "oidc", Identity("4712"))
    assert [kept.subject for kept in await one.store.upstream_tokens.list_tokens(None, limit=9)] == ["user-1"]


async def test_which_login_brought_them_is_kept_where_a_provider_speaks_for_many(world: World, one: Process) -> None:
    """Else unlinking it would leave them: the issuer of a tenant is not that of the provider."""
    await world.log_in(one, account="another")
    world.later(3600)
    assert await one.token() == "at-1-1"
    (kept,) = await one.store.upstream_tokens.list_tokens(None, limit=9)
    assert kept.login == LoginKey(f"{ISSUER}/user-1/another", "another")

    outcome = await one.store.linked_logins.unlink_login("user-1", kept.login, keeps=[LoginKey(LOCAL, "user-1")])

    assert outcome is UnlinkOutcome.UNLINKED
    assert await one.store.upstream_tokens.list_tokens(None, limit=9) == []


async def test_nothing_of_a_token_is_logged_or_raised(
    world: World, one: Process, caplog: pytest.LogCaptureFixture
) -> None:
    world.later(3600)
    with caplog.at_level(logging.DEBUG):
        await one.token()
        for failing in (
            Response("", 500),
            JSONResponse({"error": "invalid_grant", "error_description": "rt-0-1"}, 400),
        ):
            world.issuer.fails_with = failing
            world.later(3600)
            with pytest.raises((Unavailable, LinkMissing)) as raised:
                await one.token()
            assert not any(secret in repr(raised.value) for secret in ("at-0", "rt-0"))
    assert not any(secret in caplog.text for secret in ("at-0", "rt-0"))

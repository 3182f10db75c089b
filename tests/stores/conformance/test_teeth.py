"""The suite finds what is wrong with a store: broken ones, each of which a test has to catch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest

from gatepost.oauth.audit import AuditQuery, AuditRecord
from gatepost.oauth.limits import Use
from gatepost.oauth.records import Grant, IssuedTokens
from gatepost.stores.conformance import Place, StoreConformance
from gatepost.stores.conformance.records import tokens as made_up_tokens
from gatepost.stores.contract.administration import Administrator
from gatepost.stores.contract.grants import LiveAccessToken, RedeemOutcome
from gatepost.stores.contract.mcp import McpSession
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.sqlite import file_store, memory_store


@dataclass
class Broken:
    """A concern that is kept well but for what a subclass overrides."""

    kept: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.kept, name)


class RedeemsTwice(Broken):
    async def redeem_code(self, code: bytes, grant: Grant, tokens: IssuedTokens, *, now: int) -> RedeemOutcome:
        if await self.kept.redeem_code(code, grant, tokens, now=now) is RedeemOutcome.LOST_RACE:
            await self.approvals.give_grant(grant, tokens)
        return RedeemOutcome.REDEEMED

    approvals: Any = None


class ForgetsRevocations(Broken):
    async def revoke_grant(self, _grant_id: str, *, reason: str, now: int) -> bool:
        del reason, now
        return True


class IgnoresExpiry(Broken):
    async def find_access_token(self, token_fingerprint: bytes, *, now: int) -> LiveAccessToken | None:
        del now
        found: LiveAccessToken | None = await self.kept.find_access_token(token_fingerprint, now=0)
        return found


class RedeemsInTwoSteps(Broken):
    """Whoever is stopped between them leaves a spent code whose tokens do not count."""

    async def redeem_code(self, code: bytes, grant: Grant, tokens: IssuedTokens, *, now: int) -> RedeemOutcome:
        placeholder = made_up_tokens(f"placeholder {grant.grant_id}", grant.grant_id, now=now)
        assert placeholder.refresh is not None
        outcome: RedeemOutcome = await self.kept.redeem_code(code, grant, placeholder, now=now)
        if outcome is RedeemOutcome.REDEEMED:
            await asyncio.sleep(0)
            await self.kept.rotate_refresh_token(
                placeholder.refresh.token_fingerprint, tokens, b"sealed", now=now, window=0
            )
        return outcome


class ListsEventsOutOfOrder(Broken):
    async def list_events(self, query: AuditQuery, *, before: str | None, limit: int) -> list[AuditRecord]:
        return [*reversed(await self.kept.list_events(query, before=before, limit=limit))]


class LooksThenTakes(Broken):
    """Counts in two steps, so that those who come at once count as one."""

    spent: int = 0

    async def take(self, uses: Sequence[Use], *, now: int) -> int:
        del now
        spent = self.spent
        await asyncio.sleep(0)
        if spent + 1 > uses[0].rate.uses:
            return 1
        self.spent = spent + 1
        return 0


class RemembersInTheProcess(Broken):
    """Keeps identifiers of assertions where no other handle sees them."""

    def __init__(self, kept: Any) -> None:
        super().__init__(kept)
        self.known: set[tuple[str, str]] = set()

    async def remember_jti(self, client_id: str, jti: str, *, expires_at: int, now: int) -> bool:
        del expires_at, now
        await asyncio.sleep(0)
        is_new = (client_id, jti) not in self.known
        self.known.add((client_id, jti))
        return is_new


class ShowsSessionsToEverybody(Broken):
    owner: str = ""

    async def start_session(self, session: McpSession, *, most: int, makes_room: bool) -> list[bytes] | None:
        self.owner = session.owner
        ended: list[bytes] | None = await self.kept.start_session(session, most=most, makes_room=makes_room)
        return ended

    async def find_session(self, session_fingerprint: bytes, *, owner: str, now: int) -> McpSession | None:
        del owner
        found: McpSession | None = await self.kept.find_session(session_fingerprint, owner=self.owner, now=now)
        return found


class DeletesTooMuch(Broken):
    async def delete_transactions(self, *, before: int, limit: int) -> int:
        del limit
        deleted: int = await self.kept.delete_transactions(before=before, limit=1000)
        return deleted


def broken(concern: str, kind: type[Broken]) -> Callable[[Store], Store]:
    return lambda store: replace(store, **{concern: kind(getattr(store, concern))})  # type: ignore[arg-type]


def redeems_twice(store: Store) -> Store:
    twice = RedeemsTwice(store.grants)
    twice.approvals = store.approvals
    return replace(store, grants=twice)


def writes_and_raises(store: Store) -> Store:
    """Does what an administrator asks for who is none any more, and only then refuses."""

    class Refusing(Broken):
        async def remove_client(self, client_id: str, *, now: int) -> bool:
            removed = await store.clients.remove_client(client_id, now=now)
            await self.kept.remove_client(client_id, now=now)
            return removed

    def in_name_of(by: Administrator) -> Store:
        theirs = store.in_name_of(by)
        return replace(theirs, clients=Refusing(theirs.clients))

    return replace(store, in_name_of=in_name_of)


def cannot_be_closed_twice(store: Store) -> Store:
    closed: list[bool] = []

    async def close() -> None:
        if closed:
            raise RuntimeError("it is closed")
        closed.append(True)

    return replace(store, close=close)


CASES: Final[dict[str, tuple[Callable[[Store], Store], str]]] = {
    "redeems a code twice": (redeems_twice, "test_fifty_parallel_redemptions_of_one_code_have_one_winner"),
    "forgets a revocation": (
        broken("grants", ForgetsRevocations),
        "test_nothing_counts_that_came_of_refreshes_beside_a_revocation",
    ),
    "ignores expiry": (broken("grants", IgnoresExpiry), "test_an_access_token_is_absent_from_the_second_it_expires"),
    "spends a code in two steps": (
        broken("grants", RedeemsInTwoSteps),
        "test_a_redemption_whose_caller_leaves_happens_wholly_or_not_at_all",
    ),
    "gives pages out of order": (
        broken("audit", ListsEventsOutOfOrder),
        "test_events_are_found_as_they_were_the_newest_first",
    ),
    "looks, then takes": (
        broken("limits", LooksThenTakes),
        "test_three_hundred_uses_of_one_allowance_at_once_get_what_there_is",
    ),
    "shows a session to everybody": (
        broken("mcp_sessions", ShowsSessionsToEverybody),
        "test_a_session_is_found_by_its_owner_until_it_ends",
    ),
    "deletes more than a batch": (
        broken("transactions", DeletesTooMuch),
        "test_a_batch_is_never_larger_than_its_limit",
    ),
    "cannot be closed twice": (cannot_be_closed_twice, "test_closing_twice_is_fine"),
}


@pytest.mark.parametrize("case", CASES)
async def test_a_store_that_is_broken_is_caught_by_the_test_of_that_promise(case: str) -> None:
    break_it, name = CASES[case]
    test = getattr(StoreConformance, name)
    await test(store=memory_store())

    with pytest.raises((AssertionError, RuntimeError)) as failure:
        await test(store=break_it(memory_store()))

    (said,) = failure.value.__notes__
    assert said.startswith(f"The store does not keep its contract: {name[5:].replace('_', ' ')}")


def forgets_at_the_end(location: str) -> Store:
    store = file_store(Path(location))
    return replace(store, assertions=RemembersInTheProcess(store.assertions))


def keeps(location: str) -> Store:
    return file_store(Path(location))


async def test_a_store_that_loses_a_write_when_it_is_opened_again_is_caught(tmp_path: Path) -> None:
    test = StoreConformance.test_what_is_only_seen_by_using_it_up_is_there_after_opening_again  # type: ignore[attr-defined]
    await test(place=Place(keeps, str(tmp_path / "good.db")))

    with pytest.raises(AssertionError) as failure:
        await test(place=Place(forgets_at_the_end, str(tmp_path / "bad.db")))

    (said,) = failure.value.__notes__
    assert "assertions.remember_jti(" in said
    assert "AssertionStore.remember_jti: Remember the identifier of an assertion" in said


async def test_a_store_that_other_processes_do_not_share_is_caught(tmp_path: Path) -> None:
    place = Place(forgets_at_the_end, str(tmp_path / "bad.db"))
    test = StoreConformance.test_an_assertion_counts_once_on_all_processes_together  # type: ignore[attr-defined]
    async with place.opened() as store:
        with pytest.raises(AssertionError):
            await test(store=store, place=place)

"""Looking a refresh token up and rotating it as somebody judges, on every backend (RFC 6749 section 6)."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gatepost.stores.conformance.records import NOW, WINDOW, client, find_refresh_token, fp, redeem, tokens, user
from gatepost.stores.contract.grants import JudgeRefresh, RefreshView, RotateOutcome, Rotation, Successor
from gatepost.stores.contract.store import Store

ROTATED = Rotation(RotateOutcome.ROTATED)


class NotThisOneError(Exception):
    """What somebody raises who judges."""


def to(new: str, *, now: int = NOW) -> JudgeRefresh:
    return lambda _: Successor(tokens(new, now=now), f"sealed {new}".encode())


async def refresh(
    store: Store, old: str, judge: JudgeRefresh, *, now: int = NOW
) -> tuple[RefreshView | None, Rotation | None]:
    return await store.grants.refresh_at_once(fp(f"refresh {old}"), judge, now=now, window=WINDOW)


async def rotated_at_once(store: Store) -> Rotation | None:
    """Rotate what was let through, and return what came of it; what was found is another thing the second time."""
    _, rotation = await refresh(store, "2", to("3"))
    return rotation


def refusing(found: RefreshView | None) -> Successor:
    raise NotThisOneError(found)


async def test_who_judges_a_refresh_sees_what_is_found_and_says_what_it_comes_to(store: Store) -> None:
    await store.clients.register_client(client())
    await store.users.add_user(user())
    await redeem(store)
    found = await store.grants.find_refresh(fp("refresh 1"))
    seen: list[RefreshView | None] = []

    def judge(view: RefreshView | None) -> Successor:
        seen.append(view)
        return Successor(tokens("2"), b"sealed")

    assert await refresh(store, "1", judge) == (found, ROTATED)
    assert set(map(repr, seen)) == {repr(found)}
    spent = await find_refresh_token(store, fp("refresh 1"))
    assert spent is not None
    assert (spent.spent_at, spent.successor_fingerprint, spent.sealed_successor) == (NOW, fp("refresh 2"), b"sealed")
    assert await find_refresh_token(store, fp("refresh 2")) == tokens("2").refresh
    assert await store.grants.find_access_token(fp("access 2"), now=NOW) is not None


@pytest.mark.parametrize("judge", [refusing, lambda _: None], ids=["refused", "not at once"])
async def test_a_refresh_that_nobody_lets_through_writes_nothing(store: Store, judge: JudgeRefresh) -> None:
    await redeem(store)
    before = await store.grants.find_refresh(fp("refresh 1"))

    # Beside one that is let through, with which it may share a transaction.
    await redeem(store, "other")
    refused, rotated = await asyncio.gather(
        refresh(store, "1", judge),
        refresh(store, "other", lambda _: Successor(tokens("next", "grant-other"), b"sealed")),
        return_exceptions=True,
    )

    assert isinstance(refused, NotThisOneError) if judge is refusing else refused == (before, None)
    assert not isinstance(rotated, BaseException)
    assert rotated[1] == ROTATED
    assert await store.grants.find_refresh(fp("refresh 1")) == before
    assert await find_refresh_token(store, fp("refresh next")) is not None


async def test_of_an_unknown_refresh_token_nothing_is_found_and_nothing_comes(store: Store) -> None:
    assert await refresh(store, "1", lambda found: None if found is None else refusing(found)) == (None, None)
    assert await refresh(store, "1", to("2")) == (None, Rotation(RotateOutcome.DEAD))
    assert await find_refresh_token(store, fp("refresh 2")) is None


async def revoke(store: Store) -> None:
    await store.grants.revoke_grant("grant-1", reason="asked", now=NOW)


async def disable(store: Store) -> None:
    await store.users.add_user(user())
    await store.users.disable_user("user-1", now=NOW)


async def nothing(_: Store) -> None:
    """The token ends by itself."""


@pytest.mark.parametrize(("end", "now"), [(revoke, NOW), (disable, NOW), (nothing, NOW + 90_000_000)])
async def test_what_is_over_is_not_refreshed_whoever_lets_it_through(
    store: Store, end: Callable[[Store], Awaitable[None]], now: int
) -> None:
    await redeem(store)
    await end(store)

    found, rotation = await refresh(store, "1", to("2"), now=now)

    assert found is not None
    assert rotation == Rotation(RotateOutcome.DEAD)
    assert await find_refresh_token(store, fp("refresh 2")) is None


async def test_a_spent_token_is_what_it_is_at_any_rotation(store: Store) -> None:
    await redeem(store)
    await refresh(store, "1", to("2"))

    assert (await refresh(store, "1", to("3")))[1] == Rotation(RotateOutcome.REPEATED, b"sealed 2")
    assert (await refresh(store, "1", to("3"), now=NOW + WINDOW + 1))[1] == Rotation(RotateOutcome.REUSED)
    assert await find_refresh_token(store, fp("refresh 3")) is None


async def test_fifty_who_refresh_with_one_token_at_once_share_one_successor(store: Store) -> None:
    await redeem(store)

    answers = await asyncio.gather(*(refresh(store, "1", to(f"next {number}")) for number in range(50)))

    rotations = [rotation for _, rotation in answers]
    winner = rotations.index(ROTATED)
    assert rotations.count(ROTATED) == 1
    assert rotations.count(Rotation(RotateOutcome.REPEATED, f"sealed next {winner}".encode())) == 49

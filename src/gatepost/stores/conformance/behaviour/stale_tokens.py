"""Refresh tokens that were spent a while ago and still get the newest of their family, on every backend."""

from dataclasses import replace
from itertools import pairwise

from gatepost.oauth.policy import ALWAYS_THEFT, StaleTokens
from gatepost.oauth.records import IssuedTokens
from gatepost.stores.conformance.records import (
    NOW,
    WINDOW,
    find_grant,
    find_refresh_token,
    fp,
    redeem,
    tokens,
    user,
)
from gatepost.stores.contract.grants import MOST_GENERATIONS, RotateOutcome, Rotation
from gatepost.stores.contract.store import Store

HOUR = 3600
SHARED = StaleTokens(seconds=HOUR, grant=50_000)


async def rotate(
    store: Store, old: str, new: str, *, now: int = NOW, grant_id: str = "grant-1", stale: StaleTokens = SHARED
) -> Rotation:
    sealed = f"{old} opens {new}".encode()
    return await store.grants.rotate_refresh_token(
        fp(f"refresh {old}"), tokens(new, grant_id, now=now), sealed, now=now, window=WINDOW, stale=stale
    )


def way(*names: str) -> Rotation:
    """The answer for the first of these tokens, of which the last one is unspent."""
    chain = [f"{old} opens {new}".encode() for old, new in pairwise(names)]
    return Rotation(RotateOutcome.STALE, chain=tuple(chain))


async def is_live(store: Store, access: str, *, now: int = NOW) -> bool:
    found = await store.grants.find_access_token(fp(f"access {access}"), now=now)
    return found is not None and not found.grant_revoked


async def test_an_old_token_is_answered_with_all_that_came_of_it(store: Store) -> None:
    await redeem(store, "1")
    for old, new in (("1", "2"), ("2", "3"), ("3", "4")):
        assert await rotate(store, old, new) == Rotation(RotateOutcome.ROTATED)

    assert await rotate(store, "1", "5", now=NOW + HOUR) == way("1", "2", "3", "4")
    assert await rotate(store, "3", "6", now=NOW + HOUR) == way("3", "4")

    assert await is_live(store, "5", now=NOW + HOUR)
    assert await is_live(store, "6", now=NOW + HOUR)
    # The family has not grown, and its newest token is unspent.
    for name in ("5", "6"):
        assert await find_refresh_token(store, fp(f"refresh {name}")) is None
    assert await rotate(store, "4", "7", now=NOW + HOUR) == Rotation(RotateOutcome.ROTATED)


async def test_inside_the_window_an_unused_successor_is_answered_as_before(store: Store) -> None:
    await redeem(store)
    await rotate(store, "1", "2")

    assert await rotate(store, "1", "3", now=NOW + WINDOW) == Rotation(RotateOutcome.REPEATED, b"1 opens 2")
    assert await rotate(store, "1", "3", now=NOW + WINDOW + 1) == way("1", "2")


async def test_the_hour_begins_with_the_first_use_and_is_not_made_longer(store: Store) -> None:
    await redeem(store)
    await rotate(store, "1", "2")
    assert await rotate(store, "1", "3", now=NOW + HOUR) == way("1", "2")

    assert await rotate(store, "1", "4", now=NOW + HOUR + 1) == Rotation(RotateOutcome.REUSED)

    kept = await find_grant(store, "grant-1")
    assert kept is not None
    assert (kept.revoked_at, kept.revoked_reason) == (NOW + HOUR + 1, "refresh_token_reused")
    assert not await is_live(store, "3", now=NOW + HOUR + 1)
    assert await rotate(store, "2", "5", now=NOW + HOUR + 1) == Rotation(RotateOutcome.DEAD)


async def test_each_token_of_a_family_has_an_hour_of_its_own(store: Store) -> None:
    await redeem(store)
    await rotate(store, "1", "2")
    await rotate(store, "2", "3", now=NOW + HOUR)

    assert await rotate(store, "2", "4", now=NOW + 2 * HOUR) == way("2", "3")
    assert await rotate(store, "1", "5", now=NOW + 2 * HOUR) == Rotation(RotateOutcome.REUSED)


async def test_nobody_comes_late_where_that_is_always_theft(store: Store) -> None:
    await redeem(store)
    await redeem(store, "2")
    await rotate(store, "1", "1a", stale=ALWAYS_THEFT)
    await rotate(store, "1a", "1b", stale=ALWAYS_THEFT)
    await rotate(store, "2", "2a", grant_id="grant-2", stale=ALWAYS_THEFT)

    assert await rotate(store, "1", "1c", stale=ALWAYS_THEFT) == Rotation(RotateOutcome.REUSED)
    late = await rotate(store, "2", "2b", now=NOW + WINDOW + 1, grant_id="grant-2", stale=ALWAYS_THEFT)
    assert late == Rotation(RotateOutcome.REUSED)


async def test_a_grant_ends_earlier_from_the_first_time_and_never_later(store: Store) -> None:
    await redeem(store, expires_at=NOW + 200_000)
    await redeem(store, "2", expires_at=NOW + 40_000)
    await rotate(store, "1", "1a")
    await rotate(store, "2", "2a", grant_id="grant-2")

    for later in (WINDOW + 1, HOUR):
        assert (await rotate(store, "1", f"1 {later}", now=NOW + later)).outcome is RotateOutcome.STALE
        kept = await find_grant(store, "grant-1")
        assert kept is not None
        assert kept.expires_at == NOW + WINDOW + 1 + 50_000
    assert (await rotate(store, "2", "2b", now=NOW + HOUR, grant_id="grant-2")).outcome is RotateOutcome.STALE
    kept = await find_grant(store, "grant-2")
    assert kept is not None
    assert kept.expires_at == NOW + 40_000


async def test_coming_late_without_the_key_of_the_newest_is_theft(store: Store) -> None:
    async def bind(old: str, new: str, key: str | None, *, at: int) -> Rotation:
        issued = tokens(new, f"grant-{old[0]}", now=at)
        assert issued.refresh is not None
        of_key = IssuedTokens(replace(issued.access, dpop_jkt=key), replace(issued.refresh, dpop_jkt=key))
        sealed = f"{old} opens {new}".encode()
        return await store.grants.rotate_refresh_token(
            fp(f"refresh {old}"), of_key, sealed, now=at, window=WINDOW, stale=SHARED
        )

    for name in ("1", "2", "3"):
        await redeem(store, name)
        assert await bind(name, f"{name}a", "key-1", at=NOW) == Rotation(RotateOutcome.ROTATED)

    assert await bind("1", "1b", "key-1", at=NOW + HOUR) == way("1", "1a")
    for name, key in (("2", None), ("3", "key-2")):
        assert await bind(name, f"{name}b", key, at=NOW + HOUR) == Rotation(RotateOutcome.REUSED)
        assert not await is_live(store, f"{name}b", now=NOW + HOUR)


async def test_coming_late_helps_nobody_whose_grant_is_over_or_who_is_disabled(store: Store) -> None:
    await redeem(store)
    await redeem(store, "2")
    for name in ("1", "2"):
        await rotate(store, name, f"{name}a", grant_id=f"grant-{name}")
    await store.grants.revoke_grant("grant-1", reason="asked", now=NOW)
    assert await rotate(store, "1", "1b", now=NOW + HOUR) == Rotation(RotateOutcome.DEAD)

    await store.users.add_user(user(disabled_at=NOW))
    assert await rotate(store, "2", "2b", now=NOW + HOUR, grant_id="grant-2") == Rotation(RotateOutcome.DEAD)
    assert not await is_live(store, "2b")


async def test_a_way_that_is_too_long_is_reuse(store: Store) -> None:
    await redeem(store)
    names = [str(number) for number in range(1, MOST_GENERATIONS + 3)]
    for old, new in pairwise(names):
        await rotate(store, old, new)

    assert await rotate(store, "2", "beside") == way(*names[1:])
    assert await rotate(store, "1", "late") == Rotation(RotateOutcome.REUSED)


async def test_a_way_with_a_gap_is_reuse(store: Store) -> None:
    """The purge took a token of the family: it ended, before the one that is presented."""
    await redeem(store)
    short = tokens("2")
    assert short.refresh is not None
    short = replace(short, refresh=replace(short.refresh, expires_at=NOW + 10))
    await store.grants.rotate_refresh_token(fp("refresh 1"), short, b"1 opens 2", now=NOW, window=WINDOW)
    await rotate(store, "2", "3")
    assert await store.grants.delete_refresh_tokens(before=NOW + 10, limit=9) == 1

    assert await rotate(store, "1", "4", now=NOW + 11) == Rotation(RotateOutcome.REUSED)

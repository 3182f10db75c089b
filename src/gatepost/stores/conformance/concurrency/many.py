"""Hundreds of operations at once, of many kinds."""

from __future__ import annotations

import asyncio
from itertools import chain

from gatepost.oauth.limits import Rate, Use
from gatepost.stores.conformance.records import (
    NOW,
    WINDOW,
    client,
    find_refresh_token,
    fp,
    redeem,
    session,
    tokens,
    user,
)
from gatepost.stores.contract.browser_sessions import SessionView
from gatepost.stores.contract.grants import RotateOutcome
from gatepost.stores.contract.store import Store

PEOPLE = 60


async def test_hundreds_of_operations_at_once_do_what_each_does_alone(store: Store) -> None:
    """Sixty people log in, approve, redeem, refresh and leave side by side, and none gets in the way of another."""

    async def live(name: str) -> RotateOutcome:
        assert await store.users.add_user(user(f"user {name}", name))
        assert await store.browser_sessions.start_session(session(f"session {name}", subject=f"user {name}"))
        await redeem(store, name, subject=f"user {name}")
        rotation = await store.grants.rotate_refresh_token(
            fp(f"refresh {name}"), tokens(f"{name}+", f"grant-{name}"), b"sealed", now=NOW, window=WINDOW
        )
        if int(name) % 2:
            assert await store.users.disable_user(f"user {name}", now=NOW)
        return rotation.outcome

    outcomes = await asyncio.gather(*(live(str(number)) for number in range(PEOPLE)))

    assert outcomes == [RotateOutcome.ROTATED] * PEOPLE
    for number in range(PEOPLE):
        is_disabled = bool(number % 2)
        token = await store.grants.find_access_token(fp(f"access {number}+"), now=NOW)
        assert token is not None
        assert (token.grant_revoked, token.user_disabled) == (is_disabled, is_disabled)
        assert (
            await find_refresh_token(store, fp(f"refresh {number}+")) == tokens(f"{number}+", f"grant-{number}").refresh
        )
        view = await store.browser_sessions.find_session(fp(f"session {number}"), now=NOW)
        one = session(f"session {number}", subject=f"user {number}")
        assert view == (None if is_disabled else SessionView(one, user(f"user {number}", str(number))))


async def test_three_hundred_uses_of_one_allowance_at_once_get_what_there_is(store: Store) -> None:
    waits = await asyncio.gather(*(store.limits.take([Use("key", Rate(50, 3600))], now=NOW) for _ in range(300)))

    assert waits.count(0) == 50


async def test_reads_and_writes_of_hundreds_at_once_never_see_half(store: Store) -> None:
    """Whoever finds a client that is shut out never finds a live grant of it."""
    await store.clients.register_client(client())
    for number in range(10):
        await redeem(store, str(number))

    async def look(number: int) -> tuple[bool, bool]:
        token = await store.grants.find_access_token(fp(f"access {number % 10}"), now=NOW)
        kept = await store.clients.find_client("client-1")
        assert token is not None
        return token.grant_revoked, kept is not None and kept.disabled_at is not None

    looks = [look(number) for number in range(200)]
    seen, shut_out = await asyncio.gather(
        asyncio.gather(*looks[:100], store.clients.disable_client("client-1", now=NOW), *looks[100:]),
        asyncio.gather(*(look(number) for number in range(100))),
    )

    pairs = [one for one in chain(seen, shut_out) if isinstance(one, tuple)]
    assert len(pairs) == 300
    assert (True, False) not in pairs  # the client was looked at after the token
    assert await look(0) == (True, True)

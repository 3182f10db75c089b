"""A caller that leaves loses the answer, not the operation: it happens wholly or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from gatepost.stores.conformance.records import NOW, WINDOW, approve, find_grant, find_refresh_token, fp, grant, redeem
from gatepost.stores.conformance.records import tokens as new_tokens
from gatepost.stores.contract.grants import RedeemOutcome, RotateOutcome
from gatepost.stores.contract.store import Store

STEPS = 25
"""Of the event loop after which a caller leaves: none, one, and so on."""


async def leave(work: Coroutine[Any, Any, Any], *, after: int) -> None:
    """Begin an operation, and be cancelled after so many steps unless it has ended."""
    task = asyncio.create_task(work)
    for _ in range(after):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])


async def test_a_redemption_whose_caller_leaves_happens_wholly_or_not_at_all(store: Store) -> None:
    for step in range(STEPS):
        name = str(step)
        await approve(store, name)
        mine, others = f"mine {name}", f"others {name}"
        await leave(
            store.grants.redeem_code(fp(f"code-{name}"), grant(mine), new_tokens(mine, mine), now=NOW), after=step
        )

        outcome = await store.grants.redeem_code(fp(f"code-{name}"), grant(others), new_tokens(others, others), now=NOW)

        winner, loser = (others, mine) if outcome is RedeemOutcome.REDEEMED else (mine, others)
        assert await find_grant(store, winner) == grant(winner)
        assert await store.grants.find_access_token(fp(f"access {winner}"), now=NOW) is not None
        assert await find_refresh_token(store, fp(f"refresh {winner}")) == new_tokens(winner, winner).refresh
        assert await find_grant(store, loser) is None
        assert await store.grants.find_access_token(fp(f"access {loser}"), now=NOW) is None


async def test_a_refresh_whose_caller_leaves_can_be_repeated(store: Store) -> None:
    for step in range(STEPS):
        name = str(step)
        await redeem(store, name)

        async def refresh(sealed: str, name: str = name) -> Any:
            issued = new_tokens(f"{sealed} {name}", f"grant-{name}")
            return await store.grants.rotate_refresh_token(
                fp(f"refresh {name}"), issued, sealed.encode(), now=NOW, window=WINDOW
            )

        await leave(refresh("first"), after=step)
        rotation = await refresh("second")

        is_repeated = rotation.outcome is RotateOutcome.REPEATED
        assert (rotation.outcome, rotation.sealed_successor) in [
            (RotateOutcome.ROTATED, None),
            (RotateOutcome.REPEATED, b"first"),
        ]
        kept, lost = ("first", "second") if is_repeated else ("second", "first")
        assert await find_refresh_token(store, fp(f"refresh {kept} {name}")) is not None
        assert await find_refresh_token(store, fp(f"refresh {lost} {name}")) is None

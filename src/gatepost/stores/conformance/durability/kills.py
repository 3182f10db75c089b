"""A process that is killed loses nothing that was acknowledged, and leaves nothing half done."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence

import pytest

from gatepost.oauth.records import TransactionState
from gatepost.stores.conformance.concurrency.other_processes import let_go, lines, worker
from gatepost.stores.conformance.concurrency.worker import CHAINS
from gatepost.stores.conformance.places import Place
from gatepost.stores.conformance.records import NOW, find_refresh_token, fp, tokens
from gatepost.stores.contract.store import Store

NEEDS = "is_shared_by_processes"


def killed_after(acknowledged: int, place: Place) -> list[str]:
    """Have a process write until it has said so often that something is done, kill it, and return all it has said."""
    with worker("stream", place, "x") as process:
        let_go([process])
        output = lines(process)
        said = [next(output) for _ in range(acknowledged)]
        os.kill(process.pid, signal.SIGKILL)
        return said + list(output)


@pytest.mark.parametrize("acknowledged", [1, 30, 150])
async def test_a_killed_process_loses_nothing_acknowledged_and_leaves_nothing_half(
    place: Place, acknowledged: int
) -> None:
    said = await asyncio.to_thread(killed_after, acknowledged, place)

    async with place.opened() as store:
        for line in said:
            await assert_is_there(store, line)
        # What was under way is the first of its chain of which nothing was said, or the last of which something was.
        for chain in CHAINS:
            begun = sum(f" x-{chain}-" in line for line in said) + 1
            for number in range(begun):
                await assert_nothing_is_half(store, f"x-{chain}-{number}")


async def assert_is_there(store: Store, line: str) -> None:
    what, _, name = line.rpartition(" ")
    granted = await store.approvals.find_grant_of_token(fp(f"access {name}"))
    assert granted is not None, line
    if what == "rotated":
        assert await find_refresh_token(store, fp(f"refresh {name}+")) is not None, line
    person = await store.users.find_user_by_subject(f"user {name}")
    assert person is not None, line
    if what == "logged in":
        view = await store.browser_sessions.find_session(fp(f"session {name}"), now=NOW)
        assert view is not None or person.disabled_at is not None, line
    if what == "disabled":
        assert person.disabled_at == NOW, line


async def assert_nothing_is_half(store: Store, name: str) -> None:
    """Whatever was under way happened wholly or not at all."""
    request = await store.transactions.find_transaction(f"transaction-{name}", now=NOW)
    code = await store.grants.find_code(fp(f"code-{name}"), now=NOW)
    states: Sequence[TransactionState] = [TransactionState.APPROVED, TransactionState.REDEEMED]
    assert (code is not None) == (request is not None and request.state in states), "an approval without its code"
    if code is None:
        return
    grants = [await store.approvals.find_grant_of_token(fp(f"{kind} {name}")) for kind in ("access", "refresh")]
    assert len(set(grants)) == 1, "one token without the other"
    granted = grants[0]
    assert (None if granted is None else granted.grant_id) == code.grant_id, "a spent code without its grant"
    spent = await find_refresh_token(store, fp(f"refresh {name}"))
    successor = await find_refresh_token(store, fp(f"refresh {name}+"))
    assert (spent is not None and spent.spent_at is not None) == (successor is not None), "a rotation without its token"
    assert successor in {None, tokens(f"{name}+", f"grant-{name}").refresh}
    person = await store.users.find_user_by_subject(f"user {name}")
    if person is not None and person.disabled_at is not None:
        assert granted is not None
        assert granted.revoked_at == NOW, "somebody disabled with access"
        assert await store.browser_sessions.list_sessions(f"user {name}", now=NOW, limit=9) == []

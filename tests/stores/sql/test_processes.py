"""Several processes on one store, and one that dies in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gatepost.stores.conformance.records import (
    NOW,
    approve,
    client,
    code,
    find_grant,
    find_refresh_token,
    fp,
    grant,
    redeem,
    tokens,
)
from gatepost.stores.contract.grants import RedeemOutcome
from gatepost.stores.contract.store import Store
from tests.stores.sql.places import rows_of, store_at
from tests.stores.sql.worker import PER_PROCESS

ROOT = Path(__file__).parents[3]
NAMES = ("a", "b", "c", "d")

# A process that is killed would leave half a coverage file behind; what it runs is measured in this process anyway.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}

HALF_DONE = (
    # an approval without its code
    """
    SELECT transaction_id FROM authorization_transactions
    WHERE state = 'approved' AND transaction_id NOT IN (SELECT transaction_id FROM authorization_codes)
    """,
    # a spent code without its grant, and the other way round
    """
    SELECT grant_id FROM authorization_codes WHERE grant_id NOT IN (SELECT grant_id FROM grants)
    UNION SELECT grant_id FROM grants WHERE grant_id NOT IN (
        SELECT grant_id FROM authorization_codes WHERE grant_id IS NOT NULL
    )
    """,
    # a grant whose tokens do not come in pairs, one pair more than there were rotations
    """
    SELECT grant_id FROM grants WHERE
        (SELECT count(*) - count(spent_at) FROM refresh_tokens WHERE refresh_tokens.grant_id = grants.grant_id) <> 1
        OR (SELECT count(*) FROM refresh_tokens WHERE refresh_tokens.grant_id = grants.grant_id)
        <> (SELECT count(*) FROM access_tokens WHERE access_tokens.grant_id = grants.grant_id)
    """,
    # a spent refresh token without its successor
    """
    SELECT grant_id FROM refresh_tokens
    WHERE spent_at IS NOT NULL AND successor_fingerprint NOT IN (SELECT token_fingerprint FROM refresh_tokens)
    """,
)


@contextmanager
def worker(action: str, place: str, name: str) -> Iterator[subprocess.Popen[str]]:
    """Start a worker that waits for its line, and leave none behind."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.stores.sql.worker", action, place, name],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def lines(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    return (line.removesuffix("\n") for line in process.stdout if line.endswith("\n"))


def let_go(processes: Sequence[subprocess.Popen[str]]) -> None:
    """Wait until every process is ready, then let all of them go at once."""
    for process in processes:
        assert next(lines(process)) == "ready"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


def race(action: str, place: str) -> list[Any]:
    """Run the action in four processes at once and return their results."""
    with (
        worker(action, place, "a") as a,
        worker(action, place, "b") as b,
        worker(action, place, "c") as c,
        worker(action, place, "d") as d,
    ):
        processes = (a, b, c, d)
        let_go(processes)
        return [json.loads(next(lines(process))) for process in processes]


async def test_processes_that_redeem_one_code_at_once_have_one_winner(place: str) -> None:
    store = store_at(place)
    await store.open()
    await approve(store)

    outcomes = [outcome for mine in race("redeem", place) for outcome in mine]

    assert len(outcomes) == len(NAMES) * PER_PROCESS
    assert outcomes.count(RedeemOutcome.REDEEMED.name) == 1
    assert outcomes.count(RedeemOutcome.LOST_RACE.name) == len(outcomes) - 1
    spent = await store.grants.find_code(fp("code-1"), now=NOW)
    assert spent is not None
    assert spent.grant_id is not None
    assert spent == code(grant_id=spent.grant_id)
    assert await find_grant(store, spent.grant_id) == grant(spent.grant_id)
    await store.close()
    assert counts(place) == {"grants": 1, "access_tokens": 1, "refresh_tokens": 1}


async def test_processes_that_use_one_refresh_token_at_once_share_one_successor(place: str) -> None:
    store = store_at(place)
    await store.open()
    await redeem(store)

    rotations = [tuple(rotation) for mine in race("rotate", place) for rotation in mine]

    winners = [sealed for outcome, sealed in rotations if outcome == "ROTATED"]
    assert len(winners) == 1
    assert rotations.count(("REPEATED", winners[0])) == len(NAMES) * PER_PROCESS - 1
    kept = await find_grant(store, "grant-1")
    assert kept is not None
    assert kept == grant()
    await store.close()
    assert counts(place) == {"grants": 1, "access_tokens": 2, "refresh_tokens": 2}


async def test_processes_that_use_one_set_up_link_at_once_make_one_account(place: str) -> None:
    store = store_at(place)
    await store.open()
    await store.users.offer_setup(fp("link"), now=NOW, unless_since=NOW)

    created = race("create-first-user", place)

    assert created.count(True) == 1
    users = await store.users.list_users()
    assert [user.username for user in users] == [f"name-{NAMES[created.index(True)]}"]
    await store.close()


async def test_processes_may_open_a_fresh_database_at_once(place: str) -> None:
    assert race("register", place) == [None] * len(NAMES)

    store = store_at(place)
    await store.open()
    for name in NAMES:
        assert await store.clients.find_client(f"client-{name}") == client(f"client-{name}")
    await store.close()


@pytest.mark.parametrize("acknowledged", [1, 30, 150])
async def test_a_killed_process_loses_nothing_acknowledged_and_leaves_nothing_half(
    place: str, acknowledged: int
) -> None:
    with worker("stream", place, "x") as process:
        let_go([process])
        output = lines(process)
        said = [next(output) for _ in range(acknowledged)]
        os.kill(process.pid, signal.SIGKILL)
        said += list(output)

    store = store_at(place)
    await store.open()
    for line in said:
        await assert_is_there(store, line)
    await store.close()
    assert_nothing_is_half(place)


async def assert_is_there(store: Store, line: str) -> None:
    what, name = line.split()
    kept = await find_grant(store, f"grant-{name}")
    assert kept is not None, line
    if what == "redeemed":
        assert await store.grants.find_code(fp(f"code-{name}"), now=NOW) == code(
            f"code-{name}", f"transaction-{name}", grant_id=f"grant-{name}"
        )
        assert await store.grants.find_access_token(fp(f"access {name}"), now=NOW) is not None
    if what == "rotated":
        spent = await find_refresh_token(store, fp(f"refresh {name}"))
        assert spent is not None
        assert spent.successor_fingerprint == fp(f"refresh {name}+")
        successor = tokens(f"{name}+", f"grant-{name}")
        assert await find_refresh_token(store, fp(f"refresh {name}+")) == successor.refresh
        assert await store.grants.find_access_token(fp(f"access {name}+"), now=NOW) is not None
    if what == "revoked":
        assert kept == grant(f"grant-{name}", revoked_at=NOW, revoked_reason="asked")


def assert_nothing_is_half(place: str) -> None:
    """Whatever was under way when the process died happened wholly or not at all."""
    for half in HALF_DONE:
        assert [*rows_of(place, half)] == [], half
    if "://" not in place:
        assert rows_of(place, "PRAGMA integrity_check") == [("ok",)]
        assert rows_of(place, "PRAGMA foreign_key_check") == []


def counts(place: str) -> dict[str, int]:
    return {
        table: rows_of(place, f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608 - our own names
        for table in ("grants", "access_tokens", "refresh_tokens")
    }

"""The SQLite store by itself: durable writes and token checks, without a server in front of it.

`python -m benchmarks.store` runs it in the project's own environment; the figures are those of
`docs/decisions/0001-sqlite-driver.md`.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Final

from gatepost.oauth.records import AccessToken, Grant, IssuedTokens, RefreshToken
from gatepost.oauth.records import AuthorizationCode as Code
from gatepost.oauth.records import AuthorizationTransaction as Request
from gatepost.stores.contract.grants import RotateOutcome
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.sqlite import file_store

NOW: Final = 1_800_000_000
LATER: Final = NOW + 10**8
ROTATIONS: Final = 3_000
CALLERS: Final = (1, 8, 32, 128)
CHECKS: Final = 5_000
CROWDS: Final = (1_000, 1_000_000)
PROCESSES: Final = 4
TURNS: Final = 15


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def percentiles(seconds: Sequence[float]) -> str:
    """Return the median, the 99th percentile and the maximum, in milliseconds to the microsecond."""
    ordered = sorted(seconds)
    high = ordered[len(ordered) * 99 // 100]
    return f"median {median(ordered) * 1e3:.3f} ms, p99 {high * 1e3:.3f} ms, longest {ordered[-1] * 1e3:.1f} ms"


def fingerprint(text: str) -> bytes:
    """Return the fingerprint of a made-up secret."""
    return sha256(text.encode()).digest()


def pair(grant_id: str, number: int) -> IssuedTokens:
    """Return the rows that one rotation adds."""
    name = f"{grant_id}/{number}"
    return IssuedTokens(
        AccessToken(fingerprint(f"access {name}"), grant_id, ("notes:read", "notes:write"), NOW, LATER),
        RefreshToken(fingerprint(f"refresh {name}"), grant_id, NOW, LATER),
    )


async def begin_family(store: Store, grant_id: str) -> None:
    """Create a grant with its first pair of tokens."""
    uri, resource, scopes = "http://127.0.0.1/callback", "https://notes.example/mcp", ("notes:read", "notes:write")
    request = Request(grant_id, "browser", "client", uri, True, scopes, resource, "challenge", None, NOW, LATER)  # noqa: FBT003  in the order of the record
    code = Code(fingerprint(grant_id), grant_id, "client", uri, True, scopes, resource, "challenge", "user", NOW, LATER)  # noqa: FBT003  likewise
    await store.transactions.begin_transaction(request)
    await store.transactions.approve_transaction(code, now=NOW)
    grant = Grant(grant_id, "user", "client", resource, scopes, NOW, LATER)
    await store.grants.redeem_code(code.code_fingerprint, grant, pair(grant_id, 0), now=NOW)


async def rotate(store: Store, *, callers: int, name: str) -> tuple[float, list[float]]:
    """Rotate refresh tokens, each caller its own family; return rotations a second and how long each took."""
    families = [f"{name} {callers} {number}" for number in range(callers)]
    await asyncio.gather(*(begin_family(store, grant_id) for grant_id in families))
    took: list[float] = []

    async def follow(grant_id: str) -> None:
        for number in range(ROTATIONS // callers):
            old, new = fingerprint(f"refresh {grant_id}/{number}"), pair(grant_id, number + 1)
            began = time.perf_counter()
            rotation = await store.grants.rotate_refresh_token(old, new, bytes(150), now=NOW, window=120)
            took.append(time.perf_counter() - began)
            if rotation.outcome is not RotateOutcome.ROTATED:
                raise AssertionError(rotation)

    began = time.perf_counter()
    await asyncio.gather(*(follow(grant_id) for grant_id in families))
    return len(took) / (time.perf_counter() - began), took


async def check(store: Store, tokens: Sequence[bytes]) -> list[float]:
    """Check tokens one after the other; return how long each took."""
    took: list[float] = []
    for token in tokens:
        began = time.perf_counter()
        if await store.grants.find_access_token(token, now=NOW) is None:
            raise AssertionError("a live token was not found")
        took.append(time.perf_counter() - began)
    return took


def plain_commits(path: Path) -> float:
    """Return how many rows a second plain `sqlite3` writes in a loop, one synced commit each."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE written (secret BLOB PRIMARY KEY, number INTEGER)")
        began = time.perf_counter()
        for number in range(ROTATIONS):
            connection.execute("INSERT INTO written VALUES (?, ?)", (fingerprint(str(number)), number))
        return ROTATIONS / (time.perf_counter() - began)


def crowd(path: Path, count: int) -> list[bytes]:
    """Fill a store with that many live tokens, each of a grant of its own; return a spread of them."""
    grants = (
        (f"grant {n}", f"user {n}", "client", "https://notes.example/mcp", "a b", NOW, LATER) for n in range(count)
    )
    tokens = ((fingerprint(f"crowd {n}"), f"grant {n}", "a b", NOW, LATER) for n in range(count))
    with closing(sqlite3.connect(path)) as connection, connection:
        columns = "grant_id, subject, client_id, resource, scopes, created_at, expires_at"
        connection.executemany(f"INSERT INTO grants ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", grants)  # noqa: S608  our own names
        connection.executemany("INSERT INTO access_tokens VALUES (?, ?, ?, ?, ?)", tokens)
    return [fingerprint(f"crowd {n * 7919 % count}") for n in range(CHECKS)]


async def measure_writes(directory: Path) -> None:
    """Print rotations a second for more and more callers, and token checks beside them."""
    say(f"plain sqlite3, one row and one commit at a time: {plain_commits(directory / 'plain.db'):,.0f} a second")
    store = file_store(directory / "writes.db")
    await store.open()
    for callers in CALLERS:
        rate, took = await rotate(store, callers=callers, name="alone")
        say(f"rotations, {callers} at once: {rate:,.0f} a second, {percentiles(took)}")
    tokens = [fingerprint(f"access alone 1 0/{number}") for number in range(ROTATIONS)]
    say(f"token checks, nothing else going on: {percentiles(await check(store, tokens))}")
    (rate, _), took = await asyncio.gather(rotate(store, callers=32, name="beside"), check(store, tokens))
    say(f"token checks beside {rate:,.0f} rotations a second: {percentiles(took)}")
    await store.close()


async def measure_crowds(directory: Path) -> None:
    """Print how much longer a token check takes among many live tokens than among few.

    The stores take turns, because the way between two threads is at times three times as long as at others, for all of
    a few seconds; only the ratios of neighbouring turns can be compared.
    """
    few, many = [file_store(directory / f"crowd-{count}.db") for count in CROWDS]
    for store in (few, many):
        await store.open()
    tokens = [
        await asyncio.to_thread(crowd, Path(store.description), count)
        for store, count in zip((few, many), CROWDS, strict=True)
    ]
    ratios: list[float] = []
    for _ in range(TURNS + 1):
        short, long = await check(few, tokens[0]), await check(many, tokens[1])
        ratios.append(median(long) / median(short))
    # The first turn finds cold caches.
    cold, *warm = ratios
    say(f"token check among {CROWDS[1]:,} live tokens : among {CROWDS[0]:,}, ratio of medians in {TURNS} turns:")
    say(f"median {median(warm):.2f}, from {min(warm):.2f} to {max(warm):.2f}; before that, cold, {cold:.2f}")
    for store in (few, many):
        await store.close()


async def measure_as_one_of_several(path: Path, name: str) -> None:
    """Print what one process of several gets."""
    store = file_store(path)
    await store.open()
    rate, took = await rotate(store, callers=32, name=name)
    say(f"rotations in process {name} of {PROCESSES}, 32 at once: {rate:,.0f} a second, {percentiles(took)}")
    await store.close()


async def measure(directory: Path) -> None:
    """Run everything, one after the other; only the processes run side by side."""
    await measure_writes(directory)
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.store", str(directory / "shared.db"), str(number)
        )
        for number in range(1, PROCESSES + 1)
    ]
    for process in processes:
        await process.wait()
    await measure_crowds(directory)


if __name__ == "__main__":
    if sys.argv[1:]:
        asyncio.run(measure_as_one_of_several(Path(sys.argv[1]), sys.argv[2]))
    else:
        with tempfile.TemporaryDirectory(dir=".") as temporary:
            asyncio.run(measure(Path(temporary)))

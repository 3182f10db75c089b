"""How long Gatepost takes to check an access token that it has not just seen: every check goes to the store.

Runs in Gatepost's environment. Reads tokens from standard input, one a line, checks them in turn through the bearer
guard without its cache, some at once as a server would, and prints microseconds per check.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from gatepost.resource.resources import ProtectedResource
from gatepost.stores.sql.sqlite import file_store
from gatepost.stores.urls import locate
from gatepost.web.resource.bearer_guard import BearerGuard

CHECKS = 20_000
_AT_ONCE = 32
_WARM_UP = 500


async def measure(database: str, resource: str, tokens: Sequence[str]) -> tuple[float, float]:
    """Return microseconds per check: on the clock, and of our own processor time."""
    store = locate(database).make_store() if "://" in database else file_store(Path(database))
    await store.open()
    guard = BearerGuard(
        grants=store.grants,
        resource=ProtectedResource(resource, "/mcp", "benchmark", {}),
        issuer=resource.removesuffix("/mcp"),
        now=lambda: int(time.time()),
        cache_seconds=0,
    )
    headers = [[(b"authorization", f"Bearer {token}".encode())] for token in tokens]
    try:
        await _check(guard, headers, _WARM_UP)
        began, busy = time.perf_counter(), time.process_time()
        await _check(guard, headers, CHECKS)
        took, worked = time.perf_counter() - began, time.process_time() - busy
        return took / CHECKS * 1e6, worked / CHECKS * 1e6
    finally:
        await store.close()


async def _check(guard: BearerGuard, headers: Sequence[list[tuple[bytes, bytes]]], count: int) -> None:
    upcoming = itertools.islice(itertools.cycle(headers), count)

    async def work() -> None:
        for own in upcoming:
            await guard.verify(own, b"")

    await asyncio.gather(*(work() for _ in range(_AT_ONCE)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database", help="a file of SQLite, or the URL of any store")
    parser.add_argument("--resource", required=True)
    options = parser.parse_args()
    took, worked = asyncio.run(measure(options.database, options.resource, sys.stdin.read().split()))
    sys.stdout.write(f"{took:.2f} {worked:.2f}\n")

"""The store in a PostgreSQL database behind PgBouncer in transaction mode keeps the contract.

Of the suite this is what a pooler could break: what has several statements, what is done at the same time, by several
processes, or cut off. All of it passes as well; the rest has no more in it than that, and takes minutes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import pytest_asyncio

from gatepost.stores.conformance import Place, StoreConformance, suite
from gatepost.stores.conformance.behaviour import codes, limits, mcp_streams, stale_tokens, store_life, tokens
from gatepost.stores.conformance.concurrency import many, processes, tasks, threads
from gatepost.stores.conformance.durability import cancellation, kills
from tests import pgbouncer_instance
from tests.conftest import RequireService
from tests.stores import postgresql_server
from tests.stores.sql.places import store_at

CHOSEN = (
    codes, limits, mcp_streams, stale_tokens, store_life, tokens, many, processes, tasks, threads, cancellation, kills
)  # fmt: skip


@pytest.fixture(scope="session")
def urls(require_service: RequireService) -> Iterator[tuple[str, str]]:
    """The URLs of a store that this process alone uses: past PgBouncer, and through it."""
    require_service("PostgreSQL", available=postgresql_server.is_there())
    require_service("PgBouncer", available=pgbouncer_instance.program() is not None)
    with postgresql_server.behind_pgbouncer(f"gatepost_pooled_{os.getpid()}") as (url, pooler):
        yield url, pooler.url


class TestPgbouncer(StoreConformance):
    @pytest_asyncio.fixture
    async def place(self, urls: tuple[str, str]) -> Place:
        past, through = urls
        await postgresql_server.empty(past)
        return Place(store_at, through)


for _module in suite.MODULES:
    if _module not in CHOSEN:
        for _left_out in suite.tests_of(_module):
            setattr(TestPgbouncer, _left_out.__name__, None)

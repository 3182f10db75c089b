"""The store in a PostgreSQL database keeps the contract."""

from __future__ import annotations

import pytest_asyncio

from gatepost.stores.conformance import Place, StoreConformance
from tests.stores import postgresql_server
from tests.stores.sql.places import store_at


class TestPostgresql(StoreConformance):
    @pytest_asyncio.fixture
    async def place(self, postgresql_url: str) -> Place:
        await postgresql_server.empty(postgresql_url)
        return Place(store_at, postgresql_url)

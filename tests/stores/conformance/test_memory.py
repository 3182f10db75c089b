"""The store in memory keeps the contract."""

from __future__ import annotations

import pytest

from gatepost.stores.conformance import Place, StoreConformance
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.sqlite import memory_store


def new_store(_: str) -> Store:
    return memory_store()


class TestMemory(StoreConformance):
    @pytest.fixture
    def place(self) -> Place:
        return Place(new_store, "", is_durable=False, is_shared_by_processes=False)

"""The store in an SQLite file keeps the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatepost.stores.conformance import Place, StoreConformance
from tests.stores.sql.places import store_at


class TestSqlite(StoreConformance):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        return Place(store_at, str(tmp_path / "data" / "gatepost.db"))

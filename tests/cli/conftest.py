"""A store of a test's own, where `gatepost` looks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatepost.cli.open_store import with_store
from gatepost.stores.contract.store import Store


@pytest.fixture
def own_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Make an empty store, as the start of a server does; return its file."""

    async def nothing(_store: Store) -> None:
        pass

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OAUTH_STORAGE_DIR", str(tmp_path / "data"))
    with_store(nothing, may_create=True)
    return tmp_path / "data" / "gatepost.db"

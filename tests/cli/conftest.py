"""A store of a test's own, where `gatepost` looks for it; and the environment as it was before a test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from gatepost.cli.open_store import with_store
from gatepost.stores.contract.store import Store


@pytest.fixture(autouse=True)
def _environment_as_it_was() -> Iterator[None]:
    """Undo what `gatepost serve` sets for its target; the tests that come after have servers of their own."""
    with patch.dict(os.environ):
        yield


@pytest.fixture
def own_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Make an empty store, as the start of a server does; return its file."""

    async def nothing(_store: Store) -> None:
        pass

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OAUTH_STORAGE_DIR", str(tmp_path / "data"))
    with_store(nothing, may_create=True)
    return tmp_path / "data" / "gatepost.db"

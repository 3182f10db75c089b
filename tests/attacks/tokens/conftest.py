"""The token endpoints over each store in turn."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gatepost.stores.contract.store import Store
from tests.stores.conftest import BACKENDS
from tests.web.oauth.token_harness import Harness, token_harness


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An open, empty store of each backend in turn."""
    backend: str = request.param
    opened = BACKENDS[backend](tmp_path)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def harness(store: Store) -> AsyncIterator[Harness]:
    """The token, revocation and introspection endpoints over that store."""
    async with token_harness(store) as harness:
        yield harness

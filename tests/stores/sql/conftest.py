"""Places for stores that several processes share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conftest import RequireService
from tests.stores import postgresql_server


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path, require_service: RequireService) -> Iterator[str]:
    """Where there is nothing yet."""
    if request.param == "sqlite":
        yield str(tmp_path / "data" / "gatepost.db")
        return
    require_service("PostgreSQL", available=postgresql_server.is_there())
    with postgresql_server.schema(f"gatepost_test_{uuid4().hex}") as url:
        yield url

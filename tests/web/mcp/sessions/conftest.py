"""Databases in which processes hear of each other."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.conftest import RequireService
from tests.stores import postgresql_server


@pytest.fixture
def database_url(require_service: RequireService) -> Iterator[str]:
    """The URL of an empty PostgreSQL store."""
    require_service("PostgreSQL", available=postgresql_server.is_there())
    with postgresql_server.schema(f"gatepost_test_{uuid4().hex}") as url:
        yield url

"""Places for stores, and stores in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import pytest

from tests.conftest import RequireService
from tests.stores import postgresql_server

NewPlace: TypeAlias = Callable[[str], str]
"""Takes `sqlite` or `postgresql`."""


@pytest.fixture
def new_place(tmp_path: Path, require_service: RequireService) -> Iterator[NewPlace]:
    """Give URLs of stores that are not there yet."""
    with ExitStack() as places:

        def place(backend: str) -> str:
            if backend == "sqlite":
                return f"sqlite:///{tmp_path / uuid4().hex / 'gatepost.db'}"
            require_service("PostgreSQL", available=postgresql_server.is_there())
            return places.enter_context(postgresql_server.schema(f"gatepost_test_{uuid4().hex}"))

        yield place


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, new_place: NewPlace) -> str:
    """The URL of a store on each backend in turn, where nothing is yet."""
    return new_place(request.param)


@pytest.fixture
def own_database(require_service: RequireService) -> Iterator[str]:
    """The URL of a PostgreSQL database that is this test's alone, in which nothing is yet."""
    require_service("PostgreSQL", available=postgresql_server.is_there())
    name = f"gatepost_test_{uuid4().hex}"
    postgresql_server.execute(f'CREATE DATABASE "{name}"')
    yield urlunsplit(urlsplit(postgresql_server.SERVER)._replace(path=f"/{name}"))
    postgresql_server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

"""A running server with its owner's account and an app that was allowed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.scripted_client import Person, close_http

TARGET = "tests/end_to_end/sample_server.py:server"


@pytest.fixture(autouse=True)
def _closed_connections() -> Iterator[None]:
    yield
    close_http()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """A fresh server with an empty store."""
    with RunningServer(TARGET, tmp_path / "data") as running:
        yield running


@pytest.fixture
def owner(server: RunningServer) -> Person:
    """The owner, whose account was just created through the set-up link."""
    person = Person(server.origin)
    assert server.setup_link is not None
    person.set_up(server.setup_link)
    return person

"""The pytest plugin: fixtures for servers under test. It is loaded wherever Gatepost is installed and imports little.

Servers and clients are entered by the test itself, so whichever plugin runs the coroutines of a test (pytest-asyncio in
either mode, anyio's) is fine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from gatepost.testing.client import InProcessClient
    from gatepost.testing.clock import Clock
    from gatepost.testing.running_server import RunningServer


class ServerFactory(Protocol):
    """The type of the fixture `gatepost_server`."""

    def __call__(self, target: Any, **options: Any) -> RunningServer:
        """Return a server that is not running yet; the arguments are those of `RunningServer`."""


class ClientFactory(Protocol):
    """The type of the fixture `gatepost_client`."""

    def __call__(self, target: Any, **options: Any) -> InProcessClient:
        """Return a client that is not connected yet; the arguments are those of `Client`."""


@pytest.fixture
def gatepost_clock() -> Clock:
    """Return the clock of the servers of this test."""
    from gatepost.testing.clock import Clock  # noqa: PLC0415 - see the module

    return Clock()


@pytest.fixture
def gatepost_server(gatepost_clock: Clock) -> ServerFactory:
    """Return what makes servers with the clock of this test, which it enters: `async with … as running`."""
    from gatepost.testing.running_server import RunningServer  # noqa: PLC0415 - see the module

    def make(target: Any, **options: Any) -> RunningServer:
        return RunningServer(target, **{"clock": gatepost_clock, **options})

    return make


@pytest.fixture
def gatepost_client(gatepost_clock: Clock) -> ClientFactory:
    """Return what makes clients of servers with the clock of this test, which it enters: `async with … as client`."""
    from gatepost.testing.client import InProcessClient  # noqa: PLC0415 - see the module

    def make(target: Any, **options: Any) -> InProcessClient:
        return InProcessClient(target, **{"clock": gatepost_clock, **options})

    return make

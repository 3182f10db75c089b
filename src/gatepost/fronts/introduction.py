"""What a server says of itself, learned from one trial session at the start."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from gatepost.fronts.audience import Clients
from gatepost.fronts.backend import Backend, BackendUnavailable
from gatepost.fronts.held_calls import Questions
from gatepost.fronts.session import BackendSession
from gatepost.late_dataclass import dataclass
from gatepost.protocol.versions import LATEST_HANDSHAKE
from gatepost.server.calls.upstream import UnknownUpstream
from gatepost.server.errors import ToolError

OWN_NAME: Final = "gatepost"
"""What a server is told who its client is, where no client said."""


class Silent:
    """A `Caller` who hears nothing and answers nothing."""

    progress_token = None

    def hear(self, method: str, params: Mapping[str, Any], raw: bytes | None) -> None:
        del method, params, raw

    def can_be_asked(self, method: str) -> bool:
        del method
        return False

    async def ask(self, method: str, params: dict[str, Any]) -> Mapping[str, Any]:
        raise NotImplementedError(method, params)  # nobody asks who cannot be asked


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a server answered `initialize` with."""

    result: Mapping[str, Any]

    @property
    def info(self) -> Mapping[str, Any]:
        """Its `serverInfo`: an `Implementation`."""
        info = self.result.get("serverInfo")
        return info if type(info) is dict else {}

    @property
    def title(self) -> str | None:
        """Its name for people; None if it says none."""
        names = (self.info.get("title"), self.info.get("name"))
        return next((name for name in names if type(name) is str and name), None)

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """What it declares to a client that declares nothing."""
        capabilities = self.result.get("capabilities")
        return capabilities if type(capabilities) is dict else {}

    @property
    def instructions(self) -> str | None:
        """What it has to say to models."""
        instructions = self.result.get("instructions")
        return instructions if type(instructions) is str else None


def initialize_params(capabilities: Mapping[str, Any], client_info: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the params of an `initialize` that no client sent."""
    info = client_info or {"name": OWN_NAME, "version": _own_version()}
    return {"protocolVersion": LATEST_HANDSHAKE.version, "capabilities": capabilities, "clientInfo": info}


async def introduce(backend: Backend, seconds: float, on_wait: Callable[[float], None] | None = None) -> Introduction:
    """Begin a session with a server, and end it once the server has said who it is.

    Args:
        backend: begins it, for nobody in particular.
        seconds: how long the server may take.
        on_wait: called every five seconds with how many have passed.

    Raises:
        BackendUnavailable: it did not start, or did not answer in time.
    """
    clients = Clients(user=None, questions=Questions({}), on_lost=lambda _: None)
    session = BackendSession(audience=clients)
    waiting = asyncio.ensure_future(_say_that_it_takes(on_wait)) if on_wait is not None else None
    try:
        async with asyncio.timeout(seconds):
            session.linked(await backend.connect(session, None))
            return Introduction(await session.initialize(initialize_params({}, None), Silent()))
    except TimeoutError:
        raise BackendUnavailable(f"It did not answer within {seconds:g} seconds.") from None
    except (ToolError, UnknownUpstream):
        raise BackendUnavailable("It is asked in the name of those who call, and nobody calls yet.") from None
    finally:
        if waiting is not None:
            waiting.cancel()
        await session.close()


async def _say_that_it_takes(on_wait: Callable[[float], None]) -> None:
    passed = 0
    while True:
        await asyncio.sleep(5)
        passed += 5
        on_wait(passed)


def _own_version() -> str:
    from gatepost import __version__  # noqa: PLC0415 - the package itself is above this one

    return __version__

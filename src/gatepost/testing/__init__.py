"""What people test their servers with: clients, users, tokens, a browser and a clock, in the process of the test.

    from gatepost.testing import Client

    async def test_notes_are_kept():
        async with Client(server, scopes=["notes:write"]) as client:
            result = await client.call_tool("add", {"text": "milk"})
        assert not result.is_error

What is tested is the real app with its real guard: tokens are minted, people and grants are in a store, which is in
memory. It needs the extra `dev`. Nothing that serves imports this package (`.importlinter`); its names are imported at
first use, so that the pytest plugin costs nothing where no test uses it. docs/testing.md is the guide.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__all__ = [
    "Browser",
    "BrowserPage",
    "Client",
    "Clock",
    "HeldGrant",
    "Issuer",
    "NamedUser",
    "RefusedRequest",
    "RunningServer",
    "UnexpectedPage",
]

if TYPE_CHECKING:
    from gatepost.testing.browser import Browser, UnexpectedPage
    from gatepost.testing.client import InProcessClient as Client
    from gatepost.testing.clock import Clock
    from gatepost.testing.grants import HeldGrant
    from gatepost.testing.issuer import Issuer
    from gatepost.testing.pages import BrowserPage
    from gatepost.testing.people import NamedUser
    from gatepost.testing.refusals import RefusedRequest
    from gatepost.testing.running_server import RunningServer

_HOMES = {
    "Browser": ("browser", "Browser"),
    "BrowserPage": ("pages", "BrowserPage"),
    "Client": ("client", "InProcessClient"),
    "Clock": ("clock", "Clock"),
    "HeldGrant": ("grants", "HeldGrant"),
    "Issuer": ("issuer", "Issuer"),
    "NamedUser": ("people", "NamedUser"),
    "RefusedRequest": ("refusals", "RefusedRequest"),
    "RunningServer": ("running_server", "RunningServer"),
    "UnexpectedPage": ("browser", "UnexpectedPage"),
}


def __getattr__(name: str) -> Any:
    """Import a public name from its home."""
    if name not in _HOMES:
        raise AttributeError(f"module 'gatepost.testing' has no attribute {name!r}")
    module, of_home = _HOMES[name]
    value = getattr(importlib.import_module(f"gatepost.testing.{module}"), of_home)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

"""What the servers of a store serve, for commands that run beside them and do not know their tools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gatepost.late_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class ServedEndpoint:
    """One MCP endpoint or protected application, at whatever origin."""

    path: str
    """Without a slash at the end."""
    scopes: tuple[str, ...]
    """All that there are, in the order shown."""


class EndpointStore(Protocol):
    """Endpoints by path."""

    async def note_endpoints(self, endpoints: Sequence[ServedEndpoint]) -> None:
        """Keep what a server serves, in place of what was served at these paths before; others stay, all together.

        Repeated: the same again, and the same answer.
        """

    async def list_endpoints(self) -> list[ServedEndpoint]:
        """Return what the servers that started on this store served last, by path."""

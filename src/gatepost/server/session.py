"""What a target can do to the session that a request belongs to (handshake era)."""

from __future__ import annotations

from typing import Protocol


class Session(Protocol):
    """The session of one request."""

    async def set_log_level(self, level: str) -> None:
        """Keep the least severe level that the client wants as `notifications/message`."""
        ...

    async def subscribe(self, uri: str) -> bool:
        """Subscribe to changes of a resource; False when the session has as many subscriptions as it may."""
        ...

    async def unsubscribe(self, uri: str) -> None:
        """End a subscription; ending none is fine."""
        ...

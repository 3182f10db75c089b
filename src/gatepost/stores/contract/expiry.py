"""The store's protocols for what is over: deleting it in small batches, by one process at a time.

Everything deleted here counts as absent already, so
nothing that a caller can observe depends on whether a purge has run; only the space does.
"""

from __future__ import annotations

from typing import Protocol


class ExpiryStore(Protocol):
    """Deletes what is over. Each call deletes at most `limit` rows and returns how many it did.

    A batch is one short transaction, so a caller that pauses between them never keeps others waiting for long. Fewer
    than `limit` means that nothing is left that was over at `before` (seconds UTC).
    """

    async def delete_transactions(self, *, before: int, limit: int) -> int:
        """Delete authorization requests that ended, each with its code; `limit` counts the requests.

        One whose code still lives stays: a code that was used has to be known when it is sent again.
        """

    async def delete_access_tokens(self, *, before: int, limit: int) -> int:
        """Delete access tokens that ended."""

    async def delete_refresh_tokens(self, *, before: int, limit: int) -> int:
        """Delete refresh tokens that ended, spent or not. Until then a spent one shows that it is used again."""

    async def delete_grants(self, *, before: int, limit: int) -> int:
        """Delete grants that were revoked or ended, with whatever tokens they still have; every row counts."""

    async def delete_browser_sessions(self, *, before: int, limit: int) -> int:
        """Delete browser sessions that ended."""


class LeaseStore(Protocol):
    """Who of several processes does what only one should do. A lease is a courtesy: nothing breaks if two hold it."""

    async def take_lease(self, name: str, *, holder: str, now: int, until: int) -> bool:
        """Hold the lease until `until` if it is free, over or the holder's own already; say whether it is held."""

    async def return_lease(self, name: str, *, holder: str) -> None:
        """Let go of the lease if `holder` holds it."""

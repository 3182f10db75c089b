"""Assertions that clients have authenticated with (RFC 7523 section 3, item 7)."""

from __future__ import annotations

from typing import Protocol


class AssertionStore(Protocol):
    """Assertions that clients have authenticated with (RFC 7523 section 3, item 7)."""

    async def remember_jti(self, client_id: str, jti: str, *, expires_at: int, now: int) -> bool:
        """Remember the identifier of an assertion until `expires_at`; False when it is remembered already.

        Repeated: False, so the assertion is lost to its client, who makes another. Once in doubt it is never honoured.
        """

    async def forget_jtis(self, *, before: int, limit: int) -> int:
        """Delete identifiers that ended."""

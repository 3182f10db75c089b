"""Grants as people and operators see them: what was allowed and given. Taking back is `GrantStore.revoke_grant`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gatepost.oauth.records import Grant, IssuedTokens


@dataclass(frozen=True, slots=True)
class GrantListing:
    """A grant with the names that people know."""

    grant: Grant
    client_name: str | None
    """None when the client is not registered here (any more)."""
    display_name: str | None
    """What the person is called; None when the subject is nobody's here, such as a client's own."""


class ApprovalStore(Protocol):
    """Grants beside the code and refresh flows."""

    async def give_grant(self, grant: Grant, tokens: IssuedTokens) -> None:
        """Keep a grant that no code stands behind, with its first tokens, together. Its id is fresh and random."""

    async def find_grant_of_token(self, token_fingerprint: bytes) -> Grant | None:
        """Return the grant of an access or refresh token, whatever became of either, or None."""

    async def list_grants(
        self, *, live_at: int | None, subject: str | None, client_id: str | None, limit: int
    ) -> list[GrantListing]:
        """Return grants, the newest first.

        Args:
            live_at: only those that are neither revoked nor over at this time, seconds UTC; None for all.
            subject: only this user's; None for everybody's.
            client_id: only this client's; None for all.
            limit: at most so many.
        """

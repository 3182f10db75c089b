"""Grants as people and operators see them: what was allowed and given. Taking back is `GrantStore.revoke_grant`."""

from __future__ import annotations

from typing import Protocol

from gatepost.late_dataclass import dataclass
from gatepost.oauth.records import Grant, IssuedTokens


@dataclass(frozen=True, slots=True)
class GrantListing:
    """A grant with the names that people know."""

    grant: Grant
    client_name: str | None
    """None when the client is not registered here (any more)."""
    display_name: str | None
    """What the person is called; None when the subject is nobody's here, such as a client's own."""


@dataclass(frozen=True, slots=True)
class ConnectedApp:
    """A grant that still gives access, as its person sees it."""

    grant: Grant
    client_name: str | None
    """None when the client is not registered here (any more)."""
    last_token_at: int
    """When it got its latest token, seconds UTC: it has been used until then, or for as long as that token lives."""


class ApprovalStore(Protocol):
    """Grants beside the code and refresh flows."""

    async def give_grant(self, grant: Grant, tokens: IssuedTokens) -> None:
        """Keep a grant that no code stands behind, with its first tokens, together. Its id is fresh and random.

        Repeated: the key of the record is there already, which is an error of the backend, and nothing is written. It
        is made for one call; who does not know what came of that makes another record.
        """

    async def give_user_grant(self, grant: Grant, tokens: IssuedTokens) -> bool:
        """Keep a person's grant that somebody else vouched for, with its token; False for who is disabled or unknown.

        So it is where the client is disabled; one that the store does not hold, known by its document, is not.

        Repeated: the key of the record is there already, which is an error of the backend, and nothing is written. It
        is made for one call; who does not know what came of that makes another record.
        """

    async def find_grant_of_token(self, token_fingerprint: bytes) -> Grant | None:
        """Return the grant of an access or refresh token, whatever became of either, or None."""

    async def revoke_all(self, *, issued_before: int | None, reason: str, now: int) -> dict[str, int]:
        """End all access that was given before a time, in one step; return how much of what ended, in words for people.

        Grants are revoked with their tokens, and API keys; logins at browsers, authorization requests with their codes,
        remembered approvals, MCP sessions and what login providers gave for tools go. Accounts, clients and signing
        keys stay. Whoever writes meanwhile waits: a second or two where there are hundreds of thousands of grants.

        Repeated: nothing is left to end, unless it came to be meanwhile.

        Args:
            issued_before: only what began before this time, seconds UTC; None for everything.
            reason: a code of `oauth/reasons.py`.
            now: the time of the revocation, seconds UTC.
        """

    async def list_apps(self, subject: str, *, now: int, limit: int) -> list[ConnectedApp]:
        """Return the person's grants of which a token still counts, or can be refreshed; the newest first."""

    async def take_back(self, subject: str | None, *, grant_id: str | None, reason: str, now: int) -> list[Grant]:
        """Revoke live grants of a person's, and forget what they approved for them; return them as they were.

        Repeated: an empty list; what was revoked `list_grants` says.

        Args:
            subject: whose; what is anybody else's stays as it is. None, with a `grant_id`, for whoever's it is.
            grant_id: the one grant; None for all, and then codes that nobody has redeemed and all remembered approvals
                go too.
            reason: a code of `oauth/reasons.py`.
            now: the time of the revocation, seconds UTC.
        """

    async def list_grants(
        self,
        *,
        live_at: int | None,
        subject: str | None,
        client_id: str | None,
        limit: int,
        before: tuple[int, str] | None = None,
    ) -> list[GrantListing]:
        """Return grants, the newest first.

        Args:
            live_at: only those that are neither revoked nor over at this time, seconds UTC; None for all.
            subject: only this user's; None for everybody's.
            client_id: only this client's; None for all.
            limit: at most so many.
            before: those that follow the one with this `created_at` and `grant_id`; None for the first.
        """

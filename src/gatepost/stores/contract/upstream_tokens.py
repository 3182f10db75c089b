"""Tokens of login providers elsewhere, kept so that tools can act there as the person who calls them.

A refresh token that is replaced at each use must not be used by two at once. So whoever refreshes claims the row first,
and what comes of it counts only while the row is the one that was claimed: `version` changes with everything that is
put in its place. A claim ends by itself, for those who die with it.
"""

from __future__ import annotations

from dataclasses import field
from typing import Protocol

from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.linked_logins import LoginKey


@dataclass(frozen=True, slots=True)
class KeptTokens:
    """The tokens of one person at one provider. Times are whole seconds UTC."""

    subject: str
    provider: str
    """The provider's name here."""
    issuer: str
    """Whose tokens these are. A provider of the same name that is another server gets to see none of them."""
    external_subject: str
    """What the issuer calls the account."""
    scopes: tuple[str, ...]
    sealed_tokens: bytes = field(repr=False)
    version: str
    """Random; another one with each change of the tokens."""
    is_refreshable: bool
    linked_at: int
    """When the person was there for them."""
    renewed_at: int
    """When the access token came."""
    expires_at: int | None
    """When the access token is over; None where that is not known, or never."""
    ends_at: int | None
    """When all of it is over, and the person has to go there again; None where that is not known, or never."""
    retry_at: int | None = None
    """Before which nobody asks for new ones again, since the last time failed."""
    refresher: str | None = None
    """Who asks for new ones."""
    refreshing_until: int | None = None
    """Until when nobody else does."""
    login_issuer: str | None = None
    """Who vouches for the account, where that is not `issuer`: a provider may speak for many tenants."""

    @property
    def login(self) -> LoginKey:
        """Return with which of the person's logins these came."""
        return LoginKey(self.login_issuer or self.issuer, self.external_subject)


class UpstreamTokenStore(Protocol):
    """Tokens by person and provider."""

    async def keep_tokens(self, tokens: KeptTokens, *, replaces: str | None) -> bool:
        """Keep what a login brought; a refresh that is under way then comes too late.

        False, and nothing is written, when the person is disabled or unknown, when the login that brought them leads to
        them no more, or when what is there is not of the version `replaces` (None: nothing is there).

        Repeated: False, since they are there themselves; `find_tokens` says by their version.
        """

    async def find_tokens(self, subject: str, provider: str) -> KeptTokens | None:
        """Return what is kept."""

    async def list_tokens(
        self, subject: str | None, *, limit: int, after: tuple[str, str] | None = None
    ) -> list[KeptTokens]:
        """Return what is kept for one person, or for everybody, by subject and provider.

        Args:
            subject: whose; None for everybody's.
            limit: at most so many.
            after: those that follow the one of this subject and provider; None for the first.
        """

    async def claim_refresh(self, tokens: KeptTokens, *, holder: str, now: int, until: int) -> bool:
        """Claim the refresh of these very tokens until `until`: of any number at once one does.

        False when others are there, somebody else's claim lasts, or a refresh has failed since these were read.

        Repeated: True, for the holder of the claim.
        """

    async def keep_refreshed(self, tokens: KeptTokens, *, replaces: str, holder: str) -> bool:
        """Put new tokens in the place of those whose refresh `holder` has claimed, and end the claim.

        Repeated: True, which is what it says when that has happened already. False, and nothing is written, when the
        tokens were ended or replaced meanwhile, or the claim was taken over.
        """

    async def defer_refresh(self, tokens: KeptTokens, *, holder: str, retry_at: int) -> None:
        """End the claim without new tokens. Nothing happens when it is not the holder's any more.

        Repeated: fine.
        """

    async def reseal_tokens(self, tokens: KeptTokens, sealed_tokens: bytes) -> None:
        """Keep the same tokens sealed anew, unless others are there.

        Repeated: fine.
        """

    async def end_tokens(
        self, subject: str, *, provider: str | None = None, version: str | None = None
    ) -> list[KeptTokens]:
        """Delete what is kept for a person, and return it.

        Repeated: an empty list; who was to be told that they ended cannot be.

        Args:
            subject: whose.
            provider: of this provider only; None for all.
            version: only if it is of this version; None for any.
        """

    async def delete_tokens(self, *, before: int, limit: int) -> int:
        """Delete those that ended."""

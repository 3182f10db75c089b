"""Offering links for one person: to make an account, or to set the password of one; for terminal and pages alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from gatepost.identity.usernames import canonical_username
from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.account_links import AccountLink, AccountLinkStore
from gatepost.stores.contract.users import User
from gatepost.tokens.opaque import RandomBytes, SecretKind, fingerprint, mint

HOURS: Final = 24
"""For how long a link counts unless somebody says otherwise."""
MOST_HOURS: Final = 168


def link_path(token: str) -> str:
    """Return the path of the page that this link's token opens."""
    return f"/oauth/account/link?token={quote(token, safe='')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLinkOffers:
    """Makes links. Only their fingerprints are kept, so a URL is there once, for whoever asked for it."""

    links: AccountLinkStore
    origin: str
    """The server's own, such as `https://mcp.example.com`."""
    now: Callable[[], int]
    """The clock, whole seconds UTC."""
    random_bytes: RandomBytes

    async def invite(self, username: str | None = None, *, hours: int = HOURS) -> str | None:
        """Return the URL of an invitation, which takes the place of an earlier one for the same name.

        None when there is an account of that name already. Without a name, the invited person chooses one.

        Raises:
            UsernameRefused: nobody can be called that; the message is for people.
        """
        return await self._offer(None, None if username is None else canonical_username(username), hours)

    async def reset_password(self, user: User, *, hours: int = HOURS) -> str | None:
        """Return the URL of a link that sets somebody's password, in place of an earlier one.

        None when they have no password here, or are disabled. It leaves their second step on.
        """
        return await self._offer(user.subject, user.username, hours)

    async def _offer(self, subject: str | None, username: str | None, hours: int) -> str | None:
        token, now = mint(SecretKind.ACCOUNT_LINK, self.random_bytes), self.now()
        link = AccountLink(fingerprint(token), subject, username, now, now + hours * 3600)
        return self.origin + link_path(token) if await self.links.offer_link(link) else None

"""Who a call is made for, and which application makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final

from gatepost.late_dataclass import dataclass
from gatepost.resource.principal import Principal
from gatepost.resource.profile import Profile

ANONYMOUS: Final = "anonymous"
"""The subject of a call that no authentication stands behind."""


@dataclass(frozen=True, slots=True)
class CallingUser:
    """The person a call is made for, as of their last login; a change of that counts within seconds."""

    subject: str
    """Stable and unique: the key for whatever is kept per user. `"anonymous"` without authentication."""
    display_name: str | None
    """A name to show to people; never a key."""
    issuer: str | None = None
    """Who says what follows, such as the issuer URL of an OpenID provider; `"local"` for local accounts.

    It is the issuer of the login that the person came by last and that says something of them.

    None without authentication, and for the API key and clients that act for themselves; so is all that follows.
    """
    profile: str | None = field(default=None, repr=False)
    """The text of a `Profile`, from which the rest is read when it is asked for."""
    roles: frozenset[str] = frozenset()
    """The roles that the person has, such as `"admin"`; a change counts within seconds."""

    @property
    def name(self) -> str:
        """What to call the person: the display name, or else the subject."""
        return self.display_name or self.subject

    @property
    def email(self) -> str | None:
        """The person's address as the issuer says it; never a key, and worth nothing unless it is verified."""
        return Profile.from_text(self.profile).email

    @property
    def email_verified(self) -> bool:
        """Whether the issuer says that the address is theirs."""
        return Profile.from_text(self.profile).email_verified

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that the issuer counts the person to."""
        return Profile.from_text(self.profile).groups

    @property
    def claims(self) -> Mapping[str, Any]:
        """What else the issuer says, by its own names."""
        return Profile.from_text(self.profile).claims


@dataclass(frozen=True, slots=True)
class CallingClient:
    """The application that makes the call."""

    client_id: str | None
    """None without authentication."""
    name: str | None
    """As the client registered itself: a claim, not a proof."""
    actors: tuple[str, ...] = ()
    """The subjects of those who act for the user with an exchanged token (RFC 8693), the current one first.

    Access is decided by the user and the current actor; those behind are there to be noted (section 4.1).
    """


def user_of(principal: Principal | None) -> tuple[str, str] | None:
    """Return issuer and subject, by which what one user has open is counted; None without authentication."""
    return None if principal is None else (principal.issuer, principal.subject)

"""Further logins of a person: besides the one that the account began with, others that lead to the same person."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum, auto
from typing import NamedTuple, Protocol

from gatepost.late_dataclass import dataclass


class LoginKey(NamedTuple):
    """Which login it is; whose it is, is one person at most."""

    issuer: str
    """Who vouches; `LOCAL` for the password of an account of this server."""
    external_subject: str
    """What the issuer calls the person; the subject itself for a local account."""


@dataclass(frozen=True, slots=True)
class LinkedLogin:
    """A login of a person."""

    issuer: str
    external_subject: str
    subject: str
    """Whose it is."""
    linked_at: int
    """Seconds UTC; of the login that the account began with, when that was."""
    display_name: str | None = None
    """What the issuer calls the person for people; of a local account, its username."""

    @property
    def key(self) -> LoginKey:
        """Return which login it is."""
        return LoginKey(self.issuer, self.external_subject)


class LinkOutcome(Enum):
    """What came of linking."""

    LINKED = auto()
    OWN = auto()
    """It leads to this person already."""
    OF_ANOTHER = auto()
    """It leads to somebody else, who stays as they are."""
    ONE_THERE = auto()
    """The person has another login of this issuer."""
    NO_PERSON = auto()
    """There is nobody with this subject who is not disabled."""


class UnlinkOutcome(Enum):
    """What came of unlinking."""

    UNLINKED = auto()
    UNKNOWN = auto()
    """It is not this person's, or is their password, which is no login elsewhere."""
    LAST = auto()
    """Nothing would be left of what has to be."""


class LinkedLoginStore(Protocol):
    """Logins that lead to a person who began with another. What a login leads to, `recognise_user` says."""

    async def link_login(self, login: LinkedLogin) -> LinkOutcome:
        """Have the login lead to the person `login.subject`; of several people at once who link it, one has it.

        Nothing changes unless it is LINKED, but that what is their OWN may be called otherwise now.

        Repeated: `OWN`.
        """

    async def list_logins(self, subject: str) -> list[LinkedLogin]:
        """Return the logins of a person: the one that the account began with, then the others as they were linked."""

    async def unlink_login(
        self, subject: str, login: LoginKey, *, keeps: Collection[LoginKey], even_last: bool = False
    ) -> UnlinkOutcome:
        """Have a login of this person lead to nobody, if one of `keeps` is theirs and is not this one.

        So of two that are unlinked at once the second stays. In the same step browser sessions end that it began, the
        tokens of the account there are forgotten, and so is what its issuer said of the person. One that the account
        began with is replaced by the first of `keeps` that is theirs, so that there is always one.

        With `even_last` also the last login of who is disabled goes, so that it can be somebody else's.

        Repeated: `UNKNOWN`.
        """

"""What administrators see of people and clients, in pages, and what they do to other people.

A change is made in the name of an administrator who is looked at in the same step: who is disabled, or has been given
the role no more, changes nothing. Nobody disables themselves or takes their own role away here. So whoever makes a
change is an administrator after it, and of any number who shut each other out at once one is left.

Whatever else they change, `Store.in_name_of` has them looked at in the same way.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol

from gatepost.late_dataclass import dataclass
from gatepost.oauth.records import Client
from gatepost.stores.contract.users import User


@dataclass(frozen=True, slots=True)
class PersonListing:
    """A person as administrators see them."""

    user: User
    last_login_at: int | None
    """Seconds UTC; None where it was before this was kept, or never."""

    @property
    def place(self) -> tuple[str, str]:
        """Where they stand in the list."""
        user = self.user
        names = (user.display_name, user.username, user.subject)
        return next(name for name in names if name is not None), user.subject


@dataclass(frozen=True, slots=True)
class Administrator:
    """In whose name a change is made."""

    subject: str
    role: str | None
    """What they must have been given, still; None where a rule gives it to them, which the store cannot see."""


class AdminOutcome(Enum):
    """What came of a change."""

    DONE = auto()
    UNCHANGED = auto()
    """It was so already."""
    UNKNOWN = auto()
    """There is no such person."""
    NOT_ADMIN = auto()
    """Whoever asks is disabled, or has the role no more. Nothing was written."""
    OWN = auto()
    """They would shut themselves out. Nothing was written."""


class NotAdministrator(Exception):
    """Whoever makes a change is disabled, or has the role no more. Nothing was written."""


class AdministrationStore(Protocol):
    """People and clients in pages, and changes to other people in an administrator's name."""

    async def list_people(self, *, name_begins: str, after: tuple[str, str] | None, limit: int) -> list[PersonListing]:
        """Return people by name, without regard to upper and lower case of ASCII letters, then by subject.

        Args:
            name_begins: how the name begins; empty for all.
            after: the `place` of the last one of the page before; None for the first page.
            limit: at most so many.
        """

    async def find_person(self, subject: str) -> PersonListing | None:
        """Return one person, disabled or not."""

    async def list_clients(self, *, name_begins: str, after: tuple[str, str] | None, limit: int) -> list[Client]:
        """Return clients by name and id, likewise; `after` is name and id of the last one of the page before."""

    async def disable_person(self, subject: str, *, by: Administrator, now: int) -> AdminOutcome:
        """Do what `UserStore.disable_user` does, to somebody else.

        Repeated: `UNCHANGED`; what came to be meanwhile ends too.
        """

    async def enable_person(self, subject: str, *, by: Administrator) -> AdminOutcome:
        """Do what `UserStore.enable_user` does.

        Repeated: `UNCHANGED`.
        """

    async def give_role(self, subject: str, role: str, *, by: Administrator) -> AdminOutcome:
        """Add a role to those that the person was given.

        Repeated: `UNCHANGED`.
        """

    async def take_role(self, subject: str, role: str, *, by: Administrator) -> AdminOutcome:
        """Take a role away from those that the person was given; not the one by which `by` acts from themselves.

        Repeated: `UNCHANGED`.
        """

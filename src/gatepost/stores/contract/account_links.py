"""Links that an operator gives to one person: to make an account, or to set the password of one."""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol

from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.users import User


@dataclass(frozen=True, slots=True)
class AccountLink:
    """One link. The secret in it is kept only as `link_fingerprint`."""

    link_fingerprint: bytes
    subject: str | None
    """Whose password it sets; None for an invitation."""
    username: str | None
    """What that account is called, or the new one will be; None lets the invited person choose."""
    created_at: int
    expires_at: int


class InvitationOutcome(Enum):
    """The answer of `AccountLinkStore.accept_invitation`."""

    ACCEPTED = auto()
    LINK_OVER = auto()
    """Unknown, used, replaced, expired, or no invitation. Nothing was written."""
    USERNAME_TAKEN = auto()
    """The link still counts. Nothing was written."""


class AccountLinkStore(Protocol):
    """Invitations and links that set a password."""

    async def offer_link(self, link: AccountLink) -> bool:
        """Keep a link in place of any earlier one of the same account or name.

        False when it cannot be of use: its account is none with a password here or is disabled, or its name is taken.

        Repeated: the same link again, and True. One without account and name is there already, which is an error of the
        backend.
        """

    async def find_link(self, link_fingerprint: bytes, *, now: int) -> AccountLink | None:
        """Return the link if it counts: it has neither been used nor replaced, nor has it expired."""

    async def accept_invitation(self, link_fingerprint: bytes, user: User, *, now: int) -> InvitationOutcome:
        """Use an invitation up and add its account, together; of any number at once one does.

        Repeated: `LINK_OVER`; the account is there.
        """

    async def reset_password(self, link_fingerprint: bytes, password_hash: str, *, now: int) -> str | None:
        """Use a link up, set its account's password and end its browser sessions; return the subject, or None.

        None, and nothing is written, when the link does not count, is an invitation, or the account is disabled.

        Repeated: None; the password is the new one.
        """

    async def delete_links(self, *, before: int, limit: int) -> int:
        """Delete those that ended."""

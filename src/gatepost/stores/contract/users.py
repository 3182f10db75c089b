"""People and the set-up link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class User:
    """A local account."""

    subject: str
    """Random and stable; what tokens and tools see. Renaming an account does not change it."""
    username: str
    """Canonical form (see `gatepost.identity.usernames`); unique."""
    password_hash: str
    """An argon2id hash in PHC string form."""
    created_at: int
    disabled_at: int | None = None


class UserStore(Protocol):
    """Local accounts and the set-up link."""

    async def offer_setup(self, link_fingerprint: bytes, *, now: int) -> bool:
        """Make this the one valid set-up link if no account exists; False (and nothing written) when one does."""

    async def setup_is_open(self, link_fingerprint: bytes) -> bool:
        """Say whether this is the valid set-up link and no account exists."""

    async def create_first_user(self, link_fingerprint: bytes, user: User) -> bool:
        """Create the first account and void the link; False when the link is not valid or any account exists."""

    async def add_user(self, user: User) -> bool:
        """Add an account and void any set-up link; False when the username is taken."""

    async def find_user(self, username: str) -> User | None:
        """Return the account with this canonical username, disabled or not."""

    async def find_user_by_subject(self, subject: str) -> User | None:
        """Return the account with this subject, disabled or not."""

    async def list_users(self) -> list[User]:
        """Return all accounts, ordered by username."""

    async def disable_user(self, username: str, *, now: int) -> bool:
        """Disable the account, end its browser sessions, void its unspent codes and revoke its grants.

        False when there is none. Disabling twice keeps the first time.
        """

    async def enable_user(self, username: str) -> bool:
        """Undo `disable_user`'s mark on the account (not the revocations); False when there is none."""

    async def change_password(self, username: str, password_hash: str) -> bool:
        """Set the password and end the account's browser sessions; False when there is none."""

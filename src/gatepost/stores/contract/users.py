"""People and the set-up link."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from gatepost.late_dataclass import dataclass
from gatepost.resource.profile import NO_PROFILE, Profile


@dataclass(frozen=True, slots=True)
class User:
    """A person, whoever vouches for them. Who has the same issuer and external subject is the same person."""

    subject: str
    """Stable; what tokens and tools see. Renaming an account does not change it."""
    issuer: str
    """Who vouches: `LOCAL` for accounts with a password of their own here, else what the login provider says."""
    external_subject: str
    """What the issuer calls the person; the subject itself for a local account."""
    created_at: int
    username: str | None = None
    """Of a local account: canonical form (see `gatepost.identity.usernames`), unique."""
    password_hash: str | None = None
    """Of a local account: an argon2id hash in PHC string form."""
    display_name: str | None = None
    """What the issuer calls the person for people."""
    disabled_at: int | None = None
    profile: Profile = NO_PROFILE
    """What was said at the last login."""
    roles: tuple[str, ...] = ()
    """Those that the person was given here, sorted; rules of the operator may name further ones."""
    profile_issuer: str | None = None
    """Who said so, where it was the issuer of a linked login; None for `issuer`."""
    second_step: str | None = None
    """Of a local account: the `step_id` of its second step, which a login by password goes through."""
    profile_subject: str | None = None
    """What that one calls the person; None for `external_subject`."""

    @property
    def name(self) -> str:
        """What pages call the person."""
        return self.display_name or self.username or self.subject


@dataclass(frozen=True, slots=True)
class Person:
    """What rules judge of somebody, from a row that is read anyway; the profile is parsed when one does."""

    issuer: str
    external_subject: str
    username: str | None
    display_name: str | None
    profile: str | None
    """The text of a `Profile`."""
    roles: tuple[str, ...]
    """This and all that follows as in `User`."""
    profile_issuer: str | None = None
    profile_subject: str | None = None

    def read_profile(self) -> Profile:
        """Return what the issuer said at the last login."""
        return Profile.from_text(self.profile)


LOCAL: Final = "local"
"""The issuer of local accounts."""
NOBODY: Final = "nobody"
"""The issuer of who has no login any more, because an operator took the last; no provider vouches for them."""


class UserStore(Protocol):
    """People, and the set-up link for the first local account."""

    async def offer_setup(self, link_fingerprint: bytes, *, now: int, unless_since: int) -> int | None:
        """Make this the one valid set-up link; return the time of the valid one, seconds UTC.

        Nothing is written when another was offered at `unless_since` or later, whose time is returned then, or when a
        local account exists, which is None.

        Repeated: the same link is the valid one, and the answer the time of it.
        """

    async def setup_is_open(self, link_fingerprint: bytes) -> bool:
        """Say whether this is the valid set-up link and no local account exists."""

    async def create_first_user(self, link_fingerprint: bytes, user: User) -> bool:
        """Create the first account and void the link; False when the link is not valid or any local account exists.

        Repeated: False; `find_user` says whether it is this account.
        """

    async def add_user(self, user: User) -> bool:
        """Add a local account and void any set-up link; False when the username is taken.

        Repeated: False; `find_user` says whether it is this account.
        """

    async def find_user(self, username: str) -> User | None:
        """Return the account with this canonical username, disabled or not."""

    async def find_user_by_subject(self, subject: str) -> User | None:
        """Return the person with this subject, disabled or not."""

    async def find_user_by_login(self, issuer: str, external_subject: str) -> User | None:
        """Return the person for whom `issuer` vouches, disabled or not: who began with this login, or has linked it."""

    async def recognise_user(
        self,
        issuer: str,
        external_subject: str,
        *,
        display_name: str | None,
        subjects: Sequence[str],
        now: int,
        profile: Profile = NO_PROFILE,
    ) -> User:
        """Return the person for whom `issuer` vouches, disabled or not; added when there is none.

        That is whose account began with this login, or who has linked it. Of any number of first logins at once one
        adds the person, and none does when it is linked at the same time. A subject is never given twice.

        Repeated: the same person.

        Args:
            issuer: who vouches.
            external_subject: what the issuer calls the person.
            display_name: kept in place of an earlier one, of a linked login with the link; None keeps that.
            subjects: candidates for a new person; the first that no person and no client has is taken, and the last is
                random.
            now: seconds UTC.
            profile: kept in place of an earlier one.

        Raises:
            TypeError: JSON has no form for the claims.
            ValueError: likewise, or the profile is too long.
        """

    async def forget_profile(self, subject: str) -> None:
        """Forget what the issuer of a linked login said of the person, because another login says nothing.

        Repeated: fine.
        """

    async def list_users(self) -> list[User]:
        """Return all people: local accounts by username, then the others by issuer and name."""

    async def disable_user(self, subject: str, *, now: int) -> bool:
        """Disable the person: browser sessions end, unspent codes and consents are forgotten, grants are revoked.

        What is kept of the person's tokens at login providers is deleted.
        False when there is none. Disabling twice keeps the first time.

        Repeated: True; what came to be meanwhile ends too.
        """

    async def enable_user(self, subject: str) -> bool:
        """Undo `disable_user`'s mark on the person (not the revocations); False when there is none.

        Repeated: True.
        """

    async def give_role(self, subject: str, role: str) -> bool:
        """Add a role to those that the person was given; False when there is no such person. Giving twice is fine.

        Repeated: True.
        """

    async def take_role(self, subject: str, role: str) -> bool:
        """Take a role away from those that the person was given; False when there is no such person.

        Repeated: True.
        """

    async def rehash_password(self, subject: str, password_hash: str, *, replaces: str) -> bool:
        """Keep another hash of the same password; nothing ends. False when the account has another hash by now.

        Repeated: False; the hash is the new one.
        """

    async def change_password(self, username: str, password_hash: str, *, of: User | None = None) -> bool:
        """Set the password of a local account and end its browser sessions; False when there is none.

        Also False when the account has another password or second step than `of`, which is the account as it was when
        the old password was checked: of two changes at once one is made, and none goes past a second step that was set
        up meanwhile.

        Repeated: True; False with `of`, which is the account no more.
        """

"""Local accounts and the set-up link in memory."""

from __future__ import annotations

from dataclasses import replace

from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.users import User
from gatepost.stores.memory.consents import forget_consents
from gatepost.stores.memory.records import Records


class MemoryUserStore:
    """`UserStore` in memory."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def offer_setup(self, link_fingerprint: bytes, *, now: int) -> bool:  # noqa: ARG002  a link has no age here
        """See `UserStore.offer_setup`."""
        if self._records.users:
            return False
        self._records.setup_link = link_fingerprint
        return True

    async def setup_is_open(self, link_fingerprint: bytes) -> bool:
        """See `UserStore.setup_is_open`."""
        return self._setup_is_open(link_fingerprint)

    async def create_first_user(self, link_fingerprint: bytes, user: User) -> bool:
        """See `UserStore.create_first_user`."""
        return self._setup_is_open(link_fingerprint) and self._add(user)

    async def add_user(self, user: User) -> bool:
        """See `UserStore.add_user`."""
        return self._add(user)

    async def find_user(self, username: str) -> User | None:
        """See `UserStore.find_user`."""
        return self._find(username)

    async def find_user_by_subject(self, subject: str) -> User | None:
        """See `UserStore.find_user_by_subject`."""
        return self._records.users.get(subject)

    async def list_users(self) -> list[User]:
        """See `UserStore.list_users`."""
        return sorted(self._records.users.values(), key=lambda user: user.username)

    async def disable_user(self, username: str, *, now: int) -> bool:
        """See `UserStore.disable_user`."""
        user = self._find(username)
        if user is None:
            return False
        if user.disabled_at is None:
            self._records.users[user.subject] = replace(user, disabled_at=now)
        self._end_sessions(user.subject)
        forget_consents(self._records, user.subject)
        # An approval that has not been redeemed yet must not become a grant after all.
        self._records.codes = {
            fingerprint: code
            for fingerprint, code in self._records.codes.items()
            if code.subject != user.subject or code.grant_id is not None
        }
        for grant in list(self._records.grants.values()):
            if grant.subject == user.subject and grant.revoked_at is None:
                self._records.grants[grant.grant_id] = replace(
                    grant, revoked_at=now, revoked_reason=Reason.USER_DISABLED.value
                )
        return True

    async def enable_user(self, username: str) -> bool:
        """See `UserStore.enable_user`."""
        user = self._find(username)
        if user is None:
            return False
        self._records.users[user.subject] = replace(user, disabled_at=None)
        return True

    async def change_password(self, username: str, password_hash: str) -> bool:
        """See `UserStore.change_password`."""
        user = self._find(username)
        if user is None:
            return False
        self._records.users[user.subject] = replace(user, password_hash=password_hash)
        self._end_sessions(user.subject)
        return True

    def _find(self, username: str) -> User | None:
        subject = self._records.subjects.get(username)
        return None if subject is None else self._records.users[subject]

    def _setup_is_open(self, link_fingerprint: bytes) -> bool:
        return not self._records.users and self._records.setup_link == link_fingerprint

    def _add(self, user: User) -> bool:
        if user.username in self._records.subjects or user.subject in self._records.users:
            return False
        self._records.users[user.subject] = user
        self._records.subjects[user.username] = user.subject
        self._records.setup_link = None
        return True

    def _end_sessions(self, subject: str) -> None:
        self._records.browser_sessions = {
            fingerprint: session
            for fingerprint, session in self._records.browser_sessions.items()
            if session.subject != subject
        }

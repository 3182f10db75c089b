"""Local accounts and the set-up link in SQL."""

from __future__ import annotations

from typing import Final

from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.users import User
from gatepost.stores.sql.database import Database, Row, Transaction

# Either key may be taken: the username by an earlier account, the random subject by none but a caller's mistake.
_INSERT: Final = """
    INSERT INTO users (subject, issuer, external_subject, username, password_hash, created_at, disabled_at)
    VALUES ($1, 'local', $2, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING
"""

_OFFER_LINK: Final = """
    INSERT INTO setup_link (slot, link_fingerprint, created_at) VALUES (1, $1, $2)
    ON CONFLICT (slot) DO UPDATE SET link_fingerprint = excluded.link_fingerprint, created_at = excluded.created_at
"""


class SqlUserStore:
    """`UserStore` over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def offer_setup(self, link_fingerprint: bytes, *, now: int) -> bool:
        """See `UserStore.offer_setup`."""

        async def operation(transaction: Transaction) -> bool:
            if await _any_user(transaction):
                return False
            await transaction.run(_OFFER_LINK, link_fingerprint, now)
            return True

        return await self._database.write(operation)

    async def setup_is_open(self, link_fingerprint: bytes) -> bool:
        """See `UserStore.setup_is_open`."""

        async def operation(transaction: Transaction) -> bool:
            return await _setup_is_open(transaction, link_fingerprint)

        return await self._database.read(operation)

    async def create_first_user(self, link_fingerprint: bytes, user: User) -> bool:
        """See `UserStore.create_first_user`."""

        async def operation(transaction: Transaction) -> bool:
            return await _setup_is_open(transaction, link_fingerprint) and await _add_user(transaction, user)

        return await self._database.write(operation)

    async def add_user(self, user: User) -> bool:
        """See `UserStore.add_user`."""

        async def operation(transaction: Transaction) -> bool:
            return await _add_user(transaction, user)

        return await self._database.write(operation)

    async def find_user(self, username: str) -> User | None:
        """See `UserStore.find_user`."""

        async def operation(transaction: Transaction) -> User | None:
            row = await transaction.one("SELECT * FROM users WHERE username = $1", username)
            return None if row is None else _user(row)

        return await self._database.read(operation)

    async def find_user_by_subject(self, subject: str) -> User | None:
        """See `UserStore.find_user_by_subject`."""

        async def operation(transaction: Transaction) -> User | None:
            row = await transaction.one("SELECT * FROM users WHERE subject = $1", subject)
            return None if row is None else _user(row)

        return await self._database.read(operation)

    async def list_users(self) -> list[User]:
        """See `UserStore.list_users`."""

        async def operation(transaction: Transaction) -> list[User]:
            users = [_user(row) for row in await transaction.all("SELECT * FROM users")]
            # Sorted here, by code point, because databases sort text by their own collations.
            return sorted(users, key=lambda user: user.username)

        return await self._database.read(operation)

    async def disable_user(self, username: str, *, now: int) -> bool:
        """See `UserStore.disable_user`."""

        async def operation(transaction: Transaction) -> bool:
            subject = await _select_subject(transaction, username)
            if subject is None:
                return False
            await transaction.run(
                "UPDATE users SET disabled_at = $2 WHERE subject = $1 AND disabled_at IS NULL", subject, now
            )
            await _end_sessions(transaction, subject)
            await transaction.run("DELETE FROM consents WHERE subject = $1", subject)
            # An approval that has not been redeemed yet must not become a grant after all.
            await transaction.run(
                "DELETE FROM authorization_codes WHERE subject = $1 AND grant_id IS NULL",
                subject,
            )
            await transaction.run(
                "UPDATE grants SET revoked_at = $2, revoked_reason = $3 WHERE subject = $1 AND revoked_at IS NULL",
                subject,
                now,
                Reason.USER_DISABLED.value,
            )
            return True

        return await self._database.write(operation)

    async def enable_user(self, username: str) -> bool:
        """See `UserStore.enable_user`."""

        async def operation(transaction: Transaction) -> bool:
            return await transaction.run("UPDATE users SET disabled_at = NULL WHERE username = $1", username) > 0

        return await self._database.write(operation)

    async def change_password(self, username: str, password_hash: str) -> bool:
        """See `UserStore.change_password`."""

        async def operation(transaction: Transaction) -> bool:
            subject = await _select_subject(transaction, username)
            if subject is None:
                return False
            await transaction.run("UPDATE users SET password_hash = $2 WHERE subject = $1", subject, password_hash)
            await _end_sessions(transaction, subject)
            return True

        return await self._database.write(operation)


async def _any_user(transaction: Transaction) -> bool:
    return await transaction.one("SELECT 1 FROM users LIMIT 1") is not None


async def _setup_is_open(transaction: Transaction, link_fingerprint: bytes) -> bool:
    if await _any_user(transaction):
        return False
    return (await transaction.one("SELECT 1 FROM setup_link WHERE link_fingerprint = $1", link_fingerprint)) is not None


async def _add_user(transaction: Transaction, user: User) -> bool:
    added = await transaction.run(
        _INSERT, user.subject, user.username, user.password_hash, user.created_at, user.disabled_at
    )
    if added == 0:
        return False
    await transaction.run("DELETE FROM setup_link")
    return True


async def _select_subject(transaction: Transaction, username: str) -> str | None:
    row = await transaction.one("SELECT subject FROM users WHERE username = $1", username)
    return None if row is None else row["subject"]


async def _end_sessions(transaction: Transaction, subject: str) -> None:
    await transaction.run("DELETE FROM browser_sessions WHERE subject = $1", subject)


def _user(row: Row) -> User:
    return User(
        subject=row["subject"],
        username=row["username"],
        password_hash=row["password_hash"],
        created_at=row["created_at"],
        disabled_at=row["disabled_at"],
    )

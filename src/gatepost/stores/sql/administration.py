"""What administrators see and do, in SQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gatepost.oauth.records import Client
from gatepost.stores.contract.administration import Administrator, AdminOutcome, NotAdministrator, PersonListing
from gatepost.stores.contract.users import User
from gatepost.stores.sql.database import Database, Operation, Operations, Row, T, Transaction, read, write
from gatepost.stores.sql.tables import CLIENTS, USERS
from gatepost.stores.sql.users import disable_user, set_roles

# Bounds on what has an index, so that a page costs as much as its rows. A range of names begins where the page before
# ended, and ends behind all that begin likewise.
_PERSON: Final = "lower(coalesce(display_name, username, subject))"
_PEOPLE: Final = f"""
    SELECT * FROM users
    WHERE {_PERSON} >= lower($1) AND {_PERSON} < lower($2) AND ({_PERSON} > lower($1) OR subject > $3)
    ORDER BY {_PERSON}, subject LIMIT $4
"""  # noqa: S608 - our own words
_CLIENTS: Final = """
    SELECT * FROM clients
    WHERE lower(client_name) >= lower($1) AND lower(client_name) < lower($2)
      AND (lower(client_name) > lower($1) OR client_id > $3)
    ORDER BY lower(client_name), client_id LIMIT $4
"""
_BY_SUBJECT: Final = "SELECT * FROM users WHERE subject = $1"
_BEHIND: Final = "\U0010ffff"
"""Sorts behind every character that names have."""


class SqlAdministrationStore(Operations):
    """`AdministrationStore` over a database."""

    @read
    async def list_people(
        self, transaction: Transaction, *, name_begins: str, after: tuple[str, str] | None, limit: int
    ) -> list[PersonListing]:
        name, subject = after or (name_begins, "")
        rows = await transaction.all(_PEOPLE, name, name_begins + _BEHIND, subject, limit)
        return [_listing(row) for row in rows]

    @read
    async def find_person(self, transaction: Transaction, subject: str) -> PersonListing | None:
        row = await transaction.one(_BY_SUBJECT, subject)
        return None if row is None else _listing(row)

    @read
    async def list_clients(
        self, transaction: Transaction, *, name_begins: str, after: tuple[str, str] | None, limit: int
    ) -> list[Client]:
        name, client_id = after or (name_begins, "")
        return await CLIENTS.all(transaction, _CLIENTS, name, name_begins + _BEHIND, client_id, limit)

    @write
    async def disable_person(
        self, transaction: Transaction, subject: str, *, by: Administrator, now: int
    ) -> AdminOutcome:
        user = await _find(transaction, subject, by)
        if isinstance(user, AdminOutcome):
            return user
        if subject == by.subject:
            return AdminOutcome.OWN
        # Also of who is disabled already, whatever came to be meanwhile.
        await disable_user(transaction, subject, now=now)
        return AdminOutcome.DONE if user.disabled_at is None else AdminOutcome.UNCHANGED

    @write
    async def enable_person(self, transaction: Transaction, subject: str, *, by: Administrator) -> AdminOutcome:
        user = await _find(transaction, subject, by)
        if isinstance(user, AdminOutcome):
            return user
        await transaction.run("UPDATE users SET disabled_at = NULL WHERE subject = $1", subject)
        return AdminOutcome.UNCHANGED if user.disabled_at is None else AdminOutcome.DONE

    @write
    async def give_role(self, transaction: Transaction, subject: str, role: str, *, by: Administrator) -> AdminOutcome:
        return await _change_roles(transaction, subject, by, lambda roles: roles | {role})

    @write
    async def take_role(self, transaction: Transaction, subject: str, role: str, *, by: Administrator) -> AdminOutcome:
        if (subject, role) == (by.subject, by.role):
            return AdminOutcome.OWN
        return await _change_roles(transaction, subject, by, lambda roles: roles - {role})


class AdministeredDatabase:
    """A database whose writes are an administrator's: each looks at them first, in its own transaction."""

    def __init__(self, database: Database, by: Administrator) -> None:
        self._database, self._by = database, by
        self.description, self.is_lost_at_exit = database.description, database.is_lost_at_exit
        self.busy_timeout = database.busy_timeout
        self.open, self.close = database.open, database.close
        self.read, self.look_up = database.read, database.look_up

    async def write(self, operation: Operation[T]) -> T:
        """Run an operation of theirs.

        Raises:
            NotAdministrator: they are none any more; nothing was written.
        """

        async def checked(transaction: Transaction) -> T:
            if not await _is_administrator(transaction, self._by):
                raise NotAdministrator
            return await operation(transaction)

        return await self._database.write(checked)


async def _change_roles(
    transaction: Transaction, subject: str, by: Administrator, change: Callable[[frozenset[str]], frozenset[str]]
) -> AdminOutcome:
    user = await _find(transaction, subject, by)
    if isinstance(user, AdminOutcome):
        return user
    had = frozenset(user.roles)
    if change(had) == had:
        return AdminOutcome.UNCHANGED
    await set_roles(transaction, subject, change)
    return AdminOutcome.DONE


async def _find(transaction: Transaction, subject: str, by: Administrator) -> User | AdminOutcome:
    """Return the person, if `by` may change anything."""
    if not await _is_administrator(transaction, by):
        return AdminOutcome.NOT_ADMIN
    return await USERS.one(transaction, _BY_SUBJECT, subject) or AdminOutcome.UNKNOWN


async def _is_administrator(transaction: Transaction, by: Administrator) -> bool:
    admin = await USERS.one(transaction, _BY_SUBJECT, by.subject)
    return admin is not None and admin.disabled_at is None and (by.role is None or by.role in admin.roles)


def _listing(row: Row) -> PersonListing:
    return PersonListing(USERS.record(row), row["last_login_at"])

"""Accounts by what somebody types."""

from __future__ import annotations

from gatepost.cli.terminal import CommandRefused
from gatepost.identity.usernames import canonical_username
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.users import User


async def find_person(store: Store, name: str) -> User:
    """Return the account that is called `name`, or has it for a subject.

    Raises:
        CommandRefused: there is none.
    """
    user = await find_account(store, name) or await store.users.find_user_by_subject(name)
    if user is None:
        raise CommandRefused(f"There is no account {name}; see gatepost users list.")
    return user


async def subject_of(store: Store, name: str) -> str:
    """Return the subject of the account that is called `name`; what is no account's name is a subject itself."""
    user = await find_account(store, name)
    return name if user is None else user.subject


async def find_account(store: Store, name: str) -> User | None:
    """Return the local account that is called `name`."""
    try:
        return await store.users.find_user(canonical_username(name))
    except ValueError:
        return None

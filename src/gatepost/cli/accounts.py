"""Finding accounts by what people type in a terminal."""

from __future__ import annotations

from gatepost.identity.usernames import canonical_username
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.users import User


async def find_account(store: Store, name: str) -> User | None:
    """Return the local account that is called `name`."""
    try:
        return await store.users.find_user(canonical_username(name))
    except ValueError:
        return None

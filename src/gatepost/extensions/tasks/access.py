"""What the access of a task's caller hangs on, and whether it was taken back while the task goes on without a token."""

from __future__ import annotations

from collections.abc import Collection

from gatepost.resource.principal import Principal
from gatepost.stores.contract.api_keys import KEY_ID_PREFIX
from gatepost.stores.contract.store import Store


def access_id_of(principal: Principal | None) -> str | None:
    """Return the id of the caller's grant, or of their API key; None where it is neither, so that nobody can tell."""
    if principal is None:
        return None
    if principal.grant_id is not None:
        return principal.grant_id
    # The client of a call with a key is the key. Of a token from elsewhere it may be anything: then none is found.
    return principal.client_id if principal.client_id.startswith(KEY_ID_PREFIX) else None


async def taken_back(access_ids: Collection[str], store: Store) -> set[str]:
    """Return what of this was revoked; raises StoreUnavailable."""
    keys = {each for each in access_ids if each.startswith(KEY_ID_PREFIX)}
    grants = set(access_ids) - keys
    revoked = await store.grants.list_revoked(grants) if grants else set[str]()
    return revoked | (await store.api_keys.list_revoked(keys) if keys else set[str]())

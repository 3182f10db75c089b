"""Rows of grants and what hangs on them, as several concerns write and read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from gatepost.oauth.records import Grant, IssuedTokens
from gatepost.stores.contract.users import Person
from gatepost.stores.contract.wakeups import grant_ended
from gatepost.stores.sql.database import Transaction
from gatepost.stores.sql.tables import ACCESS_TOKENS, GRANTS, REFRESH_TOKENS

USE_CLIENT: Final = "UPDATE clients SET number = NULL WHERE client_id = $1 AND number IS NOT NULL"

_REVOKE: Final = """
    UPDATE grants SET revoked_at = $2, revoked_reason = $3 WHERE grant_id = $1 AND revoked_at IS NULL
"""

_FORGET_CONSENTS: Final = """
    DELETE FROM consents WHERE (subject, client_id, resource) IN (
        SELECT subject, client_id, resource FROM grants WHERE grant_id = $1
    )
"""


async def insert_grant(transaction: Transaction, grant: Grant, tokens: IssuedTokens) -> None:
    """Add the rows of a grant and its tokens; from here on its client is a used one."""
    await GRANTS.insert(transaction, grant)
    await insert_tokens(transaction, tokens)
    await transaction.run(USE_CLIENT, grant.client_id)


async def insert_tokens(transaction: Transaction, tokens: IssuedTokens) -> None:
    """Add the rows of tokens to those of their grant."""
    await ACCESS_TOKENS.insert(transaction, tokens.access)
    if tokens.refresh is not None:
        await REFRESH_TOKENS.insert(transaction, tokens.refresh)


async def revoke_grant(transaction: Transaction, grant_id: str, *, reason: str, now: int) -> bool:
    """Mark the grant; its tokens are checked through it, so one row is enough. False if it is marked or unknown."""
    if not await transaction.run(_REVOKE, grant_id, now, reason):
        return False
    # Who takes access away is asked before it is given again.
    await transaction.run(_FORGET_CONSENTS, grant_id)
    await transaction.notify(grant_ended(grant_id))
    return True


def person(known: Sequence[Any]) -> Person | None:
    """Return the person of a row that is joined with the table of people.

    `known` are the values of its columns in the order of `Person`, all None where there is nobody.
    """
    if known[0] is None:
        return None
    issuer, external_subject, username, display_name, profile, roles, *of_profile = known
    return Person(issuer, external_subject, username, display_name, profile, tuple(roles.split()), *of_profile)

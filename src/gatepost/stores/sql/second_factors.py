"""What passkeys and second steps ask of each other, each in the transaction that changes one of them."""

from __future__ import annotations

from typing import Final

from gatepost.stores.sql.database import Transaction

_HAS_PASSKEY: Final = "SELECT 1 FROM passkeys WHERE subject = $1 AND rp_id = $2 LIMIT 1"
_FORGET_SECOND_FACTORS: Final = """
    UPDATE browser_sessions SET has_second_factor = 0
    WHERE subject = $1 AND NOT EXISTS (SELECT 1 FROM passkeys WHERE subject = $1)
        AND NOT EXISTS (SELECT 1 FROM users WHERE subject = $1 AND second_step IS NOT NULL)
"""


async def has_passkey(transaction: Transaction, subject: str, rp_id: str) -> bool:
    """Say whether somebody has a passkey for this host."""
    return await transaction.one(_HAS_PASSKEY, subject, rp_id) is not None


async def forget_second_factors(transaction: Transaction, subject: str) -> None:
    """Have the sessions of somebody who has neither a second step nor a passkey any more be of a password alone."""
    await transaction.run(_FORGET_SECOND_FACTORS, subject)

"""Remembered consent."""

from __future__ import annotations

from typing import Protocol

from gatepost.oauth.consent import Consent


class ConsentStore(Protocol):
    """What people approved before; `TransactionStore.approve_transaction` keeps it.

    Revoking a grant forgets what its user approved for its client and resource, in the same step, and disabling a user
    forgets all that they approved: who takes access away is asked before it is given again. Disabling or removing a
    client forgets what anybody approved for it, also in the same step.
    """

    async def find_consent(
        self, subject: str, *, client_id: str, redirect_uri: str, resource: str, now: int
    ) -> Consent | None:
        """Return what is remembered and has not expired."""

    async def delete_consents(self, *, before: int, limit: int) -> int:
        """Delete those that ended."""

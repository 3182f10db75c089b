"""Remembered consent in memory."""

from __future__ import annotations

from itertools import islice

from gatepost.oauth.consent import Consent
from gatepost.stores.memory.records import Records


class MemoryConsentStore:
    """`ConsentStore` in memory."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def find_consent(
        self, subject: str, *, client_id: str, redirect_uri: str, resource: str, now: int
    ) -> Consent | None:
        """See `ConsentStore.find_consent`."""
        consent = self._records.consents.get((subject, client_id, redirect_uri, resource))
        return None if consent is None or consent.expires_at <= now else consent

    async def remember_consent(self, consent: Consent) -> None:
        """See `ConsentStore.remember_consent`."""
        keep_consent(self._records, consent)

    async def delete_consents(self, *, before: int, limit: int) -> int:
        """See `ConsentStore.delete_consents`."""
        consents = self._records.consents
        over = list(islice((key for key, consent in consents.items() if consent.expires_at <= before), limit))
        for key in over:
            del consents[key]
        return len(over)


def keep_consent(records: Records, consent: Consent) -> None:
    """Keep an approval in place of an earlier one with the same key; not for a user who is disabled."""
    if not records.is_disabled(consent.subject):
        key = (consent.subject, consent.client_id, consent.redirect_uri, consent.resource)
        records.consents[key] = consent


def forget_consents(records: Records, subject: str, *, client_id: str | None = None, resource: str = "") -> None:
    """Forget what a user approved: all of it, or for one client and resource."""
    records.consents = {
        key: consent
        for key, consent in records.consents.items()
        if consent.subject != subject
        or (client_id is not None and (consent.client_id, consent.resource) != (client_id, resource))
    }

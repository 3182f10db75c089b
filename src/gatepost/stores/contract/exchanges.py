"""Access tokens that were given for others (RFC 8693). `GrantStore.find_access_token` finds them, too."""

from __future__ import annotations

from typing import Protocol

from gatepost.oauth.token_exchange import ExchangedToken


class ExchangeStore(Protocol):
    """Access tokens that were given for others (RFC 8693)."""

    async def give_exchanged_token(self, token: ExchangedToken, *, subject_fingerprint: bytes, now: int) -> bool:
        """Keep a token that was given for the one with `subject_fingerprint`, if that one still counts.

        False, and nothing is written, where that one is not there any more or over, its grant is another one, revoked
        or over, its user is disabled, or the client that is to hold the new one is gone or disabled.

        Repeated: the key of the record is there already, which is an error of the backend, and nothing is written. It
        is made for one call; who does not know what came of that makes another record.
        """

    async def find_exchanged_token(self, token_fingerprint: bytes) -> ExchangedToken | None:
        """Return the record, whatever became of its grant, or None."""

    async def end_exchanged_token(self, token_fingerprint: bytes) -> bool:
        """Delete one, so that it does not count any more; its grant, and what was given for it, go on.

        False if it is not there. Repeated: False.
        """

    async def delete_exchanged_tokens(self, *, before: int, limit: int) -> int:
        """Delete those that ended."""

"""Judging the assertions that clients authenticate with: their keys, the rule, and that each counts once (RFC 7523)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final, Protocol

from gatepost.late_dataclass import dataclass
from gatepost.oauth.client_assertions import Assertion, check_assertion, replayed, unknown_key
from gatepost.oauth.records import Client
from gatepost.stores.contract.assertions import AssertionStore
from gatepost.tokens.client_keys import Key, KeyUnknown

REFETCH: Final = 60
"""Seconds. When no key fits, a client may have changed its keys; no more often than this is that looked into."""


class ClientKeys(Protocol):
    """Finds the public keys of clients; see `gatepost.outbound.clients`."""

    async def keys_of(self, client: Client, *, newer_than: int | None = None) -> Sequence[Key]:
        """Return the client's keys, fetched after `newer_than` if that is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertionChecker:
    """Judges assertions."""

    keys: ClientKeys
    assertions: AssertionStore
    audiences: Collection[str]
    """What `aud` may be."""
    now: Callable[[], int]

    async def check(self, client: Client, assertion: str) -> None:
        """Refuse an assertion that does not prove that it is this client who sends this request.

        Raises:
            InvalidClient: it does not, or was used before.
            TemporarilyUnavailable: its keys cannot be fetched now.
            StoreUnavailable: it cannot be known whether it was used before.
        """
        now = self.now()
        try:
            checked = self._checked(client, assertion, await self.keys.keys_of(client), now=now)
        except KeyUnknown:
            try:
                newer = await self.keys.keys_of(client, newer_than=now - REFETCH)
                checked = self._checked(client, assertion, newer, now=now)
            except KeyUnknown:
                raise unknown_key() from None
        # Last, so that nobody can use up an identifier without the key.
        is_new = await self.assertions.remember_jti(
            checked.client_id, checked.jti, expires_at=checked.remembered_until, now=now
        )
        if not is_new:
            raise replayed()

    def _checked(self, client: Client, assertion: str, keys: Sequence[Key], *, now: int) -> Assertion:
        return check_assertion(assertion, client_id=client.client_id, keys=keys, audiences=self.audiences, now=now)


def audiences(issuer: str) -> frozenset[str]:
    """Return what an assertion for this authorization server may name as its audience.

    The issuer identifier, as the update of RFC 7523 will have it, also with the slash that some libraries put after a
    bare origin; the token endpoint (OpenID Connect Core section 9); and that for pushed requests (RFC 9126 section 2).
    """
    return frozenset({issuer, f"{issuer}/", f"{issuer}/oauth/token", f"{issuer}/oauth/par"})

"""From an API key to the `Principal` that it is."""

from __future__ import annotations

from collections.abc import Callable

from gatepost.identity.entry import ANYBODY, Entry
from gatepost.identity.roles import NO_ROLES, Roles
from gatepost.late_dataclass import dataclass
from gatepost.resource import api_keys, bearer
from gatepost.resource.bearer import TokenRefused
from gatepost.resource.principal import Principal
from gatepost.resource.resources import ProtectedResource
from gatepost.stores.api_key_uses import ApiKeyUses
from gatepost.stores.contract.api_keys import ApiKeyStore


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyCallers:
    """Checks the keys that operators made."""

    store: ApiKeyStore
    uses: ApiKeyUses
    now: Callable[[], int]
    any_loopback: bool = False
    """Whether the server answers to every loopback name."""
    entry: Entry = ANYBODY
    roles: Roles = NO_ROLES

    async def principal(self, key_fingerprint: bytes, resource: ProtectedResource, *, issuer: str) -> Principal:
        """Return who sends a key.

        Raises:
            TokenRefused: it does not count at this resource now.
            StoreUnavailable: it cannot be known now.
        """
        now = self.now()
        presented = await self.store.find_key(key_fingerprint)
        if presented is None:
            raise TokenRefused(api_keys.UNKNOWN)
        key, person = presented.key, presented.person
        api_keys.check_key(
            expires_at=key.expires_at,
            revoked=key.revoked_at is not None,
            # A key for a person counts for nothing without them.
            user_disabled=presented.user_disabled or (key.user_subject is not None and person is None),
            audience=key.resource,
            resource=resource.identifier,
            any_loopback=self.any_loopback,
            now=now,
        )
        if self.entry.shuts_out(person):
            raise TokenRefused(bearer.USER_NOT_ALLOWED)
        self.uses.note(key, at=now)
        roles, scopes = frozenset[str](), key.scopes
        if person is not None:
            roles = self.roles.of(person)
            scopes = self.roles.permit(scopes, roles, resource.implied_scopes)
        return Principal(
            subject=key.user_subject or key.key_id,
            client_id=key.key_id,
            scopes=resource.effective(scopes),
            resource=resource.identifier,
            issuer=issuer,
            grant_id=None,
            expires_at=key.expires_at,
            display_name=presented.display_name if person is not None else key.name,
            client_name=key.name,
            user_issuer=presented.user_issuer,
            profile=None if person is None else person.profile,
            roles=roles,
        )

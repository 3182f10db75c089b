"""API keys that the operator makes: named, scoped, and perhaps ending or a person's."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum, auto
from typing import Protocol

from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.users import Person
from gatepost.tokens.opaque import RandomBytes, SecretKind, fingerprint, identifier, mint

KEY_ID_PREFIX = "key_"
"""What the public id of each begins with; no id of a grant does."""
LAST_USE_SECONDS = 300
"""The last use of a key is written at most that often."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key, as operators see it. Times are whole seconds UTC."""

    key_id: str
    """Public and random; the client of its calls, and their subject where no person stands behind it."""
    name: str
    """For people; no two keys that count have the same."""
    key_fingerprint: bytes
    user_subject: str | None
    """The person it stands for; None where it stands for itself."""
    scopes: tuple[str, ...]
    resource: str
    """The canonical URL of the one endpoint that it opens."""
    created_at: int
    expires_at: int | None = None
    """None for one that counts until it is revoked; it does not count in this second any more."""
    revoked_at: int | None = None
    last_used_at: int | None = None
    """To within `LAST_USE_SECONDS`."""

    def counts(self, *, now: int) -> bool:
        """Say whether it is neither revoked nor over."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


@dataclass(frozen=True, slots=True)
class PresentedKey:
    """All that the check of a key needs, in one read."""

    key: ApiKey
    person: Person | None
    """Whom it stands for; None where it stands for itself, or there is no such person."""
    user_disabled: bool
    user_issuer: str | None
    """Who says what `Person.profile` does."""
    display_name: str | None
    """What the person is called."""


class KeyAddition(Enum):
    """The answer of `ApiKeyStore.add_key`."""

    ADDED = auto()
    NAME_TAKEN = auto()
    """A key that counts has the name. Nothing was written."""
    NO_PERSON = auto()
    """There is no person of this subject who is not disabled. Nothing was written."""


def new_api_key(
    name: str,
    *,
    scopes: tuple[str, ...],
    resource: str,
    user_subject: str | None,
    lifetime: int | None,
    now: int,
    random_bytes: RandomBytes,
) -> tuple[str, ApiKey]:
    """Return a new secret, and the record of its key.

    Args:
        name: for people.
        scopes: what it may do.
        resource: the canonical URL of the endpoint that it opens.
        user_subject: the person it stands for; None where it stands for itself.
        lifetime: for how many seconds it counts; None until it is revoked.
        now: seconds UTC.
        random_bytes: where secret and id come from.
    """
    secret = mint(SecretKind.API_KEY, random_bytes)
    key = ApiKey(
        key_id=identifier(KEY_ID_PREFIX, random_bytes),
        name=name,
        key_fingerprint=fingerprint(secret),
        user_subject=user_subject,
        scopes=scopes,
        resource=resource,
        created_at=now,
        expires_at=None if lifetime is None else now + lifetime,
    )
    return secret, key


class ApiKeyStore(Protocol):
    """API keys."""

    async def add_key(self, key: ApiKey) -> KeyAddition:
        """Add a key, if no other that counts at its `created_at` has its name and its person may have one.

        Repeated: `NAME_TAKEN`, by the key itself; `find_key` says whether it was.
        """

    async def find_key(self, key_fingerprint: bytes) -> PresentedKey | None:
        """Return the key, revoked and over or not, with its person, as of one moment; None when it is unknown."""

    async def list_keys(
        self, *, live_at: int | None, limit: int, before: tuple[int, str] | None = None
    ) -> list[ApiKey]:
        """Return keys, the newest first.

        Args:
            live_at: only those that count at this time, seconds UTC; None for all.
            limit: at most so many.
            before: those that follow the one with this `created_at` and `key_id`; None for the first.
        """

    async def revoke_key(self, name: str, *, now: int) -> ApiKey | None:
        """Revoke the key that counts and has this name or `key_id`; return it as it was, or None if there is none.

        Repeated: None; or by its name another key, if one was made meanwhile. By `key_id` that cannot be.
        """

    async def list_revoked(self, key_ids: Collection[str]) -> set[str]:
        """Return which of these keys were revoked."""

    async def note_use(self, key_id: str, *, at: int) -> None:
        """Keep when a key was used, unless a use less than `LAST_USE_SECONDS` before is kept, or any after.

        Repeated: the same again, and the same answer.
        """

    async def delete_keys(self, *, before: int, limit: int) -> int:
        """Delete keys that were revoked or ended."""

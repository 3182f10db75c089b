"""The keys that sign access tokens: kept sealed in the store, known to every process, replaced without a gap.

A rotation publishes the new key at once and lets it sign `PUBLISHED_FIRST` later, when every process and every verifier
that keeps to the cache headers of the JWKS has seen it. The old key is published until its last token is dead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field

from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.errors import StoreMisconfigured
from gatepost.stores.contract.keys import KeyStore, SealedSigningKey
from gatepost.tokens.opaque import RandomBytes
from gatepost.tokens.sealing import KeyRing, SealBroken
from gatepost.tokens.signing import SigningKey, generate_signing_key, restore_signing_key

JWKS_MAX_AGE = 300
"""Seconds for which others may keep the published keys."""

RELOAD_AFTER = 60
"""Seconds after which a process looks for new keys by itself.

So long may a retired key go on verifying in another process, unless that hears of it.
"""

PUBLISHED_FIRST = 2 * (JWKS_MAX_AGE + RELOAD_AFTER)
"""Seconds between a key's publication and its first signature."""

_RELOAD_AT_MOST_EVERY = 5
"""Seconds; tokens with made-up key ids are free, reading the store is not."""

_PURPOSE = "signing-key"


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys that have not ended, opened."""

    keys: Mapping[str, SigningKey] = field(repr=False)
    """By `kid`, in the order in which they sign."""
    signs_from: Mapping[str, int]

    def signing(self, *, now: int) -> SigningKey:
        """Return the key that signs now: the last whose time has come, or the first if a clock says that none has."""
        ready = [name for name, moment in self.signs_from.items() if moment <= now]
        return self.keys[ready[-1] if ready else next(iter(self.keys))]


@dataclass(kw_only=True)
class SigningKeys:
    """The keys of one process, read from the store again every now and then."""

    store: KeyStore
    ring: KeyRing = field(repr=False)
    """What they are sealed under."""
    algorithm: str
    """That of a first key; a rotation decides for later ones."""
    now: Callable[[], int]
    random_bytes: RandomBytes
    """Where a first key comes from."""
    _known: KeySet | None = field(default=None, init=False, repr=False)
    _read_at: int = field(default=0, init=False)
    _changes: int = field(default=0, init=False)
    """How often they were said to have changed, and how often when they were read."""
    _changes_read: int = field(default=0, init=False)

    async def open(self) -> None:
        """See to it that there is a key.

        Raises:
            StoreMisconfigured: a key in the store was altered.
        """
        if not await self.store.signing_keys(now=self.now()):
            key = generate_signing_key(self.algorithm, self.random_bytes)
            now = self.now()
            sealed = sealed_signing_key(key, self.ring, now=now, signs_from=now, random_bytes=self.random_bytes)
            # Another process may have been faster; then its key is the one.
            await self.store.begin_signing(sealed, now=now)
        await self._read()

    async def current(self) -> KeySet:
        """Return the keys; at most `RELOAD_AFTER` seconds old.

        Raises:
            StoreUnavailable: they cannot be read now.
        """
        known = self._known
        is_recent = self._changes == self._changes_read and 0 <= self.now() - self._read_at < RELOAD_AFTER
        return known if known is not None and is_recent else await self._read()

    def look_again(self) -> None:
        """Have them read again when they are needed next: another process has changed them."""
        self._changes += 1

    async def knowing(self, key_id: str) -> KeySet:
        """Return the keys, read again if this one is not among them and that has not just been tried."""
        known = await self.current()
        if key_id not in known.keys and not 0 <= self.now() - self._read_at < _RELOAD_AT_MOST_EVERY:
            return await self._read()
        return known

    async def _read(self) -> KeySet:
        changes = self._changes
        sealed = await self.store.signing_keys(now=self.now())
        opened = {key.key_id: open_signing_key(key, self.ring) for key in sealed}
        self._known = KeySet(opened, {key.key_id: key.signs_from for key in sealed})
        self._read_at, self._changes_read = self.now(), changes
        return self._known


async def reseal(store: KeyStore, ring: KeyRing, *, now: int, random_bytes: RandomBytes) -> None:
    """Seal every key anew that is not sealed under the ring's first key, so that the others can leave the ring.

    Raises:
        StoreMisconfigured: a key was altered.
    """
    for kept in await store.signing_keys(now=now):
        await reseal_key(kept, store, ring, random_bytes=random_bytes)


async def reseal_key(kept: SealedSigningKey, store: KeyStore, ring: KeyRing, *, random_bytes: RandomBytes) -> bool:
    """Seal a key under the ring's first key, and say whether it was sealed under another.

    Raises:
        StoreMisconfigured: as `open_signing_key`.
    """
    if ring.is_current(kept.sealed_secret):
        return False
    await store.reseal_signing_key(kept.key_id, _seal(open_signing_key(kept, ring), ring, random_bytes))
    return True


async def rotate(
    store: KeyStore,
    ring: KeyRing,
    *,
    algorithm: str,
    token_lifetime: int,
    now: int,
    random_bytes: RandomBytes,
    at_once: bool = False,
) -> SealedSigningKey:
    """Publish a new key, and return it; the others end when their last token is dead.

    Args:
        store: where the keys are.
        ring: what they are sealed under.
        algorithm: that of the new key.
        token_lifetime: for how many seconds an access token lives.
        now: seconds UTC.
        random_bytes: where the key comes from.
        at_once: whether it signs before everybody has seen it.
    """
    key = generate_signing_key(algorithm, random_bytes)
    signs_from = now if at_once else now + PUBLISHED_FIRST
    sealed = sealed_signing_key(key, ring, now=now, signs_from=signs_from, random_bytes=random_bytes)
    # A process may sign with the old key until it looks again; after that its last token lives for one lifetime.
    await store.rotate_signing_key(sealed, others_end_at=signs_from + RELOAD_AFTER + token_lifetime)
    return sealed


def states(keys: Sequence[SealedSigningKey], *, now: int) -> list[str]:
    """Return of each key, in the order in which they sign, whether it `signs`, is `published` or only `verifies`."""
    signing = [key for key in keys if key.signs_from <= now][-1:] or keys[:1]
    return ["signs" if key in signing else "published" if key.signs_from > now else "verifies" for key in keys]


def sealed_signing_key(
    key: SigningKey, ring: KeyRing, *, now: int, signs_from: int, random_bytes: RandomBytes
) -> SealedSigningKey:
    """Return the row of a new key."""
    sealed = _seal(key, ring, random_bytes)
    return SealedSigningKey(key.key_id, key.algorithm, sealed, created_at=now, signs_from=signs_from)


def open_signing_key(sealed: SealedSigningKey, ring: KeyRing) -> SigningKey:
    """Return the key of a row.

    Raises:
        StoreMisconfigured: it was altered, or sealed under a key that is not on the ring.
    """
    associated_data = _belongs_to(sealed.key_id, sealed.algorithm)
    try:
        secret = ring.open(sealed.sealed_secret, purpose=_PURPOSE, associated_data=associated_data)
        return restore_signing_key(sealed.algorithm, secret)
    except (SealBroken, ValueError) as error:
        raise StoreMisconfigured(
            f"the signing key {sealed.key_id} in the store was altered and does not open: gatepost keys retire ends it"
        ) from error


def _seal(key: SigningKey, ring: KeyRing, random_bytes: RandomBytes) -> bytes:
    associated_data = _belongs_to(key.key_id, key.algorithm)
    return ring.seal(key.secret, purpose=_PURPOSE, associated_data=associated_data, random_bytes=random_bytes)


def _belongs_to(key_id: str, algorithm: str) -> bytes:
    return f"{algorithm} {key_id}".encode()

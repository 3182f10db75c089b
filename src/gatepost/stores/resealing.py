"""Sealing anew: everything that is sealed under a key of the ring comes under its first key, beside running servers.

Each value is written in a step of its own. Whoever is interrupted begins again, and what is done is passed over.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Final

from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.errors import StoreMisconfigured
from gatepost.stores.contract.store import Store
from gatepost.stores.second_steps import reseal_step
from gatepost.stores.signing_keys import reseal_key
from gatepost.stores.upstream_tokens import reseal_row
from gatepost.tokens.opaque import RandomBytes
from gatepost.tokens.sealing import KeyRing, SealBroken, sealed_under

PAGE: Final = 500
"""Rows that are in memory at a time, and between two words of progress."""


@dataclass(slots=True)
class Resealed:
    """What has been done to one kind of value."""

    what: str
    """For people."""
    looked_at: int = 0
    sealed_anew: int = 0
    unopened: int = 0
    """They were altered, or their key is not on the ring; they are left as they are."""


async def reseal_everything(
    store: Store,
    ring: KeyRing,
    *,
    now: int,
    random_bytes: RandomBytes,
    progress: Callable[[Resealed], None] = lambda _: None,
) -> list[Resealed]:
    """Seal everything anew that is not sealed under the ring's first key, and say how much that was.

    Args:
        store: where it is.
        ring: opens what there is; its first key seals.
        now: the time, seconds UTC.
        random_bytes: for sealing.
        progress: is told what has been done so far, every now and then.

    Raises:
        StoreUnavailable: the store cannot answer; what is done is done.
    """
    done = []
    for what, values in (
        ("signing keys", _signing_keys(store, ring, now=now, random_bytes=random_bytes)),
        ("second steps", _second_steps(store, ring, random_bytes)),
        ("tokens of login providers", _upstream_tokens(store, ring, random_bytes)),
    ):
        result = Resealed(what)
        async for reseal in values:
            try:
                result.sealed_anew += await reseal()
            except (SealBroken, StoreMisconfigured):
                result.unopened += 1
            result.looked_at += 1
            if result.looked_at % PAGE == 0:
                progress(result)
        progress(result)
        done.append(result)
    return done


async def _signing_keys(
    store: Store, ring: KeyRing, *, now: int, random_bytes: RandomBytes
) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
    # Those that ended as well, so that a key can leave the ring whose name stands nowhere any more. But nobody misses
    # what does not open of them.
    live = {key.key_id for key in await store.keys.signing_keys(now=now)}
    for key in await store.keys.signing_keys(now=0):
        if key.key_id in live or sealed_under(key.sealed_secret) in ring.key_ids:
            yield partial(reseal_key, key, store.keys, ring, random_bytes=random_bytes)


async def _second_steps(
    store: Store, ring: KeyRing, random_bytes: RandomBytes
) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
    for step in await store.second_steps.list_second_steps():
        yield partial(reseal_step, step, store.second_steps, ring, random_bytes=random_bytes)


async def _upstream_tokens(
    store: Store, ring: KeyRing, random_bytes: RandomBytes
) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
    after: tuple[str, str] | None = None
    while page := await store.upstream_tokens.list_tokens(None, limit=PAGE, after=after):
        for kept in page:
            yield partial(reseal_row, kept, store.upstream_tokens, ring, random_bytes=random_bytes)
        after = page[-1].subject, page[-1].provider

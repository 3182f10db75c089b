"""Second steps over any store, with keys that every test has."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from gatepost.identity.second_steps import SecondSteps
from gatepost.stores.contract.store import Store
from gatepost.tokens.opaque import RandomBytes
from gatepost.tokens.sealing import KeyRing

KEY = "abcdefghijklmnopqrstuvwxyz0123456789-_ABCDEFG"


def second_steps(
    store: Store,
    *,
    now: Callable[[], int] = lambda: 1_000_000,
    random_bytes: RandomBytes = secrets.token_bytes,
) -> SecondSteps:
    """Return the second steps that are kept in `store`."""
    return SecondSteps(store=store.second_steps, key_ring=KeyRing([KEY]), now=now, random_bytes=random_bytes)

"""A nonce says how old it is, and whose, to whoever holds the keys (RFC 9449 sections 8 and 9)."""

from __future__ import annotations

import secrets

from gatepost.tokens.dpop_nonces import ANYBODYS, LIFETIME, DpopNonces, NonceRead
from gatepost.tokens.sealing import KeyRing

KEYS = ["one-sealing-key-0123456789-abcdefghijklmnopqrstuv", "two-sealing-key-0123456789-abcdefghijklmnopqrstuv"]


def nonces(*keys: str, server: str = "https://mcp.example") -> DpopNonces:
    return DpopNonces(KeyRing(keys or KEYS), server, secrets.token_bytes)


def test_it_counts_for_its_time_in_every_process_with_the_keys() -> None:
    nonce = nonces().make(now=1_000)
    assert nonces().read(nonce, now=1_000) == NonceRead(ANYBODYS, 1_000 + LIFETIME)
    assert nonces(*reversed(KEYS)).read(nonce, now=1_000 + LIFETIME - 1) is not None
    assert nonces().read(nonce, now=1_000 + LIFETIME) is None
    # The clock of another process may be behind by a minute, and by no more.
    assert nonces().read(nonce, now=940) is not None
    assert nonces().read(nonce, now=939) is None


def test_it_names_its_keeper() -> None:
    nonce = nonces().make(now=1_000, keeper=b"process1")
    assert nonces().read(nonce, now=1_001) == NonceRead(b"process1", 1_000 + LIFETIME)


def test_that_of_another_server_or_other_keys_does_not_count() -> None:
    nonce = nonces().make(now=1_000)
    assert nonces(server="https://mcp.example/mcp").read(nonce, now=1_000) is None
    assert nonces(KEYS[1]).read(nonce, now=1_000) is None


def test_what_was_altered_or_made_up_does_not_count() -> None:
    nonce = nonces().make(now=1_000)
    for altered in (nonce[:-2] + "AA", nonce[1:], nonce + "A", nonce.upper(), "", "é" * 40, "A" * 72, "A" * 201):
        assert nonces().read(altered, now=1_000) is None


def test_two_of_one_moment_differ() -> None:
    assert nonces().make(now=1_000) != nonces().make(now=1_000)

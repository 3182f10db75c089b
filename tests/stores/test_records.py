"""Records of the contract by themselves."""

from __future__ import annotations

from gatepost.stores.conformance.behaviour.passkeys import passkey
from gatepost.stores.conformance.behaviour.upstream_tokens import kept


def test_passkeys_are_told_apart_by_a_short_number() -> None:
    assert len({passkey(bytes([number])).number for number in range(200)}) == 200
    assert passkey().number == passkey(name="Laptop").number == "7692c3ad3540bb80"


def test_a_record_shows_no_sealed_tokens() -> None:
    assert "sealed 1" not in repr(kept())

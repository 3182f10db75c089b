"""A proof counts once, whoever remembers it, and what is remembered in memory is bounded (RFC 9449 section 11.1)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

import pytest

from gatepost.tokens.dpop import ProofInvalid
from gatepost.tokens.dpop_nonces import LIFETIME, DpopNonces
from gatepost.tokens.sealing import KeyRing
from gatepost.web.resource.proofs import NonceNeeded, ProofJudge, ProofReplayed
from tests.tokens.test_client_keys import P256, public, sign

URL = "https://mcp.example/mcp"
RING = KeyRing(["one-sealing-key-0123456789-abcdefghijklmnopqrstuv"])


@dataclass
class Assertions:
    """The one operation of `AssertionStore` that is used, over a dictionary."""

    kept: dict[tuple[str, str], int] = field(default_factory=dict)

    async def remember_jti(self, client_id: str, jti: str, *, expires_at: int, now: int) -> bool:
        assert expires_at > now
        is_new = (client_id, jti) not in self.kept
        self.kept.setdefault((client_id, jti), expires_at)
        return is_new

    async def forget_jtis(self, *, before: int, limit: int) -> int:
        raise NotImplementedError


@dataclass
class World:
    """Two processes over one store."""

    now: int = 1_000_000
    has_nonces: bool = True
    most_seen: int = 100
    assertions: Assertions = field(default_factory=Assertions)

    def process(self, *, remembers_itself: bool = True) -> ProofJudge:
        return ProofJudge(
            assertions=self.assertions,
            now=lambda: self.now,
            random_bytes=secrets.token_bytes,
            nonces=DpopNonces(RING, URL, secrets.token_bytes) if self.has_nonces else None,
            remembers_itself=remembers_itself,
            most_seen=self.most_seen,
        )

    def proof(self, jti: str, nonce: str | None = None) -> str:
        claims = {"jti": jti, "htm": "POST", "htu": URL, "iat": self.now, **({} if nonce is None else {"nonce": nonce})}
        return sign("ES256", P256, claims, typ="dpop+jwt", jwk=public(P256))

    async def send(self, process: ProofJudge, jti: str, nonce: str | None = None) -> str | None:
        """The nonce that is asked for; None where the proof counted."""
        try:
            await process.judge([self.proof(jti, nonce)], method="POST", url=URL)
        except NonceNeeded as needed:
            return needed.nonce
        return None


async def test_a_process_remembers_by_itself_what_bears_its_own_nonce() -> None:
    world = World()
    process = world.process()
    nonce = await world.send(process, "1")
    assert await world.send(process, "1", nonce) is None
    assert await world.send(process, "2", nonce) is None
    with pytest.raises(ProofReplayed):
        await world.send(process, "1", nonce)
    assert world.assertions.kept == {}


async def test_what_bears_the_nonce_of_another_process_is_asked_for_one_that_counts_at_all_of_them() -> None:
    world = World()
    one, other = world.process(), world.process()
    nonce = await world.send(one, "1")
    shared = await world.send(other, "1", nonce)
    assert shared is not None
    assert await world.send(one, "2", shared) is None
    with pytest.raises(ProofReplayed):
        await world.send(other, "2", shared)
    assert await world.send(other, "3", shared) is None
    # A proof that one has taken by its own nonce is not taken by the other, in either order.
    assert await world.send(one, "4", nonce) is None
    assert await world.send(other, "4", nonce) is not None


async def test_a_process_that_was_started_anew_takes_nothing_that_the_one_before_has_seen() -> None:
    world = World()
    before = world.process()
    nonce = await world.send(before, "1")
    assert await world.send(before, "1", nonce) is None
    assert await world.send(world.process(), "1", nonce) is not None


async def test_memory_is_bounded_by_another_nonce() -> None:
    world = World(most_seen=3)
    process = world.process()
    nonce = await world.send(process, "0")
    for jti in ("1", "2", "3"):
        assert await world.send(process, jti, nonce) is None
    newer = await world.send(process, "3", nonce)
    assert newer not in (None, nonce)
    assert await world.send(process, "4", newer) is None
    # It is still this process that remembers.
    assert world.assertions.kept == {}
    assert await world.send(process, "1", nonce) == newer


async def test_a_nonce_changes_before_it_ends_and_both_count() -> None:
    world = World()
    process = world.process()
    nonce = await world.send(process, "1")
    world.now += LIFETIME // 2
    newer = await world.send(process, "2")
    assert newer != nonce
    assert await world.send(process, "3", nonce) is None
    assert await world.send(process, "3", newer) is None
    world.now += LIFETIME // 2
    assert await world.send(process, "4", nonce) is not None
    assert await world.send(process, "4", newer) is None


async def test_without_nonces_the_store_remembers_every_proof_for_as_long_as_it_could_count() -> None:
    world = World(has_nonces=False)
    one, other = world.process(), world.process()
    assert await world.send(one, "1") is None
    with pytest.raises(ProofReplayed):
        await world.send(other, "1")
    assert list(world.assertions.kept.values()) == [world.now + 301]


async def test_at_the_token_endpoint_the_store_remembers() -> None:
    world = World()
    process = world.process(remembers_itself=False)
    nonce = await world.send(process, "1")
    assert await world.send(process, "1", nonce) is None
    assert len(world.assertions.kept) == 1


async def test_a_proof_that_does_not_fit_is_not_used_up() -> None:
    world = World()
    process = world.process()
    nonce = await world.send(process, "1")

    def refuse(_proof: object) -> None:
        raise ProofInvalid("not this one")

    with pytest.raises(ProofInvalid):
        await process.judge([world.proof("1", nonce)], method="POST", url=URL, fits=refuse)
    assert await world.send(process, "1", nonce) is None

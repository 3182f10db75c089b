"""Judging DPoP proofs at a server: made for this request, by the nonce of this server, and once (RFC 9449 section 4.3).

What was seen is remembered for as long as it could count again: by the store where other processes may be shown it,
else in memory. Memory is bounded: when too much was seen, the nonce changes, and what bears the one before counts
nowhere any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Final

from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.assertions import AssertionStore
from gatepost.tokens.dpop import (
    WINDOW,
    DpopProof,
    ProofInvalid,
    ProofKeys,
    check_proof,
    read_proof,
    unverified_nonce,
)
from gatepost.tokens.dpop_nonces import ANYBODYS, LIFETIME, DpopNonces
from gatepost.tokens.opaque import RandomBytes

MOST_SEEN: Final = 100_000
"""Proofs that a process remembers under one nonce: some eight megabytes."""
_PROCESS_BYTES: Final = 4


class ProofReplayed(Exception):
    """A proof was used before."""


class NonceNeeded(Exception):
    """A proof needs the nonce that this brings along."""

    def __init__(self, nonce: str) -> None:
        super().__init__("a nonce is needed")
        self.nonce = nonce


@dataclass(slots=True)
class _Seen:
    """A nonce of this process, and which proofs came with it."""

    nonce: str
    made_at: int
    proofs: set[int] = field(default_factory=set[int])


@dataclass(slots=True, kw_only=True)
class ProofJudge:
    """Judges the proofs that are sent to one server. For one event loop."""

    assertions: AssertionStore
    """Remembers what other processes may be shown as well."""
    now: Callable[[], int]
    random_bytes: RandomBytes
    nonces: DpopNonces | None
    """None asks for none; then the store remembers every proof."""
    remembers_itself: bool
    """Whether this process remembers proofs with nonces of its own, so that the store need not."""
    keys: ProofKeys = field(default_factory=ProofKeys)
    most_seen: int = MOST_SEEN
    _current: _Seen | None = field(default=None, init=False)
    _previous: _Seen | None = field(default=None, init=False)
    _process: bytes = field(init=False)
    """What the keeper of a nonce of this process begins with."""
    _made: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._process = self.random_bytes(_PROCESS_BYTES)

    async def judge(
        self, headers: Sequence[str], *, method: str, url: str, fits: Callable[[DpopProof], None] | None = None
    ) -> str:
        """Return the thumbprint of the key that a request proves to hold.

        Args:
            headers: the values of all its `DPoP` headers.
            method: its method.
            url: where it was sent, as `normal_url` writes it.
            fits: raises what it likes where the proof is for another token or of another key.

        Raises:
            ProofInvalid: it proves nothing.
            ProofReplayed: the proof was used before.
            NonceNeeded: it would do with the nonce that this brings along.
            StoreUnavailable: it cannot be known whether it was used before.
        """
        now = self.now()
        # 1. Made by whoever holds the key, for this request.
        if len(headers) != 1:
            raise ProofInvalid("Send one DPoP header." if headers else "Send a DPoP proof in a DPoP header.")
        proof = read_proof(headers[0], self.keys)
        check_proof(proof, method=method, url=url, now=now)
        if fits is not None:
            fits(proof)
        # 2. After this server said its nonce, and for the first time. Last, so that nobody uses up what is not theirs.
        ends_at = proof.issued_at + WINDOW + 1
        if self.nonces is not None:
            own = self._own(proof.nonce, now)
            if own is not None:
                self._remember(own, proof)
                return proof.thumbprint
            ends_at = min(ends_at, self._end_of(proof.nonce, now, self.nonces))
        is_new = await self.assertions.remember_jti(
            f"dpop {proof.thumbprint}", proof.jti, expires_at=max(ends_at, now + 1), now=now
        )
        if not is_new:
            raise ProofReplayed
        return proof.thumbprint

    def check_nonce(self, headers: Sequence[str]) -> None:
        """Ask for a nonce that a proof lacks, before anything is spent that counts once; all else is for `judge`.

        Raises:
            NonceNeeded: it would do with the nonce that this brings along.
        """
        if self.nonces is None or len(headers) != 1:
            return
        try:
            nonce = unverified_nonce(headers[0])
        except ProofInvalid:
            return
        now = self.now()
        if self._own(nonce, now) is None:
            self._end_of(nonce, now, self.nonces)

    def _own(self, nonce: str | None, now: int) -> _Seen | None:
        """Return what was seen with a nonce of this process that counts."""
        for seen in (self._current, self._previous):
            # A clock that was set back must not make a nonce last: hence the lower bound.
            if seen is not None and seen.nonce == nonce and seen.made_at <= now < seen.made_at + LIFETIME:
                return seen
        return None

    def _remember(self, seen: _Seen, proof: DpopProof) -> None:
        # Sixty-four bits of each will do: two that look alike are refused for nothing once in a million years.
        key = hash((proof.thumbprint, proof.jti))
        if key in seen.proofs:
            raise ProofReplayed
        seen.proofs.add(key)
        if len(seen.proofs) < self.most_seen:
            return
        if seen is self._current:
            self._current = None
        else:
            self._previous = None

    def _end_of(self, nonce: str | None, now: int, nonces: DpopNonces) -> int:
        """Return when a nonce ends whose proofs the store remembers."""
        read = None if nonce is None else nonces.read(nonce, now=now)
        if read is not None and read.keeper == ANYBODYS:
            return read.ends_at
        # One that another process remembers, or did before it was started anew: whoever sends it does not come to the
        # same process each time, so the store remembers from here on.
        is_of_another = read is not None and not read.keeper.startswith(self._process)
        if is_of_another or not self.remembers_itself:
            raise NonceNeeded(nonces.make(now=now))
        raise NonceNeeded(self._nonce(now, nonces))

    def _nonce(self, now: int, nonces: DpopNonces) -> str:
        """Return the nonce of this process; another one from half of its life on."""
        current = self._current
        if current is None or not current.made_at <= now < current.made_at + LIFETIME // 2:
            self._made += 1
            keeper = self._process + self._made.to_bytes(len(ANYBODYS) - _PROCESS_BYTES)
            fresh = _Seen(nonces.make(now=now, keeper=keeper), now)
            self._previous, self._current = current, fresh
            return fresh.nonce
        return current.nonce

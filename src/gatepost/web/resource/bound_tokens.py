"""Access tokens that are bound to a key of their client: `Authorization: DPoP` with a proof (RFC 9449 section 7).

What a look-up said of a token is kept as for a bearer token, but under the token and with its key, and it lets nobody
in without a proof that was made for this request. So whoever takes a token from a log has nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, Final, Protocol
from urllib.parse import quote

from gatepost.late_dataclass import dataclass
from gatepost.resource import bearer
from gatepost.resource.bearer import Refusal, TokenRefused
from gatepost.resource.principal import Principal
from gatepost.resource.resources import ProtectedResource
from gatepost.stores.contract.grants import LiveAccessToken
from gatepost.tokens.dpop import SIGNING_ALGORITHMS, DpopProof, ProofInvalid, normal_url, token_hash
from gatepost.tokens.opaque import fingerprint
from gatepost.web.resource.proofs import NonceNeeded, ProofJudge, ProofReplayed

SCHEME: Final = b"dpop"
BOUND_CALLER: Final = "gatepost.bound_caller"
"""In the ASGI scope of a request whose caller came with the scheme DPoP, where what was sent is kept back."""
_IN_PATHS: Final = "/~!$&'()*+,;=:@-._"


@dataclass(frozen=True, slots=True)
class Sent:
    """What a request was sent with, and where."""

    headers: Sequence[tuple[bytes, bytes]]
    """Names in lower case."""
    method: str
    path: str
    """As ASGI says it, without the path of the public URL."""

    @classmethod
    def of(cls, headers: Sequence[tuple[bytes, bytes]], scope: Any) -> Sent:
        """Return what the ASGI scope of a request says."""
        return cls(headers, scope["method"], scope["path"])


@dataclass(frozen=True, slots=True)
class _Known:
    principal: Principal = field(repr=False)
    thumbprint: str
    token_hash: str
    since: int
    until: int


class LookUp(Protocol):
    """Says what a token is worth."""

    def __call__(self, token: str, now: int, *, is_bound: bool) -> Awaitable[tuple[LiveAccessToken, Principal]]:
        """Return what the store says of it, or raise TokenRefused."""


class BoundTokens:
    """Verifies the tokens of one protected resource that are bound to a key."""

    def __init__(
        self,
        judge: ProofJudge,
        look_up: LookUp,
        *,
        resource: ProtectedResource,
        cache_seconds: int,
        cache_entries: int,
    ) -> None:
        """Prepare what does not depend on a request.

        Args:
            judge: judges proofs.
            look_up: says what a token is worth.
            resource: the resource whose tokens count.
            cache_seconds: how long a look-up counts.
            cache_entries: how many of them are kept at most.
        """
        self._judge, self._look_up, self._now = judge, look_up, judge.now
        self._url = resource.identifier
        self._path = resource.path.rstrip("/")
        self._cache_seconds, self._cache_entries = cache_seconds, cache_entries
        self._known: dict[str, _Known] = {}

    async def principal(
        self, authorization: Sequence[bytes], query_string: bytes, sent: Sent | None, *, evictions: Callable[[], int]
    ) -> Principal:
        """Return who sends a request with a bound token; `sent` is None where the proof has been judged before.

        Raises:
            TokenRefused: nobody who may.
            StoreUnavailable: it cannot be known now.
        """
        # 1. Shape and place, as for bearer tokens.
        token = bearer.read_bearer_token(authorization, query_string, scheme=SCHEME)
        # 2. What is the token worth, and whose is it?
        now = self._now()
        known = self._known.get(token)
        if known is None or not known.since <= now < known.until:
            known = await self._looked_up(token, now, evictions)
        # 3. Does its client send it?
        if sent is not None:
            await self._check_proof(known, sent)
        return known.principal

    def forget(self, grant_id: str | None) -> None:
        """Forget what is known of the tokens of a grant; of all tokens, where it is None."""
        if grant_id is None:
            self._known.clear()
            return
        for token in [token for token, known in self._known.items() if known.principal.grant_id == grant_id]:
            del self._known[token]

    async def _looked_up(self, token: str, now: int, evictions: Callable[[], int]) -> _Known:
        before = evictions()
        live, principal = await self._look_up(token, now, is_bound=True)
        if live.dpop_jkt is None:
            # A client that believes its token to be bound must not go on in that belief.
            raise TokenRefused(bearer.NOT_BOUND)
        until = min(now + self._cache_seconds, live.expires_at)
        known = _Known(principal, live.dpop_jkt, token_hash(fingerprint(token)), now, until)
        if before == evictions() and until > now:
            self._known.pop(token, None)
            while len(self._known) >= self._cache_entries:
                del self._known[next(iter(self._known))]
            self._known[token] = known
        return known

    async def _check_proof(self, known: _Known, sent: Sent) -> None:
        def fits(proof: DpopProof) -> None:
            if proof.thumbprint != known.thumbprint:
                raise TokenRefused(bearer.BOUND_TO_ANOTHER_KEY)
            if proof.token_hash != known.token_hash:
                raise ProofInvalid("ath of the DPoP proof is not the SHA-256 of the access token.")

        try:
            headers = [value.decode("latin-1") for name, value in sent.headers if name == SCHEME]
            await self._judge.judge(headers, method=sent.method, url=self._url_of(sent.path), fits=fits)
        except ProofInvalid as error:
            raise TokenRefused(proof_invalid(str(error))) from None
        except ProofReplayed:
            raise TokenRefused(bearer.PROOF_REPLAYED) from None
        except NonceNeeded as error:
            raise TokenRefused(bearer.NONCE_NEEDED, nonce=error.nonce) from None

    def _url_of(self, path: str) -> str:
        """Return the URL that a client sends a request to; the resource's is what clients are told to use."""
        below = path.removeprefix(self._path)
        if below in ("", "/"):
            return self._url
        return normal_url(self._url + quote(below, safe=_IN_PATHS)) or self._url


def names_dpop(authorization: Sequence[bytes]) -> bool:
    """Say whether the first `Authorization` header of a request is of the scheme DPoP."""
    return bool(authorization) and authorization[0][:5].lower() == b"dpop "


def came_bound(scope: Mapping[str, Any]) -> bool:
    """Say whether the caller of a request came with the scheme DPoP, by its ASGI scope."""
    return BOUND_CALLER in scope or names_dpop([value for name, value in scope["headers"] if name == b"authorization"])


def proof_invalid(description: str) -> Refusal:
    """Return the refusal of a proof for what is wrong with it."""
    return Refusal(bearer.PROOF_INVALID, 401, "invalid_dpop_proof", description)


ALGORITHMS_TOLD: Final = " ".join(SIGNING_ALGORITHMS)
"""What a challenge says that proofs may be signed with (RFC 9449 section 7.1)."""

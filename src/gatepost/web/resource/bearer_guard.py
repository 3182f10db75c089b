"""The bearer guard: from a request's headers to a `Principal`, or to a refusal that says what to do (RFC 6750).

Built for the hot path of a plain ASGI callable: a token that was verified a moment ago costs one dictionary look-up.
"""

from __future__ import annotations

import hmac
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import field
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from starlette.types import Scope

from gatepost.identity.entry import ANYBODY, Entry
from gatepost.identity.roles import NO_ROLES, Roles
from gatepost.late_dataclass import dataclass
from gatepost.resource import bearer
from gatepost.resource.api_keys import API_KEY_HEADER, is_api_key, read_api_key
from gatepost.resource.api_keys import UNKNOWN as API_KEY_UNKNOWN
from gatepost.resource.bearer import Refusal, TokenRefused, bearer_challenge
from gatepost.resource.principal import API_KEY_SUBJECT, COMMAND_LINE_CLIENT, Principal
from gatepost.resource.resources import ProtectedResource, metadata_url, names_same_endpoint
from gatepost.stores.contract.grants import GrantStore, LiveAccessToken
from gatepost.stores.contract.users import Person
from gatepost.stores.contract.wakeups import NO_WAKEUPS, Wakeups
from gatepost.stores.signed_tokens import SignedTokens
from gatepost.tokens.opaque import fingerprint, token_fingerprint
from gatepost.tokens.signing import looks_signed
from gatepost.web.resource.bound_tokens import ALGORITHMS_TOLD, BoundTokens, Sent, names_dpop
from gatepost.web.resource.refused import BearerRefused

if TYPE_CHECKING:
    from gatepost.web.resource.api_key_callers import ApiKeyCallers
    from gatepost.web.resource.external_callers import ExternalCallers
    from gatepost.web.resource.proofs import ProofJudge

_CACHE_ENTRIES = 4096
_REMEMBERED_EVICTIONS = 1000
"""Of how many it is remembered of which grant they were (None: of everything)."""

Credential: TypeAlias = bytes | tuple[bytes]
"""The value of `Authorization`, or in a tuple that of `MCP-API-Key`."""


@dataclass(frozen=True, slots=True)
class _Verified:
    principal: Principal = field(repr=False)
    since: int
    until: int


class BearerGuard:
    """Verifies the bearer tokens of one protected resource.

    A verification counts for `cache_seconds`: for so long, and no longer, may a revocation made in another process go
    unseen here. Revocations made in this process, and those of which it hears, call `evict_all`.
    """

    _bound: BoundTokens | None = None
    _requires_proofs = False

    def __init__(
        self,
        *,
        grants: GrantStore,
        resource: ProtectedResource,
        issuer: str,
        now: Callable[[], int],
        api_key: str | None = None,
        required_scopes: frozenset[str] = frozenset(),
        is_discoverable: bool = True,
        signed_tokens: SignedTokens | None = None,
        entry: Entry = ANYBODY,
        roles: Roles = NO_ROLES,
        external: ExternalCallers | None = None,
        api_keys: ApiKeyCallers | None = None,
        any_loopback: bool = False,
        wakeups: Wakeups = NO_WAKEUPS,
        cache_seconds: int = 5,
        cache_entries: int = _CACHE_ENTRIES,
    ) -> None:
        """Prepare everything that does not depend on a request.

        Args:
            grants: where access tokens are looked up.
            resource: the resource whose tokens count; tokens of all others are refused.
            issuer: the authorization server, for the `Principal`.
            now: the clock, whole seconds UTC.
            api_key: the operator's static key, which counts as a token with all scopes; None when there is none.
            required_scopes: what every request needs, whatever it asks for.
            signed_tokens: checks signed access tokens; None where all of them are opaque.
            entry: says whom its words name no more.
            roles: say which scopes of a token its person may still have.
            external: verifies tokens of issuers elsewhere; None where none counts.
            api_keys: checks the keys that `gatepost apikeys` makes; None where none counts.
            any_loopback: whether tokens that the operator made count at every loopback name.
            wakeups: say whether revocations in other processes are heard.
            is_discoverable: whether the resource's metadata is served; False where only the static key opens it.
            cache_seconds: how long a verification counts; 0 looks every token up.
            cache_entries: how many verifications are kept at most, 1 or more.

        Raises:
            ValueError: `api_key` could never be sent as a bearer token (RFC 6750 section 2.1).
        """
        if api_key is not None and not bearer.is_bearer_token(api_key):
            raise ValueError("an API key takes letters, digits and - . _ ~ + / only (RFC 6750 section 2.1)")
        self._grants, self._resource = grants, resource
        self._issuer, self._now = issuer, now
        self._api_key_fingerprint = None if api_key is None else fingerprint(api_key)
        self.required_scopes = required_scopes
        self._signed_tokens, self._external = signed_tokens, external
        self._entry, self._roles, self._api_keys = entry, roles, api_keys
        self._longest = bearer.MAX_TOKEN_LENGTH if external is None else bearer.MAX_EXTERNAL_LENGTH
        self._any_loopback, self._wakeups = any_loopback, wakeups
        self._cache_seconds, self._cache_entries = cache_seconds, cache_entries
        self._metadata_url = metadata_url(resource) if is_discoverable else None
        self._api_key_principal = _of_fixed_key(resource, required_scopes, issuer=issuer)
        # Keyed by the value of `Authorization` as it came, or by that of `MCP-API-Key` in a tuple, so that none is ever
        # taken for the other. In the order of insertion, which is that of expiry too.
        self._verified: dict[Credential, _Verified] = {}
        self._evictions, self._evicted = 0, deque[str | None](maxlen=_REMEMBERED_EVICTIONS)

    def take_bound_tokens(self, proofs: ProofJudge, *, are_required: bool = False) -> None:
        """Have tokens count that are bound to a key (RFC 9449); if they are required, no others but API keys."""
        self._bound = BoundTokens(
            proofs,
            self._look_up,
            resource=self._resource,
            cache_seconds=self._cache_seconds,
            cache_entries=self._cache_entries,
        )
        self._requires_proofs = are_required

    def cached(self, credential: Credential) -> Principal | None:
        """Return who sent this `Authorization` value if that was verified a moment ago.

        Only for a request with exactly one such header, no `MCP-API-Key` and no query; every other one goes to
        `verify`, which knows what to refuse.
        """
        verified = self._verified.get(credential)
        # A clock that was set back must not make an entry last: hence the lower bound.
        if verified is None or not verified.since <= self._now() < verified.until:
            return None
        return verified.principal

    async def verify(
        self, raw_headers: Iterable[tuple[bytes, bytes]], query_string: bytes, scope: Scope | None = None
    ) -> Principal:
        """Return who sends this request.

        Args:
            raw_headers: the `headers` of the ASGI scope.
            query_string: the `query_string` of the ASGI scope.
            scope: the ASGI scope; None for a request that was verified before and lasts, whose proof is not asked for
                again.

        Raises:
            BearerRefused: nobody who may; it holds the answer.
            StoreUnavailable: it cannot be known now: answer 503, never 401.
        """
        raw_headers = [(name.lower(), value) for name, value in raw_headers]
        authorization = [value for name, value in raw_headers if name == b"authorization"]
        keys = [value for name, value in raw_headers if name == API_KEY_HEADER]
        is_bound = self._bound is not None and not keys and names_dpop(authorization)
        try:
            if keys:
                principal = await self._principal_of_key(keys, authorization, query_string)
            elif is_bound and self._bound is not None:
                sent = None if scope is None else Sent.of(raw_headers, scope)
                principal = await self._bound.principal(
                    authorization, query_string, sent, evictions=lambda: self._evictions
                )
            else:
                principal = await self._principal(authorization, query_string)
        except TokenRefused as error:
            refused = partial(self._refused, for_bound=is_bound, nonce=error.nonce)
            raise refused(error.refusal, self._resource.default_scopes) from None
        if not principal.has(self.required_scopes):
            raise self.insufficient_scope(self.required_scopes, is_bound=is_bound)
        return principal

    def insufficient_scope(self, required: Iterable[str], *, is_bound: bool = False) -> BearerRefused:
        """Return the 403 for an operation that needs `required`, all of which it names (RFC 6750 section 3.1).

        Its challenge is of the scheme that the request came with: DPoP where `is_bound` (RFC 9449 section 7.1).
        """
        return self._refused(bearer.INSUFFICIENT_SCOPE, self._in_order(required), for_bound=is_bound)

    def without_token(self, required: Iterable[str]) -> BearerRefused:
        """Return the 401 for an operation that needs `required`, called by somebody without a token."""
        return self._refused(bearer.MISSING, self._in_order(required))

    def _in_order(self, required: Iterable[str]) -> list[str]:
        needed = set(required)
        in_order = [scope for scope in self._resource.scopes if scope in needed]
        return [*in_order, *sorted(needed.difference(in_order))]

    def evict_all(self) -> None:
        """Forget every verification, those under way too: something was revoked."""
        self._verified.clear()
        if self._bound is not None:
            self._bound.forget(None)
        self._note_eviction(None)

    def evict(self, grant_id: str) -> None:
        """Forget what was verified of the tokens of a grant, and what is being verified: it was revoked."""
        for credential in [known for known, it in self._verified.items() if it.principal.grant_id == grant_id]:
            del self._verified[credential]
        if self._bound is not None:
            self._bound.forget(grant_id)
        self._note_eviction(grant_id)

    def _note_eviction(self, grant_id: str | None) -> None:
        self._evictions += 1
        self._evicted.append(grant_id)

    @property
    def evictions(self) -> int:
        """How often something may have been revoked so far."""
        return self._evictions

    def is_still_verified(self, principal: Principal, evictions: int) -> bool:
        """Say whether what was verified after so many evictions still counts, as far as that is known without asking.

        For streams, which last: it is known while other processes are heard, for tokens of this server.
        """
        if not self._wakeups.are_heard or self._external is not None:
            return False
        since = self._evictions - evictions
        if since > len(self._evicted) or any(
            grant_id is None or grant_id == principal.grant_id for grant_id in islice(reversed(self._evicted), since)
        ):
            return False
        return principal.expires_at is None or principal.expires_at > self._now()

    async def _principal(self, authorization: list[bytes], query_string: bytes) -> Principal:
        # 1. Shape and place.
        token = bearer.read_bearer_token(authorization, query_string, longest=self._longest)
        # 2. The operator's own key. It is compared by fingerprint, so that time tells nothing about it.
        now = self._now()
        presented = fingerprint(token)
        if self._api_key_fingerprint is not None and hmac.compare_digest(presented, self._api_key_fingerprint):
            self._remember(authorization[0], token, self._api_key_principal, now=now, until=now + self._cache_seconds)
            return self._api_key_principal
        # 3. A key, wherever it stands, is looked up among keys alone.
        if is_api_key(token):
            return await self._look_up_key(token, presented, authorization[0])
        evictions = self._evictions
        # 4. Somebody else's goes to whom it belongs, and none of ours ever does.
        if self._external is not None and not self._is_of_this_server(token, self._external):
            principal = await self._external.principal(token, self._resource, own_issuer=self._issuer)
            if self._requires_proofs:
                raise TokenRefused(bearer.BINDING_REQUIRED)
            if evictions == self._evictions and principal.has(self.required_scopes):
                self._remember(authorization[0], token, principal, now=now, until=now + self._cache_seconds)
            return principal
        # 5. Ours is looked up, and counts here alone only if nobody has to prove that it is theirs (RFC 9449 7.2).
        live, principal = await self._look_up(token, now)
        if live.dpop_jkt is not None:
            raise TokenRefused(bearer.BOUND)
        if self._requires_proofs:
            raise TokenRefused(bearer.BINDING_REQUIRED)
        # 6. Remember it, unless something was revoked while the store was asked.
        if evictions == self._evictions and principal.has(self.required_scopes):
            until = min(now + self._cache_seconds, live.expires_at)
            self._remember(authorization[0], token, principal, now=now, until=until)
        return principal

    async def _look_up(self, token: str, now: int, *, is_bound: bool = False) -> tuple[LiveAccessToken, Principal]:
        """Return what the store says of an access token of ours that counts, bound to a key or not."""
        # 1. What cannot be one costs no look-up, and a signed one has to verify first.
        if self._signed_tokens is not None and looks_signed(token):
            await self._signed_tokens.check(token, resource=self._resource.identifier, now=now)
        else:
            bearer.check_kind(token)
        # 2. Look it up.
        live = await self._grants.find_access_token(token_fingerprint(token, is_bound=is_bound), now=now)
        if live is None:
            other = await self._grants.find_access_token(token_fingerprint(token, is_bound=not is_bound), now=now)
            raise TokenRefused(bearer.UNKNOWN if other is None else bearer.NOT_BOUND if is_bound else bearer.BOUND)
        # 3. The rule decides.
        bearer.check_live(
            expires_at=live.expires_at,
            revoked=live.grant_revoked,
            user_disabled=live.user_disabled,
            audience=self._audience_of(live) if self._any_loopback else live.resource,
            resource=self._resource.identifier,
            now=now,
        )
        if self._entry.shuts_out(live.person):
            raise TokenRefused(bearer.USER_NOT_ALLOWED)
        return live, self._from_token(live, live.person)

    def _is_of_this_server(self, token: str, external: ExternalCallers) -> bool:
        if bearer.is_ours(token):
            return True
        return self._signed_tokens is not None and looks_signed(token) and external.says_issuer(token, self._issuer)

    async def _principal_of_key(self, keys: list[bytes], authorization: list[bytes], query_string: bytes) -> Principal:
        """Return who sends a request with `MCP-API-Key` headers. Access tokens do not count there."""
        key = read_api_key(keys, authorization, query_string)
        credential = (keys[0],)
        if (known := self.cached(credential)) is not None:
            return known
        now, key_fingerprint = self._now(), fingerprint(key)
        if self._api_key_fingerprint is not None and hmac.compare_digest(key_fingerprint, self._api_key_fingerprint):
            self._remember(credential, key, self._api_key_principal, now=now, until=now + self._cache_seconds)
            return self._api_key_principal
        if not is_api_key(key):
            raise TokenRefused(bearer.WRONG_KIND if bearer.is_ours(key) else API_KEY_UNKNOWN)
        return await self._look_up_key(key, key_fingerprint, credential)

    async def _look_up_key(self, key: str, key_fingerprint: bytes, credential: Credential) -> Principal:
        if self._api_keys is None:
            raise TokenRefused(API_KEY_UNKNOWN)
        evictions, now = self._evictions, self._now()
        principal = await self._api_keys.principal(key_fingerprint, self._resource, issuer=self._issuer)
        if evictions == self._evictions and principal.has(self.required_scopes):
            until = now + self._cache_seconds
            ends = until if principal.expires_at is None else min(until, principal.expires_at)
            self._remember(credential, key, principal, now=now, until=ends)
        return principal

    def _audience_of(self, live: LiveAccessToken) -> str:
        """Return the resource that a token is for: this one also where the operator made it for another loopback name.

        All other tokens stay with the origin that they were asked for (record 0005).
        """
        resource = self._resource.identifier
        is_operators = self._any_loopback and live.client_id == COMMAND_LINE_CLIENT
        return resource if is_operators and names_same_endpoint(live.resource, resource) else live.resource

    def _from_token(self, live: LiveAccessToken, person: Person | None) -> Principal:
        roles, scopes, resource = frozenset[str](), live.scopes, self._resource
        if person is not None:
            roles = self._roles.of(person)
            scopes = self._roles.permit(scopes, roles, resource.implied_scopes)
        return Principal(
            subject=live.subject,
            client_id=live.client_id,
            scopes=resource.effective(scopes),
            resource=resource.identifier,
            issuer=self._issuer,
            grant_id=live.grant_id,
            expires_at=live.expires_at,
            display_name=live.display_name,
            client_name=live.client_name,
            user_issuer=live.user_issuer,
            profile=live.profile,
            roles=roles,
            actors=live.actors,
        )

    def _remember(self, credential: Credential, token: str, principal: Principal, *, now: int, until: int) -> None:
        """Keep a verification, and let go of what is over or too much. Keeps no token longer than it is of use."""
        spelt = len(credential[0]) if isinstance(credential, tuple) else len(credential) - len("Bearer ")
        if spelt != len(token):
            # With more blanks than one there are any number of spellings, of any length, and one token is enough to
            # fill the memory with them.
            return
        self._verified.pop(credential, None)
        while self._verified:
            oldest = next(iter(self._verified))
            if len(self._verified) < self._cache_entries and self._verified[oldest].until > now:
                break
            del self._verified[oldest]
        if until > now:
            self._verified[credential] = _Verified(principal, since=now, until=until)

    def _refused(
        self, refusal: Refusal, scopes: Iterable[str], *, for_bound: bool = False, nonce: str | None = None
    ) -> BearerRefused:
        return BearerRefused(
            refusal,
            www_authenticate=bearer_challenge(
                resource_metadata=self._metadata_url,
                scopes=scopes,
                error=refusal.error,
                error_description=None if refusal.error is None else refusal.description,
                algorithms=ALGORITHMS_TOLD if for_bound or self._requires_proofs else None,
            ),
            nonce=nonce,
        )


def _of_fixed_key(resource: ProtectedResource, required_scopes: frozenset[str], *, issuer: str) -> Principal:
    return Principal(
        subject=API_KEY_SUBJECT,
        client_id=API_KEY_SUBJECT,
        scopes=frozenset(resource.scopes) | required_scopes,
        resource=resource.identifier,
        issuer=issuer,
        grant_id=None,
        expires_at=None,
    )

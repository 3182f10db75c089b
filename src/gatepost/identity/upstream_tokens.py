"""Tokens for tools that act elsewhere as the person who calls them: kept at a login, renewed when one is asked for.

A refresh token that the provider replaces at each use is used by one at a time, over all tasks, threads and processes:

1. Who finds the access token over claims the row in the store. Everybody else waits for what comes of it.
2. The provider is asked. The claim lasts longer than that can take.
3. What it gives is durable before anybody gets it, and counts only if the row is still the one that was claimed.

A process that dies between the second and the third step leaves a claim that ends by itself, and a refresh token of
which nobody knows whether it still counts. It is used once more then: what the provider may have given for it is in
nobody's hands, so there is nothing that a second use could take from anybody.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import field, replace
from typing import Final

from gatepost.identity.provider import Identity
from gatepost.identity.token_holder import TOTAL_SECONDS, TokenHolder
from gatepost.identity.token_set import TokensEnded, TokenSet, TokensUnavailable
from gatepost.late_dataclass import dataclass
from gatepost.outbound.fetching import FetchFailed
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.upstream_tokens import KeptTokens, UpstreamTokenStore
from gatepost.stores.upstream_tokens import TokenPair, open_tokens, sealed
from gatepost.tokens.opaque import RandomBytes
from gatepost.tokens.sealing import KeyRing, SealBroken

EARLY: Final = 60
"""Seconds before its end in which an access token is renewed; less, half of its life, if it lives that short."""
LATEST: Final = 15
"""Seconds after its claim until which a refresh is begun."""
WAITS: Final = 250
"""How often one that waits for another looks again, before it gives up."""
WAIT_SECONDS: Final = 0.1
PAUSE: Final = 5
"""Seconds in which nobody asks again after a failure, where the provider does not say how many."""
LONGEST_PAUSE: Final = 3600
WRITES: Final = 20
"""How often new tokens are tried to be kept, once a second, while the store fails."""
CLAIM_SECONDS: Final = 2 * (LATEST + int(TOTAL_SECONDS) + WRITES)
"""How long a claim lasts: longer than a refresh can take."""
_REPLACEMENTS: Final = 5
_MOST: Final = 100

_log = logging.getLogger("gatepost.identity")


class LinkMissing(Exception):
    """There is nothing of this person's for the provider, or nothing that still counts: only they can change that."""


class Unavailable(Exception):
    """The access token is over, and no other can be had now."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("no access token can be had now")
        self.retry_after = retry_after
        """Seconds."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """Tokens of the provider that there is under that name now."""

    kept: KeptTokens
    pair: TokenPair

    def is_usable(self, now: int, refused: str | None) -> bool:
        """Say whether the access token may still count."""
        is_over = self.kept.expires_at is not None and self.kept.expires_at <= now
        return not is_over and self.pair.access_token != refused

    def is_fresh(self, now: int, refused: str | None) -> bool:
        """Say whether it will do so for a while."""
        end = self.kept.expires_at
        early = 0 if end is None else min(EARLY, (end - self.kept.renewed_at) // 2)
        return self.is_usable(now + early, refused)

    def can_be_refreshed(self, now: int) -> bool:
        """Say whether there is a refresh token that may still count."""
        return self.pair.refresh_token is not None and (self.kept.ends_at is None or now < self.kept.ends_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamTokens:
    """The tokens of everybody, in one event loop of one process."""

    providers: Mapping[str, TokenHolder]
    """Those that keep tokens, by name."""
    store: UpstreamTokenStore
    key_ring: KeyRing
    note_end: Callable[[str], None]
    """Puts in the audit trail that a provider has ended a person's tokens; returns at once."""
    now: Callable[[], int]
    """Whole seconds UTC."""
    random_bytes: RandomBytes
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _flights: dict[tuple[str, str, str | None], asyncio.Task[str]] = field(default_factory=dict, init=False)

    async def keep(self, subject: str, provider: str, identity: Identity) -> None:
        """Keep what a login or link brought, if it is to be kept.

        A login that brings no refresh token leaves an earlier one of the same account in its place: Google gives one
        only when the person agrees for the first time.
        """
        holder, tokens = self.providers.get(provider), identity.tokens
        if holder is None or tokens is None:
            return
        for _ in range(_REPLACEMENTS):
            before = await self.store.find_tokens(subject, provider)
            earlier = None if tokens.refresh_token else self._of_account(before, holder, identity.subject)
            new = self._record(subject, holder, identity.subject, tokens, earlier)
            if identity.issuer not in {None, holder.issuer}:
                new = replace(new, login_issuer=identity.issuer)
            if await self.store.keep_tokens(new, replaces=None if before is None else before.version):
                return
        _log.warning("login provider %s: its tokens were not kept", provider, extra={"subject": subject})
        if await self.store.find_tokens(subject, provider) is None:
            # The login was unlinked meanwhile, or its person disabled: it has to be over over there as well.
            await self._revoke(holder, TokenPair(tokens.access_token, tokens.refresh_token))

    async def access_token(self, subject: str, provider: str, *, refused: str | None = None) -> str:
        """Return an access token of this person's.

        Args:
            subject: whose.
            provider: one of `providers`.
            refused: an access token that the provider's API has refused, if any; another one is returned.

        Raises:
            LinkMissing: the person has to go there.
            Unavailable: the provider has to be asked, and gives no usable answer now.
            StoreUnavailable: the store cannot answer.
        """
        opened = await self._find(subject, self.providers[provider])
        if opened is None:
            raise LinkMissing
        if opened.is_fresh(self.now(), refused):
            return opened.pair.access_token
        key = (subject, provider, refused)
        flight = self._flights.get(key)
        if flight is None:
            # It goes on when the one who asked leaves, and nothing in it is that one's, such as how long they wait.
            renewed = self._renewed(subject, self.providers[provider], refused)
            flight = asyncio.get_running_loop().create_task(renewed, context=contextvars.Context())
            self._flights[key] = flight
            flight.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(flight)

    async def end(self, subject: str, *, provider: str) -> list[KeptTokens]:
        """End what is kept of a person's at a provider, and return it. It is over here; the provider is to be told."""
        return await self.store.end_tokens(subject, provider=provider)

    async def tell(self, ended: Iterable[KeptTokens]) -> None:
        """Have the providers end what was ended here. That one does not is logged, and no error."""
        for kept in ended:
            holder = self.providers.get(kept.provider)
            opened = None if holder is None else self._opened(kept, holder)
            if holder is not None and opened is not None:
                await self._revoke(holder, opened.pair)

    def keeps(self, provider: str) -> bool:
        """Say whether tokens of this provider are kept."""
        return provider in self.providers

    async def has(self, subject: str, provider: str) -> bool:
        """Say whether there are tokens of a person's with which a tool could act now, or could get others."""
        opened = await self._find(subject, self.providers[provider])
        now = self.now()
        return opened is not None and (opened.is_usable(now, None) or opened.can_be_refreshed(now))

    async def listed(self, subject: str) -> list[KeptTokens]:
        """Return what is kept of a person's."""
        return await self.store.list_tokens(subject, limit=_MOST)

    async def settle(self) -> None:
        """Wait for the refreshes that are under way: what they bring has to be kept."""
        if self._flights:
            await asyncio.wait(tuple(self._flights.values()), timeout=CLAIM_SECONDS)

    async def _find(self, subject: str, holder: TokenHolder) -> _Opened | None:
        kept = await self.store.find_tokens(subject, holder.name)
        return None if kept is None else self._opened(kept, holder)

    def _opened(self, kept: KeptTokens, holder: TokenHolder) -> _Opened | None:
        if kept.issuer != holder.issuer:
            return None
        try:
            return _Opened(kept, open_tokens(kept, self.key_ring))
        except SealBroken as error:
            _log.error(
                "tokens of login provider %s do not open: %s", holder.name, error, extra={"subject": kept.subject}
            )
            return None

    async def _renewed(self, subject: str, holder: TokenHolder, refused: str | None) -> str:
        """Return an access token that is fresh; from this process or another."""
        name = self.random_bytes(8).hex()
        for _ in range(WAITS):
            # 1. As it is now: another may have been here.
            opened, now = await self._find(subject, holder), self.now()
            if opened is None:
                raise LinkMissing
            if opened.is_fresh(now, refused):
                return opened.pair.access_token
            if not opened.can_be_refreshed(now):
                return await self._without_refresh(opened, holder, refused)
            pause = (opened.kept.retry_at or 0) - now
            if 0 < pause <= LONGEST_PAUSE:
                return self._in_spite_of(opened, refused, Unavailable(pause))

            # 2. One asks the provider; the others look again.
            if await self.store.claim_refresh(opened.kept, holder=name, now=now, until=now + CLAIM_SECONDS):
                if self.now() - now <= LATEST and (token := await self._refresh(opened, holder, name, refused)):
                    return token
            else:
                await self.sleep(WAIT_SECONDS)
        raise Unavailable(PAUSE)

    async def _refresh(self, opened: _Opened, holder: TokenHolder, name: str, refused: str | None) -> str | None:
        """Return a new access token once it is kept; None when the row is not the one that was claimed any more."""
        kept, store = opened.kept, self.store
        try:
            tokens = await holder.refresh(opened.pair.refresh_token or "")
        except TokensEnded:
            if not await store.end_tokens(kept.subject, provider=kept.provider, version=kept.version):
                return None
            self.note_end(kept.subject)
            raise LinkMissing from None
        except TokensUnavailable as failure:
            pause = min(max(failure.retry_after or PAUSE, 1), LONGEST_PAUSE)
            await store.defer_refresh(kept, holder=name, retry_at=self.now() + pause)
            return self._in_spite_of(opened, refused, Unavailable(pause))
        new = self._record(kept.subject, holder, kept.external_subject, tokens, opened)
        new = replace(new, linked_at=kept.linked_at, login_issuer=kept.login_issuer)
        if await self._keep_durably(new, replaces=kept.version, holder=name):
            return tokens.access_token
        if await store.find_tokens(kept.subject, kept.provider) is None:
            # It was ended here meanwhile, so it has to be over there as well.
            await self._revoke(holder, TokenPair(tokens.access_token, tokens.refresh_token))
        return None

    async def _keep_durably(self, new: KeptTokens, *, replaces: str, holder: str) -> bool:
        """Keep new tokens; the old ones are worth nothing any more, so a fault of the store is waited out."""
        for attempt in range(1, WRITES + 1):
            try:
                return await self.store.keep_refreshed(new, replaces=replaces, holder=holder)
            except StoreUnavailable:
                if attempt == WRITES:
                    _log.error("login provider %s: new tokens could not be kept", new.provider)
                    raise
                await self.sleep(1)
        raise AssertionError

    async def _without_refresh(self, opened: _Opened, holder: TokenHolder, refused: str | None) -> str:
        """Return the access token as long as it counts; one that was refused and cannot be renewed is over."""
        if opened.is_usable(self.now(), refused):
            return opened.pair.access_token
        kept = opened.kept
        if await self.store.end_tokens(kept.subject, provider=holder.name, version=kept.version):
            self.note_end(kept.subject)
        raise LinkMissing

    def _in_spite_of(self, opened: _Opened, refused: str | None, error: Unavailable) -> str:
        """Return the old access token as long as it counts; raise `error` otherwise."""
        if opened.is_usable(self.now(), refused):
            return opened.pair.access_token
        raise error

    def _of_account(self, before: KeptTokens | None, holder: TokenHolder, external_subject: str) -> _Opened | None:
        """Return earlier tokens, if they are of the same account."""
        opened = None if before is None else self._opened(before, holder)
        return opened if opened is not None and opened.kept.external_subject == external_subject else None

    def _record(
        self, subject: str, holder: TokenHolder, account: str, tokens: TokenSet, earlier: _Opened | None
    ) -> KeptTokens:
        """Return new tokens as they are kept. What they do not say is as it was `earlier`, if they come from those."""
        now, before = self.now(), None if earlier is None else earlier.kept
        refresh_token, expires_at = tokens.refresh_token, None
        ends_at = None if tokens.refresh_expires_in is None else now + tokens.refresh_expires_in
        if refresh_token is None and earlier is not None:
            refresh_token, ends_at = earlier.pair.refresh_token, earlier.kept.ends_at
        if tokens.expires_in is not None:
            expires_at = now + tokens.expires_in
            ends_at = expires_at if refresh_token is None else None if ends_at is None else max(ends_at, expires_at)
        new = KeptTokens(
            subject=subject,
            provider=holder.name,
            issuer=holder.issuer,
            external_subject=account,
            scopes=tokens.scopes if tokens.scopes is not None else () if before is None else before.scopes,
            sealed_tokens=b"",
            version=self.random_bytes(8).hex(),
            is_refreshable=refresh_token is not None,
            linked_at=now,
            renewed_at=now,
            expires_at=expires_at,
            ends_at=ends_at,
        )
        pair = TokenPair(tokens.access_token, refresh_token)
        return sealed(new, pair, self.key_ring, random_bytes=self.random_bytes)

    async def _revoke(self, holder: TokenHolder, pair: TokenPair) -> None:
        try:
            await holder.revoke(TokenSet(pair.access_token, pair.refresh_token))
        except FetchFailed as failure:
            text = "login provider %s: tokens that were ended here may live on there: %s"
            _log.warning(text, holder.name, failure.cause, extra={"host": holder.host})

    def _landed(self, key: tuple[str, str, str | None], flight: asyncio.Task[str]) -> None:
        del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # everybody may have left; that nobody looked is then no fault

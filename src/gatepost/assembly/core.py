"""What everything else is built on: settings, store, keys, audit trail, limits, clock; and their life."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import field
from functools import partial
from typing import Final

from gatepost.assembly.telemetry import Observed, observed_by
from gatepost.configuration.deployment import Deployment, key_file, locate_store, resolve_deployment
from gatepost.configuration.sealing_keys import check_key_ring, make_key_ring, signing_keys_of
from gatepost.configuration.settings import Settings
from gatepost.identity.entry import ANYBODY, Entry
from gatepost.identity.roles import NO_ROLES, Roles
from gatepost.late_dataclass import dataclass
from gatepost.observability.audit_trail import AuditTrail
from gatepost.server.extension_host import Ear
from gatepost.stores.api_key_uses import ApiKeyUses
from gatepost.stores.contract.store import Store
from gatepost.stores.opening import open_when_there
from gatepost.stores.purging import background_purger, purging
from gatepost.stores.signed_tokens import SignedTokens
from gatepost.stores.signing_keys import SigningKeys
from gatepost.telemetry.catalogue import PURGED
from gatepost.telemetry.seam import Telemetry
from gatepost.tokens.dpop_nonces import DpopNonces
from gatepost.tokens.opaque import RandomBytes
from gatepost.tokens.sealing import KeyRing
from gatepost.web.resource.proofs import ProofJudge
from gatepost.web.site.audit import Audit
from gatepost.web.site.client_address import ClientAddresses
from gatepost.web.site.limits import Limits
from gatepost.web.site.patience import Waiting

_USES_SECONDS: Final = 10
"""So often it is written which API keys were used."""


def wall_clock() -> int:
    """Return the time, whole seconds UTC."""
    return int(time.time())


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """What outlives a request and is tied neither to an origin nor to OAuth or MCP."""

    settings: Settings
    deployment: Deployment
    store: Store
    key_ring: KeyRing
    signing_keys: SigningKeys | None
    audit_trail: AuditTrail
    audit: Audit
    api_key_uses: ApiKeyUses
    """When API keys were used last."""
    addresses: ClientAddresses
    limits: Limits
    """All requests are counted in the one store."""
    waiting: Waiting
    """Those who wait while the store is busy."""
    now: Callable[[], int]
    random_bytes: RandomBytes
    roles: Roles
    """Says which roles a person has."""
    entry: Entry
    """Says who may enter."""
    observed: Observed
    """What is measured."""
    ears: set[Ear] = field(default_factory=set[Ear])
    """What extensions have hear of other processes."""

    @property
    def telemetry(self) -> Telemetry | None:
        """What takes figures; None where nothing is measured."""
        return self.observed.telemetry

    async def open(self, *, waits: bool = True) -> None:
        """Open the store and see whether the keys are its own; `waits` for a store that cannot be reached yet."""
        await open_when_there(self.store, seconds=self.settings.server.storage_wait_seconds if waits else 0)
        file, now = key_file(self.settings), self.now()
        await check_key_ring(self.key_ring, self.store, file=file, now=now, random_bytes=self.random_bytes)
        if self.signing_keys is not None:
            await self.signing_keys.open()
        if len(self.key_ring.key_ids) > 1:
            # So that the others can leave the ring: a server that has another one first may have sealed under that
            # since this key was noted.
            from gatepost.stores.resealing import reseal_everything  # noqa: PLC0415 - nearly no start does

            await reseal_everything(self.store, self.key_ring, now=now, random_bytes=self.random_bytes)

    @asynccontextmanager
    async def in_background(self) -> AsyncIterator[None]:
        """Delete what is over and write the audit trail, for as long as the context lasts."""
        audit_days = self.settings.oauth.audit_days
        purger = background_purger(
            self.store,
            audit_days=audit_days,
            now=self.now,
            random_bytes=self.random_bytes,
            on_purged=None if self.telemetry is None else partial(_count_purged, self.telemetry),
        )
        audit, uses = self.audit_trail.writing(partial(asyncio.sleep, 1)), partial(asyncio.sleep, _USES_SECONDS)
        async with purging(purger), audit, self.api_key_uses.writing(uses):
            yield

    def signed_tokens(self, origin: str) -> SignedTokens | None:
        """Return what signs and checks access tokens at `origin`; None where they are opaque."""
        if self.signing_keys is None:
            return None
        any_loopback = self.deployment.is_any_loopback
        return SignedTokens(keys=self.signing_keys, issuer=origin, any_loopback=any_loopback)


def proof_judge(core: Core, server: str, *, remembers_itself: bool) -> ProofJudge:
    """Return what judges DPoP proofs that are sent to a server with this identifier (RFC 9449 section 4.3)."""
    nonces = DpopNonces(core.key_ring, server, core.random_bytes) if core.settings.oauth.dpop_nonces else None
    return ProofJudge(
        assertions=core.store.assertions,
        now=core.now,
        random_bytes=core.random_bytes,
        nonces=nonces,
        remembers_itself=remembers_itself,
    )


def build_core(
    settings: Settings,
    *,
    is_single_user: bool,
    store: Store | None = None,
    entry: Entry = ANYBODY,
    roles: Roles = NO_ROLES,
    now: Callable[[], int] = wall_clock,
    random_bytes: RandomBytes = secrets.token_bytes,
) -> Core:
    """Return the core; nothing is opened yet.

    Raises:
        SettingsError: the combination is unsafe, or the keys cannot be read.
    """
    deployment = resolve_deployment(settings, is_single_user=is_single_user)
    store = store or locate_store(settings).make_store()
    observed = observed_by(settings)
    if observed.telemetry is not None:
        from gatepost.observability.observed_store import observe_pool, observed_store  # noqa: PLC0415 - only where somebody measures

        observe_pool(store, observed.telemetry)
        store = observed_store(store, observed.telemetry)
    key_ring = make_key_ring(
        settings, file=None if store.is_lost_at_exit else key_file(settings), random_bytes=random_bytes
    )
    addresses = ClientAddresses(settings.server.trusted_proxies, header=settings.server.forwarded_header)
    audit_trail = AuditTrail(
        store=store.audit,
        now=time.time if now is wall_clock else now,
        random_bytes=random_bytes,
        telemetry=observed.telemetry,
    )
    return Core(
        settings=settings,
        deployment=deployment,
        store=store,
        key_ring=key_ring,
        signing_keys=signing_keys_of(settings, store, key_ring, now=now, random_bytes=random_bytes),
        audit_trail=audit_trail,
        audit=Audit(audit_trail, addresses),
        api_key_uses=ApiKeyUses(store.api_keys),
        addresses=addresses,
        limits=Limits(store=store.limits, now=now, factor=settings.oauth.limit_factor),
        waiting=Waiting(),
        roles=roles,
        entry=entry,
        observed=observed,
        now=now,
        random_bytes=random_bytes,
    )


def _count_purged(telemetry: Telemetry, deleted: Mapping[str, int]) -> None:
    for what, count in deleted.items():
        if count:
            telemetry.count(PURGED, {"what": what}, count)

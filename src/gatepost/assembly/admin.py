"""The admin pages at one origin."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gatepost import __version__
from gatepost.assembly.core import Core
from gatepost.identity.account_links import AccountLinkOffers
from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.keys import KeyStore, SealedSigningKey
from gatepost.web.pages.admin.table import AdminPages
from gatepost.web.pages.login_completion import LoginCompletion
from gatepost.web.site.health import HealthChecks


@dataclass(frozen=True, slots=True)
class _Health:
    """What `/healthz` says."""

    checks: HealthChecks
    is_degraded: Mapping[str, Callable[[], bool]]

    async def outcomes(self) -> Mapping[str, str]:
        """Return it by the name of the check."""
        degraded = {name: "degraded" for name, says in self.is_degraded.items() if says()}
        return {**await self.checks.outcomes(), **degraded}


def admin_pages(
    core: Core,
    completion: LoginCompletion,
    *,
    has_accounts: bool,
    on_revocation: Callable[[], None],
    is_degraded: Mapping[str, Callable[[], bool]],
) -> AdminPages:
    """Return the admin pages.

    Args:
        core: settings, store, keys.
        completion: sessions, provider, pages and audit trail.
        has_accounts: whether people have passwords here.
        on_revocation: called as soon as access has been taken away.
        is_degraded: what may work worse and keeps nobody out, by name.
    """
    links = AccountLinkOffers(
        links=core.store.account_links, origin=completion.origin, now=core.now, random_bytes=core.random_bytes
    )
    return AdminPages(
        completion=completion,
        store=core.store,
        roles=core.roles,
        links=links,
        has_accounts=has_accounts,
        on_revocation=on_revocation,
        health=_Health(HealthChecks({"store": core.store.check}), is_degraded).outcomes,
        version=__version__,
        rotate_key=None if core.signing_keys is None else _Rotation(core).rotate,
    )


@dataclass(frozen=True, slots=True)
class _Rotation:
    """Adds a signing key, as `gatepost keys rotate` does."""

    core: Core

    async def rotate(self, keys: KeyStore, *, at_once: bool) -> SealedSigningKey:
        """Publish a new key."""
        from gatepost.stores.signing_keys import rotate  # noqa: PLC0415 - keys are made rarely

        core, oauth = self.core, self.core.settings.oauth
        return await rotate(
            keys,
            core.key_ring,
            algorithm=oauth.signing_algorithm,
            token_lifetime=oauth.access_token_ttl,
            now=core.now(),
            random_bytes=core.random_bytes,
            at_once=at_once,
        )

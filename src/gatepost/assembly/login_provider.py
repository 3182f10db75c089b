"""The login provider of an installation."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gatepost.assembly.core import Core
from gatepost.configuration.settings import SettingsError
from gatepost.identity.local_accounts import LocalAccounts
from gatepost.identity.provider import IdentityProvider, Surroundings
from gatepost.identity.several_logins import SeveralLogins
from gatepost.outbound.fetching import system_trust
from gatepost.outbound.proxy import ForwardProxy

if TYPE_CHECKING:
    import httpx2


def connected(provider: IdentityProvider | None, core: Core, proxy: ForwardProxy | None) -> IdentityProvider:
    """Return the login provider, with local accounts beside or in place of it.

    Raises:
        SettingsError: local accounts are to be beside one that has a form itself, or asks nobody.
    """
    local = LocalAccounts(users=core.store.users)
    if provider is None:
        provider = local
    elif core.settings.oauth.local_accounts:
        asks_elsewhere = provider.elsewhere or type(provider).challenge is not IdentityProvider.challenge
        if provider.login_fields or not asks_elsewhere:
            raise SettingsError(
                f"OAUTH_LOCAL_ACCOUNTS puts local accounts beside logins elsewhere, and {provider.name} is none: "
                "leave one of the two out."
            )
        provider = SeveralLogins(provider.elsewhere or [provider], local)
    provider.connect(Surroundings(core.now, core.random_bytes, partial(_way_to, proxy)))
    return provider


def _way_to(proxy: ForwardProxy | None, url: str) -> httpx2.AsyncBaseTransport:
    from gatepost.outbound.transport import way_to  # noqa: PLC0415 - nothing is fetched at the start

    return way_to(url, proxy, system_trust)

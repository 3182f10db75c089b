"""The login provider of an installation."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from starlette.requests import Request

from gatepost.assembly.core import Core
from gatepost.configuration.settings import SettingsError
from gatepost.identity.local_accounts import LocalAccounts
from gatepost.identity.provider import IdentityProvider, Surroundings, check_provider
from gatepost.identity.second_steps import SecondSteps
from gatepost.identity.single_user import OPERATOR, may_vouch
from gatepost.oauth.audit import AuditEvent
from gatepost.stores.contract.users import LOCAL, NOBODY, User

if TYPE_CHECKING:
    import httpx2

    from gatepost.outbound.proxy import ForwardProxy


def connected(provider: IdentityProvider | None, core: Core, proxy: ForwardProxy | None) -> IdentityProvider:
    """Return the login provider, with local accounts beside or in place of it.

    Raises:
        SettingsError: local accounts are to be beside one that has a form itself, or asks nobody; or a second step is
            demanded where there are none.
        ValueError: an attribute of the provider is wrong.
    """
    second_steps = second_steps_of(core)

    async def note_recovery_code(request: Request, user: User) -> None:
        await core.audit.record(request, AuditEvent.RECOVERY_CODE_USED, subject=user.subject)

    local = LocalAccounts(users=core.store.users, second_steps=second_steps, on_recovery_code=note_recovery_code)
    if provider is None:
        provider = local
    elif core.settings.oauth.local_accounts:
        asks_elsewhere = provider.elsewhere or type(provider).challenge is not IdentityProvider.challenge
        if provider.login_fields or not asks_elsewhere:
            raise SettingsError(
                f"OAUTH_LOCAL_ACCOUNTS puts local accounts beside logins elsewhere, and {provider.name} is none: "
                "leave one of the two out."
            )
        from gatepost.identity.several_logins import SeveralLogins  # noqa: PLC0415 - most servers have one login

        provider = SeveralLogins(provider.elsewhere or [provider], local)
    demanded = core.settings.oauth.require_second_step
    if demanded != "none" and provider.issuer != LOCAL:
        raise SettingsError(
            f"OAUTH_REQUIRE_SECOND_STEP={demanded} is about the passwords of local accounts, and with the login "
            f"provider {provider.name} there are none: leave it out."
        )
    organizations = core.entry.organizations | core.roles.organizations
    check_provider(provider)
    if not all(may_vouch(each, each.issuer) for each in provider.every):
        raise ValueError(f"a login provider cannot be called {OPERATOR} or {NOBODY}: give it another name")
    provider.connect(Surroundings(core.now, core.random_bytes, partial(_way_to, proxy), organizations))
    return provider


def second_steps_of(core: Core) -> SecondSteps:
    """Return the second steps of local accounts."""
    return SecondSteps(
        store=core.store.second_steps, key_ring=core.key_ring, now=core.now, random_bytes=core.random_bytes
    )


def _way_to(proxy: ForwardProxy | None, url: str) -> httpx2.AsyncBaseTransport:
    from gatepost.outbound.fetching import system_trust  # noqa: PLC0415 - as below
    from gatepost.outbound.transport import way_to  # noqa: PLC0415 - nothing is fetched at the start

    return way_to(url, proxy, system_trust)

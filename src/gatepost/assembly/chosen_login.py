"""Which login provider it is: the one that is given in code, or the one that the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatepost.assembly import imported_later
from gatepost.configuration.settings import UPSTREAM_PREFIX, Settings, SettingsError
from gatepost.identity.passwords import PasswordRefused
from gatepost.identity.provider import IdentityProvider
from gatepost.identity.rules import EVERYBODY
from gatepost.identity.single_user import SingleUserProvider

if TYPE_CHECKING:
    from gatepost.identity.auth_provider import AuthProvider
    from gatepost.identity.several_logins import SeveralLogins
    from gatepost.identity.upstream_login import UpstreamLogin

_ONE_PASSWORD: Final = "Whoever knows ADMIN_PASSWORD logs in as the owner; no account has to be created."


def chosen_provider(
    settings: Settings, given: IdentityProvider | AuthProvider | None
) -> tuple[IdentityProvider | None, list[str]]:
    """Return the login provider, None for local accounts, and what the operator had better know about that.

    Raises:
        SettingsError: ADMIN_PASSWORD cannot be a password, or nobody would be asked for it; or what names a provider
            elsewhere is wrong, or there is another one beside it.
    """
    secret = settings.oauth.admin_password
    provider = _as_login(given) if imported_later.is_auth_provider(given) else given
    upstream = _upstream(settings, beside=given or secret, is_given=given is not None)
    if upstream is not None:
        hosts = " or ".join(login.host for login in upstream)
        if not settings.issues_tokens:
            return None, [f"Nobody logs in at {hosts}: the authorization server is off."]
        chosen = upstream[0] if len(upstream) == 1 else _several(upstream)
        who = "Whoever" if settings.oauth.allowed_users == (EVERYBODY,) else "Whom OAUTH_ALLOWED_USERS names and"
        return chosen, [f"{who} {hosts} lets in can log in here."]
    if secret is None or imported_later.is_static_password(provider):
        return provider, []
    if isinstance(provider, SingleUserProvider):
        raise SettingsError("In single-user mode nobody is asked for ADMIN_PASSWORD: leave one of the two out.")
    if provider is not None:
        return provider, ["ADMIN_PASSWORD is not used: the login provider is given in code."]
    if not settings.issues_tokens:
        return None, ["ADMIN_PASSWORD is not used: the authorization server is off."]
    from gatepost.identity.static_password import StaticPasswordProvider  # noqa: PLC0415 - most servers have no such login

    try:
        return StaticPasswordProvider(secret.get_secret_value()), [_ONE_PASSWORD]
    except PasswordRefused as refused:
        raise SettingsError(f"ADMIN_PASSWORD cannot be used. {refused}") from None


def _as_login(provider: AuthProvider) -> IdentityProvider:
    from gatepost.identity.auth_provider import AuthProviderLogin  # noqa: PLC0415 - most servers have no such provider

    return AuthProviderLogin(provider)


def _upstream(settings: Settings, *, beside: object, is_given: bool) -> list[UpstreamLogin] | None:
    """Return the providers elsewhere that the settings name. GitHub's names are others', too: code may read them."""
    named = settings.variables(UPSTREAM_PREFIX)
    github = (None, None) if is_given else (settings.oauth.github_client_id, settings.oauth.github_client_secret)
    if not named and github == (None, None):
        return None
    from gatepost.configuration.upstreams import upstream_logins  # noqa: PLC0415 - most servers have no such login

    if beside is not None:
        names = ", ".join(sorted(named)) or "GITHUB_CLIENT_ID"
        raise SettingsError(
            f"{names} and provider=, --single-user or ADMIN_PASSWORD each name a login provider: leave one of them out."
        )
    return upstream_logins(named, github, keep_github_tokens=settings.oauth.github_keep_tokens)


def _several(logins: list[UpstreamLogin]) -> SeveralLogins:
    from gatepost.identity.several_logins import SeveralLogins  # noqa: PLC0415 - most servers have one login

    try:
        return SeveralLogins(logins)
    except ValueError as error:
        raise SettingsError(f"OAUTH_UPSTREAM_: {error}") from None

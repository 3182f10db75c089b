"""Who may enter and which roles there are: from the settings, or from what `create_app` is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from gatepost.configuration.roles import roles_of_settings
from gatepost.configuration.settings import ROLE_PREFIX, Settings, SettingsError
from gatepost.identity.entry import ANYBODY, Allow, Entry, entry_of
from gatepost.identity.roles import EVERY_SCOPE, Role, Roles
from gatepost.identity.rules import TAKES, NotARule
from gatepost.wording.phrase import Words


def entry_rule(settings: Settings, allow: Allow | None) -> Entry:
    """Return who may enter.

    Raises:
        SettingsError: `allow` has words that are none of a rule, or the settings have a rule as well.
    """
    words = settings.oauth.allowed_users
    if allow is None:
        return entry_of(words) if words else ANYBODY
    if words:
        raise SettingsError("allow= and OAUTH_ALLOWED_USERS both say who may enter: leave one of the two out.")
    try:
        entry = entry_of(allow)
    except NotARule:
        raise SettingsError(f"allow= takes a function, or {TAKES}.") from None
    if not callable(entry.rule) and entry.rule is not None and not entry.rule.words:
        raise SettingsError("allow= names nobody; leave it out, or give it words or a function.")
    return entry


def roles_there_are(settings: Settings, given: Mapping[str, Role] | None) -> Roles:
    """Return the roles; what code says of one of a name beats the settings.

    Raises:
        SettingsError: variables or `given` are wrong.
    """
    try:
        return Roles({**roles_of_settings(settings.variables(ROLE_PREFIX)), **(given or {})})
    except NotARule:
        raise SettingsError(f"users= of a role in roles= takes a function, or {TAKES}.") from None
    except ValueError as error:
        raise SettingsError(f"roles= is wrong: {error}.") from None


def remarks_on_roles(
    roles: Roles, scopes: Mapping[str, Words], implied: Mapping[str, frozenset[str]] = MappingProxyType({})
) -> Iterator[str]:
    """Yield what looks like a mistake: scopes that no role has, and scopes of roles that there are not."""
    limited = roles.scopes
    if limited is None or EVERY_SCOPE in limited:
        return
    permitted = limited.union(*(opened for scope, opened in implied.items() if scope in limited))
    if missing := [scope for scope in scopes if scope not in permitted]:
        yield f"No role has {_listed(missing)}: nobody can be given what needs it."
    if unknown := sorted(limited - scopes.keys()):
        yield f"Roles name {_listed(unknown)}, which nothing here asks for."


def _listed(scopes: list[str]) -> str:
    return ("the scope " if len(scopes) == 1 else "the scopes ") + ", ".join(scopes)

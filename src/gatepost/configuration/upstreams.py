"""Login providers that variables name, checked at the start.

They are `OAUTH_UPSTREAM_<NAME>_CLIENT_ID` and what belongs to it, and `GITHUB_CLIENT_ID` with its secret.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pydantic import SecretStr

from gatepost.configuration.settings import UPSTREAM_PREFIX, SettingsError
from gatepost.identity.upstream_login import AUTH_METHODS, UpstreamLogin
from gatepost.late_dataclass import dataclass
from gatepost.outbound.addresses import is_server_url

_FLAGS: Final = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(("false", "0", "no", "off"), False)
_NAME: Final = re.compile(r"[A-Z0-9]+(_[A-Z0-9]+)*")
_URL: Final = "an https URL without query and fragment, such as https://id.example.com; http on this machine only"


@dataclass(frozen=True, slots=True)
class _Member:
    """What one variable says. What it has to be, the provider's class says, or else `takes` and `fits`."""

    argument: str
    takes: str = ""
    fits: Callable[[str], bool] = bool
    is_list: bool = False


@dataclass(frozen=True, slots=True)
class _Kind:
    """A login provider's class, and which variables say its arguments."""

    module: str
    name: str
    needs: Sequence[str] = ("CLIENT_ID",)
    takes: Sequence[str] = ()


_MEMBERS: Final[Mapping[str, _Member]] = {
    "CLIENT_ID": _Member("client_id"),
    "CLIENT_SECRET": _Member("client_secret"),
    "SCOPES": _Member("scopes", is_list=True),
    "KEEP_TOKENS": _Member("keep_tokens", "true or false", lambda value: value.lower() in _FLAGS),
    "ISSUER": _Member("issuer", _URL, is_server_url),
    "GROUPS": _Member("groups", is_list=True),
    "TOKEN_ENDPOINT_AUTH_METHOD": _Member(
        "token_endpoint_auth_method", " or ".join(AUTH_METHODS), AUTH_METHODS.__contains__
    ),
    "HOSTED_DOMAIN": _Member("hosted_domain"),
    "TENANT": _Member("tenant"),
    "HOST": _Member("host"),
    "AUTHORIZATION_ENDPOINT": _Member("authorization_endpoint", _URL, is_server_url),
    "TOKEN_ENDPOINT": _Member("token_endpoint", _URL, is_server_url),
    "USERINFO_ENDPOINT": _Member("userinfo_endpoint", _URL, is_server_url),
    "SUBJECT": _Member("subject"),
    "DISPLAY_NAME": _Member("display_name"),
    "EMAIL": _Member("email"),
    "EMAIL_VERIFIED": _Member("email_verified"),
}
_OF_ALL: Final = ("CLIENT_ID", "CLIENT_SECRET", "SCOPES", "KEEP_TOKENS")
_PRESETS: Final = "gatepost.identity.openid_presets"
_OAUTH2: Final = "gatepost.identity.oauth2"
_ENDPOINTS: Final = ("AUTHORIZATION_ENDPOINT", "TOKEN_ENDPOINT", "USERINFO_ENDPOINT")
_KINDS: Final[Mapping[str, _Kind]] = {
    "oidc": _Kind(
        "gatepost.identity.openid_connect",
        "OpenIDConnect",
        ("ISSUER", "CLIENT_ID"),
        ("GROUPS", "TOKEN_ENDPOINT_AUTH_METHOD"),
    ),
    "google": _Kind("gatepost.identity.google", "Google", ("CLIENT_ID", "CLIENT_SECRET"), ("HOSTED_DOMAIN",)),
    "entra": _Kind("gatepost.identity.entra", "Entra", ("TENANT", "CLIENT_ID", "CLIENT_SECRET"), ("HOST", "GROUPS")),
    "keycloak": _Kind(_PRESETS, "Keycloak", ("ISSUER", "CLIENT_ID"), ("GROUPS",)),
    "auth0": _Kind(_PRESETS, "Auth0", ("ISSUER", "CLIENT_ID"), ("GROUPS",)),
    "okta": _Kind(_PRESETS, "Okta", ("ISSUER", "CLIENT_ID"), ("GROUPS",)),
    "gitlab": _Kind(_PRESETS, "GitLab", takes=("ISSUER", "GROUPS")),
    "discord": _Kind(_OAUTH2, "Discord"),
    "github": _Kind("gatepost.identity.github", "GitHub", ("CLIENT_ID", "CLIENT_SECRET"), ("HOST",)),
    "oauth2": _Kind(
        _OAUTH2,
        "OAuth2",
        (*_ENDPOINTS, "CLIENT_ID", "SUBJECT"),
        ("ISSUER", "DISPLAY_NAME", "EMAIL", "EMAIL_VERIFIED", "GROUPS", "TOKEN_ENDPOINT_AUTH_METHOD"),
    ),
}
"""By KIND. The modules are imported for those that are named alone."""
KINDS_OF_LOGIN: Final = tuple(_KINDS)
"""What KIND takes."""
_SUFFIXES: Final = sorted(("KIND", *_MEMBERS), key=len, reverse=True)
"""The longest first: one may end with another."""


def needed_members(kind: str) -> Sequence[str]:
    """Return what the variables of a login provider of this kind have to say, KIND aside, such as `CLIENT_ID`."""
    return _KINDS[kind].needs


def upstream_logins(
    variables: Mapping[str, str],
    github: tuple[str | None, SecretStr | None],
    *,
    keep_github_tokens: bool = False,
) -> list[UpstreamLogin]:
    """Return the login providers that are named, by name, and GitHub last.

    Args:
        variables: those that begin with the prefix.
        github: client id and secret of a GitHub app.
        keep_github_tokens: of that app, whether tools may act at GitHub as the person who calls them.

    Raises:
        SettingsError: a part of one is missing, wrong or not known.
    """
    found: dict[str, dict[str, str]] = {}
    wrong = []
    for variable, value in variables.items():
        rest = variable.removeprefix(UPSTREAM_PREFIX)
        member = next((member for member in _SUFFIXES if rest.endswith(f"_{member}")), "")
        name = rest.removesuffix(f"_{member}")
        if member and _NAME.fullmatch(name):
            found.setdefault(name, {})[member] = value
        else:
            known = _listed(("KIND", *_MEMBERS), "and")
            wrong.append(f"{variable} is not a setting: {UPSTREAM_PREFIX}<NAME>_ is followed by {known}.")
    for name, members in found.items():
        wrong += _problems(name, members)
    client_id, secret = github
    if (client_id is None) != (secret is None):
        missing = "GITHUB_CLIENT_ID" if client_id is None else "GITHUB_CLIENT_SECRET"
        wrong.append(f"{missing} is missing; a login at GitHub needs both.")
    if wrong:
        raise SettingsError(*wrong)
    logins = [_login(name, members) for name, members in sorted(found.items())]
    if client_id is not None and secret is not None:
        short = {"KIND": "github", "CLIENT_ID": client_id, "CLIENT_SECRET": secret.get_secret_value()}
        short["KEEP_TOKENS"] = str(keep_github_tokens)
        logins.append(_login("GITHUB", short))
    return logins


def _problems(name: str, members: Mapping[str, str]) -> list[str]:
    """Return a sentence for each variable of one provider that is missing or wrong."""
    prefix, said = f"{UPSTREAM_PREFIX}{name}_", members.get("KIND", "oidc")
    if said not in _KINDS:
        return [f"{prefix}KIND takes {_listed(tuple(_KINDS), 'or')}."]
    kind = _KINDS[said]
    # Somebody who leaves out KIND has most likely named the provider after it.
    meant = name.lower() if "KIND" not in members and name.lower() in _KINDS else None
    hint = "" if meant is None or "ISSUER" in members else f" Or is {prefix}KIND={meant} meant?"
    which = "a login provider" if said == "oidc" else f"a login provider of the kind {said}"
    problems = [
        f"{prefix}{member} is missing; {which} needs it.{hint}" for member in kind.needs if member not in members
    ]
    taken = {"KIND", *_OF_ALL, *kind.needs, *kind.takes}
    problems += [
        f"{prefix}{member} is not for a login provider of the kind {said}: remove it, or set {prefix}KIND.{hint}"
        for member in members
        if member not in taken
    ]
    return problems + [
        f"{prefix}{member} takes {_MEMBERS[member].takes}."
        for member, value in members.items()
        if member in taken and member != "KIND" and not _MEMBERS[member].fits(value)
    ]


def _login(name: str, members: Mapping[str, str]) -> UpstreamLogin:
    """Return one provider.

    Raises:
        SettingsError: its class does not take the arguments.
    """
    said = members.get("KIND", "oidc")
    arguments: dict[str, Any] = {
        _MEMBERS[member].argument: value.split() if _MEMBERS[member].is_list else value
        for member, value in members.items()
        if member != "KIND"
    }
    if "keep_tokens" in arguments:
        arguments["keep_tokens"] = _FLAGS[arguments["keep_tokens"].lower()]
    if said == "keycloak":
        arguments["realm"] = arguments.pop("issuer")
    maker: Callable[..., UpstreamLogin] = getattr(importlib.import_module(_KINDS[said].module), _KINDS[said].name)
    try:
        return maker(name=name.lower().replace("_", "-"), **arguments)
    except ValueError as error:
        raise SettingsError(f"{UPSTREAM_PREFIX}{name}_…: {error}") from None


def _listed(words: Sequence[str], last: str) -> str:
    return ", ".join(words[:-1]) + f" {last} {words[-1]}"

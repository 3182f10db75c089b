"""Login providers that variables name, checked at the start.

They are `OAUTH_UPSTREAM_<NAME>_ISSUER` and what belongs to it, and `GITHUB_CLIENT_ID` with its secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import SecretStr

from gatepost.configuration.settings import UPSTREAM_PREFIX, SettingsError
from gatepost.identity.github import GitHub
from gatepost.identity.openid_connect import SCOPES, OpenIDConnect
from gatepost.identity.upstream_login import AUTH_METHODS, UpstreamLogin, is_server_url

_NAME: Final = re.compile(r"[A-Z0-9]+(_[A-Z0-9]+)*")
_MEMBERS: Final = ("TOKEN_ENDPOINT_AUTH_METHOD", "CLIENT_SECRET", "CLIENT_ID", "ISSUER", "SCOPES")


def upstream_logins(variables: Mapping[str, str], github: tuple[str | None, SecretStr | None]) -> list[UpstreamLogin]:
    """Return the login providers that are named, by name, and GitHub last.

    Args:
        variables: those that begin with the prefix.
        github: client id and secret of a GitHub app.

    Raises:
        SettingsError: a part of one is missing, wrong or not known.
    """
    found: dict[str, dict[str, str]] = {}
    wrong = []
    for variable, value in variables.items():
        rest = variable.removeprefix(UPSTREAM_PREFIX)
        member = next((member for member in _MEMBERS if rest.endswith(f"_{member}")), "")
        name = rest.removesuffix(f"_{member}")
        if member and _NAME.fullmatch(name):
            found.setdefault(name, {})[member] = value
        else:
            wrong.append(f"{variable} is not a setting: {UPSTREAM_PREFIX}<NAME>_ is followed by {_listed(_MEMBERS)}.")
    for name, members in found.items():
        wrong += _problems(f"{UPSTREAM_PREFIX}{name}_", members)
    client_id, secret = github
    if (client_id is None) != (secret is None):
        missing = "GITHUB_CLIENT_ID" if client_id is None else "GITHUB_CLIENT_SECRET"
        wrong.append(f"{missing} is missing; a login at GitHub needs both.")
    if wrong:
        raise SettingsError(*wrong)
    logins: list[UpstreamLogin] = [
        OpenIDConnect(
            members["ISSUER"],
            members["CLIENT_ID"],
            members.get("CLIENT_SECRET"),
            name=name.lower().replace("_", "-"),
            scopes=members["SCOPES"].split() if "SCOPES" in members else SCOPES,
            token_endpoint_auth_method=members.get("TOKEN_ENDPOINT_AUTH_METHOD"),
        )
        for name, members in sorted(found.items())
    ]
    if client_id is not None and secret is not None:
        logins.append(GitHub(client_id, secret.get_secret_value()))
    return logins


def _problems(prefix: str, members: Mapping[str, str]) -> list[str]:
    missing = [f"{prefix}{member}" for member in ("ISSUER", "CLIENT_ID") if member not in members]
    problems = [f"{variable} is missing; a login provider needs it." for variable in missing]
    if "ISSUER" in members and not is_server_url(members["ISSUER"]):
        problems.append(
            f"{prefix}ISSUER takes an https URL without query and fragment, such as https://id.example.com; http on "
            "this machine only."
        )
    if members.get("TOKEN_ENDPOINT_AUTH_METHOD", AUTH_METHODS[0]) not in AUTH_METHODS:
        problems.append(f"{prefix}TOKEN_ENDPOINT_AUTH_METHOD takes {' or '.join(AUTH_METHODS)}.")
    return problems


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:-1]) + f" and {words[-1]}"

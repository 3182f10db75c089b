"""Roles that variables define: `OAUTH_ROLE_<NAME>_SCOPES` and `OAUTH_ROLE_<NAME>_USERS`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from gatepost.configuration.settings import ROLE_PREFIX, SettingsError
from gatepost.identity.roles import EVERY_SCOPE, Role
from gatepost.identity.rules import TAKES, is_rule
from gatepost.oauth.scopes import is_scope_token

_VARIABLE: Final = re.compile(rf"{ROLE_PREFIX}(?P<name>[A-Z][A-Z0-9_]{{0,31}})_(?P<member>SCOPES|USERS)")


def roles_of_settings(variables: Mapping[str, str]) -> dict[str, Role]:
    """Return the roles that are named, by name.

    Args:
        variables: those that begin with the prefix.

    Raises:
        SettingsError: a variable's name or value is wrong.
    """
    members: dict[str, dict[str, list[str]]] = {}
    wrong = []
    for variable, value in sorted(variables.items()):
        words = value.split()
        found = _VARIABLE.fullmatch(variable)
        if found is None:
            wrong.append(f"{variable} is not a setting: {ROLE_PREFIX}<NAME>_ is followed by SCOPES or USERS.")
        elif found["member"] == "SCOPES" and words != [EVERY_SCOPE] and not all(map(is_scope_token, words)):
            wrong.append(f"{variable} takes scope names separated by spaces (RFC 6749 section 3.3), or * for all.")
        elif found["member"] == "USERS" and not is_rule(words):
            wrong.append(f"{variable} takes {TAKES}.")
        else:
            members.setdefault(found["name"].lower().replace("_", "-"), {})[found["member"]] = words
    if wrong:
        raise SettingsError(*wrong)
    return {name: Role(scopes=each.get("SCOPES"), users=each.get("USERS", ())) for name, each in members.items()}

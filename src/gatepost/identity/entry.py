"""Who may enter, of all for whom a login provider elsewhere vouches: words of OAUTH_ALLOWED_USERS.

An address counts only when the provider says that it is verified, and everything is compared in lower case. A login
name can be given up and taken by somebody else; a subject cannot.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from gatepost.identity.provider import Identity

EVERYBODY: Final = "*"
TAKES: Final = (
    "words, separated by spaces: ada@example.com, @example.com for all of a domain, login:octocat, group:staff, "
    "subject:583231, or * alone for everybody whom the login provider lets in"
)
_ADDRESS: Final = re.compile(r"[^@\s]*@[^@\s]+")


def is_entry_rule(words: Sequence[str]) -> bool:
    """Say whether these are words of a rule."""
    return all(_is_word(word) for word in words) and (EVERYBODY not in words or len(words) == 1)


def may_enter(words: Sequence[str], identity: Identity) -> bool:
    """Say whether one of the words names this person."""
    return any(_names(word.lower(), identity) for word in words)


def _is_word(word: str) -> bool:
    kind, colon, rest = word.partition(":")
    return word == EVERYBODY or (bool(rest) and kind in _NAMES if colon else _ADDRESS.fullmatch(word) is not None)


def _names(word: str, identity: Identity) -> bool:
    if word == EVERYBODY:
        return True
    kind, colon, rest = word.partition(":")
    if colon:
        return rest in (name.lower() for name in _NAMES[kind](identity))
    email = identity.email.lower() if identity.email is not None and identity.email_verified else ""
    return email.endswith(word) if word.startswith("@") else email == word


def _login(identity: Identity) -> Sequence[str]:
    login = identity.claims.get("login")
    return (login,) if isinstance(login, str) else ()


_NAMES: Final[Mapping[str, Callable[[Identity], Sequence[str]]]] = {
    "login": _login,
    "group": lambda identity: tuple(identity.groups),
    "subject": lambda identity: (identity.subject,),
}

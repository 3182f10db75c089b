"""Scopes: reading them, choosing them, narrowing them (RFC 6749 section 3.3).

The documented rule (section 3.3 asks for one), the same at registration, authorization and token endpoint: scopes
that this server does not know count as not sent; a request that names none gets the default of the place. The answer of
the token endpoint always says what was granted. Clients ask for scopes that they have seen elsewhere, such as `openid
email profile` or `offline_access`, often as constants that no user can change (record 0007).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from gatepost.oauth.errors import InvalidScope
from gatepost.oauth.reasons import Reason

MAX_SCOPE_LENGTH = 8192
"""Characters of one `scope` value; a server with several hundred scopes stays below."""

_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")  # RFC 6749 section 3.3: no space, no quote, no backslash


def is_scope_token(text: str) -> bool:
    """Say whether `text` can be the name of one scope (RFC 6749 section 3.3)."""
    return _SCOPE_TOKEN.fullmatch(text) is not None


def split_scopes(text: str, known: Collection[str]) -> tuple[str, ...]:
    """Return the words that somebody typed for scopes, in their order, each once; some may be no scopes.

    Blanks part them. So do commas, unless a known scope has the comma in its name (section 3.3 lets it).
    """
    words = [part for word in text.split() for part in ([word] if word in known else word.split(",")) if part]
    return tuple(dict.fromkeys(words))


def parse_scope(text: str) -> tuple[str, ...]:
    """Return the scopes that `text` names, in its order, each once.

    Spaces at either end and double spaces are tolerated: a client with a leading space has been seen.

    Raises:
        InvalidScope: it is too long, or holds a character that no scope can have.
    """
    if len(text) > MAX_SCOPE_LENGTH:
        raise InvalidScope(Reason.PARAMETER_MALFORMED, f"scope is longer than {MAX_SCOPE_LENGTH} characters.")
    tokens = tuple(dict.fromkeys(token for token in text.split(" ") if token))
    if not all(map(is_scope_token, tokens)):
        raise InvalidScope(
            Reason.PARAMETER_MALFORMED,
            "scope is malformed; separate scopes by one space and use printable ASCII without quotes or backslashes.",
        )
    return tokens


def select_scopes(requested: str | None, *, known: Collection[str], default: Sequence[str]) -> tuple[str, ...]:
    """Return the scopes that an authorization request is about, in the order asked for.

    Args:
        requested: the `scope` parameter; None or blank when the client names none.
        known: the scopes of the resource; all others are dropped.
        default: what naming no scope means.

    Raises:
        InvalidScope: `requested` is malformed.
    """
    return tuple(token for token in parse_scope(requested or "") if token in known) or tuple(default)


def narrow_scopes(requested: str | None, *, granted: Sequence[str], known: Collection[str]) -> tuple[str, ...]:
    """Return the scopes of a refreshed access token: what was granted, or the part of it that is asked for.

    Args:
        requested: the `scope` parameter of the token request; None or blank means all that was granted.
        granted: the scopes of the grant.
        known: the scopes of all resources; those that are neither known nor granted count as not sent.

    Raises:
        InvalidScope: `requested` is malformed, or names a scope that was not granted (RFC 6749 section 6).
    """
    if not requested:
        return tuple(granted)
    tokens = [token for token in parse_scope(requested) if token in known or token in granted]
    if not set(tokens) <= set(granted):
        raise InvalidScope(
            Reason.SCOPE_WIDER_THAN_GRANTED,
            "scope names more than was granted; ask for less, or send the user through authorization again.",
        )
    return tuple(scope for scope in granted if scope in tokens) if tokens else tuple(granted)

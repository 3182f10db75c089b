"""What a token endpoint answers (RFC 6749 section 5.1): read strictly where it counts, and else leniently."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from email.utils import parsedate_to_datetime
from typing import Any, Final

from gatepost.late_dataclass import dataclass

_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,16384}")
"""What fits into a header and cannot end it; RFC 6750 section 2.1 has fewer characters."""
_SECONDS: Final = re.compile(r"[0-9]{1,10}")
_SEPARATOR: Final = re.compile(r"[ ,]+")


class TokensEnded(Exception):
    """The server says that a refresh token is worth nothing: only the person can get new tokens."""


class TokensUnavailable(Exception):
    """No new tokens can be had now; whether the server took the refresh token is open."""

    def __init__(self, retry_after: int | None = None) -> None:
        super().__init__("no new tokens can be had now")
        self.retry_after = retry_after
        """Seconds after which the server wants to be asked again; None where it does not say."""


class TokenAnswerInvalid(Exception):
    """There is no token in an answer that can be used. The message says what is wrong, and not what was there."""


@dataclass(frozen=True, slots=True)
class TokenSet:
    """Tokens, as they came."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    scopes: tuple[str, ...] | None = None
    """What the access token is good for; None: what was asked for, or what it was before."""
    expires_in: int | None = None
    """Seconds for which the access token lives; None where that is not said, or it never ends."""
    refresh_expires_in: int | None = None
    """Seconds for which the refresh token lives; None where that is not said."""


def read_token_set(answer: Mapping[str, Any]) -> TokenSet:
    """Return the tokens of an answer.

    A refresh token that cannot be one is left out. GitHub separates scopes by commas, and some servers write numbers
    as text.

    Raises:
        TokenAnswerInvalid: it has no access token that can be sent.
    """
    access_token, token_type = _token(answer.get("access_token")), answer.get("token_type", "bearer")
    if access_token is None:
        raise TokenAnswerInvalid("no access token")
    if not isinstance(token_type, str) or token_type.lower() != "bearer":
        raise TokenAnswerInvalid("an access token of another type")
    scope = answer.get("scope")
    return TokenSet(
        access_token,
        _token(answer.get("refresh_token")),
        tuple(filter(None, _SEPARATOR.split(scope))) if isinstance(scope, str) else None,
        _seconds(answer.get("expires_in")),
        _seconds(answer.get("refresh_token_expires_in", answer.get("refresh_expires_in"))),
    )


def _token(value: object) -> str | None:
    return value if isinstance(value, str) and _TOKEN.fullmatch(value) else None


def _seconds(value: object) -> int | None:
    """Return a number of seconds. Keycloak says 0 of what has no end."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value) if isinstance(value, int | str) else ""
    return int(text) or None if _SECONDS.fullmatch(text) else None


def retry_after_of(headers: Mapping[str, str], *, now: int) -> int | None:
    """Return the seconds of `Retry-After`, which holds them or a date (RFC 9110 section 10.2.3)."""
    said = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(said):
        return int(said)
    try:
        return max(0, int(parsedate_to_datetime(said).timestamp()) - now)
    except (ValueError, TypeError, OverflowError, OSError):
        return None

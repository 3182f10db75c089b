"""Passwords: what may be one, and its argon2id hash (RFC 9106; NIST SP 800-63B section 5.1.1.2 for lengths and form).

Hashing is meant to be slow and large, so it runs in worker threads of its own, two at a time: a wave of logins waits
instead of taking all memory (`password_workers.py`), and the event loop goes on answering tools. argon2 is imported at
first use.
"""

from __future__ import annotations

import base64
import functools
import unicodedata
from typing import TYPE_CHECKING, Final

from gatepost.wording.phrase import Phrase

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST: Final = 12
LONGEST: Final = 256
_LONGEST_RAW: Final = 4 * LONGEST
"""Characters as typed. Composing marks takes time that grows with the square of their number."""
_WEAKEST: Final = 3
"""Of zxcvbn's scores: 100 million guesses or more. Attempts are limited, and one at a stolen hash is slow."""
_JUDGED: Final = 72
"""Characters; zxcvbn takes no more, and its time grows faster than their number."""

# RFC 9106 section 4, the second recommended option: for hosts without gigabytes to spare.
_TIME_COST: Final = 3
_MEMORY_COST: Final = 64 * 1024  # KiB
_PARALLELISM: Final = 4


class PasswordRefused(ValueError):
    """The text cannot be a password; the message says why and never repeats it."""


def hash_password(password: str, *, username: str | None = None) -> str:
    """Return the argon2id hash of a new password in PHC string form. Slow; a server calls it in its `password_workers`.

    Args:
        password: as typed, 12 to 256 characters once in NFC.
        username: the canonical username that the password must not repeat, when it is known.

    Raises:
        PasswordRefused: it is too short, too long or too easy to guess.
    """
    return _hasher().hash(checked_password(password, username=username))


def password_matches(password_hash: str | None, password: str) -> bool:
    """Say whether `password` is the one behind `password_hash`. Slow; a server calls it in its `password_workers`.

    None stands for an account that does not exist: the work is the same, so the time tells nobody who has an account.
    """
    from argon2.exceptions import VerificationError  # noqa: PLC0415 - argon2 only where it is used

    typed = normalised(password)
    known = password_hash if typed else None
    try:
        _hasher().verify(known or _nobodys_hash(), typed)
    except VerificationError:
        return False
    return known is not None


def is_hash_of_today(password_hash: str) -> bool:
    """Say whether a hash was made with the parameters that new ones are made with. Quick."""
    return not _hasher().check_needs_rehash(password_hash)


def rehashed(password: str) -> str:
    """Return a hash of a password that is somebody's already. Slow; a server calls it in its `password_workers`."""
    return _hasher().hash(normalised(password))


def checked_password(password: str, *, username: str | None = None) -> str:
    """Return a new password in NFC.

    Raises:
        PasswordRefused: as `hash_password` does.
    """
    canonical = normalised(password)
    if len(canonical) > LONGEST or len(password) > _LONGEST_RAW:
        raise PasswordRefused(Phrase("A password has at most %(count)s characters.", count=LONGEST))
    if len(canonical) < SHORTEST:
        raise PasswordRefused(
            Phrase("A password needs at least %(count)s characters; a few words in a row do well.", count=SHORTEST)
        )
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in canonical):
        raise PasswordRefused(Phrase("A password cannot contain control characters, such as a tab."))
    if _strength(canonical, username) < _WEAKEST:
        raise PasswordRefused(
            Phrase(
                "This password is too easy to guess: it is among the common ones, a pattern, or made of the username. "
                "A few words in a row that have nothing to do with each other do well."
            )
        )
    return canonical


def _strength(password: str, username: str | None) -> int:
    """Return how hard it is to guess for who knows common passwords, words, names and patterns: from 0 to 4."""
    from zxcvbn import zxcvbn  # noqa: PLC0415 - its lists are large, and only a new password needs them

    known = ["gatepost"] if username is None else ["gatepost", username]
    return int(zxcvbn(password[:_JUDGED], user_inputs=known)["score"])


def normalised(password: str) -> str:
    """Return NFC: keyboards and systems disagree on how an accented letter is put together.

    What is too long to be anybody's, and to be composed in good time, becomes the empty text, which is nobody's either.
    """
    return "" if len(password) > _LONGEST_RAW else unicodedata.normalize("NFC", password)


@functools.cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher  # noqa: PLC0415 - argon2 only where it is used

    return PasswordHasher(time_cost=_TIME_COST, memory_cost=_MEMORY_COST, parallelism=_PARALLELISM)


def _nobodys_hash() -> str:
    """Return a well-formed hash with our cost that no password leads to (but for a chance of 2^-256)."""
    salt, digest = (base64.b64encode(bytes(length)).rstrip(b"=").decode() for length in (16, 32))
    return f"$argon2id$v=19$m={_MEMORY_COST},t={_TIME_COST},p={_PARALLELISM}${salt}${digest}"

"""Passwords: what may be one, and its argon2id hash (RFC 9106; NIST SP 800-63B section 5.1.1.2 for lengths and form).

Hashing is meant to be slow and large, so it runs in worker threads of its own, two at a time: a wave of logins waits
instead of taking all memory (`password_workers.py`), and the event loop goes on answering tools. argon2 is imported at
first use.
"""

from __future__ import annotations

import base64
import functools
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from gatepost.identity.password_workers import password_workers

if TYPE_CHECKING:
    from argon2 import PasswordHasher

Answer = TypeVar("Answer")

SHORTEST: Final = 12
LONGEST: Final = 256
_LONGEST_RAW: Final = 4 * LONGEST
"""Characters as typed. Composing marks takes time that grows with the square of their number."""
_FEWEST_DIFFERENT: Final = 5

# RFC 9106 section 4, the second recommended option: for hosts without gigabytes to spare.
_TIME_COST: Final = 3
_MEMORY_COST: Final = 64 * 1024  # KiB
_PARALLELISM: Final = 4


class PasswordRefused(ValueError):
    """The text cannot be a password; the message says why and never repeats it."""


def hash_password(password: str, *, username: str | None = None) -> str:
    """Return the argon2id hash of a new password in PHC string form. Slow; call it through `in_worker` on a server.

    Args:
        password: as typed, 12 to 256 characters once in NFC.
        username: the canonical username that the password must not repeat, when it is known.

    Raises:
        PasswordRefused: it is too short, too long or too easy to guess.
    """
    return _hasher().hash(_checked(password, username))


def password_matches(password_hash: str | None, password: str) -> bool:
    """Say whether `password` is the one behind `password_hash`. Slow; call it through `in_worker` on a server.

    None stands for an account that does not exist: the work is the same, so the time tells nobody who has an account.
    """
    from argon2.exceptions import VerificationError  # noqa: PLC0415 - argon2 only where it is used

    if len(password) > _LONGEST_RAW:
        # Nobody's password, and too long to be normalised; the work is done all the same.
        password_hash, password = None, ""
    try:
        _hasher().verify(password_hash or _nobodys_hash(), _normalised(password))
    except VerificationError:
        return False
    return password_hash is not None


async def in_worker(work: Callable[[], Answer]) -> Answer:
    """Run `work` in one of the threads that hash passwords and return its answer.

    Raises:
        PasswordWorkersBusy: too many wait for one already.
    """
    return await password_workers().run(work)


def _checked(password: str, username: str | None) -> str:
    if len(password) > _LONGEST_RAW:
        raise PasswordRefused(f"A password has at most {LONGEST} characters.")
    normalised = _normalised(password)
    if len(normalised) < SHORTEST:
        raise PasswordRefused(f"A password needs at least {SHORTEST} characters; a few words in a row do well.")
    if len(normalised) > LONGEST:
        raise PasswordRefused(f"A password has at most {LONGEST} characters.")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in normalised):
        raise PasswordRefused("A password cannot contain control characters, such as a tab.")
    if len(set(normalised)) < _FEWEST_DIFFERENT:
        raise PasswordRefused(f"A password needs at least {_FEWEST_DIFFERENT} different characters.")
    if username is not None and normalised.casefold() == username:
        raise PasswordRefused("The password cannot be the username.")
    return normalised


def _normalised(password: str) -> str:
    """Return NFC: keyboards and systems disagree on how an accented letter is put together."""
    return unicodedata.normalize("NFC", password)


@functools.cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher  # noqa: PLC0415 - argon2 only where it is used

    return PasswordHasher(time_cost=_TIME_COST, memory_cost=_MEMORY_COST, parallelism=_PARALLELISM)


def _nobodys_hash() -> str:
    """Return a well-formed hash with our cost that no password leads to (but for a chance of 2^-256)."""
    salt, digest = (base64.b64encode(bytes(length)).rstrip(b"=").decode() for length in (16, 32))
    return f"$argon2id$v=19$m={_MEMORY_COST},t={_TIME_COST},p={_PARALLELISM}${salt}${digest}"

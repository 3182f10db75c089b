"""Usernames: one canonical form, so that no two accounts look alike to the person who types one.

Canonical is NFKC and case-folded (Unicode Standard Annex 15; Unicode Standard section 3.13), which makes "Ada", "ADA"
and the same letters in full width one account.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from gatepost.wording.phrase import Phrase

LONGEST: Final = 64
"""Characters of the canonical form."""

# Characters that Unicode classes as letters or marks and that leave no ink: fillers and variation selectors.
_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_MAX_MARKS: Final = 8
"""Marks on one character; no script needs as many."""
_PUNCTUATION: Final = frozenset("._-@+")


class UsernameRefused(ValueError):
    """The text cannot be a username; the message says why."""


def canonical_username(text: str) -> str:
    """Return the canonical form of a username as typed.

    Raises:
        UsernameRefused: it is empty, too long or has characters that a username cannot have.
    """
    trimmed = text.strip()
    if not trimmed:
        raise UsernameRefused(Phrase("Type a username."))
    # Before folding: composing marks takes time that grows with the square of their number.
    username = "" if len(trimmed) > LONGEST else _fold(trimmed)
    # Folding can lengthen a text: one ligature becomes three letters.
    if not username or len(username) > LONGEST:
        raise UsernameRefused(Phrase("A username has at most %(count)s characters.", count=LONGEST))
    if not all(_is_allowed(character) for character in username) or _INVISIBLE.search(username):
        raise UsernameRefused(Phrase("A username has letters, digits and . _ - @ + only, without spaces."))
    if _is_heaped(username):
        raise UsernameRefused(Phrase("A username has no heaps of accents on one letter."))
    if not username[0].isalnum():
        raise UsernameRefused(Phrase("A username begins with a letter or a digit."))
    return username


def _fold(text: str) -> str:
    """Fold until nothing changes any more: for a few characters once is not enough."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return folded if folded == text else _fold(folded)


def _is_heaped(username: str) -> bool:
    kinds = "".join(unicodedata.category(character)[0] for character in username)
    return "M" * (_MAX_MARKS + 1) in kinds


def _is_allowed(character: str) -> bool:
    return character in _PUNCTUATION or unicodedata.category(character)[0] in "LM" or character.isdecimal()

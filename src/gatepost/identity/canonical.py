"""What counts as the same in a rule about people. In doubt two things differ: who wins by a likeness is an attacker.

Only ASCII letters are folded. Unicode's own folding makes a Kelvin sign a `k` and a long s an `s`, and its
compatibility form (NFKC) makes full-width letters plain ones, so that somebody else's address would be that of the
person whom a rule means. What is composed in two ways is one text (NFC, Unicode Standard Annex 15), but for characters
that NFC replaces by others outright: it makes a Kelvin sign a `K`, too.
"""

from __future__ import annotations

import re
import string
import unicodedata
from typing import Final

_LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
# Quoted local parts and comments (RFC 5322 section 3.4.1) are read in more ways than one.
_ODD: Final = re.compile(r'[\s"(),:;<>@\[\]\\]')
_ASCII_DOMAIN: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
LONGEST_ADDRESS: Final = 320
"""Characters of an address (RFC 5321 section 4.5.3.1)."""


def canonical_text(text: str) -> str:
    """Return a text that is compared as it is, composed."""
    if text.isascii() or any(unicodedata.normalize("NFC", character) != character for character in text):
        return text
    return unicodedata.normalize("NFC", text)


def canonical_name(text: str) -> str:
    """Return a name whose ASCII letters may be of either case."""
    # Composed again, because a small letter may compose with an accent where a large one does not.
    return canonical_text(canonical_text(text).translate(_LOWER))


def canonical_domain(text: str) -> str | None:
    """Return a domain in lower case and A-labels (RFC 5890 section 2.3.2.1); None for what is none.

    What a browser would map to a domain first, such as full-width letters, is none.
    """
    domain = canonical_name(text)
    if not domain.isascii():
        import idna  # noqa: PLC0415 - few domains have other letters

        try:
            domain = idna.encode(domain, strict=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            return None
    return domain if _ASCII_DOMAIN.fullmatch(domain) else None


def canonical_address(text: str) -> str | None:
    """Return an e-mail address; None for one that is read in more ways than one.

    The local part is compared without regard to the case of ASCII letters, as all large mail systems do; RFC 5321
    section 2.4 would let a mail system tell them apart.
    """
    local, _, domain = text.rpartition("@")
    canonical = canonical_domain(domain)
    if not local or canonical is None or len(text) > LONGEST_ADDRESS or _ODD.search(local) or not local.isprintable():
        return None
    return f"{canonical_name(local)}@{canonical}"

"""URIs in one spelling: what names the same thing is the same text here.

Clients write a URI as they like: with characters that URIs do not have (an IRI), with escapes in lower case or where
none is needed, with a scheme or host in capitals. RFC 3986 section 6.2.2 says which of these are equivalent, section
6.2.3 what http adds to that, and RFC 3987 section 3.1 which URI an IRI stands for. `.` and `..` are not removed,
against section 6.2.2.3: what leads out of a folder is to be refused and not understood. Braces are not converted, which
RFC 3987 leaves open: with them, a client has sent a template. Unicode is not normalised (section 3.1, step 1 c).
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

# The characters of RFC 3987 section 3.1, step 2, and those of printable ASCII that it allows to be converted.
_NOT_IN_URIS: Final = re.compile(r'(?:[ "<>\\^`|]|[^\x00-\x9f])+')
_URI: Final = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")
# Escapes with a digit in lower case, and those of unreserved characters: what was just converted has neither.
_NEEDLESS: Final = re.compile(r"%(?:[a-f][0-9A-Fa-f]|[0-9A-F][a-f]|2[DE]|3[0-9]|4[1-9A-F]|5[0-9AF]|6[1-9A-F]|7[0-9AE])")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_START: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(//[^/?#]*)?")
_HOST: Final = re.compile(r"([a-z][a-z0-9+.-]*://(?:[^/?#]*@)?)([^/?#]*)")
_CAPITAL: Final = re.compile(r"%..|[A-Z]+")
_AUTHORITY: Final = re.compile(r"//(?:[^@]*@)?(?:\[[^]]*\]|[^:]*)(?::[0-9]*)?")
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}

LONGEST: Final = 8192
"""Characters of what is taken for a URI; each escape is looked at."""


def normal_form(text: str) -> str | None:
    """Return the one spelling of what this URI or IRI names; None if it is neither, has no scheme or is too long."""
    uri = encoded(text)
    return None if uri is None else with_lower_host(uri)


def encoded(text: str) -> str | None:
    """Return what `normal_form` returns, but with the host in the case that it was given in, and so as long."""
    if len(text) > LONGEST:
        return None
    try:
        converted = _NOT_IN_URIS.sub(lambda found: quote(found[0]), text)
    except UnicodeEncodeError:
        return None
    start = _START.match(converted)
    if start is None or _URI.fullmatch(converted) is None:
        return None
    scheme, authority, rest = start[1].lower(), start[2] or "", converted[start.end() :]
    port = _DEFAULT_PORTS.get(scheme)
    if port is not None and authority:
        if _AUTHORITY.fullmatch(authority) is None:
            return None
        authority = authority.removesuffix(port).removesuffix(":")
        rest = rest if rest.startswith("/") else f"/{rest}"
    return f"{scheme}:{with_needed_escapes(authority + rest)}"


def with_needed_escapes(text: str) -> str:
    """Return a part of a URI with no unreserved character escaped, and escapes in capitals."""
    return _NEEDLESS.sub(_needed, text)


def with_lower_host(uri: str) -> str:
    """Return a URI that `encoded` gave, or its beginning, with the host in lower case; as long as it is."""
    start = _HOST.match(uri)
    if start is None:
        return uri
    return f"{start[1]}{_CAPITAL.sub(_lower, start[2])}{uri[start.end() :]}"


def _needed(escape: re.Match[str]) -> str:
    character = chr(int(escape[0][1:], 16))
    return character if character in _UNRESERVED else escape[0].upper()


def _lower(found: re.Match[str]) -> str:
    return found[0] if found[0].startswith("%") else found[0].lower()

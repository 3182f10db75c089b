"""URLs that this server fetches on a stranger's word: one spelling for each, a public host name, nothing in disguise.

These are `client_id`s that name a document and the `jwks_uri`s of clients. Where such a URL leads is checked again when
its name has been resolved (`gatepost.outbound`).
"""

from __future__ import annotations

import re

from gatepost.oauth.redirect_uris import is_https_url

SCHEME = "https://"

_AUTHORITY = re.compile(r"([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::([1-9][0-9]{0,4}))?")
_DEFAULT_PORT = "443"
# A dot segment or a slash in disguise (RFC 3986 section 6.2.2.2): different parsers make different URLs of it.
_DISGUISED = re.compile(r"%(?:2e|2f|5c)", re.IGNORECASE)
_ENDS_IN_A_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")


def url_problem(url: str, *, allow_loopback: bool = False, allow_query: bool = False) -> str | None:
    """Return what keeps `url` from being fetched on a stranger's word, as the end of a sentence, or None.

    `localhost` is a host, and a query is allowed, only where that is said.
    """
    if not is_https_url(url):
        return "is not a valid https URL with a host and without user information or fragment"
    authority, _, path = url.removeprefix(SCHEME).partition("/")
    problem = _authority_problem(authority, allow_loopback=allow_loopback)
    return problem or _path_problem(path, allow_query=allow_query)


def host_of(url: str) -> str:
    """Return the host of a URL that `url_problem` has nothing against."""
    return re.split("[:/]", url.removeprefix(SCHEME), maxsplit=1)[0]


def _authority_problem(authority: str, *, allow_loopback: bool) -> str | None:
    match = _AUTHORITY.fullmatch(authority)
    if match is None or match[2] == _DEFAULT_PORT:
        return "is not in canonical form: a host name in lower case, a port only if it is not 443, and a path"
    if _ENDS_IN_A_NUMBER.fullmatch(match[1]):
        return "names an IP address; a host name is needed"
    if "." not in match[1] and not (allow_loopback and match[1] == "localhost"):
        return "has a host that is no public host name"
    return None


def _path_problem(path: str, *, allow_query: bool) -> str | None:
    path, question_mark, _ = path.partition("?")
    if not path:
        return "has no path"
    if question_mark and not allow_query:
        return "has a query, which a client identifier should not have"
    if _DISGUISED.search(path) or {".", ".."} & set(path.split("/")):
        return "has a dot segment or an escaped dot or slash in its path"
    return None

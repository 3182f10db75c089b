"""Client ID Metadata Documents: clients that are known by the URL of a document about themselves.

draft-ietf-oauth-client-id-metadata-document (sections 3, 4 and 8 as of -02), as MCP 2026-07-28 basic/authorization/
client-registration asks for it. The rules decide on text only; `gatepost.outbound` fetches.

Where the draft leaves a choice, the strict one is taken, because whoever may choose the URL chooses what is fetched and
whose name the consent page shows: no query (servers that echo their query as JSON would lend anybody their name), no
bare `/`, no IP address and no host without a dot for a host, one spelling for each URL.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final

from gatepost.oauth.errors import InvalidClient, InvalidClientMetadata, InvalidRedirectUri, TemporarilyUnavailable
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client
from gatepost.oauth.redirect_uris import is_https_url
from gatepost.oauth.registration import new_client, parse_metadata, read_metadata

MAX_DOCUMENT: Final = 5 * 1024
"""Bytes of one document, as section 8.7 of the draft recommends."""
METHODS_FOR_DOCUMENTS: Final = ("none",)
"""What `token_endpoint_auth_method` may be: nothing that needs a shared secret (section 4.1)."""

_PREFIX = "https://"
_REQUIRED = ("client_id", "client_name", "redirect_uris")  # MCP client-registration, Implementation Requirements
_FORBIDDEN = ("client_secret", "client_secret_expires_at")  # section 4.1
_AUTHORITY = re.compile(r"([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::([1-9][0-9]{0,4}))?")
_DEFAULT_PORT = "443"
# A dot segment or a slash in disguise (RFC 3986 section 6.2.2.2): different parsers make different URLs of it.
_DISGUISED = re.compile(r"%(?:2e|2f|5c)", re.IGNORECASE)
_ENDS_IN_A_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")


def is_document_url(client_id: str) -> bool:
    """Say whether `client_id` means a metadata document; whether it is a permissible one is another question."""
    return client_id.startswith(_PREFIX)


def check_document_url(url: str, *, allowed_domains: Collection[str] = (), allow_loopback: bool = False) -> None:
    """Refuse a URL that no client may have as its identifier, before anything is fetched.

    Args:
        url: what was sent as `client_id`.
        allowed_domains: hosts such as `app.example`, or `*.example` for every host below it; empty allows all.
        allow_loopback: whether `localhost` is a host; for tests only.

    Raises:
        InvalidClient: it is not one. The description names the rule and repeats nothing of the URL.
    """
    problem = url_problem(url, allow_loopback=allow_loopback)
    if problem is not None:
        raise InvalidClient(Reason.CLIENT_DOCUMENT_URL_INVALID, f"The client_id is a URL that {problem}.")
    if allowed_domains and not _is_allowed(host_of(url), allowed_domains):
        raise InvalidClient(
            Reason.CLIENT_DOMAIN_NOT_ALLOWED, "This server takes client metadata documents from certain domains only."
        )


def url_problem(url: str, *, allow_loopback: bool = False) -> str | None:
    """Return what keeps `url` from being fetched on a stranger's word, as the end of a sentence, or None."""
    if not is_https_url(url):
        return "is not a valid https URL with a host and without user information or fragment"
    authority, _, path = url.removeprefix(_PREFIX).partition("/")
    return _authority_problem(authority, allow_loopback=allow_loopback) or _path_problem(path)


def host_of(url: str) -> str:
    """Return the host of a URL that `url_problem` has nothing against."""
    return re.split("[:/]", url.removeprefix(_PREFIX), maxsplit=1)[0]


def read_document(raw: bytes, *, url: str, known_scopes: Collection[str], now: int) -> Client:
    """Return the client that a document describes.

    Args:
        raw: the document.
        url: the client's identifier, which is the very URL that was fetched.
        known_scopes: every scope that any resource of this server has; others are dropped.
        now: seconds UTC, the time of the fetch.

    Raises:
        InvalidClient: the document does not name itself, holds what it must not, or is refused by a rule that holds for
            registrations as well. The description says which.
    """
    try:
        document = parse_metadata(raw)
        # Simple string comparison (section 4): the one thing that ties the document to its place.
        if document.get("client_id") != url:
            raise _invalid("its client_id is not, character for character, the URL that it was fetched from")
        if missing := [name for name in _REQUIRED if not document.get(name)]:
            raise _invalid(f"{' and '.join(missing)} must be there")
        if present := [name for name in _FORBIDDEN if name in document]:
            raise _invalid(f"{' and '.join(present)} must not be there: whoever can read the document knows it")
        metadata = read_metadata(document, known_scopes=known_scopes, auth_methods=METHODS_FOR_DOCUMENTS)
    except (InvalidClientMetadata, InvalidRedirectUri) as error:
        raise _invalid(error.description.rstrip(".")) from None
    return new_client(metadata, client_id=url, secret_fingerprint=None, now=now)


def unavailable() -> TemporarilyUnavailable:
    """Return the one refusal for every document that could not be had; it tells nothing of why (section 8.6).

    Not `invalid_client`, which would make a client forget an identifier that is right: its server may be down.
    """
    return TemporarilyUnavailable(
        Reason.CLIENT_DOCUMENT_UNAVAILABLE,
        "The client metadata document could not be fetched; it has to be served from a public address with status 200 "
        f"as JSON, without a redirect, within seconds and in at most {MAX_DOCUMENT} bytes.",
    )


def _authority_problem(authority: str, *, allow_loopback: bool) -> str | None:
    match = _AUTHORITY.fullmatch(authority)
    if match is None or match[2] == _DEFAULT_PORT:
        return "is not in canonical form: a host name in lower case, a port only if it is not 443, and a path"
    if _ENDS_IN_A_NUMBER.fullmatch(match[1]):
        return "names an IP address; a host name is needed"
    if "." not in match[1] and not (allow_loopback and match[1] == "localhost"):
        return "has a host that is no public host name"
    return None


def _path_problem(path: str) -> str | None:
    if not path:
        return "has no path"
    if "?" in path:
        return "has a query, which a client identifier should not have"
    if _DISGUISED.search(path) or {".", ".."} & set(path.split("/")):
        return "has a dot segment or an escaped dot or slash in its path"
    return None


def _is_allowed(host: str, allowed_domains: Iterable[str]) -> bool:
    return any(host.endswith(domain[1:]) if domain.startswith("*.") else host == domain for domain in allowed_domains)


def _invalid(problem: str) -> InvalidClient:
    return InvalidClient(Reason.CLIENT_DOCUMENT_INVALID, f"The client metadata document cannot be used: {problem}.")

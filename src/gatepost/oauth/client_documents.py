"""Client ID Metadata Documents: clients that are known by the URL of a document about themselves.

draft-ietf-oauth-client-id-metadata-document (sections 3, 4 and 8 as of -02), as MCP 2026-07-28 basic/authorization/
client-registration asks for it. The rules decide on text only; `gatepost.outbound` fetches.

Where the draft leaves a choice, the strict one is taken, because whoever may choose the URL chooses what is fetched and
whose name the consent page shows: no query (servers that echo their query as JSON would lend anybody their name), no
bare `/`, no IP address and no host without a dot for a host, one spelling for each URL.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from gatepost.oauth.errors import InvalidClient, InvalidClientMetadata, InvalidRedirectUri, TemporarilyUnavailable
from gatepost.oauth.fetched_urls import SCHEME, host_of, url_problem
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client
from gatepost.oauth.registration import (
    DEFAULT_GRANT_TYPES,
    new_client,
    parse_metadata,
    read_metadata,
    requires_pushed_requests,
)

MAX_DOCUMENT: Final = 64 * 1024
"""Bytes of one document. Section 8.7 of the draft recommends 5 KB; documents in use are larger, and none is stored."""
_MOST_REDIRECT_URIS: Final = 64
METHODS_FOR_DOCUMENTS: Final = ("none", "private_key_jwt")
"""What `token_endpoint_auth_method` may be: nothing that needs a shared secret (section 4.1)."""

_REQUIRED = ("client_id", "client_name", "redirect_uris")  # MCP client-registration, Implementation Requirements
_FORBIDDEN = ("client_secret", "client_secret_expires_at")  # section 4.1


def is_document_url(client_id: str) -> bool:
    """Say whether `client_id` means a metadata document; whether it is a permissible one is another question."""
    return client_id.startswith(SCHEME)


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


def read_document(
    raw: bytes,
    *,
    url: str,
    known_scopes: Collection[str],
    now: int,
    grant_types: Sequence[str] = DEFAULT_GRANT_TYPES,
) -> Client:
    """Return the client that a document describes; its identifier is the very URL that was fetched, at `now`.

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
        metadata = read_metadata(
            document,
            known_scopes=known_scopes,
            grant_types=grant_types,
            auth_methods=METHODS_FOR_DOCUMENTS,
            most_redirect_uris=_MOST_REDIRECT_URIS,
        )
        pushes = requires_pushed_requests(document)
    except (InvalidClientMetadata, InvalidRedirectUri) as error:
        raise _invalid(error.description.rstrip(".")) from None
    return new_client(metadata, client_id=url, secret_fingerprint=None, now=now, requires_pushed_requests=pushes)


def unavailable(*, is_ours: bool = False) -> TemporarilyUnavailable:
    """Return the one refusal for every document that could not be had; it tells nothing of why (section 8.6).

    Not `invalid_client`, which would make a client forget an identifier that is right: its server may be down. Where
    the fault is that of this server or its network (`is_ours`), no document is to blame, whichever it was.
    """
    if is_ours:
        return TemporarilyUnavailable(
            Reason.EGRESS_UNAVAILABLE,
            "This server cannot reach the web servers on which clients keep their metadata and keys. Its log says why "
            "(egress_unavailable) and which setting leads out.",
        )
    return TemporarilyUnavailable(
        Reason.CLIENT_DOCUMENT_UNAVAILABLE,
        "The client metadata document could not be fetched; it has to be served from a public address with status 200 "
        f"as JSON, without a redirect, within seconds and in at most {MAX_DOCUMENT} bytes.",
    )


def _is_allowed(host: str, allowed_domains: Iterable[str]) -> bool:
    return any(host.endswith(domain[1:]) if domain.startswith("*.") else host == domain for domain in allowed_domains)


def _invalid(problem: str) -> InvalidClient:
    return InvalidClient(Reason.CLIENT_DOCUMENT_INVALID, f"The client metadata document cannot be used: {problem}.")

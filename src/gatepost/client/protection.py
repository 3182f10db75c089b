"""Who issues the tokens of a server, found as MCP clients find it (RFC 9728, RFC 8414; MCP authorization)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Final
from urllib.parse import urlsplit

from gatepost.client.refusals import CallRefused, ServerAway
from gatepost.late_dataclass import dataclass
from gatepost.outbound.addresses import is_server_url
from gatepost.outbound.fetching import FetchFailed
from gatepost.outbound.issuer_documents import Transport, UnexpectedStatus, json_at, metadata_of, server_url_in

_RESOURCE: Final = "/.well-known/oauth-protected-resource"
# A name begins where no other could, so that a long run of letters is read once.
_PARAMETER: Final = re.compile(r'(?<![a-zA-Z_])([a-zA-Z_]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_ESCAPED: Final = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a `WWW-Authenticate` header of the scheme Bearer says (RFC 6750 section 3)."""

    error: str | None = None
    description: str | None = None
    scopes: Sequence[str] = ()
    resource_metadata: str | None = None
    """RFC 9728 section 5.1."""


def read_challenge(header: str | None) -> Challenge:
    """Return what a challenge says; one that says nothing where there is none."""
    said = {
        name.lower(): _ESCAPED.sub(r"\1", quoted) or plain for name, quoted, plain in _PARAMETER.findall(header or "")
    }
    scopes = tuple(said.get("scope", "").split())
    return Challenge(said.get("error"), said.get("error_description"), scopes, said.get("resource_metadata"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """Where tokens for a server come from."""

    resource: str
    """What they are for (RFC 8707)."""
    issuer: str
    metadata: Mapping[str, Any] = field(repr=False)
    """Of the authorization server."""
    scopes: Sequence[str] = ()
    """What the resource says that there are; empty where it does not say."""

    def endpoint(self, name: str) -> str:
        """Return an endpoint of the authorization server; raises CallRefused where it has none that can be used."""
        try:
            return server_url_in(self.metadata, name)
        except FetchFailed:
            raise CallRefused(f"{self.issuer} has no {name} that can be used.") from None

    def offers(self, name: str) -> bool:
        """Say whether there is an endpoint of a name."""
        return isinstance(self.metadata.get(name), str)


async def protection_of(url: str, challenge: Challenge, transport: Transport) -> Protection:
    """Return where tokens for the server at `url` come from.

    Raises:
        ServerAway: it, or who issues the tokens, cannot answer now.
        CallRefused: it does not say, or what it says is about something else.
    """
    try:
        document = await _resource_document(url, challenge, transport)
        issuer = _issuer_in(document, url)
        metadata = await metadata_of(issuer, transport)
    except UnexpectedStatus as failure:
        raise ServerAway(f"Where to log in cannot be found out now: {failure.cause}. Try again later.") from None
    except FetchFailed as failure:
        raise CallRefused(f"Where to log in for {url} cannot be found out: {failure.cause}.") from None
    scopes = () if document is None else document.get("scopes_supported")
    return Protection(
        resource=url if document is None else document["resource"],
        issuer=issuer,
        metadata=metadata,
        scopes=tuple(scope for scope in scopes if isinstance(scope, str)) if isinstance(scopes, list | tuple) else (),
    )


async def _resource_document(url: str, challenge: Challenge, transport: Transport) -> Mapping[str, Any] | None:
    """Return what the resource says of itself; None for a server that is older than that (MCP 2025-03-26)."""
    origin, path = origin_of(url), urlsplit(url).path.rstrip("/")
    named = challenge.resource_metadata
    if named is not None and not is_server_url(named.partition("?")[0]):
        raise FetchFailed("it names metadata at an address that cannot be used (resource_metadata)")
    for address in dict.fromkeys(filter(None, (named, f"{origin}{_RESOURCE}{path}", f"{origin}{_RESOURCE}"))):
        document, _ = await json_at(address, transport, may_be_absent=True)
        if document is None:
            continue
        resource = document.get("resource") if isinstance(document, dict) else None
        # RFC 9728 section 3.3: else a server could have tokens made that count elsewhere.
        if not isinstance(resource, str) or not _is_about(url, resource):
            raise FetchFailed(f"its metadata is about {resource}")
        return dict(document)
    return None


def _is_about(url: str, resource: str) -> bool:
    """Say whether a resource is what lies at a URL, or above it."""
    above, below = urlsplit(resource).path.rstrip("/"), urlsplit(url).path.rstrip("/")
    return origin_of(resource) == origin_of(url) and f"{below}/".startswith(f"{above}/")


def _issuer_in(document: Mapping[str, Any] | None, url: str) -> str:
    if document is None:
        return origin_of(url)
    servers = document.get("authorization_servers")
    first = servers[0] if isinstance(servers, list) and servers else None
    if not isinstance(first, str) or not is_server_url(first):
        raise FetchFailed("it names no authorization server that can be asked, so get a token elsewhere")
    return first


def origin_of(url: str) -> str:
    """Return scheme, host and port, as a browser compares them (RFC 6454 section 6)."""
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + ("" if parts.port in (None, default) else f":{parts.port}")

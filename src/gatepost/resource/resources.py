"""Protected resources: the MCP endpoints that tokens are for (RFC 8707 section 2, RFC 9728 sections 1.2 to 3).

A token's audience is compared as a string, so each has one canonical URL. Clients spell it differently all the same:
with an upper-case host, with `:443`, with a slash at the end. Those three spellings mean the same URL by RFC 3986
section 6.2.2.1 and 6.2.3 (or, for the slash, by common use) and are accepted on input. Nothing else is: percent
decoding and dot segments are how two different endpoints could be made to look like one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from urllib.parse import urlsplit

from gatepost.late_dataclass import dataclass
from gatepost.tokens.dpop import SIGNING_ALGORITHMS
from gatepost.wording.phrase import Words


@dataclass(frozen=True, slots=True)
class ProtectedResource:
    """One MCP endpoint as tokens see it."""

    identifier: str
    """The canonical URL, such as `https://mcp.example.com/mcp`: the audience of its tokens."""
    path: str
    """The URL's path, such as `/mcp`."""
    name: str
    """For people."""
    scopes: Mapping[str, Words]
    """Every scope it knows, in the order shown, each with the words the consent page uses."""
    destructive_scopes: frozenset[str] = frozenset()
    """Those that open what deletes or overwrites something, which the consent page marks."""
    implied_scopes: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    """For each scope that implies others, all that it opens."""
    scope_groups: Mapping[str, str] = field(default_factory=dict[str, str])
    """The operator's words for groups of scopes, by what their names begin with."""

    def effective(self, granted: Iterable[str]) -> frozenset[str]:
        """Return what was granted with all that it implies."""
        scopes = frozenset(granted)
        if not self.implied_scopes:
            return scopes
        return scopes.union(*(opened for scope, opened in self.implied_scopes.items() if scope in scopes))

    @property
    def default_scopes(self) -> tuple[str, ...]:
        """What a client that names no scope asks for."""
        return tuple(self.scopes)


# Written out, because the standard library's splitter drops tabs and newlines and forgives much else. No user info, no
# query (RFC 8707 section 2: should not), no fragment (must not); the path may hold what RFC 3986 section 3.3 allows.
_URL = re.compile(
    r"""(?P<scheme>https?)://
        (?P<host>[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])
        (?::(?P<port>[1-9][0-9]{0,4}))?
        (?P<path>(?:/(?:[a-z0-9._~!$&'()*+,;=:@-]|%[0-9a-f]{2})*)*)""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_DEFAULT_PORTS = {"https": "443", "http": "80"}


def canonical_identifier(url: str) -> str:
    """Return the canonical spelling of an endpoint's URL.

    Lower-case scheme and host, no default port, no slash at the end: `https://mcp.example.com/mcp`, or
    `https://mcp.example.com` for an endpoint at the root.

    Raises:
        ValueError: `url` is not an absolute http or https URL, or has user info, a query or a fragment.
    """
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError("not an absolute http(s) URL without user info, query and fragment")
    scheme = match["scheme"].lower()
    port = match["port"]
    authority = match["host"].lower()
    if port is not None and port != _DEFAULT_PORTS[scheme]:
        authority = f"{authority}:{port}"
    return f"{scheme}://{authority}{match['path'].removesuffix('/')}"


def find_resource(resources: Sequence[ProtectedResource], requested: str | None) -> ProtectedResource | None:
    """Return the resource that a client's `resource` parameter names, or None if it names none of them.

    A client that names none means the only one; where there are several, it has to say which.
    """
    if requested is None:
        return resources[0] if len(resources) == 1 else None
    try:
        identifier = canonical_identifier(requested)
    except ValueError:
        return None
    return next((resource for resource in resources if resource.identifier == identifier), None)


def implied_scopes_at(resources: Iterable[ProtectedResource], identifier: str) -> Mapping[str, frozenset[str]]:
    """Return which scopes imply others at the resource of a grant; none where it is not served any more."""
    return next((resource.implied_scopes for resource in resources if resource.identifier == identifier), {})


_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def names_same_endpoint(one: str, other: str) -> bool:
    """Say whether two canonical URLs differ by nothing but the loopback name: `localhost`, `127.0.0.1` or `[::1]`."""
    first, second = urlsplit(one), urlsplit(other)
    if not {first.hostname, second.hostname} <= _LOOPBACK:
        return False
    return (first.scheme, first.port, first.path) == (second.scheme, second.port, second.path)


WELL_KNOWN_PATH = "/.well-known/oauth-protected-resource"


def resource_metadata(
    resource: ProtectedResource, *, issuers: Sequence[str], takes_dpop: bool = False, requires_dpop: bool = False
) -> dict[str, object]:
    """Return the members of a resource's metadata document; `issuers` are those whose tokens count, the first best.

    `takes_dpop` and `requires_dpop` say whether tokens can be, or have to be, bound to a key (RFC 9728 section 2).

    `offline_access` is not among the scopes: it is no permission of the resource (MCP authorization, refresh tokens).
    """
    dpop: dict[str, object] = {"dpop_signing_alg_values_supported": list(SIGNING_ALGORITHMS)} if takes_dpop else {}
    if requires_dpop:
        dpop["dpop_bound_access_tokens_required"] = True
    return {
        "resource": resource.identifier,
        "authorization_servers": list(issuers),
        "scopes_supported": list(resource.scopes),
        "bearer_methods_supported": ["header"],  # RFC 6750 section 2.1; neither body nor query
        "resource_name": resource.name,
        **dpop,
    }


def metadata_url(resource: ProtectedResource) -> str:
    """Return where that document is: the well-known path stands between host and path (RFC 9728 section 3.1)."""
    path = resource.path.rstrip("/")
    return resource.identifier.removesuffix(path) + WELL_KNOWN_PATH + path

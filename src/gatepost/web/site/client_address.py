"""From where a request comes: the peer, or what a trusted proxy says (RFC 7239; `X-Forwarded-For` by convention).

Each proxy appends the address that it was reached from, so only the right end of the list is worth anything: it is read
from the right, past the addresses of proxies that the operator named, to the first that is none. What stands to the
left of it was written by that sender, and may be anything.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from starlette.types import Scope

Network: TypeAlias = IPv4Network | IPv6Network
Address: TypeAlias = IPv4Address | IPv6Address

UNKNOWN = "unknown"
"""For a peer without an address, such as one on a Unix socket."""

# RFC 7239 section 4: `for=`, a token or a quoted string.
_FOR = re.compile(r'(?:^|;)\s*for\s*=\s*(?:"([^"]*)"|([^;\s]*))\s*(?=;|$)', re.IGNORECASE)
_LIMIT_PREFIX = 64


class ClientAddresses:
    """Says from where requests come.

    Args:
        trusted_proxies: address ranges whose word is taken; nobody's when empty.
    """

    def __init__(self, trusted_proxies: Sequence[str] = ()) -> None:
        self._trusted: tuple[Network, ...] = tuple(ip_network(proxy) for proxy in trusted_proxies)

    def of(self, scope: Scope) -> str:
        """Return the address of the client of an HTTP request, in its canonical spelling; or `UNKNOWN`."""
        peer = scope.get("client")
        address = _address(peer[0]) if peer else None
        if address is None:
            return UNKNOWN
        if not self._is_trusted(address):
            return str(address)
        for hop in reversed(_hops(scope["headers"])):
            found = _address(hop)
            if found is None:
                break  # a name, or hidden: the proxy that wrote it is all that is known
            address = found
            if not self._is_trusted(address):
                break
        return str(address)

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def limit_key(address: str) -> str:
    """Return what limits count `address` under: itself, or the /64 of an IPv6 address.

    A /64 is the least that a customer of a network gets (RFC 6177 section 2); to count single addresses of one would
    count nothing.
    """
    found = _address(address)
    if isinstance(found, IPv6Address):
        return str(IPv6Network((int(found), _LIMIT_PREFIX), strict=False))
    return address


def _hops(raw_headers: Sequence[tuple[bytes, bytes]]) -> list[str]:
    """Return the addresses that the forwarding headers list, the nearest last.

    When a request has both headers and they disagree, one of them passed the proxy untouched and may be anybody's
    invention; neither is believed then.
    """
    conventional = _listed(raw_headers, b"x-forwarded-for")
    standard = [_forwarded_for(element) for element in _listed(raw_headers, b"forwarded")]
    if conventional and standard and list(map(_address, conventional)) != list(map(_address, standard)):
        return []
    return conventional or standard


def _listed(raw_headers: Sequence[tuple[bytes, bytes]], name: bytes) -> list[str]:
    values = [value.decode("latin-1") for key, value in raw_headers if key == name]
    return [element.strip() for value in values for element in value.split(",")]


def _forwarded_for(element: str) -> str:
    found = _FOR.search(element)
    return "" if found is None else found[1] or found[2] or ""


def _address(text: str) -> Address | None:
    """Return the address that `text` names, with or without a port; an IPv4 address in IPv6 clothes as IPv4."""
    host = text
    if text.startswith("["):
        host = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        host = text.partition(":")[0]
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address

"""From where a request comes: the peer, or what a trusted proxy says in the one header that counts (record 0038).

In a list (`X-Forwarded-For`, or `Forwarded` of RFC 7239) each proxy appends the address that it was reached from, so
only the right end is worth anything: it is read from the right, past the addresses of proxies that the operator named,
to the first that is none. What stands to the left of it was written by that sender, and may be anything. A header of
any other name holds one address. Headers that are not the one that counts are the client's own words.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final, TypeAlias

from starlette.types import Scope

Network: TypeAlias = IPv4Network | IPv6Network
Address: TypeAlias = IPv4Address | IPv6Address

UNKNOWN: Final = "unknown"
"""For a peer without an address, such as one on a Unix socket, if such are not trusted. It is not counted by address:
all of them would share one allowance, and any of them could use it up."""
UNIX: Final = "unix"
"""Among the trusted proxies: the peers on a Unix socket. Also the address of one that does not tell its client's."""
X_FORWARDED_FOR: Final = "x-forwarded-for"
FORWARDED: Final = "forwarded"

_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PAIR: Final = rf'({_TOKEN})[ \t]*=[ \t]*({_TOKEN}|"(?:[^"\\]|\\.)*")'
# RFC 7239 section 4, with white space where some proxies put it. An IPv6 address without quotes is read, too.
_PAIRS: Final = re.compile(rf"[ \t]*(?:{_PAIR}[ \t]*)?(?:;[ \t]*(?:{_PAIR}[ \t]*)?)*")
_EACH_PAIR: Final = re.compile(_PAIR)
_LONGEST_ELEMENT: Final = 1024
"""Characters; a longer one with commas in quoted strings is not believed."""
_LIMIT_PREFIX: Final = 64
_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052 section 2.1
_32_BITS: Final = 0xFFFFFFFF
_MOST_KNOWN: Final = 4096
"""Addresses that have been read: each request asks four times for its own, and a connection has many requests."""
_LONGEST_KNOWN: Final = 64
"""Characters: an IPv6 address in brackets with a port."""

_log = logging.getLogger("gatepost.web")


class AddressWarning(StrEnum):
    """Why clients cannot be told apart, or say themselves who they are; with the setting that mends it."""

    HEADER_MISSING = (
        "MCP_FORWARDED_HEADER: a trusted proxy sent a request without the header that this setting names. Clients "
        "share the proxy's address, or, where it passes on what they send, choose theirs. Have the proxy set it."
    )
    HEADER_UNREADABLE = (
        "MCP_FORWARDED_HEADER: a trusted proxy sent no address in the header that this setting names, or a header for "
        "one address twice. Clients share the proxy's address. Have the proxy replace what clients send."
    )
    ONLY_PROXIES = (
        "MCP_TRUSTED_PROXIES: a request came through trusted proxies from an address that is one itself, or the "
        "loopback of another machine. Clients share it. Name the proxies' own addresses only, and have the outermost "
        "proxy tell its client's address to the next."
    )
    PROXY_NOT_NAMED = (
        "MCP_TRUSTED_PROXIES: a proxy on this machine or network sends the header that MCP_FORWARDED_HEADER names and "
        "is not trusted. Clients share its address. Name it in this setting."
    )
    PEER_WITHOUT_ADDRESS = (
        "MCP_TRUSTED_PROXIES: requests come over a Unix socket, without an address, and are not limited by address. "
        "Add `unix` to this setting if a proxy sends them."
    )


class ClientAddresses:
    """Says from where requests come, and notices when that cannot be relied on.

    Args:
        trusted_proxies: address ranges whose word is taken, and `UNIX` for peers on a Unix socket; nobody's when empty.
        header: the name of the one header that counts, in lower case.
    """

    def __init__(self, trusted_proxies: Sequence[str] = (), *, header: str = X_FORWARDED_FOR) -> None:
        self._trusts_unix = UNIX in trusted_proxies
        self._trusted: tuple[Network, ...] = tuple(ip_network(proxy) for proxy in trusted_proxies if proxy != UNIX)
        self._header = header.encode("ascii")
        self._warnings: dict[AddressWarning, None] = {}

    def warnings(self) -> tuple[str, ...]:
        """What was noticed since the start, a sentence or two each, without anything that a client sent."""
        return tuple(map(str, self._warnings))

    def of(self, scope: Scope) -> str:
        """Return the address of the client of an HTTP request, in its canonical spelling; or `UNKNOWN`, or `UNIX`."""
        peer = scope.get("client")
        address = proxy = _address(peer[0]) if peer else None
        values = [value.decode("latin-1") for name, value in scope["headers"] if name == self._header]
        if not self._is_trusted(address):
            if address is None:
                self._warn(AddressWarning.PEER_WITHOUT_ADDRESS)
                return UNKNOWN
            if values and not address.is_global:  # strangers on the internet cannot cause this
                self._warn(AddressWarning.PROXY_NOT_NAMED, address)
            return str(address)
        warning = AddressWarning.ONLY_PROXIES if values else AddressWarning.HEADER_MISSING
        for hop in self._hops(values):
            found = _address(hop)
            if found is None:
                # A name, or hidden: the proxy that wrote it is all that is known.
                warning = AddressWarning.HEADER_UNREADABLE
                break
            address = found
            if not self._is_trusted(address):
                break
        if self._is_trusted(address) or (address and proxy and address.is_loopback and not proxy.is_loopback):
            self._warn(warning, proxy)
        return UNIX if address is None else str(address)

    def trusts_peer_of(self, scope: Mapping[str, Any]) -> bool:
        """Say whether an HTTP request comes straight from a trusted proxy."""
        peer = scope.get("client")
        return self._is_trusted(_address(peer[0]) if peer else None)

    def trusts(self, peer: str) -> bool:
        """Say whether the address of a peer is a trusted proxy's."""
        return self._is_trusted(_address(peer))

    def _is_trusted(self, address: Address | None) -> bool:
        return self._trusts_unix if address is None else any(address in network for network in self._trusted)

    def _hops(self, values: Sequence[str]) -> Iterator[str]:
        """Yield what the header says of each hop, the nearest first; what is no address is not to be believed."""
        name = self._header.decode("ascii")
        if name == FORWARDED:
            yield from _forwarded_for(",".join(values))
        elif name == X_FORWARDED_FOR:
            elements = (element for value in values for element in value.split(","))
            yield from (element.strip() for element in reversed([*elements]))
        elif values:
            yield values[0].strip() if len(values) == 1 else ""

    def _warn(self, warning: AddressWarning, peer: Address | None = None) -> None:
        if warning not in self._warnings:
            self._warnings[warning] = None
            _log.warning("%s", warning, extra={"peer": UNIX if peer is None else str(peer)})


@lru_cache(_MOST_KNOWN)
def limit_key(address: str) -> str:
    """Return what limits count `address` under: itself, or the /64 of an IPv6 address.

    A /64 is the least that a customer of a network gets (RFC 6177 section 2); to count single addresses of one would
    count nothing. Where a translator stands in front, one /64 is all of IPv4, and the IPv4 address counts.
    """
    found = _address(address)
    if isinstance(found, IPv6Address) and found in _NAT64:
        return str(IPv4Address(int(found) & _32_BITS))
    if isinstance(found, IPv6Address):
        return str(IPv6Network((int(found), _LIMIT_PREFIX), strict=False))
    return address


def _forwarded_for(text: str) -> Iterator[str]:
    """Yield the `for` of each element of a `Forwarded` header, from the right; the empty string where it is not clear.

    Read from the right, because a client can leave a quotation mark open in what stands before a proxy's element; and
    with quoted strings, because it can choose the `host` of that element.
    """
    parts = text.split(",") if text else []
    while parts:
        element = parts.pop()
        while parts and len(element) < _LONGEST_ELEMENT and not _PAIRS.fullmatch(element):
            element = f"{parts.pop()},{element}"
        pairs = _EACH_PAIR.findall(element) if _PAIRS.fullmatch(element) else ()
        found = [value.strip('"') for name, value in pairs if name.lower() == "for"]
        yield found[0] if len(found) == 1 else ""


def _address(text: str) -> Address | None:
    """Return the address that `text` names, with or without a port; an IPv4 address in IPv6 clothes as IPv4.

    A zone (`fe80::1%eth0`, RFC 4007 section 11) is left out: it says nothing to others, and may be any text.
    """
    # What a header says may be of any length, and is not kept.
    return _read(text) if len(text) > _LONGEST_KNOWN else _known(text)


def _read(text: str) -> Address | None:
    host = text
    if text.startswith("["):
        host = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        host = text.partition(":")[0]
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or IPv6Address(int(address))
    return address


_known = lru_cache(_MOST_KNOWN)(_read)

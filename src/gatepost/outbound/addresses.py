"""Which addresses may be connected to on a stranger's word: public unicast ones, in whatever notation (RFC 6890).

`ipaddress` knows the registries of special-purpose addresses, in an edition that depends on the Python version. The
lists here add what some editions lack, what the registries call global but no public web server has, and IPv6 forms
that carry an IPv4 address, which a tunnel or a translator on the way may lead to.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

_NEVER_IPV4: Final = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this host on this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by carrier-grade NAT (RFC 6598)
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, where clouds keep their credentials
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # automatic multicast tunnelling
        "192.88.99.0/24",  # 6to4 relays, deprecated (RFC 7526)
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
# Public by the registries, and answered by a cloud from inside to its machines. Compared in 2026-11 with cloud-init's
# and afterburn's sources, systemd's hwdb of metadata services, and Google's and IBM's documentation (record 0032).
_CLOUD_INTERNAL: Final = tuple(
    ip_network(network)
    for network in (
        "161.26.0.0/16",  # IBM Cloud service endpoints
        "166.8.0.0/14",  # likewise
        "168.63.129.16/32",  # Azure WireServer
        "199.36.153.4/30",  # Google restricted.googleapis.com
        "199.36.153.8/30",  # Google private.googleapis.com
        "2600:2d00:2:1000::/64",  # Google restricted.googleapis.com
        "2600:2d00:2:2000::/64",  # Google private.googleapis.com
    )
)
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")  # RFC 4291 section 2.4; everything else is special
_NEVER_IPV6: Final = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, Teredo and ORCHID among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: leads to the IPv4 address inside (RFC 3056)
        "2620:4f:8000::/48",  # AS112
        "3ffe::/16",  # 6bone, given back and allocated to nobody (RFC 3701)
        "3fff::/20",  # documentation (RFC 9637)
    )
)
_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052 section 2.1
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})  # RFC 5214 section 6.1: what precedes the IPv4 address inside
_32_BITS: Final = 0xFFFFFFFF
# Special-use names (RFC 6761, 6762 with its appendix G, 7686, 8375), what ICANN keeps for private use, and what
# clusters add: top-level domains that lead nowhere on the internet.
_LOCAL_DOMAINS: Final = frozenset(
    [
        "alt",
        "arpa",
        "consul",
        "corp",
        "home",
        "internal",
        "intranet",
        "invalid",
        "lan",
        "local",
        "localdomain",
        "localhost",
        "mail",
        "onion",
        "private",
        "svc",
        "test",
    ]
)


def is_public(address: str) -> bool:
    """Say whether an address literal, as a resolver answers it, is a public unicast address.

    Anything that is no plain address, such as one with a zone (`fe80::1%eth0`) or an IPv4 address in octal, is not.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return _is_public_ipv4(parsed) if isinstance(parsed, IPv4Address) else _is_public_ipv6(parsed)


def is_loopback(address: str) -> bool:
    """Say whether an address literal is this very machine."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def is_local_name(host: str) -> bool:
    """Say whether a host is an address literal, a name without a dot, or of a domain that is not on the internet.

    For names that are resolved elsewhere. It is no guard: any name may have a private address.
    """
    *above, domain = host.split(".")
    return not above or domain.isdigit() or domain in _LOCAL_DOMAINS or ":" in host


def _is_public_ipv4(address: IPv4Address) -> bool:
    return address.is_global and not any(address in network for network in (*_NEVER_IPV4, *_CLOUD_INTERNAL))


def _is_public_ipv6(address: IPv6Address) -> bool:
    if address.scope_id is not None:
        return False
    if address in _NAT64:
        # In a network that has IPv6 only, every IPv4 address looks like this; it counts as what it carries.
        return _is_public_ipv4(IPv4Address(int(address) & _32_BITS))
    return (
        address in _GLOBAL_UNICAST
        and address.is_global
        and not any(address in network for network in (*_NEVER_IPV6, *_CLOUD_INTERNAL))
        and int(address) >> 32 & _32_BITS not in _ISATAP
    )


def names_this_machine(host: str) -> bool:
    """Say whether a host as a URL has it (an IPv6 address without its brackets) is loopback."""
    return host == "localhost" or is_loopback(host)


def is_server_url(url: object) -> bool:
    """Say whether `url` may be asked: https, or http on this machine; without user, query and fragment."""
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return False
    if not host:
        return False
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and names_this_machine(host))
    return is_safe and not parts.query and not parts.fragment and "@" not in parts.netloc

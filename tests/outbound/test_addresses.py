"""Which addresses may be connected to: each special range by its first and last address, in every notation."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.outbound.addresses import is_loopback, is_public

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001:80e::200e",
    "2001:4860:4860::8888",
    "2400:cb00::1",
    "64:ff9b::8.8.8.8",
    "64:ff9b::808:808",
    # the neighbours of what clouds answer from inside
    *("161.25.255.255", "161.27.0.0", "166.7.255.255", "166.12.0.0", "168.63.129.15", "168.63.129.17"),
    *("199.36.153.3", "199.36.153.12", "2600:2d00:2:fff::1", "2600:2d00:2:1001::1", "2600:2d00:2:2001::1"),
    "3ffd:ffff::1",
]
NOT_PUBLIC = [
    # this host, loopback
    *("0.0.0.0", "0.255.255.255", "127.0.0.1", "127.0.0.0", "127.255.255.255", "::", "::1"),
    # private, shared, link-local with the metadata services of clouds, unique local, site-local
    *("10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255"),
    *("100.64.0.0", "100.127.255.255", "100.100.100.200", "169.254.0.0", "169.254.169.254", "169.254.255.255"),
    *("fc00::", "fd00:ec2::254", "fdff:ffff::", "fe80::", "fe80::1", "febf::1", "fec0::1", "feff::1"),
    # assignments, documentation, benchmarks, relays
    *("192.0.0.0", "192.0.0.8", "192.0.0.9", "192.0.0.170", "192.0.2.1", "198.51.100.1", "203.0.113.1"),
    *("198.18.0.0", "198.19.255.255", "192.88.99.1", "192.31.196.1", "192.52.193.1", "192.175.48.1"),
    *("2001::1", "2001:1::1", "2001:2::1", "2001:4:112::1", "2001:10::1", "2001:20::1", "2001:db8::1"),
    *("3fff::1", "5f00::1", "100::1", "100:0:0:1::1", "2620:4f:8000::1"),
    # answered by a cloud from inside, formally public
    *("161.26.0.0", "161.26.255.255", "166.8.0.0", "166.11.255.255", "168.63.129.16", "64:ff9b::a83f:8110"),
    *("199.36.153.4", "199.36.153.7", "199.36.153.8", "199.36.153.11", "2600:2d00:2:1000::", "2600:2d00:2:2000::1"),
    # given back
    *("3ffe::", "3ffe:ffff::1"),
    # multicast, reserved, broadcast
    *("224.0.0.0", "239.255.255.255", "240.0.0.0", "255.255.255.255", "ff00::", "ff02::1", "ff0e::1", "4000::1"),
    # IPv4 inside IPv6: mapped, compatible, translated, 6to4, NAT64 (also of private ones), Teredo, ISATAP
    *("::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:a00:1", "::127.0.0.1", "::8.8.8.8", "::ffff:0:127.0.0.1"),
    *("2002:7f00:1::", "2002:a00:1::1", "2002:808:808::", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe"),
    *("64:ff9b::10.0.0.1", "64:ff9b:1::8.8.8.8", "2001:0:7f00:1::", "2606:4700::5efe:7f00:1"),
    *("2606:4700::200:5efe:a00:1",),
    # a zone; and what is no address in its one notation: a resolver never answers these
    *("fe80::1%eth0", "2606:4700::1111%eth0", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.01"),
    *("8.8.8", "134744072", "010.8.8.8", "", " 8.8.8.8", "8.8.8.8 ", "8.8.8.8:80", "[2606:4700::1111]", "localhost"),
    *("\u0661.\u0661.\u0661.\u0661", "8.8.8.8\x00", "8\u30028\u30028\u30028"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_unicast_addresses_may_be_reached(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_no_other_address_may_be_reached_in_any_notation(address: str) -> None:
    assert not is_public(address)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_counts_alike_behind_nat64_and_never_mapped(address: IPv4Address) -> None:
    assert is_public(f"64:ff9b::{address}") == is_public(str(address))
    assert not is_public(f"::ffff:{address}")
    assert not is_public(f"2002:{int(address) >> 16:x}:{int(address) & 0xFFFF:x}::1")


@given(st.ip_addresses(v=6))
def test_ipv6_addresses_outside_global_unicast_are_never_public_but_for_nat64(address: IPv6Address) -> None:
    if address not in IPv6Network("2000::/3") and address not in IPv6Network("64:ff9b::/96"):
        assert not is_public(str(address))


@pytest.mark.parametrize(
    ("address", "expected"), [("127.0.0.1", True), ("::1", True), ("8.8.8.8", False), ("x", False)]
)
def test_loopback_is_this_machine(address: str, expected: bool) -> None:
    assert is_loopback(address) is expected

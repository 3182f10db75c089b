"""Whose word is taken for where a request comes from."""

from __future__ import annotations

import pytest

from gatepost.web.site.client_address import ClientAddresses, limit_key

PROXY, CDN, CLIENT, FORGED = "10.0.0.1", "203.0.113.80", "198.51.100.7", "192.0.2.66"


def address(*headers: tuple[str, str], peer: str | None = PROXY, trusted: tuple[str, ...] = ("10.0.0.0/8", CDN)) -> str:
    scope = {
        "type": "http",
        "client": None if peer is None else (peer, 4711),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }
    return ClientAddresses(trusted).of(scope)


def test_without_a_named_proxy_the_peer_counts_whatever_it_says() -> None:
    assert address(("x-forwarded-for", FORGED), ("forwarded", f"for={FORGED}"), trusted=()) == PROXY
    assert address(("x-forwarded-for", FORGED), peer=CLIENT) == CLIENT


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-forwarded-for", CLIENT),
        ("x-forwarded-for", f"{FORGED}, {CLIENT}"),
        ("x-forwarded-for", f"{FORGED},{CLIENT} , {CDN}"),
        ("x-forwarded-for", f"not an address, {CLIENT}, 10.9.8.7"),
        ("x-forwarded-for", f"{CLIENT}:50123"),
        ("forwarded", f"for={CLIENT}"),
        ("forwarded", f'for={FORGED}, for="{CLIENT}:50123";proto=https;by=10.0.0.1'),
        ("forwarded", f'proto=https; FOR = "{CLIENT}", for={CDN}'),
    ],
)
def test_the_last_address_that_is_no_proxy_of_ours_counts(header: str, value: str) -> None:
    assert address((header, value)) == CLIENT


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-forwarded-for", "[2001:db8:0:1::7]:443"),
        ("x-forwarded-for", "2001:DB8:0:1:0:0:0:7"),
        ("forwarded", 'for="[2001:db8:0:1::7]:443"'),
        ("forwarded", 'for="[2001:db8:0:1::7]"'),
    ],
)
def test_ipv6_in_every_spelling(header: str, value: str) -> None:
    assert address((header, value)) == "2001:db8:0:1::7"


def test_an_ipv4_address_in_ipv6_clothes_is_itself() -> None:
    assert address(peer=f"::ffff:{CLIENT}") == CLIENT
    assert address(("x-forwarded-for", CLIENT), peer="::ffff:10.0.0.1") == CLIENT


def test_several_headers_of_one_name_are_one_list() -> None:
    assert address(("x-forwarded-for", FORGED), ("x-forwarded-for", CLIENT)) == CLIENT


@pytest.mark.parametrize("value", ["unknown", "for=unknown", "for=_hidden", "", "for=", "by=10.0.0.1"])
def test_behind_a_hidden_address_the_proxy_that_hid_it_counts(value: str) -> None:
    header = "forwarded" if "=" in value else "x-forwarded-for"

    assert address((header, value)) == PROXY


def test_two_headers_that_agree_are_believed_and_two_that_do_not_are_not() -> None:
    assert address(("x-forwarded-for", CLIENT), ("forwarded", f"for={CLIENT}")) == CLIENT
    assert address(("x-forwarded-for", FORGED), ("forwarded", f"for={CLIENT}")) == PROXY


def test_a_request_that_passed_only_our_proxies_comes_from_the_farthest() -> None:
    assert address(("x-forwarded-for", "10.1.1.1, 10.2.2.2")) == "10.1.1.1"


def test_a_peer_without_an_address_is_unknown() -> None:
    assert address(peer=None) == "unknown"
    assert address(peer="testclient") == "unknown"


def test_limits_count_a_64_of_ipv6_as_one() -> None:
    assert limit_key("2001:db8:0:1::7") == limit_key("2001:db8:0:1:ffff::") == "2001:db8:0:1::/64"
    assert limit_key("2001:db8:0:2::7") == "2001:db8:0:2::/64"
    assert limit_key("::1") == "::/64"
    assert limit_key(CLIENT) == CLIENT
    assert limit_key("unknown") == "unknown"

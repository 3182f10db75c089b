"""Whose word is taken for where a request comes from."""

from __future__ import annotations

import pytest

from gatepost.web.site.client_address import AddressWarning, ClientAddresses, limit_key

PROXY, CDN, CLIENT, FORGED = "10.0.0.1", "203.0.113.80", "198.51.100.7", "192.0.2.66"
TRUSTED = ("10.0.0.0/8", CDN)


def scope_of(*headers: tuple[str, str], peer: str | None = PROXY) -> dict[str, object]:
    return {
        "type": "http",
        "client": None if peer is None else (peer, 4711),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }


def address(
    *headers: tuple[str, str],
    peer: str | None = PROXY,
    trusted: tuple[str, ...] = TRUSTED,
    counts: str = "x-forwarded-for",
) -> str:
    return ClientAddresses(trusted, header=counts).of(scope_of(*headers, peer=peer))


def noticed(*headers: tuple[str, str], peer: str | None = PROXY, trusted: tuple[str, ...] = TRUSTED) -> list[str]:
    """Return the settings that warnings about one request name, each with the warning's own name."""
    addresses = ClientAddresses(trusted)
    addresses.of(scope_of(*headers, peer=peer))
    return [f"{AddressWarning(text).name} {text.partition(':')[0]}" for text in addresses.warnings()]


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
    assert address((header, value), counts=header) == CLIENT


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
    assert address((header, value), counts=header) == "2001:db8:0:1::7"


def test_an_ipv4_address_in_ipv6_clothes_is_itself() -> None:
    assert address(peer=f"::ffff:{CLIENT}") == CLIENT
    assert address(("x-forwarded-for", CLIENT), peer="::ffff:10.0.0.1") == CLIENT


def test_a_zone_is_no_part_of_an_address_and_reaches_no_log() -> None:
    assert address(("x-forwarded-for", "fe80::7%\x9b31m" + "a" * 999)) == "fe80::7"
    assert address(peer="fe80::7%eth0") == "fe80::7"
    assert address(("x-forwarded-for", CLIENT), peer="fe80::1%eth0", trusted=("fe80::/64",)) == CLIENT


def test_several_headers_of_one_name_are_one_list() -> None:
    assert address(("x-forwarded-for", FORGED), ("x-forwarded-for", CLIENT)) == CLIENT


@pytest.mark.parametrize("value", ["unknown", "for=unknown", "for=_hidden", "", "for=", "by=10.0.0.1"])
def test_behind_a_hidden_address_the_proxy_that_hid_it_counts(value: str) -> None:
    header = "forwarded" if "=" in value else "x-forwarded-for"

    assert address((header, value), counts=header) == PROXY


@pytest.mark.parametrize("counts", ["x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip"])
@pytest.mark.parametrize("claim", [FORGED, f"for={FORGED}", "for=unknown", 'for="', ""])
def test_a_client_neither_hides_nor_lies_with_a_header_that_does_not_count(counts: str, claim: str) -> None:
    names = ("x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip", "true-client-ip", "x-client-ip")
    claims = [(name, claim) for name in names if name != counts]
    said = f"for={CLIENT}" if counts == "forwarded" else CLIENT

    assert address(*claims, (counts, said), counts=counts) == CLIENT
    assert address(*claims, counts=counts) == PROXY


@pytest.mark.parametrize("name", ["x-real-ip", "cf-connecting-ip", "fly-client-ip", "x-anything"])
def test_a_header_of_another_name_holds_one_address(name: str) -> None:
    assert address((name, f" {CLIENT} "), counts=name) == CLIENT
    assert address((name, "2001:DB8::7"), counts=name) == "2001:db8::7"
    for values in ([FORGED, CLIENT], [CLIENT, CLIENT], [f"{FORGED}, {CLIENT}"], [f"for={CLIENT}"], ["unknown"], [""]):
        assert address(*((name, value) for value in values), counts=name) == PROXY


@pytest.mark.parametrize(
    "before",
    ['for="', 'for="x', f'for="{FORGED}', r'for="\"', "for=", ",,;=", f"for={FORGED};for=1", 'x="', "secret" * 400],
)
@pytest.mark.parametrize("host", ["mcp.example.com", f'"x, for={FORGED}"', f'"x;for={FORGED};"', r'"\", for=1.2.3.4"'])
def test_what_a_client_leaves_open_or_puts_into_another_parameter_does_not_move_its_address(
    before: str, host: str
) -> None:
    for element in (f"for={CLIENT};host={host};proto=https", f'host={host};for="{CLIENT}:4711"'):
        assert address(("forwarded", f"{before}, {element}"), counts="forwarded") == CLIENT
        assert address(("forwarded", before), ("forwarded", element), counts="forwarded") == CLIENT
        assert address(("forwarded", f"{element}, for={CDN};host={host}"), counts="forwarded") == CLIENT


def test_an_element_that_names_two_addresses_is_not_believed() -> None:
    """RFC 7239 section 4: each parameter once."""
    assert address(("forwarded", f"for={FORGED};for={CLIENT}"), counts="forwarded") == PROXY


def test_a_request_that_passed_only_our_proxies_comes_from_the_farthest() -> None:
    assert address(("x-forwarded-for", "10.1.1.1, 10.2.2.2")) == "10.1.1.1"


def test_a_peer_without_an_address_is_unknown() -> None:
    assert address(peer=None) == "unknown"
    assert address(peer="testclient") == "unknown"
    assert address(("x-forwarded-for", FORGED), peer=None) == "unknown"


def test_a_proxy_on_a_unix_socket_is_believed_once_it_is_named() -> None:
    trusted = ("unix", "10.0.0.0/8")

    assert address(("x-forwarded-for", f"{FORGED}, {CLIENT}"), peer=None, trusted=trusted) == CLIENT
    assert address(("x-forwarded-for", f"{CLIENT}, {PROXY}"), peer=None, trusted=trusted) == CLIENT
    assert address(("x-forwarded-for", "garbage"), peer=None, trusted=trusted) == "unix"
    assert address(peer=None, trusted=trusted) == "unix"
    assert address(("x-forwarded-for", FORGED), peer=CLIENT, trusted=trusted) == CLIENT


@pytest.mark.parametrize(
    ("warning", "headers", "peer", "trusted"),
    [
        ("HEADER_MISSING MCP_FORWARDED_HEADER", [], PROXY, TRUSTED),
        ("HEADER_MISSING MCP_FORWARDED_HEADER", [("forwarded", f"for={CLIENT}")], PROXY, TRUSTED),
        ("HEADER_MISSING MCP_FORWARDED_HEADER", [], None, ("unix",)),
        ("HEADER_UNREADABLE MCP_FORWARDED_HEADER", [("x-forwarded-for", f"{CLIENT}, unknown")], PROXY, TRUSTED),
        ("HEADER_UNREADABLE MCP_FORWARDED_HEADER", [("x-forwarded-for", f"garbage, {CDN}")], PROXY, TRUSTED),
        ("ONLY_PROXIES MCP_TRUSTED_PROXIES", [("x-forwarded-for", "10.1.1.1")], PROXY, TRUSTED),
        ("ONLY_PROXIES MCP_TRUSTED_PROXIES", [("x-forwarded-for", "127.0.0.1")], PROXY, TRUSTED),
        ("PROXY_NOT_NAMED MCP_TRUSTED_PROXIES", [("x-forwarded-for", CLIENT)], PROXY, ()),
        ("PROXY_NOT_NAMED MCP_TRUSTED_PROXIES", [("x-forwarded-for", CLIENT)], "127.0.0.1", TRUSTED),
        ("PEER_WITHOUT_ADDRESS MCP_TRUSTED_PROXIES", [], None, TRUSTED),
    ],
)
def test_it_is_noticed_when_clients_share_an_address_or_choose_one(
    warning: str, headers: list[tuple[str, str]], peer: str | None, trusted: tuple[str, ...]
) -> None:
    assert noticed(*headers, peer=peer, trusted=trusted) == [warning]


def test_nothing_is_noticed_of_clients_that_are_told_apart_or_of_what_strangers_send() -> None:
    assert noticed(("x-forwarded-for", CLIENT)) == []
    assert noticed(("x-forwarded-for", f"garbage, {CLIENT}, {CDN}")) == []
    assert noticed(("x-forwarded-for", "127.0.0.2"), peer="127.0.0.1", trusted=("127.0.0.1",)) == []
    assert noticed(("x-forwarded-for", FORGED), peer="8.8.8.8") == []
    assert noticed(peer="127.0.0.1", trusted=()) == []


def test_a_warning_is_logged_once_with_the_proxy_and_nothing_of_the_client(caplog: pytest.LogCaptureFixture) -> None:
    addresses = ClientAddresses(TRUSTED)
    for _ in range(3):
        addresses.of(scope_of(("x-forwarded-for", "made-up")))
        addresses.of(scope_of())

    assert [(record.levelname, record.getMessage(), record.__dict__["peer"]) for record in caplog.records] == [
        ("WARNING", AddressWarning.HEADER_UNREADABLE.value, PROXY),
        ("WARNING", AddressWarning.HEADER_MISSING.value, PROXY),
    ]


def test_limits_count_ipv4_behind_a_translator_by_its_own_address() -> None:
    assert limit_key("64:ff9b::c633:6407") == limit_key(CLIENT)
    assert limit_key("64:ff9b::c633:6408") != limit_key(CLIENT)


def test_limits_count_a_64_of_ipv6_as_one() -> None:
    assert limit_key("2001:db8:0:1::7") == limit_key("2001:db8:0:1:ffff::") == "2001:db8:0:1::/64"
    assert limit_key("2001:db8:0:2::7") == "2001:db8:0:2::/64"
    assert limit_key("::1") == "::/64"
    assert limit_key(CLIENT) == CLIENT
    assert limit_key("unknown") == "unknown"

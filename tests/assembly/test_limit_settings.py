"""The settings of limits, proxies, the audit trail and remembered consent."""

import pytest

from gatepost.configuration.deployment import resolve_deployment
from gatepost.configuration.settings import SettingsError, load_settings

KEY = "seal-0123456789abcdefghijklmnopqrstuvwxyzABCDEF"


def test_trusted_proxies_are_addresses_and_ranges_in_one_spelling() -> None:
    settings = load_settings({"MCP_TRUSTED_PROXIES": "127.0.0.1 10.0.0.0/8  unix 2001:DB8::/32"}, env_file=None)

    assert settings.server.trusted_proxies == ("127.0.0.1/32", "10.0.0.0/8", "unix", "2001:db8::/32")


def test_one_header_tells_the_client_s_address() -> None:
    assert load_settings({}, env_file=None).server.forwarded_header == "x-forwarded-for"
    both = {"MCP_FORWARDED_HEADER": "CF-Connecting-IP", "MCP_TRUSTED_PROXIES": "10.0.0.1"}
    settings = load_settings(both, env_file=None)

    assert (settings.server.forwarded_header, settings.warnings) == ("cf-connecting-ip", ())


def test_a_header_that_is_believed_from_nobody_is_noted_at_the_start() -> None:
    [warning] = load_settings({"MCP_FORWARDED_HEADER": "forwarded"}, env_file=None).warnings

    assert "MCP_TRUSTED_PROXIES" in warning


@pytest.mark.parametrize("everybody", ["0.0.0.0/0", "10.0.0.0/8 ::/0"])
def test_a_public_server_does_not_trust_everybody_as_a_proxy(everybody: str) -> None:
    public = {"MCP_PUBLIC_URL": "https://mcp.example.com", "MCP_SEALING_KEYS": KEY}
    resolve_deployment(load_settings(public, env_file=None), is_single_user=False)

    with pytest.raises(SettingsError, match="^MCP_TRUSTED_PROXIES names every address"):
        resolve_deployment(
            load_settings({**public, "MCP_TRUSTED_PROXIES": everybody}, env_file=None), is_single_user=False
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MCP_TRUSTED_PROXIES", "proxy.example.com"),
        ("MCP_TRUSTED_PROXIES", "10.0.0.1/8"),  # an address with a mask that does not fit it is a slip of the pen
        ("MCP_TRUSTED_PROXIES", "*"),
        ("MCP_TRUSTED_PROXIES", "unix:/run/gatepost.sock"),
        ("MCP_FORWARDED_HEADER", "x-forwarded-for forwarded"),
        ("MCP_FORWARDED_HEADER", "x_real_ip"),
        ("OAUTH_LIMIT_FACTOR", "-1"),
        ("OAUTH_AUDIT_DAYS", "0"),
        ("OAUTH_CONSENT_DAYS", "366"),
    ],
)
def test_a_wrong_value_is_one_sentence_that_names_the_variable(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({name: value}, env_file=None)

    [sentence] = caught.value.sentences
    assert sentence.startswith(f"{name} takes ")

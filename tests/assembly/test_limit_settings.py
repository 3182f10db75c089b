"""The settings of limits, proxies, the audit trail and remembered consent."""

import pytest

from gatepost.configuration.settings import SettingsError, load_settings


def test_trusted_proxies_are_addresses_and_ranges_in_one_spelling() -> None:
    settings = load_settings({"MCP_TRUSTED_PROXIES": "127.0.0.1 10.0.0.0/8  2001:DB8::/32"}, env_file=None)

    assert settings.server.trusted_proxies == ("127.0.0.1/32", "10.0.0.0/8", "2001:db8::/32")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MCP_TRUSTED_PROXIES", "proxy.example.com"),
        ("MCP_TRUSTED_PROXIES", "10.0.0.1/8"),  # an address with a mask that does not fit it is a slip of the pen
        ("MCP_TRUSTED_PROXIES", "*"),
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

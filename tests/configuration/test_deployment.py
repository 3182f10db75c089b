from pathlib import Path

import pytest

from gatepost.configuration.deployment import (
    Deployment,
    canonical_url,
    is_loopback_host,
    key_file,
    locate_store,
    resolve_deployment,
)
from gatepost.configuration.settings import SettingsError, load_settings

LONG_KEY = "k3y-" + "x" * 24
SEALING_KEY = "seal-0123456789abcdefghijklmnopqrstuvwxyzABCDEF"


def resolve(is_single_user: bool = False, **variables: str) -> Deployment:
    variables = {"MCP_SEALING_KEYS": SEALING_KEY, **variables}
    given = {name: value for name, value in variables.items() if value}
    return resolve_deployment(load_settings(given), is_single_user=is_single_user)


def test_by_default_the_server_is_known_by_its_loopback_address() -> None:
    deployment = resolve(OAUTH_STORAGE_DIR="/data")
    assert deployment == Deployment(
        public_url="http://127.0.0.1:8000",
        is_secure=False,
        is_public=False,
        is_any_loopback=True,
        allowed_hosts=frozenset({"127.0.0.1:8000"}),
        allowed_origins=frozenset({"http://127.0.0.1:8000"}),
    )


def test_an_ipv6_loopback_address_is_bracketed() -> None:
    assert resolve(MCP_HOST="::1").public_url == "http://[::1]:8000"


def test_a_public_url_rules_over_host_and_port() -> None:
    deployment = resolve(
        MCP_HOST="0.0.0.0",
        MCP_PUBLIC_URL="https://MCP.Example.com:443/",
        MCP_ALLOWED_HOSTS="Internal.example",
        MCP_ALLOWED_ORIGINS="https://app.example",
    )
    assert deployment.public_url == "https://mcp.example.com"
    assert deployment.is_secure
    assert deployment.is_public
    assert not deployment.is_any_loopback
    assert deployment.allowed_hosts == {"mcp.example.com", "mcp.example.com:443", "internal.example"}
    assert deployment.allowed_origins == {"https://mcp.example.com", "https://app.example"}


@pytest.mark.parametrize(
    ("variables", "is_single_user", "names"),
    [
        ({"MCP_HOST": "0.0.0.0"}, False, "MCP_PUBLIC_URL"),
        ({"MCP_PUBLIC_URL": "http://mcp.example.com"}, False, "MCP_PUBLIC_URL"),
        ({"MCP_PUBLIC_URL": "https://mcp.example.com", "MCP_STORAGE_URL": "memory:"}, False, "MCP_STORAGE_URL"),
        ({"MCP_PUBLIC_URL": "https://mcp.example.com"}, True, "MCP_HOST"),
        ({"MCP_HOST": "0.0.0.0", "MCP_PUBLIC_URL": "http://localhost:8000"}, True, "MCP_HOST"),
        ({"MCP_PUBLIC_URL": "https://mcp.example.com", "OAUTH_AUTO_APPROVE": "true"}, False, "OAUTH_AUTO_APPROVE"),
        (
            {"MCP_PUBLIC_URL": "https://mcp.example.com", "OAUTH_CIMD_ALLOW_LOOPBACK": "true"},
            False,
            "OAUTH_CIMD_ALLOW_LOOPBACK",
        ),
        ({"MCP_PUBLIC_URL": "https://mcp.example.com", "MCP_API_KEY": "change-me"}, False, "MCP_API_KEY"),
        ({"MCP_PUBLIC_URL": "https://mcp.example.com", "MCP_API_KEY": "x" * 23}, False, "MCP_API_KEY"),
        ({"MCP_PUBLIC_URL": "https://mcp.example.com", "MCP_SEALING_KEYS": ""}, False, "MCP_SEALING_KEYS"),
    ],
)
def test_an_unsafe_combination_refuses_and_says_what_to_set(
    variables: dict[str, str],
    is_single_user: bool,
    names: str,
) -> None:
    with pytest.raises(SettingsError) as refusal:
        resolve(is_single_user, **variables)
    (sentence,) = refusal.value.sentences
    assert names in sentence
    assert "set " in sentence or "must " in sentence
    assert variables.get("MCP_API_KEY", "\0") not in sentence


def test_a_public_server_without_keys_is_told_of_the_key_file_that_its_store_has(tmp_path: Path) -> None:
    (tmp_path / "gatepost.key").write_text(SEALING_KEY)
    with pytest.raises(SettingsError) as refusal:
        resolve(MCP_PUBLIC_URL="https://mcp.example.com", MCP_SEALING_KEYS="", OAUTH_STORAGE_DIR=str(tmp_path))
    (sentence,) = refusal.value.sentences
    assert f'export MCP_SEALING_KEYS="$(cat {tmp_path / "gatepost.key"})"' in sentence
    assert SEALING_KEY not in sentence


def test_the_same_settings_are_fine_on_loopback() -> None:
    deployment = resolve(True, MCP_STORAGE_URL="memory:", OAUTH_AUTO_APPROVE="true", MCP_API_KEY="change-me")
    assert not deployment.is_public


def test_a_password_file_is_for_a_database_that_asks_for_one() -> None:
    with pytest.raises(SettingsError, match="MCP_STORAGE_PASSWORD_FILE is for a database that asks for a password"):
        locate_store(load_settings({"MCP_STORAGE_PASSWORD_FILE": "/run/secrets/database"}, env_file=None))


def test_a_long_random_api_key_may_be_public() -> None:
    assert resolve(MCP_PUBLIC_URL="https://mcp.example.com", MCP_API_KEY=LONG_KEY).is_public


@pytest.mark.parametrize(
    "url",
    [
        "mcp.example.com",
        "ftp://mcp.example.com",
        "https://",
        "https://mcp.example.com/a//b",
        "https://mcp.example.com/a/../b",
        "https://mcp.example.com/a%2Fb",
        "https://mcp.example.com//",
        "https://mcp.example.com/?a=b",
        "https://mcp.example.com/#x",
        "https://user@mcp.example.com",
        "https://mcp.example.com:port",
        "https://mcp.example.com:99999",
        "https://[::1",
        "https://mçp.example.com",
    ],
)
def test_a_public_url_that_is_more_than_host_port_and_path_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="MCP_PUBLIC_URL takes"):
        canonical_url(url)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("HTTPS://Mcp.Example.Com", "https://mcp.example.com"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("https://mcp.example.com:8443/", "https://mcp.example.com:8443"),
        ("http://[::1]:9000", "http://[::1]:9000"),
        ("https://Example.Com:443/Tools/", "https://example.com/Tools"),
        ("https://example.com/a/b", "https://example.com/a/b"),
    ],
)
def test_a_public_url_has_one_canonical_form(url: str, origin: str) -> None:
    assert canonical_url(url) == origin
    assert canonical_url(origin) == origin


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.8.8.8", "::1"])
def test_loopback_names_and_addresses_are_loopback(host: str) -> None:
    assert is_loopback_host(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "10.0.0.1", "localhost.example.com", "example.com"])
def test_everything_else_is_not(host: str) -> None:
    assert not is_loopback_host(host)


@pytest.mark.parametrize("url", ["postgresql://db", "sqlite:///dir/", "x"])
def test_an_unknown_storage_url_is_refused(url: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        resolve(MCP_STORAGE_URL=url)
    (sentence,) = refusal.value.sentences
    assert sentence == (
        "MCP_STORAGE_URL takes sqlite:///path/to/file.db (four slashes for an absolute path) or "
        "postgresql://user@host/database or memory:; this version knows no other store."
    )


def test_the_sealing_key_lies_beside_the_database() -> None:
    assert key_file(load_settings({"MCP_STORAGE_URL": "sqlite:////data/a.db"})) == Path("/data/a.key")
    assert key_file(load_settings({"OAUTH_STORAGE_DIR": "/data"})) == Path("/data/gatepost.key")
    assert key_file(load_settings({"OAUTH_STORAGE_DIR": "/data", "MCP_STORAGE_URL": "memory:"})) == Path(
        "/data/gatepost.key"
    )

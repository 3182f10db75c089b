from pathlib import Path

import pytest

from gatepost.configuration.settings import SettingsError, known_names, load_settings, variables


def test_without_anything_set_the_defaults_are_safe() -> None:
    settings = load_settings()
    assert settings.server.host == "127.0.0.1"
    assert settings.server.port == 8000
    assert settings.server.require_auth is True
    assert settings.server.api_key is None
    assert settings.oauth.enabled is True
    assert settings.oauth.auto_approve is False
    assert (settings.oauth.access_token_ttl, settings.oauth.refresh_token_ttl) == (3600, 2_592_000)
    assert settings.oauth.authorization_code_ttl == 600
    assert settings.warnings == ()


def test_overrides_beat_the_environment_which_beats_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("MCP_PORT=1\nMCP_HOST=::1\nOAUTH_AUTH_CODE_TTL=60\n")
    monkeypatch.setenv("MCP_PORT", "2")
    monkeypatch.setenv("OAUTH_AUTH_CODE_TTL", "61")
    settings = load_settings({"MCP_PORT": "3"})
    assert (settings.server.port, settings.server.host, settings.oauth.authorization_code_ttl) == (3, "::1", 61)


def test_an_empty_value_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_API_KEY", "")
    monkeypatch.setenv("MCP_PORT", "")
    settings = load_settings()
    assert settings.server.api_key is None
    assert settings.server.port == 8000


def test_where_the_environment_has_an_empty_value_the_file_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("MCP_PORT=1\n")
    monkeypatch.setenv("MCP_PORT", "")
    assert load_settings().server.port == 1
    assert variables(Path(".env"))["MCP_PORT"] == "1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MCP_PORT", "eighty"),
        ("MCP_PORT", "65536"),
        ("MCP_REQUIRE_AUTH", "perhaps"),
        ("MCP_API_KEY", "has a blank"),
        ("MCP_API_KEY", "x" * 2049),
        ("MCP_LOG_LEVEL", "loud"),
        ("OAUTH_ENABLED", "2"),
        ("OAUTH_ACCESS_TOKEN_TTL", "-5"),
        ("OAUTH_AUTH_CODE_TTL", "601"),
        ("OAUTH_INITIAL_ACCESS_TOKEN", "too-short"),
        ("OAUTH_INITIAL_ACCESS_TOKEN", "long enough but with blanks in it"),
        ("OAUTH_CIMD_ALLOWED_DOMAINS", "https://claude.ai"),
        ("OAUTH_CIMD_ALLOWED_DOMAINS", "*.*"),
        ("OAUTH_SUPPORTED_SCOPES", 'notes:read "quoted"'),
    ],
)
def test_a_wrong_value_is_told_by_name_and_never_repeated(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    (sentence,) = refusal.value.sentences
    assert sentence.startswith(f"{name} takes ")
    assert value not in sentence.removeprefix(name)


def test_all_wrong_values_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_PORT", "x")
    monkeypatch.setenv("OAUTH_ENABLED", "x")
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    assert refusal.value.sentences == (
        "MCP_PORT takes a port number from 0 to 65535.",
        "OAUTH_ENABLED takes true or false.",
    )


def test_word_lists_are_split_at_any_white_space_without_doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTH_SUPPORTED_SCOPES", "  notes:read\tnotes:write  notes:read ")
    monkeypatch.setenv("MCP_ALLOWED_HOSTS", "a.example b.example")
    settings = load_settings()
    assert settings.oauth.supported_scopes == ("notes:read", "notes:write")
    assert settings.server.allowed_hosts == ("a.example", "b.example")


def test_a_misspelt_name_is_pointed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTH_SUPORTED_SCOPES", "a")
    monkeypatch.setenv("MCP_SOMETHING_ELSE_ALTOGETHER", "a")
    assert load_settings().warnings == (
        "OAUTH_SUPORTED_SCOPES is not a setting and is ignored; did you mean OAUTH_SUPPORTED_SCOPES?",
    )


@pytest.mark.parametrize(
    ("name", "doubtful", "fine"),
    [
        ("OAUTH_ACCESS_TOKEN_TTL", "59", "60"),
        ("OAUTH_REFRESH_TOKEN_TTL", "3600", "3601"),
        ("OAUTH_AUTH_CODE_TTL", "29", "30"),
    ],
)
def test_a_lifetime_that_locks_people_out_is_pointed_out(name: str, doubtful: str, fine: str) -> None:
    (warning,) = load_settings({name: doubtful}).warnings
    assert warning.startswith(f"{name}={doubtful} is ")
    assert " The default is " in warning
    assert load_settings({name: fine}).warnings == ()


def test_secrets_do_not_show_in_the_settings_representation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_API_KEY", "very-secret-key")
    assert "very-secret-key" not in repr(load_settings())


def test_every_name_of_the_reference_table_is_known() -> None:
    assert {
        "MCP_PORT",
        "MCP_REQUIRE_AUTH",
        "MCP_API_KEY",
        "OAUTH_ENABLED",
        "OAUTH_ENABLE_AS",
        "OAUTH_AUTO_APPROVE",
        "OAUTH_STORAGE_DIR",
        "OAUTH_ACCESS_TOKEN_TTL",
        "OAUTH_REFRESH_TOKEN_TTL",
        "OAUTH_AUTH_CODE_TTL",
        "OAUTH_SUPPORTED_SCOPES",
        "OAUTH_ISSUER",
        "OAUTH_AUDIENCE",
        "OAUTH_JWKS_URI",
        "OAUTH_ALGORITHM",
        "OAUTH_VERIFY_SIGNATURE",
        "OAUTH_VERIFY_AUDIENCE",
        "OAUTH_VERIFY_ISSUER",
        "OAUTH_VERIFY_EXP",
        "OAUTH_REQUIRED_SCOPE",
        "JWT_SECRET",
        "MCP_HOST",
        "MCP_PUBLIC_URL",
        "MCP_STORAGE_URL",
        "MCP_HANDLER",
    } <= set(known_names())

"""MCP_SEALING_KEYS_FILE: sealing keys that are mounted as a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatepost.configuration.deployment import resolve_deployment
from gatepost.configuration.settings import SettingsError, load_settings

KEY = "seal-0123456789abcdefghijklmnopqrstuvwxyzABCDEF"
OLD_KEY = "older-0123456789abcdefghijklmnopqrstuvwxyzABCDEF"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def refusal(**variables: str) -> str:
    with pytest.raises(SettingsError) as refused:
        resolve_deployment(load_settings(variables, env_file=None), is_single_user=False)
    return str(refused.value)


def test_a_file_of_sealing_keys_counts_like_the_setting(tmp_path: Path) -> None:
    file = write(tmp_path / "keys", f"{KEY}\n{OLD_KEY}\n")
    settings = load_settings({"MCP_SEALING_KEYS_FILE": str(file)}, env_file=None)
    assert settings.server.sealing_keys is not None
    assert settings.server.sealing_keys.get_secret_value().split() == [KEY, OLD_KEY]
    assert KEY not in repr(settings)


def test_sealing_keys_in_both_places_are_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "keys", KEY)
    assert refusal(MCP_SEALING_KEYS_FILE=str(file), MCP_SEALING_KEYS=KEY) == (
        "MCP_SEALING_KEYS and MCP_SEALING_KEYS_FILE are both set: leave one of them out."
    )


@pytest.mark.parametrize("text", ["", "\n", "short", f"{KEY} short", f"{KEY}é"])
def test_a_file_of_something_else_is_refused_and_never_repeated(tmp_path: Path, text: str) -> None:
    said = refusal(MCP_SEALING_KEYS_FILE=str(write(tmp_path / "keys", text)))
    assert said == (
        "MCP_SEALING_KEYS_FILE names a file that holds something else than keys: write what MCP_SEALING_KEYS takes "
        "into it, and nothing else."
    )


def test_a_missing_file_of_sealing_keys_is_refused_without_its_name() -> None:
    """People paste the key itself into the variable."""
    assert refusal(MCP_SEALING_KEYS_FILE=KEY) == (
        "MCP_SEALING_KEYS_FILE names a file that cannot be read (No such file or directory): mount it, and let this "
        "user read it."
    )


def test_on_a_public_server_the_file_may_not_lie_beside_the_data(tmp_path: Path) -> None:
    file = write(tmp_path / "data" / "keys", KEY)
    public = {"MCP_PUBLIC_URL": "https://mcp.example.com", "OAUTH_STORAGE_DIR": str(tmp_path / "data")}
    assert refusal(MCP_SEALING_KEYS_FILE=str(file), **public) == (
        "MCP_SEALING_KEYS_FILE lies beside the data, so that a stolen copy of them would open what is sealed: keep it "
        "with your secrets, and move the file away from the data."
    )


def test_on_a_public_server_a_file_elsewhere_is_enough(tmp_path: Path) -> None:
    file = write(tmp_path / "secrets" / "keys", KEY)
    public = {"MCP_PUBLIC_URL": "https://mcp.example.com", "OAUTH_STORAGE_DIR": str(tmp_path / "data")}
    settings = load_settings({"MCP_SEALING_KEYS_FILE": str(file), **public}, env_file=None)
    assert resolve_deployment(settings, is_single_user=False).is_public

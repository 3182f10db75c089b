"""What the terminal says when a server starts, beyond name and URL."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatepost import Server
from gatepost.assembly.installation import install
from gatepost.configuration.settings import load_settings

KEY = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGH"
PUBLIC = {"MCP_PUBLIC_URL": "https://mcp.example.com", "MCP_SEALING_KEYS": KEY}
LISTENS = "  Listens  127.0.0.1:8000, where a proxy passes on what comes to https://mcp.example.com"


def banner(data: Path, *, listens_at: str | None = "127.0.0.1:8000", **variables: str) -> list[str]:
    settings = load_settings({"OAUTH_STORAGE_DIR": str(data), **variables}, env_file=None)
    installation = install(Server("Notes"), settings)
    installation.listens_at = listens_at
    return installation.banner().splitlines()


def test_a_server_behind_a_proxy_says_where_that_finds_it_and_what_it_has_to_be_told(tmp_path: Path) -> None:
    lines = banner(tmp_path, **PUBLIC)
    assert f"{LISTENS}; name that proxy in MCP_TRUSTED_PROXIES (docs/proxies.md)" in lines
    assert LISTENS in banner(tmp_path, **PUBLIC, MCP_TRUSTED_PROXIES="127.0.0.1")


def test_a_server_that_is_known_by_its_own_address_or_served_by_another_says_nothing_of_that(tmp_path: Path) -> None:
    for lines in (banner(tmp_path), banner(tmp_path, listens_at=None, **PUBLIC)):
        assert not [line for line in lines if "Listens" in line]


def test_an_app_in_another_server_names_no_port_that_it_does_not_know(tmp_path: Path) -> None:
    lines = banner(tmp_path, listens_at=None)
    assert lines[3:5] == [
        "  MCP URL  /mcp",
        "           Paths on the server that runs this app; set MCP_PUBLIC_URL to what clients call it.",
    ]
    assert "  Docs     /docs" in lines
    for known in ({"MCP_PORT": "9000"}, {"MCP_PUBLIC_URL": "http://127.0.0.1:9000"}):
        assert banner(tmp_path, listens_at=None, **known)[3] == "  MCP URL  http://127.0.0.1:9000/mcp"


def test_other_commands_are_told_where_the_store_is_unless_they_look_there_by_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "my data"
    told = f"           Look into it beside the server: OAUTH_STORAGE_DIR='{data}' gatepost users list"
    lines = banner(data)
    assert lines[lines.index(f"  Data     {data / 'gatepost.db'}") + 1] == told

    monkeypatch.setenv("HOME", str(tmp_path))
    by_default = install(Server("Notes"), load_settings(env_file=None)).banner()
    named = install(Server("Notes"), load_settings({"MCP_STORAGE_URL": f"sqlite:///{tmp_path}/a.db"}, env_file=None))
    assert "Look into it" not in by_default + named.banner()


def test_whose_tokens_count_beside_our_own_is_said_with_what_is_ignored(tmp_path: Path) -> None:
    assert not [line for line in banner(tmp_path) if line.startswith("  Issuer")]
    lines = banner(tmp_path, OAUTH_ISSUER="https://id.example.com", JWT_SECRET="x")
    assert "  Issuer   https://id.example.com" in lines
    assert "  Note     JWT_SECRET is ignored: it counts where OAUTH_ALGORITHM is HS256, HS384 or HS512." in lines

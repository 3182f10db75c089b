"""The page about tokens of others shows what happens."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from gatepost import Server, TokenInfo
from gatepost.app import create_app
from gatepost.configuration.settings import SettingsError, load_settings

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "external-tokens.md").read_text(encoding="utf-8")
IN_CODE, VALIDATOR, ONE_OBJECT = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
METADATA = "/.well-known/oauth-protected-resource"


def run(code: str, names: dict[str, Any], monkeypatch: pytest.MonkeyPatch, *, storage_url: str = "memory:") -> Any:
    """Run the page's own code and return its app, which reads the environment."""
    monkeypatch.setenv("MCP_STORAGE_URL", storage_url)
    monkeypatch.setenv("OAUTH_ENABLE_AS", "false")
    exec(compile(code, "external-tokens.md", "exec"), names)  # noqa: S102 - as above
    return names["app"]


@asynccontextmanager
async def client_of(app: Any) -> AsyncIterator[httpx2.AsyncClient]:
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1:8000") as client,
    ):
        yield client


async def test_the_issuers_of_the_page_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client_of(run(IN_CODE, {"__name__": "notes"}, monkeypatch)) as client:
        document = (await client.get(METADATA)).json()
    assert document["authorization_servers"] == [
        "https://tenant.eu.auth0.com/",
        "https://sso.example.com/realms/staff",
    ]


async def test_the_validator_of_the_page_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    async def find(token: str) -> Any:
        return SimpleNamespace(owner="ada", scopes=("mcp",), ends=None) if token == "good" else None

    names = {"__name__": "notes", "find": find, "server": Server("notes")}
    async with client_of(run(VALIDATOR, names, monkeypatch)) as client:
        document = (await client.get(METADATA)).json()
        assert document["authorization_servers"] == ["https://auth.example.com"]
        for token, status in (("good", 200), ("bad", 401)):
            headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
            message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
            assert (await client.post("/mcp", json=message, headers=headers)).status_code == status


async def test_the_object_of_the_page_names_whose_tokens_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Keys:
        async def validate_token(self, token: str, resource: str | None = None) -> TokenInfo | None:
            asked.append((token, resource))
            return TokenInfo(subject="ada", scopes=("mcp",)) if token == "good" else None

    asked: list[tuple[str, str | None]] = []
    names = {"__name__": "notes", "Keys": Keys, "server": Server("notes")}
    monkeypatch.setenv("MCP_SEALING_KEYS", secrets.token_urlsafe(32))  # it is a public server
    app = run(ONE_OBJECT, names, monkeypatch, storage_url=f"sqlite:///{tmp_path}/gatepost.db")
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="https://mcp.example.com") as client,
    ):
        document = (await client.get(METADATA)).json()
        assert document["authorization_servers"] == ["https://auth.example.com"]
        headers = {"Authorization": "Bearer good", "Accept": "application/json, text/event-stream"}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        assert (await client.post("/mcp", json=message, headers=headers)).status_code == 200
    assert asked == [("good", "https://mcp.example.com")]


@pytest.mark.parametrize("external", [7, "https://id.example.com", [], [7], object(), {"a": 1}])
def test_what_verifies_nothing_is_refused_at_the_start(external: Any) -> None:
    settings = load_settings({"MCP_STORAGE_URL": "memory:"}, env_file=None)
    with pytest.raises(SettingsError, match="external= takes an ExternalIssuer"):
        create_app(Server("notes"), settings=settings, external=external)

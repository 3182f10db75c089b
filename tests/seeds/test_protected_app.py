"""A program that says server, validator and metadata in one object runs with its imports renamed."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from gatepost.configuration.settings import SettingsError
from tests.seeds.caller import caller_of, text_of
from tests.seeds.programs.protected_app import RESOURCE, build


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MCP_STORAGE_URL", f"sqlite:///{tmp_path}/gatepost.db")
    monkeypatch.setenv("MCP_SEALING_KEYS", secrets.token_urlsafe(32))
    monkeypatch.chdir(tmp_path)


async def test_tokens_that_the_validator_takes_count_and_others_do_not() -> None:
    async with caller_of(build(), origin=RESOURCE) as caller:
        assert text_of(await caller.call("whoami", "reader")) == "ada"
        assert text_of(await caller.call("write", "writer")) == "written"
        assert await caller.names("tools", "reader") == ["whoami"]
        for wrong in ("unknown", "elsewhere", "x" * 9000, None):
            assert (await caller.ask("tools/list", wrong)).status_code == 401
        refused = await caller.ask("tools/call", "reader", name="write", arguments={})
        assert refused.status_code == 403
        assert 'scope="notes:write"' in refused.headers["www-authenticate"]


async def test_the_challenge_leads_to_metadata_that_name_the_authorization_server() -> None:
    async with caller_of(build(), origin=RESOURCE) as caller:
        challenge = (await caller.ask("tools/list")).headers["www-authenticate"]
        where = f"{RESOURCE}/.well-known/oauth-protected-resource/mcp"
        assert f'resource_metadata="{where}"' in challenge
        for url in (where, f"{RESOURCE}/.well-known/oauth-protected-resource"):
            found = (await caller.http.get(url)).json()
            assert found["resource"] == f"{RESOURCE}/mcp"
            assert found["authorization_servers"] == ["https://auth.example.com"]
            assert found["scopes_supported"] == ["notes:write"]
        assert (await caller.http.post(where)).status_code == 405
        assert (await caller.http.get("/.well-known/oauth-authorization-server")).status_code == 404


async def test_answers_have_the_headers_of_security_and_pass_the_middleware() -> None:
    async with caller_of(build(), origin=RESOURCE) as caller:
        for answer in (await caller.ask("tools/list"), await caller.ask("tools/list", "reader")):
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-stamp"] == "ours"


async def test_without_required_authentication_what_needs_no_scope_is_open() -> None:
    async with caller_of(build(require_authentication=False), origin=RESOURCE) as caller:
        assert text_of(await caller.call("whoami")) == "anonymous"
        assert (await caller.ask("tools/call", name="write", arguments={})).status_code == 401
        assert text_of(await caller.call("write", "writer")) == "written"


async def test_the_resource_is_the_origin_or_the_endpoint() -> None:
    with pytest.raises(SettingsError, match=r"resource= takes the server's origin, or the URL of the endpoint at /mcp"):
        build(resource="https://mcp.example.com/api")
    async with caller_of(build(resource=f"{RESOURCE}/mcp"), origin=RESOURCE) as caller:
        # What the validator compares with is what the program says.
        assert (await caller.ask("tools/list", "reader")).status_code == 401

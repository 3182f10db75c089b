"""Workload identity: a platform's token opens what the rule for its workload says, once, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gatepost.configuration.settings import SettingsError
from gatepost.oauth.asserted_grants import JWT_BEARER
from gatepost.oauth.audit import AuditQuery
from gatepost.stores.sql.sqlite import memory_store
from gatepost.tokens.opaque import fingerprint
from tests.attacks.asserted_world import MCP_URL, Asserting, asserting, told
from tests.attacks.dpop_world import TOKEN_URL, Prover
from tests.attacks.installed import ORIGIN, installed
from tests.outbound.external_issuer import KEYS, Issuer

PLATFORM = "https://token.actions.example"
RULES = f"""
[[workload]]
client = "deploy"
name = "Deployments"
issuer = "{PLATFORM}"
scopes = ["notes:read"]
claims = {{ repository = "acme/notes", ref = ["refs/heads/main", "refs/heads/release"] }}

[[workload]]
client = "nightly"
issuer = "{PLATFORM}"
reusable = true
audience = "notes"
claims = {{ sub = "nightly" }}

[[workload]]
client = "other"
issuer = "https://other-platform.example"
claims = {{ repository = "acme/other" }}
"""
GOOD = {"repository": "acme/notes", "ref": "refs/heads/main"}
INVALID = (400, "invalid_grant")


@asynccontextmanager
async def world(
    monkeypatch: pytest.MonkeyPatch, folder: Path, rules: str = RULES, **options: Any
) -> AsyncIterator[Asserting]:
    file = folder / "workloads.toml"
    file.write_text(rules)
    async with asserting(monkeypatch, issuer=Issuer(PLATFORM), OAUTH_WORKLOADS_FILE=str(file), **options) as there:
        yield there


def token(there: Asserting, *, typ: str | None = "JWT", **changes: Any) -> str:
    return there.sign(there.claims(**{**GOOD, **changes}), typ)


async def test_a_workload_gets_a_token_with_nothing_but_what_its_platform_gave_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with world(monkeypatch, tmp_path) as there:
        ways: list[dict[str, Any]] = [{}, {"client_id": "deploy"}, {"resource": MCP_URL, "scope": "notes:read"}]
        access_token = ""
        for named in ways:
            answer = await there.ask(token(there), **named)
            assert answer.status_code == 200, answer.text
            tokens = answer.json()
            access_token = tokens.pop("access_token")
            assert tokens == {"token_type": "Bearer", "expires_in": 3600, "scope": "notes:read"}
            assert (await there.call(access_token)).status_code == 200
        live = await there.gatepost.store.grants.find_access_token(
            fingerprint(access_token), now=there.gatepost.clock[0]
        )
        assert live is not None
        assert (live.subject, live.client_id, live.client_name, live.person) == (
            "deploy",
            "deploy",
            "Deployments",
            None,
        )
        await there.gatepost.installation.core.audit_trail.write_queue()
        events = await there.gatepost.store.audit.list_events(AuditQuery(event="workload_grant"), before=None, limit=9)
        assert [event.client_id for event in events] == ["deploy"] * 3


async def test_the_token_endpoint_is_an_audience_and_so_is_what_the_rule_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with world(monkeypatch, tmp_path) as there:
        for audience in (ORIGIN, f"{ORIGIN}/", TOKEN_URL, [TOKEN_URL]):
            assert (await there.ask(token(there, aud=audience))).status_code == 200
        assert told(await there.ask(token(there, aud="notes"))) == INVALID
        nightly: dict[str, Any] = {"sub": "nightly", "repository": ...}
        assert (await there.ask(token(there, aud="notes", **nightly))).status_code == 200
        assert told(await there.ask(token(there, aud=ORIGIN, **nightly))) == INVALID


CLAIMS: dict[str, dict[str, Any]] = {
    "of another repository": {"repository": "evil/notes"},
    "of a repository that begins so": {"repository": "acme/notes-evil"},
    "of another case": {"repository": "Acme/notes"},
    "of a list of repositories": {"repository": ["acme/notes"]},
    "of no repository": {"repository": ...},
    "of another branch": {"ref": "refs/heads/evil"},
    "for another server": {"aud": "https://other.example"},
    "for two servers": {"aud": [ORIGIN, "https://other.example"]},
    "for the resource": {"aud": MCP_URL},
    "for nobody": {"aud": ...},
    "of nobody": {"sub": ...},
    "that ended": {"exp": 1_800_000_000 - 60},
    "without an end": {"exp": ...},
    "that ends in two days": {"exp": 1_800_000_000 + 2 * 86_400},
    "without a beginning": {"iat": ...},
    "of the future": {"iat": 1_800_000_000 + 61},
    "not yet": {"nbf": 1_800_000_000 + 61},
    "without a name": {"jti": ...},
    "of another platform": {"iss": "https://other-platform.example"},
    "of a platform that begins so": {"iss": f"{PLATFORM}.evil.example"},
    "of no platform": {"iss": ...},
}


@pytest.mark.parametrize("changes", CLAIMS.values(), ids=CLAIMS.keys())
async def test_a_token_that_says_something_else_does_not_count(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changes: dict[str, Any]
) -> None:
    async with world(monkeypatch, tmp_path) as there:
        assert told(await there.ask(token(there, **changes))) == INVALID
        assert told(await there.ask(token(there, **changes), client_id="deploy")) == INVALID


@pytest.mark.parametrize("typ", ["at+jwt", "oauth-id-jag+jwt", "dpop+jwt"])
async def test_what_was_signed_for_another_purpose_is_no_platforms_token(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, typ: str
) -> None:
    async with world(monkeypatch, tmp_path) as there:
        answer = await there.ask(token(there, typ=typ), client_id="deploy")
        assert answer.status_code == 400
        assert told(answer)[1] in {"invalid_grant", "unauthorized_client"}


async def test_a_token_counts_once_unless_the_rule_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with world(monkeypatch, tmp_path) as there:
        once = token(there)
        assert (await there.ask(once)).status_code == 200
        assert told(await there.ask(once)) == INVALID
        assert told(await there.ask(once, client_id="deploy")) == INVALID
        again = token(there, sub="nightly", aud="notes", repository=...)
        assert [(await there.ask(again)).status_code for _ in range(2)] == [200, 200]


async def test_a_workload_is_no_other_client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with world(monkeypatch, tmp_path) as there:
        for client_id in ("nightly", "other"):
            assert told(await there.ask(token(there), client_id=client_id)) == INVALID
        # Nor can it be that client in another way.
        for grant_type in ("client_credentials", "authorization_code", "refresh_token"):
            answer = await there.gatepost.token(grant_type=grant_type, client_id="deploy", code="x", refresh_token="x")
            assert told(answer) == (400, "unauthorized_client")


async def test_a_signature_of_somebody_else_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with world(monkeypatch, tmp_path) as there:
        forged = there.sign(there.claims(**GOOD), "JWT", key=KEYS[1], header={"kid": "one"})
        assert told(await there.ask(forged)) == INVALID
        head, body, _ = token(there).split(".")
        assert told(await there.ask(f"{head}.{body}.")) == INVALID


async def test_scopes_are_never_wider_than_the_rule(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with world(monkeypatch, tmp_path, OAUTH_SUPPORTED_SCOPES="mail") as there:
        assert told(await there.ask(token(there), scope="mail")) == (400, "invalid_scope")
        assert (await there.ask(token(there), scope="mail notes:read")).json()["scope"] == "notes:read"
        assert told(await there.ask(token(there), resource="https://other.example/mcp")) == (400, "invalid_target")


async def test_a_client_that_an_operator_disabled_or_whose_rule_is_gone_gets_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with world(monkeypatch, tmp_path) as there:
        access_token = (await there.ask(token(there))).json()["access_token"]
        await there.gatepost.store.clients.disable_client("deploy", now=there.gatepost.clock[0])
        assert told(await there.ask(token(there))) == (401, "invalid_client")
        assert told(await there.ask(token(there), client_id="deploy")) == (401, "invalid_client")
        there.gatepost.clock[0] += 10
        assert (await there.call(access_token)).status_code == 401


async def test_a_rule_can_demand_a_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rules = RULES.replace('name = "Deployments"', "dpop_bound_access_tokens = true")
    async with world(monkeypatch, tmp_path, rules) as there:
        assert told(await there.ask(token(there))) == (400, "invalid_dpop_proof")
        app = Prover(there.gatepost)
        app.nonces[TOKEN_URL] = (await there.ask(token(there), headers={"DPoP": app.proof(TOKEN_URL)})).headers[
            "dpop-nonce"
        ]
        answer = await there.ask(token(there), headers={"DPoP": app.proof(TOKEN_URL)})
        assert answer.json()["token_type"] == "DPoP"
        assert (await app.call(answer.json()["access_token"])).status_code == 200


async def test_it_is_off_unless_there_are_rules() -> None:
    async with installed() as gatepost:
        answer = await gatepost.token(grant_type=JWT_BEARER, assertion="a.b.c")
        assert answer.status_code in {400, 401}
        metadata = (await gatepost.http.get("/.well-known/oauth-authorization-server")).json()
        assert JWT_BEARER not in metadata["grant_types_supported"]


async def test_the_metadata_names_the_grant_type(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with world(monkeypatch, tmp_path) as there:
        metadata = (await there.gatepost.http.get("/.well-known/oauth-authorization-server")).json()
        assert JWT_BEARER in metadata["grant_types_supported"]
        assert "authorization_grant_profiles_supported" not in metadata


async def test_nobody_can_register_as_a_workload(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with world(monkeypatch, tmp_path) as there:
        document = {"redirect_uris": ["https://app.example/cb"], "grant_types": ["authorization_code", JWT_BEARER]}
        answer = await there.gatepost.http.post("/oauth/register", json=document)
        assert answer.json()["grant_types"] == ["authorization_code"]


async def test_this_server_asserts_nothing_to_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rules = RULES.replace(PLATFORM, "https://tools.example")
    settings: dict[str, Any] = {
        "MCP_PUBLIC_URL": "https://tools.example",
        "MCP_STORAGE_URL": "sqlite:///never-opened.db",
        "MCP_SEALING_KEYS": "a-sealing-key-of-this-test-0123456789-abcdefghij",
    }
    with pytest.raises(SettingsError, match="asserts nothing to itself"):
        async with world(monkeypatch, tmp_path, rules, store=memory_store(), **settings):
            pass

"""Registration by strangers, by clients for themselves, and by the operator; what happens to those shut out."""

from typing import Any

import httpx2
import pytest

from gatepost.stores.conformance.records import client, find_grant, redeem, tokens
from gatepost.stores.sql.sqlite import file_store, memory_store
from gatepost.tokens.opaque import fingerprint
from tests.attacks.installed import ORIGIN, Installed, installed

METADATA: dict[str, Any] = {"client_name": "App", "redirect_uris": ["https://app.example/cb"]}
TOKEN = "an-initial-access-token-of-the-operator"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def register(gatepost: Installed, **metadata: Any) -> dict[str, Any]:
    answer = await gatepost.http.post("/oauth/register", json={**METADATA, **metadata})
    assert answer.status_code == 201, answer.text
    registered: dict[str, Any] = answer.json()
    return registered


async def test_a_client_reads_its_registration_with_the_token_it_was_given() -> None:
    async with installed() as gatepost:
        registered = await register(gatepost, token_endpoint_auth_method="client_secret_post")
        uri, token = registered["registration_client_uri"], registered["registration_access_token"]
        assert uri == f"{ORIGIN}/oauth/register/{registered['client_id']}"
        answer = await gatepost.http.get(uri, headers=bearer(token))
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        del registered["client_secret"], registered["client_secret_expires_at"]
        assert answer.json() == registered
        kept = await gatepost.store.clients.find_client(registered["client_id"])
        assert kept is not None
        assert kept.registration_token_fingerprint == fingerprint(token)
        assert token not in repr(kept)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_nobody_else_reads_changes_or_removes_it(method: str) -> None:
    async with installed() as gatepost:
        mine, other = await register(gatepost), await register(gatepost)
        before = await gatepost.store.clients.list_clients()
        uri, right = mine["registration_client_uri"], mine["registration_access_token"]
        wrong: list[dict[str, str]] = [
            {},
            bearer(other["registration_access_token"]),
            bearer("x"),
            bearer("x" * 5000),
            {"Authorization": "Basic eDp5"},
            {"Authorization": right},
        ]
        answers = [await gatepost.http.request(method, uri, headers=headers) for headers in wrong]
        answers.append(
            await gatepost.http.request(method, f"{ORIGIN}/oauth/register/client_unknown", headers=bearer(right))
        )
        twice = httpx2.Headers([("Authorization", f"Bearer {right}")] * 2)
        answers.append(await gatepost.http.request(method, uri, headers=twice))
        for answer in answers:
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
            assert answer.headers["www-authenticate"].startswith("Bearer")
        assert "error" not in answers[0].headers["www-authenticate"]
        assert await gatepost.store.clients.list_clients() == before


async def test_an_update_replaces_the_registration_and_keeps_identity_and_secret() -> None:
    async with installed() as gatepost:
        old = await register(
            gatepost, token_endpoint_auth_method="client_secret_post", client_uri="https://app.example"
        )
        uri, token = old["registration_client_uri"], bearer(old["registration_access_token"])
        update = {
            "client_id": old["client_id"],
            "client_secret": old["client_secret"],
            "redirect_uris": ["https://app.example/new"],
            "token_endpoint_auth_method": "client_secret_basic",
        }
        answer = await gatepost.http.put(uri, json=update, headers=token)
        assert answer.status_code == 200
        new = answer.json()
        assert (new["redirect_uris"], new["client_name"]) == (["https://app.example/new"], "Unnamed client")
        assert "client_uri" not in new
        assert "client_secret" not in new
        kept = await gatepost.store.clients.find_client(old["client_id"])
        assert kept is not None
        assert kept.secret_fingerprint == fingerprint(old["client_secret"])
        assert kept.created_at == old["client_id_issued_at"]


async def test_a_client_that_turns_confidential_gets_a_secret_and_one_that_turns_public_loses_it() -> None:
    async with installed() as gatepost:
        old = await register(gatepost)
        uri, token = old["registration_client_uri"], bearer(old["registration_access_token"])
        update = {**METADATA, "client_id": old["client_id"], "token_endpoint_auth_method": "client_secret_post"}
        confidential = (await gatepost.http.put(uri, json=update, headers=token)).json()
        assert confidential["client_secret"].startswith("gp_cs_")
        await gatepost.http.put(uri, json={**update, "token_endpoint_auth_method": "none"}, headers=token)
        kept = await gatepost.store.clients.find_client(old["client_id"])
        assert kept is not None
        assert (kept.secret_fingerprint, kept.token_endpoint_auth_method) == (None, "none")


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "client_other"},
        {"client_id": None},
        {"client_secret": "chosen"},
        {"client_secret": 1},
        {"registration_access_token": "chosen"},
        {"registration_client_uri": "https://evil.example"},
        {"client_id_issued_at": 1},
        {"client_secret_expires_at": 0},
        {"redirect_uris": ["javascript:alert(1)"]},
        {"redirect_uris": []},
        {"grant_types": ["client_credentials"]},
    ],
)
async def test_an_update_that_breaks_a_rule_changes_nothing(changes: dict[str, Any]) -> None:
    async with installed() as gatepost:
        old = await register(gatepost)
        before = await gatepost.store.clients.list_clients()
        update = {**METADATA, "client_id": old["client_id"], **changes}
        answer = await gatepost.http.put(
            old["registration_client_uri"], json=update, headers=bearer(old["registration_access_token"])
        )
        assert answer.status_code == 400
        assert await gatepost.store.clients.list_clients() == before


async def test_a_client_that_removes_itself_takes_its_grants_along() -> None:
    async with installed() as gatepost:
        old = await register(gatepost)
        await redeem(gatepost.store, client_id=old["client_id"])
        uri, token = old["registration_client_uri"], bearer(old["registration_access_token"])
        assert (await gatepost.http.delete(uri, headers=token)).status_code == 204
        assert (await gatepost.http.get(uri, headers=token)).status_code == 401
        assert (await gatepost.http.delete(uri, headers=token)).status_code == 401
        kept = await find_grant(gatepost.store, "grant-1")
        assert kept is not None
        assert kept.revoked_reason == "client_removed"


async def test_a_disabled_client_is_refused_everywhere() -> None:
    async with installed() as gatepost:
        old = await register(gatepost)
        client_id, store = old["client_id"], gatepost.store
        await redeem(store, client_id=client_id)
        await store.clients.disable_client(client_id, now=gatepost.clock[0])
        page = await gatepost.authorize(client_id)
        assert page.status_code == 400
        assert "location" not in page.headers
        answer = await gatepost.token(grant_type="refresh_token", client_id=client_id, refresh_token="x")
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        for method in ("GET", "DELETE"):
            managed = await gatepost.http.request(
                method, old["registration_client_uri"], headers=bearer(old["registration_access_token"])
            )
            assert managed.status_code == 401
        live = await store.grants.find_access_token(tokens("1").access.token_fingerprint, now=gatepost.clock[0])
        assert live is not None
        assert live.grant_revoked


async def test_a_client_with_a_document_can_be_disabled_by_its_url() -> None:
    url = "https://client.example/client.json"
    async with installed() as gatepost:
        await gatepost.store.clients.disable_client(url, now=1, placeholder=client(url))
        assert (await gatepost.authorize(url)).status_code == 400


@pytest.mark.parametrize("headers", [{}, bearer("wrong"), {"Authorization": f"Basic {TOKEN}"}])
async def test_with_an_initial_access_token_nobody_registers_without_it(headers: dict[str, str]) -> None:
    async with installed(OAUTH_INITIAL_ACCESS_TOKEN=TOKEN) as gatepost:
        refused = await gatepost.http.post("/oauth/register", json=METADATA, headers=headers)
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_token")
        assert refused.headers["www-authenticate"].startswith("Bearer")
        assert await gatepost.store.clients.list_clients() == []
        taken = await gatepost.http.post("/oauth/register", json=METADATA, headers=bearer(TOKEN))
        assert taken.status_code == 201


async def test_registration_that_is_switched_off_is_not_advertised_and_registered_clients_stay() -> None:
    store = memory_store()
    async with installed(store=store) as gatepost:
        old = await register(gatepost)
    async with installed(store=store, OAUTH_REGISTRATION_ENABLED="false") as gatepost:
        assert (await gatepost.http.post("/oauth/register", json=METADATA)).status_code == 403
        metadata = (await gatepost.http.get("/.well-known/oauth-authorization-server")).json()
        assert "registration_endpoint" not in metadata
        assert (await gatepost.authorize(old["client_id"])).status_code == 303


async def test_unused_registrations_go_after_a_day_and_used_ones_stay() -> None:
    async with installed() as gatepost:
        unused, used = await register(gatepost), await register(gatepost)
        await redeem(gatepost.store, client_id=used["client_id"], expires_at=gatepost.clock[0] + 10**9)
        gatepost.clock[0] += 24 * 3600
        await gatepost.store.clients.delete_orphans(before=gatepost.clock[0] - 24 * 3600, limit=100)
        assert await gatepost.store.clients.find_client(unused["client_id"]) is None
        assert await gatepost.store.clients.find_client(used["client_id"]) is not None


async def test_a_registration_survives_a_restart(tmp_path: Any) -> None:
    path = tmp_path / "gatepost.db"
    async with installed(store=file_store(path)) as gatepost:
        old = await register(gatepost)
    async with installed(store=file_store(path)) as gatepost:
        answer = await gatepost.http.get(
            old["registration_client_uri"], headers=bearer(old["registration_access_token"])
        )
        assert answer.status_code == 200
    assert old["registration_access_token"].encode() not in path.read_bytes()


@pytest.mark.parametrize(("method", "operation"), [("PUT", "update_client"), ("DELETE", "remove_client")])
async def test_a_client_that_is_shut_out_meanwhile_changes_nothing(
    method: str, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with installed() as gatepost:
        old = await register(gatepost)

        async def gone(*_: object, **__: object) -> bool:
            return False

        monkeypatch.setattr(gatepost.store.clients, operation, gone)
        answer = await gatepost.http.request(
            method,
            old["registration_client_uri"],
            json={**METADATA, "client_id": old["client_id"]},
            headers=bearer(old["registration_access_token"]),
        )
        assert answer.status_code == 401

"""The client credentials grant: registered machines only, for themselves only (RFC 6749 section 4.4, MCP extension)."""

import base64
import json
import secrets
from typing import Any

import pytest

from gatepost.oauth.client_assertions import ASSERTION_TYPE
from gatepost.oauth.records import Client, ClientOrigin
from gatepost.stores.conformance.records import client, keep_client
from gatepost.tokens.opaque import fingerprint
from tests.attacks.installed import ORIGIN, Installed, installed
from tests.tokens.test_client_keys import P256, public, sign

SECRET = "gp_cs_a-secret"


def machine(**changes: Any) -> Client:
    return client(
        **{
            "redirect_uris": (),
            "grant_types": ("client_credentials",),
            "token_endpoint_auth_method": "client_secret_post",
            "secret_fingerprint": fingerprint(SECRET),
            "scope": None,
            "origin": ClientOrigin.PREREGISTERED,
            **changes,
        }
    )


async def ask(gatepost: Installed, registered: Client, **more: str) -> tuple[int, dict[str, Any]]:
    await keep_client(gatepost.store, registered)
    answer = await gatepost.token(
        **{"grant_type": "client_credentials", "client_id": "client-1", "client_secret": SECRET, **more}
    )
    assert answer.headers["cache-control"] == "no-store"
    return answer.status_code, answer.json()


async def test_a_machine_gets_a_token_for_itself_and_can_call_with_it() -> None:
    async with installed() as gatepost:
        status, answer = await ask(gatepost, machine(), resource=f"{ORIGIN}/mcp", scope="notes:read")
        assert status == 200
        token = answer.pop("access_token")
        assert answer == {"token_type": "Bearer", "expires_in": 3600, "scope": "notes:read"}
        live = await gatepost.store.grants.find_access_token(fingerprint(token), now=gatepost.clock[0])
        assert live is not None
        assert (live.subject, live.client_id, live.resource) == ("client-1", "client-1", f"{ORIGIN}/mcp")
        assert live.expires_at == gatepost.clock[0] + 3600


async def test_it_may_use_basic_or_a_signed_assertion_without_a_client_id() -> None:
    async with installed() as gatepost:
        await keep_client(gatepost.store, machine(token_endpoint_auth_method="client_secret_basic"))
        basic = base64.b64encode(f"client-1:{SECRET}".encode()).decode()
        answer = await gatepost.http.post(
            "/oauth/token",
            data={"grant_type": "client_credentials"},
            headers={"Authorization": f"Basic {basic}"},
        )
        assert answer.status_code == 200
        keyed = machine(token_endpoint_auth_method="private_key_jwt", jwks=json.dumps({"keys": [public(P256)]}))
        await keep_client(gatepost.store, keyed)
        now = gatepost.clock[0]
        claims = {"iss": "client-1", "sub": "client-1", "aud": ORIGIN, "exp": now + 60, "jti": secrets.token_hex(8)}
        answer = await gatepost.token(
            grant_type="client_credentials",
            client_assertion_type=ASSERTION_TYPE,
            client_assertion=sign("ES256", P256, claims),
        )
        assert answer.status_code == 200


@pytest.mark.parametrize("origin", [ClientOrigin.DYNAMIC, ClientOrigin.DOCUMENT])
async def test_only_the_operator_makes_machines(origin: ClientOrigin) -> None:
    async with installed() as gatepost:
        status, answer = await ask(gatepost, machine(origin=origin))
        assert (status, answer["error"]) == (400, "unauthorized_client")


async def test_a_client_that_registers_itself_cannot_ask_for_the_grant() -> None:
    async with installed() as gatepost:
        metadata = {"grant_types": ["client_credentials"], "redirect_uris": ["https://app.example/cb"]}
        assert (await gatepost.http.post("/oauth/register", json=metadata)).status_code == 400
        both = {**metadata, "grant_types": ["authorization_code", "client_credentials"]}
        registered = (await gatepost.http.post("/oauth/register", json=both)).json()
        assert registered["grant_types"] == ["authorization_code"]


async def test_a_machine_without_proof_or_with_a_wrong_one_gets_nothing() -> None:
    async with installed() as gatepost:
        status, answer = await ask(gatepost, machine(), client_secret="wrong")
        assert (status, answer["error"]) == (401, "invalid_client")
        status, answer = await ask(gatepost, machine(token_endpoint_auth_method="none"), client_secret="")
        assert (status, answer["error"]) == (400, "unauthorized_client")


@pytest.mark.parametrize("resource", ["https://other.example/mcp", f"{ORIGIN}/other", "x"])
async def test_a_foreign_resource_is_refused(resource: str) -> None:
    async with installed() as gatepost:
        status, answer = await ask(gatepost, machine(), resource=resource)
        assert (status, answer["error"]) == (400, "invalid_target")


@pytest.mark.parametrize(
    ("registered", "requested", "granted"),
    [
        (None, None, "notes:read"),
        (None, "notes:read other", "notes:read"),
        ("notes:read", None, "notes:read"),
        ("notes:read other", "notes:read other", "notes:read"),
        ("other", None, None),
        ("other", "notes:read", None),
        ("other", "openid", None),
        (None, "other", "notes:read"),
        ("notes:read", "openid email", "notes:read"),
    ],
)
async def test_scopes_stay_inside_what_the_operator_gave(
    registered: str | None, requested: str | None, granted: str | None
) -> None:
    async with installed() as gatepost:
        more = {} if requested is None else {"scope": requested}
        status, answer = await ask(gatepost, machine(scope=registered), **more)
        if granted is None:
            assert (status, answer["error"]) == (400, "invalid_scope")
        else:
            assert (status, answer["scope"]) == (200, granted)


async def test_a_client_that_is_shut_out_meanwhile_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with installed() as gatepost:

        async def gone(*_: object) -> bool:
            return False

        monkeypatch.setattr(gatepost.store.clients, "give_client_grant", gone)
        status, answer = await ask(gatepost, machine())
        assert (status, answer["error"]) == (400, "unauthorized_client")


async def test_disabling_it_kills_the_tokens_it_has() -> None:
    async with installed() as gatepost:
        _, answer = await ask(gatepost, machine())
        await gatepost.store.clients.disable_client("client-1", now=gatepost.clock[0])
        live = await gatepost.store.grants.find_access_token(fingerprint(answer["access_token"]), now=gatepost.clock[0])
        assert live is not None
        assert live.grant_revoked

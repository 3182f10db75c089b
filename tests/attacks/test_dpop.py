"""DPoP through the whole server: what is bound to a key is of no use without it (RFC 9449, SEP-1932)."""

from __future__ import annotations

import base64
from typing import Any

import httpx2
import pytest
from joserfc.jwk import ECKey, OKPKey

from gatepost.oauth.audit import AuditQuery
from gatepost.stores.conformance.records import keep_client
from gatepost.stores.sql.sqlite import memory_store
from gatepost.tokens.opaque import token_fingerprint
from tests.attacks.dpop_world import APP, MCP_URL, TOKEN_URL, Prover, access_token_hash, approved_code, code_form, ping
from tests.attacks.installed import ORIGIN, installed
from tests.attacks.test_client_credentials import SECRET, machine
from tests.tokens.test_client_keys import ED, RSA, encoded, public


def told(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("error")


INVALID = (401, "invalid_dpop_proof")
NO_TOKEN = (401, "invalid_token")


async def test_a_proof_binds_both_tokens_of_a_public_client_and_both_go_on_with_it() -> None:
    async with installed() as gatepost:
        app = Prover(gatepost)
        tokens = await app.begin()
        assert tokens["token_type"] == "DPoP"
        assert (await app.call(tokens["access_token"])).status_code == 200
        refreshed = await app.refresh(tokens["refresh_token"])
        assert (refreshed.status_code, refreshed.json()["token_type"]) == (200, "DPoP")
        assert (await app.call(refreshed.json()["access_token"])).status_code == 200


@pytest.mark.parametrize(("algorithm", "key"), [("EdDSA", ED), ("PS256", RSA), ("RS256", RSA)])
async def test_keys_of_every_kind_do(algorithm: str, key: Any) -> None:
    async with installed() as gatepost:
        app = Prover(gatepost, key, algorithm)
        assert (await app.call((await app.begin())["access_token"])).status_code == 200


async def test_a_bound_token_is_no_bearer_token() -> None:
    async with installed() as gatepost:
        app = Prover(gatepost)
        token = (await app.begin())["access_token"]
        for headers in ([("Authorization", f"Bearer {token}")], [("Authorization", f"bearer {token}")]):
            assert told(await ping(gatepost, headers)) == NO_TOKEN
            assert told(await ping(gatepost, [*headers, ("DPoP", app.proof(MCP_URL, token=token))])) == NO_TOKEN
        # Nor after its client has used it well.
        assert (await app.call(token)).status_code == 200
        assert told(await ping(gatepost, [("Authorization", f"Bearer {token}")])) == NO_TOKEN


async def test_a_token_without_a_key_is_none_for_the_scheme_dpop() -> None:
    async with installed(MCP_API_KEY="an-api-key-of-some-length") as gatepost:
        await keep_client(gatepost.store, machine())
        form = {"grant_type": "client_credentials", "client_id": "client-1", "client_secret": SECRET}
        token = (await gatepost.token(**form)).json()["access_token"]
        app = Prover(gatepost)
        assert told(await app.call(token)) == NO_TOKEN
        assert told(await app.call("an-api-key-of-some-length")) == NO_TOKEN
        assert (await ping(gatepost, [("Authorization", f"Bearer {token}")])).status_code == 200
        assert told(await app.call(token)) == NO_TOKEN


async def test_without_a_proof_a_bound_token_is_challenged() -> None:
    async with installed() as gatepost:
        token = (await Prover(gatepost).begin())["access_token"]
        answer = await ping(gatepost, [("Authorization", f"DPoP {token}")])
        assert told(answer) == INVALID
        challenge = answer.headers["www-authenticate"]
        assert challenge.startswith('DPoP error="invalid_dpop_proof", ')
        assert 'algs="ES256 ES384 RS256 PS256 EdDSA Ed25519"' in challenge
        assert f'resource_metadata="{ORIGIN}/.well-known/oauth-protected-resource/mcp"' in challenge


async def test_who_has_token_and_proofs_but_not_the_key_gets_nowhere() -> None:
    async with installed() as gatepost:
        app, thief = Prover(gatepost), Prover(gatepost)
        token = (await app.begin())["access_token"]
        assert (await app.call(token)).status_code == 200
        thief.nonces = app.nonces
        assert told(await thief.call(token)) == NO_TOKEN
        # The proof of the one with the key of the other beside it.
        stolen = app.proof(MCP_URL, token=token, header={"jwk": public(thief.key)})
        assert told(await app.call(token, proof=stolen)) == INVALID
        # A proof whose payload was exchanged.
        head, _, signature = app.proof(MCP_URL, token=token).split(".")
        claims = {"jti": "x", "htm": "POST", "htu": MCP_URL, "iat": gatepost.clock[0], "nonce": app.nonces[MCP_URL]}
        forged = f"{head}.{encoded({**claims, 'ath': access_token_hash(token)})}.{signature}"
        assert told(await app.call(token, proof=forged)) == INVALID


async def test_a_proof_counts_once() -> None:
    async with installed() as gatepost:
        app = Prover(gatepost)
        token = (await app.begin())["access_token"]
        assert (await app.call(token)).status_code == 200
        proof = app.proof(MCP_URL, token=token)
        assert (await app.call(token, proof=proof)).status_code == 200
        assert told(await app.call(token, proof=proof)) == INVALID
        # The same jti in another proof of the same key is the same.
        assert (await app.call(token, jti="one")).status_code == 200
        assert told(await app.call(token, jti="one")) == INVALID


@pytest.mark.parametrize("nonces", ["true", "false"])
async def test_a_proof_that_one_process_took_counts_at_no_other(nonces: str) -> None:
    store = memory_store()
    keys = "a-sealing-key-of-both-processes-0123456789-abcdef"
    settings: dict[str, Any] = {"OAUTH_DPOP_NONCES": nonces, "MCP_SEALING_KEYS": keys}
    async with installed(store=store, **settings) as one, installed(store=store, **settings) as other:
        app = Prover(one)
        token = (await app.begin())["access_token"]
        assert (await app.call(token)).status_code == 200
        proof = app.proof(MCP_URL, token=token)
        assert (await app.call(token, proof=proof)).status_code == 200
        headers = [("Authorization", f"DPoP {token}"), ("DPoP", proof)]
        answer = await ping(other, headers)
        assert told(answer) == ((401, "use_dpop_nonce") if nonces == "true" else INVALID)
        # Whoever is sent to another process goes on there, and from there to the first, with one nonce.
        if nonces == "true":
            app.nonces[MCP_URL] = answer.headers["dpop-nonce"]
        elsewhere = app.proof(MCP_URL, token=token)
        assert (await ping(other, [headers[0], ("DPoP", elsewhere)])).status_code == 200
        assert told(await app.call(token, proof=elsewhere)) == INVALID
        assert (await app.call(token, proof=app.proof(MCP_URL, token=token))).status_code == 200


async def test_a_proof_for_the_token_endpoint_counts_once_too() -> None:
    async with installed() as gatepost:
        app = Prover(gatepost)
        await app.begin()
        proof = app.proof(TOKEN_URL)
        first = await app.ask(proof=proof, **code_form(await approved_code(gatepost)))
        assert first.status_code == 200
        again = await app.ask(proof=proof, **code_form(await approved_code(gatepost)))
        assert told(again) == (400, "invalid_dpop_proof")
        await gatepost.installation.core.audit_trail.write_queue()
        events = await gatepost.store.audit.list_events(AuditQuery(event="proof_of_possession"), before=None, limit=9)
        assert [(event.reason, event.client_id) for event in events] == [("dpop_proof_replayed", APP.client_id)]


PROOFS: dict[str, dict[str, Any]] = {
    "of another method": {"htm": "GET"},
    "of another case": {"htm": "post"},
    "for the token endpoint": {"htu": TOKEN_URL},
    "for another host": {"htu": "http://127.0.0.1.evil.example:8000/mcp"},
    "for another port": {"htu": "http://127.0.0.1:8001/mcp"},
    "for another scheme": {"htu": "https://127.0.0.1:8000/mcp"},
    "with a query": {"htu": f"{MCP_URL}?a=b"},
    "with a fragment": {"htu": f"{MCP_URL}#a"},
    "with user info": {"htu": "http://127.0.0.1:8000@evil.example/mcp"},
    "with a dot segment": {"htu": f"{ORIGIN}/x/../mcp"},
    "for no URL": {"htu": "/mcp"},
    "too old": {"iat": 1_800_000_000 - 301},
    "of the future": {"iat": 1_800_000_000 + 301},
    "without a time": {"iat": ...},
    "with a time that is none": {"iat": True},
    "without a jti": {"jti": ...},
    "with an endless jti": {"jti": "x" * 257},
    "with half a character for a jti": {"jti": "\ud800"},
    "without a hash of the token": {"ath": ...},
    "with the hash of another token": {"ath": access_token_hash("gp_at_other")},
}


@pytest.mark.parametrize("changes", PROOFS.values(), ids=PROOFS.keys())
async def test_a_proof_that_was_made_for_something_else_does_not_count(changes: dict[str, Any]) -> None:
    async with installed() as gatepost:
        app = Prover(gatepost)
        token = (await app.begin())["access_token"]
        assert (await app.call(token)).status_code == 200
        assert told(await app.call(token, **changes)) == INVALID


@pytest.mark.parametrize("url", [f"{MCP_URL}/", "HTTP://127.0.0.1:8000/mcp", f"{ORIGIN}/%6Dcp"])
async def test_a_url_that_is_only_written_otherwise_does(url: str) -> None:
    async with installed() as gatepost:
        app = Prover(gatepost)
        token = (await app.begin())["access_token"]
        assert (await app.call(token, htu=url)).status_code == 200


HEADERS: dict[str, dict[str, Any]] = {
    "signed for another purpose": {"typ": "JWT"},
    "of no type": {"typ": ...},
    "without a key": {"jwk": ...},
    "with a symmetric key": {"jwk": {"kty": "oct", "k": "c2VjcmV0"}},
    "of another algorithm": {"jwk": {**public(ED)}},
    "with an extension": {"b64": True},
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS.keys())
async def test_a_proof_with_a_wrong_header_does_not_count(header: dict[str, Any]) -> None:
    async with installed() as gatepost:
        app = Prover(gatepost)
        token = (await app.begin())["access_token"]
        assert told(await app.call(token, header=header)) == INVALID


async def test_a_private_key_that_is_sent_along_is_refused() -> None:
    async with installed() as gatepost:
        app = Prover(gatepost)
        token = (await app.begin())["access_token"]
        private = app.key.as_dict(private=True)
        assert told(await app.call(token, header={"jwk": private})) == INVALID
        answer = await app.ask(
            proof=app.proof(TOKEN_URL, header={"jwk": private}), **code_form(await approved_code(gatepost))
        )
        assert told(answer) == (400, "invalid_dpop_proof")
        assert private["d"] not in answer.text


@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS512", "ES256K"])
async def test_an_algorithm_that_is_not_named_proves_nothing(algorithm: str) -> None:
    async with installed() as gatepost:
        app = Prover(gatepost)
        token = (await app.begin())["access_token"]
        head, body, signature = app.proof(MCP_URL, token=token).split(".")
        forged = encoded({"typ": "dpop+jwt", "alg": algorithm, "jwk": public(app.key)})
        for signed in (f"{forged}.{body}.{signature}", f"{forged}.{body}."):
            assert told(await app.call(token, proof=signed)) == INVALID
        assert head != forged


@pytest.mark.parametrize("proof", ["", "x", "a.b.c", "..", "e30.e30.e30", "a,b", "é", "x" * 9000])
async def test_what_is_no_proof_is_none(proof: str) -> None:
    async with installed() as gatepost:
        token = (await Prover(gatepost).begin())["access_token"]
        headers = [("Authorization", f"DPoP {token}"), ("DPoP", proof)]
        assert told(await ping(gatepost, [(name, value.encode()) for name, value in headers])) == INVALID  # type: ignore[misc]


async def test_two_proofs_are_none() -> None:
    async with installed() as gatepost:
        app = Prover(gatepost)
        token = (await app.begin())["access_token"]
        proofs = [("DPoP", app.proof(MCP_URL, token=token)) for _ in range(2)]
        assert told(await ping(gatepost, [("Authorization", f"DPoP {token}"), *proofs])) == INVALID


async def test_two_credentials_are_none() -> None:
    async with installed() as gatepost:
        app = Prover(gatepost)
        token = (await app.begin())["access_token"]
        both = [("Authorization", f"DPoP {token}"), ("Authorization", f"Bearer {token}")]
        proof = ("DPoP", app.proof(MCP_URL, token=token))
        assert told(await ping(gatepost, [*both, proof])) == (400, "invalid_request")
        answer = await ping(gatepost, [both[0], proof], url=f"/mcp?access_token={token}")
        assert told(answer) == (400, "invalid_request")


async def test_a_nonce_counts_for_five_minutes_at_the_server_that_made_it() -> None:
    async with installed() as gatepost:
        app = Prover(gatepost)
        token = (await app.begin())["access_token"]
        assert (await app.call(token)).status_code == 200
        gatepost.clock[0] += 299
        assert (await app.call(token, proof=app.proof(MCP_URL, token=token))).status_code == 200
        gatepost.clock[0] += 1
        answer = await app.call(token, proof=app.proof(MCP_URL, token=token))
        assert told(answer) == (401, "use_dpop_nonce")
        assert answer.headers["www-authenticate"].startswith('DPoP error="use_dpop_nonce"')
        # One of the authorization server is none of the resource's, and none that somebody made up is anybody's.
        for nonce in (app.nonces[TOKEN_URL], "made-up-" * 8, base64.b64encode(bytes(54)).decode(), ""):
            assert told(await app.call(token, proof=app.proof(MCP_URL, token=token, nonce=nonce))) == (
                401,
                "use_dpop_nonce",
            )


async def test_a_proof_without_the_nonce_is_refused_as_long_as_nonces_are_asked_for() -> None:
    async with installed() as gatepost:
        app = Prover(gatepost)
        token = (await app.begin())["access_token"]
        assert (await app.call(token)).status_code == 200
        assert told(await app.call(token, proof=app.proof(MCP_URL, token=token, nonce=...))) == (401, "use_dpop_nonce")
        answer = await app.ask(proof=app.proof(TOKEN_URL, nonce=...), **code_form(await approved_code(gatepost)))
        assert told(answer) == (400, "use_dpop_nonce")
        assert answer.headers["dpop-nonce"]


async def test_a_refresh_token_of_a_public_client_needs_its_key() -> None:
    async with installed() as gatepost:
        app, thief = Prover(gatepost), Prover(gatepost)
        token = (await app.begin())["refresh_token"]
        form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": APP.client_id}
        assert told(await gatepost.token(**form)) == (400, "invalid_dpop_proof")
        assert told(await thief.refresh(token)) == (400, "invalid_grant")
        # Neither has spent it, and its successor is bound as well.
        refreshed = (await app.refresh(token)).json()
        assert told(await thief.refresh(refreshed["refresh_token"])) == (400, "invalid_grant")
        # The answer that was lost is given again to the key alone.
        assert told(await thief.refresh(token)) == (400, "invalid_grant")
        assert (await app.refresh(token)).json()["refresh_token"] == refreshed["refresh_token"]


async def test_a_client_that_begins_to_prove_its_key_is_bound_from_then_on() -> None:
    async with installed() as gatepost:
        secret = await approved_code(gatepost)
        tokens = (await gatepost.token(**code_form(secret))).json()
        assert tokens["token_type"] == "Bearer"
        app = Prover(gatepost)
        bound = (await app.refresh(tokens["refresh_token"])).json()
        assert bound["token_type"] == "DPoP"
        form = {"grant_type": "refresh_token", "refresh_token": bound["refresh_token"], "client_id": APP.client_id}
        assert told(await gatepost.token(**form)) == (400, "invalid_dpop_proof")


async def test_a_code_that_is_bound_to_a_key_is_redeemed_with_that_key_alone() -> None:
    async with installed() as gatepost:
        app, thief = Prover(gatepost), Prover(gatepost)
        secret = await approved_code(gatepost, dpop_jkt=app.thumbprint)
        assert told(await gatepost.token(**code_form(secret))) == (400, "invalid_grant")
        assert told(await thief.redeem(secret)) == (400, "invalid_grant")
        assert (await app.redeem(secret)).status_code == 200


async def test_the_authorization_request_says_to_which_key_a_code_is_bound() -> None:
    async with installed(OAUTH_AUTO_APPROVE="true") as gatepost:
        await gatepost.store.clients.register_client(APP)
        app = Prover(gatepost)
        for jkt, is_taken in ((app.thumbprint, True), ("short", False), (app.thumbprint + "=", False)):
            answer = await gatepost.authorize(APP.client_id, dpop_jkt=jkt)
            assert ("error=invalid_request" in answer.headers["location"]) is not is_taken


async def test_a_client_that_says_it_always_proves_its_key_gets_nothing_without() -> None:
    async with installed() as gatepost:
        await keep_client(gatepost.store, machine(dpop_bound_access_tokens=True))
        form = {"grant_type": "client_credentials", "client_id": "client-1", "client_secret": SECRET}
        assert told(await gatepost.token(**form)) == (400, "invalid_dpop_proof")
        app = Prover(gatepost)
        tokens = (await app.ask(**form)).json()
        assert (tokens["token_type"], "refresh_token" in tokens) == ("DPoP", False)
        assert (await app.call(tokens["access_token"])).status_code == 200


async def test_a_client_registers_for_it() -> None:
    async with installed() as gatepost:
        document = {"redirect_uris": ["https://app.example/cb"], "dpop_bound_access_tokens": True}
        answer = await gatepost.http.post("/oauth/register", json=document)
        assert answer.json()["dpop_bound_access_tokens"] is True
        kept = await gatepost.store.clients.find_client(answer.json()["client_id"])
        assert kept is not None
        assert kept.dpop_bound_access_tokens
        refused = await gatepost.http.post("/oauth/register", json={**document, "dpop_bound_access_tokens": "yes"})
        assert told(refused) == (400, "invalid_client_metadata")


async def test_a_confidential_client_may_change_its_key() -> None:
    async with installed() as gatepost:
        one, other = Prover(gatepost), Prover(gatepost, OKPKey.generate_key("Ed25519"), "Ed25519")
        confidential = machine(
            grant_types=("authorization_code", "refresh_token"), redirect_uris=APP.redirect_uris, scope="notes:read"
        )
        await keep_client(gatepost.store, confidential)
        secret = {"client_secret": SECRET}
        tokens = (await one.ask(**code_form(await approved_code(gatepost)), **secret)).json()
        form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": "client-1"}
        token = (await other.ask(**form, **secret)).json()["access_token"]
        assert (await other.call(token)).status_code == 200
        assert told(await one.call(token)) == NO_TOKEN


async def test_where_keys_are_required_no_other_token_is_issued_or_counts() -> None:
    store = memory_store()
    async with installed(store=store) as before, installed(store=store, OAUTH_DPOP_REQUIRED="true") as gatepost:
        token = (await before.token(**code_form(await approved_code(before)))).json()["access_token"]
        assert told(await ping(gatepost, [("Authorization", f"Bearer {token}")])) == NO_TOKEN
        assert told(await gatepost.token(**code_form(await approved_code(gatepost)))) == (400, "invalid_dpop_proof")
        challenge = (await ping(gatepost, [])).headers["www-authenticate"]
        assert challenge.startswith("DPoP resource_metadata=")
        app = Prover(gatepost)
        assert (await app.call((await app.begin())["access_token"])).status_code == 200
        metadata = (await gatepost.http.get("/.well-known/oauth-protected-resource/mcp")).json()
        assert metadata["dpop_bound_access_tokens_required"] is True


async def test_a_revoked_grant_ends_bound_tokens_at_once() -> None:
    async with installed() as gatepost:
        app = Prover(gatepost)
        tokens = await app.begin()
        assert (await app.call(tokens["access_token"])).status_code == 200
        revoked = await gatepost.http.post(
            "/oauth/revoke", data={"token": tokens["refresh_token"], "client_id": APP.client_id}
        )
        assert revoked.status_code == 200
        assert told(await app.call(tokens["access_token"])) == NO_TOKEN


async def test_signed_tokens_and_introspection_name_the_key() -> None:
    async with installed(OAUTH_ACCESS_TOKEN_FORMAT="jwt", OAUTH_INTROSPECTION_CLIENTS="client-9") as gatepost:
        app = Prover(gatepost)
        token = (await app.begin())["access_token"]
        payload = token.split(".")[1]
        claims = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        assert f'"cnf":{{"jkt":"{app.thumbprint}"}}'.encode() in claims
        assert (await app.call(token)).status_code == 200
        assert told(await ping(gatepost, [("Authorization", f"Bearer {token}")])) == NO_TOKEN
        await keep_client(gatepost.store, machine(client_id="client-9"))
        answer = await gatepost.http.post(
            "/oauth/introspect", data={"token": token, "client_id": "client-9", "client_secret": SECRET}
        )
        assert answer.json()["cnf"] == {"jkt": app.thumbprint}
        assert answer.json()["token_type"] == "DPoP"


async def test_metadata_names_the_algorithms_and_none_that_is_symmetric() -> None:
    async with installed() as gatepost:
        server = (await gatepost.http.get("/.well-known/oauth-authorization-server")).json()
        resource = (await gatepost.http.get("/.well-known/oauth-protected-resource/mcp")).json()
        expected = ["ES256", "ES384", "RS256", "PS256", "EdDSA", "Ed25519"]
        assert server["dpop_signing_alg_values_supported"] == expected
        assert resource["dpop_signing_alg_values_supported"] == expected
        assert "dpop_bound_access_tokens_required" not in resource


async def test_pages_of_other_origins_may_send_proofs_and_read_nonces() -> None:
    async with installed() as gatepost:
        for url in ("/oauth/token", "/mcp"):
            asked = {
                "Origin": "http://localhost:6274",
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,dpop",
            }
            answer = await gatepost.http.request("OPTIONS", url, headers=asked)
            assert "dpop" in answer.headers["access-control-allow-headers"].lower()
            answer = await gatepost.http.post(url, headers={"Origin": "http://localhost:6274"})
            assert "DPoP-Nonce" in answer.headers["access-control-expose-headers"]


async def test_below_a_path_and_behind_a_proxy_the_public_url_is_what_proofs_name() -> None:
    public_url = "https://tools.example/deep"
    settings: dict[str, Any] = {
        "MCP_PUBLIC_URL": public_url,
        "MCP_TRUSTED_PROXIES": "127.0.0.1",
        "MCP_STORAGE_URL": "sqlite:///never-opened.db",
        "MCP_SEALING_KEYS": "a-sealing-key-of-this-test-0123456789-abcdefghij",
    }
    async with installed(store=memory_store(), **settings) as gatepost:
        app = Prover(gatepost)
        gatepost.http.base_url = "https://tools.example/deep"
        secret = await approved_code(gatepost, resource=f"{public_url}/mcp")
        token_url, mcp_url = f"{public_url}/oauth/token", f"{public_url}/mcp"

        async def redeemed() -> httpx2.Response:
            proof = {"DPoP": app.proof(token_url)}
            return await gatepost.http.post("/oauth/token", data=code_form(secret), headers=proof)

        async def called(token: str) -> httpx2.Response:
            return await ping(gatepost, [("Authorization", f"DPoP {token}"), ("DPoP", app.proof(mcp_url, token=token))])

        app.nonces[token_url] = (await redeemed()).headers["dpop-nonce"]
        token = (await redeemed()).json()["access_token"]
        app.nonces[mcp_url] = (await called(token)).headers["dpop-nonce"]
        assert (await called(token)).status_code == 200
        kept = token_fingerprint(token, is_bound=True)
        live = await gatepost.store.grants.find_access_token(kept, now=gatepost.clock[0])
        assert live is not None
        assert live.dpop_jkt == app.thumbprint


async def test_a_bound_token_of_another_resource_does_not_count() -> None:
    async with installed() as gatepost:
        app = Prover(gatepost)
        token = (await app.redeem(await approved_code(gatepost, resource="https://other.example/mcp"))).json()
        assert told(await app.call(token["access_token"])) == NO_TOKEN


async def test_a_key_is_one_key_however_it_is_written() -> None:
    async with installed() as gatepost:
        app = Prover(gatepost, ECKey.generate_key("P-256"))
        token = (await app.begin())["access_token"]
        jwk = public(app.key)
        # Other spellings of the same numbers have other thumbprints, so they are none.
        for changed in ({**jwk, "x": jwk["x"] + "="}, {**jwk, "x": "AA" + jwk["x"]}, {**jwk, "y": jwk["x"]}):
            assert told(await app.call(token, header={"jwk": changed})) == INVALID
        # What is written beside the key changes nothing.
        assert (
            await app.call(token, header={"jwk": {**jwk, "kid": "1", "x5u": "https://evil.example"}})
        ).status_code == 200

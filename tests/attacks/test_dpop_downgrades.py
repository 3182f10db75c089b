"""No way back from a key: what is bound to one is found, refreshed and refused as bound (RFC 9449)."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from gatepost import Protected, ScopeMap, Server
from gatepost.oauth.client_assertions import ASSERTION_TYPE
from gatepost.stores.conformance.records import keep_client
from gatepost.tokens.opaque import fingerprint
from tests.attacks.dpop_world import APP, TOKEN_URL, Prover, approved_code, code_form, ping
from tests.attacks.installed import ORIGIN, installed
from tests.attacks.test_client_credentials import SECRET, machine
from tests.attacks.test_dpop import INVALID, NO_TOKEN, told
from tests.tokens.test_client_keys import P256, public, sign


async def test_whoever_looks_for_bearer_tokens_never_finds_one_that_is_bound() -> None:
    """A server of a version before there were any, over the same store, looks for nothing else."""
    async with installed() as gatepost:
        app, grants, now = Prover(gatepost), gatepost.store.grants, gatepost.clock[0]
        bound = await app.begin()
        assert await grants.find_access_token(fingerprint(bound["access_token"]), now=now) is None
        assert await grants.find_refresh(fingerprint(bound["refresh_token"])) is None
        plain = (await gatepost.token(**code_form(await approved_code(gatepost)))).json()
        assert await grants.find_access_token(fingerprint(plain["access_token"]), now=now) is not None
        assert await grants.find_refresh(fingerprint(plain["refresh_token"])) is not None
        # Of a client that authenticates the access token alone is bound.
        own = {"grant_types": ("authorization_code", "refresh_token"), "redirect_uris": APP.redirect_uris}
        await keep_client(gatepost.store, machine(**own, scope="notes:read"))
        mixed = (await app.ask(**code_form(await approved_code(gatepost)), client_secret=SECRET)).json()
        assert await grants.find_access_token(fingerprint(mixed["access_token"]), now=now) is None
        assert await grants.find_refresh(fingerprint(mixed["refresh_token"])) is not None


async def test_the_refusal_says_for_which_scheme_a_token_is() -> None:
    async with installed() as gatepost:
        app = Prover(gatepost)
        bound = (await app.begin())["access_token"]
        plain = (await gatepost.token(**code_form(await approved_code(gatepost)))).json()["access_token"]
        said = (await ping(gatepost, [("Authorization", f"Bearer {bound}")])).json()["error_description"]
        assert "send it with the scheme DPoP" in said
        assert "bound to no key" in (await app.call(plain)).json()["error_description"]
        unknown = "gp_at_" + "x" * 43
        for scheme in ("Bearer", "DPoP"):
            answer = await ping(gatepost, [("Authorization", f"{scheme} {unknown}")])
            assert "is unknown or has expired" in answer.json()["error_description"]


async def test_a_bound_access_token_that_is_given_back_is_over() -> None:
    async with installed() as gatepost:
        app = Prover(gatepost)
        tokens = await app.begin()
        form = {"token": tokens["access_token"], "client_id": APP.client_id}
        assert (await gatepost.http.post("/oauth/revoke", data=form)).status_code == 200
        assert told(await app.call(tokens["access_token"])) == NO_TOKEN
        assert told(await app.refresh(tokens["refresh_token"])) == (400, "invalid_grant")


async def test_a_spent_token_from_before_its_family_had_a_key_gives_nobody_anything() -> None:
    """Though other processes of a client may come late with a refresh token that was spent."""
    for by in ("nobody", "thief"):
        async with installed(OAUTH_REFRESH_REUSE="3600") as gatepost:
            old = (await gatepost.token(**code_form(await approved_code(gatepost)))).json()["refresh_token"]
            app, thief = Prover(gatepost), Prover(gatepost)
            newest = (await app.refresh(old)).json()
            gatepost.clock[0] += 600
            late = (await app.refresh(old)).json()
            assert (late["token_type"], late["refresh_token"]) == ("DPoP", newest["refresh_token"])
            form = {"grant_type": "refresh_token", "refresh_token": old, "client_id": APP.client_id}
            answer = await (gatepost.token(**form) if by == "nobody" else thief.refresh(old))
            assert told(answer) == (400, "invalid_grant")


async def test_an_assertion_is_not_used_up_by_a_proof_that_lacks_the_nonce() -> None:
    """Both count once, and a client that is told to come again would have one of the two."""
    async with installed() as gatepost:
        keys = json.dumps({"keys": [public(P256)]})
        keyed = machine(token_endpoint_auth_method="private_key_jwt", secret_fingerprint=None, jwks=keys)
        await keep_client(gatepost.store, keyed)
        app, now = Prover(gatepost), gatepost.clock[0]
        claims = {"iss": "client-1", "sub": "client-1", "aud": ORIGIN, "exp": now + 60, "jti": "one"}
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": sign("ES256", P256, claims),
        }
        assert (await app.ask(**form)).json()["token_type"] == "DPoP"
        assert told(await app.ask(**form)) == (401, "invalid_client")


@pytest.mark.parametrize("nonces", ["true", "false"])
async def test_a_jti_that_no_store_can_keep_is_refused_and_breaks_nothing(nonces: str) -> None:
    async with installed(OAUTH_DPOP_NONCES=nonces) as gatepost:
        app = Prover(gatepost)
        token = (await app.begin())["access_token"]
        assert (await app.call(token)).status_code == 200
        for jti in ("\ud800", "a\0b", "a\nb"):
            assert told(await app.call(token, jti=jti)) == INVALID
            answer = await app.ask(proof=app.proof(TOKEN_URL, jti=jti), **code_form(await approved_code(gatepost)))
            assert told(answer) == (400, "invalid_dpop_proof")


def notes() -> Server:
    server = Server("notes")

    @server.tool(scopes=["notes:write"])
    async def write() -> str:
        """Write."""
        return "written"

    return server


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    await JSONResponse({})(scope, receive, send)


ENDPOINTS: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "every request": ({"/mcp": notes()}, "/mcp", {"OAUTH_REQUIRED_SCOPE": "notes:write"}),
    "a tool": ({"/mcp": notes()}, "/mcp", {}),
    "a path": ({"/mcp": Protected(application, scopes={"/": ["notes:write"]})}, "/mcp", {}),
    "a message": (
        {"/mcp": Protected(application, scopes=ScopeMap(tools={"write": ["notes:write"]}, default=["notes:read"]))},
        "/mcp",
        {},
    ),
}


@pytest.mark.parametrize(("target", "path", "settings"), ENDPOINTS.values(), ids=ENDPOINTS.keys())
async def test_who_lacks_a_scope_is_challenged_by_the_scheme_that_they_came_with(
    target: Any, path: str, settings: dict[str, Any]
) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "write", "arguments": {}}}
    async with installed(target=target, **settings) as gatepost:
        app = Prover(gatepost)
        bound = (await app.begin())["access_token"]
        plain = (await gatepost.token(**code_form(await approved_code(gatepost)))).json()["access_token"]

        async def asked(scheme: str, token: str) -> httpx2.Response:
            headers = {"Authorization": f"{scheme} {token}", "Accept": "application/json, text/event-stream"}
            if scheme == "DPoP":
                headers["DPoP"] = app.proof(f"{ORIGIN}{path}", token=token)
            return await gatepost.http.post(path, json=call, headers=headers)

        app.nonces[f"{ORIGIN}{path}"] = (await asked("DPoP", bound)).headers["dpop-nonce"]
        for scheme, token in (("DPoP", bound), ("Bearer", plain)):
            answer = await asked(scheme, token)
            assert answer.status_code == 403, answer.text
            challenge = answer.headers["www-authenticate"]
            assert challenge.startswith(f'{scheme} error="insufficient_scope", ')
            assert ('algs="ES256 ' in challenge) is (scheme == "DPoP")
            assert "notes:write" in challenge

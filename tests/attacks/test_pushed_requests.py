"""Pushed authorization requests: whose they are, how often they count, and that nothing goes past them (RFC 9126)."""

from __future__ import annotations

import json
import secrets
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from gatepost.oauth.client_assertions import ASSERTION_TYPE
from gatepost.stores.conformance.records import client, keep_client
from gatepost.tokens.opaque import fingerprint
from tests.attacks.device_world import PersonElsewhere
from tests.attacks.dpop_world import TOKEN_URL, Prover, code_form
from tests.attacks.installed import CHALLENGE, ORIGIN, Installed, installed
from tests.tokens.test_client_keys import P256, public, sign
from tests.web.pages.pages_world import Accounts, heading

REDIRECT = "https://app.example/cb"
PAR_URL = f"{ORIGIN}/oauth/par"
REQUEST = {
    "response_type": "code",
    "redirect_uri": REDIRECT,
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "scope": "notes:read",
    "state": "st/a te&=ü",
}
SECRET = "gp_cs_a-secret"


async def register(gatepost: Installed, client_id: str = "client-1", **changes: Any) -> None:
    registered = {
        "redirect_uris": (REDIRECT,),
        "token_endpoint_auth_method": "none",
        "secret_fingerprint": None,
        **changes,
    }
    await keep_client(gatepost.store, client(client_id, **registered))


async def push(gatepost: Installed, **changes: str | None) -> httpx2.Response:
    asked = {"client_id": "client-1", **REQUEST, **changes}
    answer = await gatepost.http.post(
        "/oauth/par", data={name: value for name, value in asked.items() if value is not None}
    )
    assert answer.headers["cache-control"] == "no-store"
    return answer


async def open_pushed(gatepost: Installed, request_uri: str, **more: str) -> httpx2.Response:
    query = urlencode({"client_id": "client-1", "request_uri": request_uri, **more})
    return await gatepost.http.get(f"/oauth/authorize?{query}", headers={"Accept": "text/html"})


async def pushed(gatepost: Installed, **changes: str | None) -> str:
    answer = await push(gatepost, **changes)
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    assert told["expires_in"] == 90
    return str(told["request_uri"])


async def kept(gatepost: Installed, answer: httpx2.Response) -> Any:
    """Return the authorization request that waits behind an answer of the authorization endpoint."""
    assert answer.status_code == 303, answer.text
    transaction_id = parse_qs(urlsplit(answer.headers["location"]).query)["transaction"][0]
    return await gatepost.store.transactions.find_transaction(transaction_id, now=gatepost.clock[0])


async def test_a_pushed_request_goes_on_as_if_it_stood_in_the_address() -> None:
    async with installed(provider=Accounts()) as gatepost:
        await register(gatepost)
        request_uri = await pushed(gatepost)
        assert request_uri.startswith("urn:ietf:params:oauth:request_uri:gp_ar_")

        transaction = await kept(gatepost, await open_pushed(gatepost, request_uri))

        assert (transaction.client_id, transaction.redirect_uri) == ("client-1", REDIRECT)
        assert (transaction.scopes, transaction.client_state) == (("notes:read",), REQUEST["state"])
        assert transaction.code_challenge == CHALLENGE
        metadata = (await gatepost.http.get("/.well-known/oauth-authorization-server")).json()
        assert metadata["pushed_authorization_request_endpoint"] == f"{ORIGIN}/oauth/par"
        assert "require_pushed_authorization_requests" not in metadata


async def test_a_reference_counts_once_and_for_a_minute_and_a_half() -> None:
    async with installed(provider=Accounts()) as gatepost:
        await register(gatepost)
        first, second = await pushed(gatepost), await pushed(gatepost)
        assert (await open_pushed(gatepost, first)).status_code == 303
        again = await open_pushed(gatepost, first)
        assert (again.status_code, heading(again)) == (400, "This link is over")
        gatepost.clock[0] += 90
        assert (await open_pushed(gatepost, second)).status_code == 400


async def test_another_clients_reference_is_refused_and_stays_its_own() -> None:
    async with installed(provider=Accounts()) as gatepost:
        await register(gatepost)
        await register(gatepost, "client-2")
        request_uri = await pushed(gatepost)
        assert (await open_pushed(gatepost, request_uri, client_id="client-2")).status_code == 400
        assert (await open_pushed(gatepost, request_uri)).status_code == 303


async def test_what_stands_beside_a_reference_changes_nothing() -> None:
    """Whoever can change the address can neither widen the request nor have its answer sent elsewhere."""
    async with installed(provider=Accounts()) as gatepost:
        await register(gatepost)
        other = {"scope": "other", "redirect_uri": "https://evil.example/cb", "state": "x", "code_challenge": "y" * 43}

        transaction = await kept(gatepost, await open_pushed(gatepost, await pushed(gatepost), **other))

        assert (transaction.scopes, transaction.redirect_uri) == (("notes:read",), REDIRECT)
        assert (transaction.client_state, transaction.code_challenge) == (REQUEST["state"], CHALLENGE)


@pytest.mark.parametrize(
    "request_uri",
    [
        "https://app.example/request.jwt",
        "urn:ietf:params:oauth:request_uri:",
        "urn:ietf:params:oauth:request_uri:gp_ar_" + "x" * 43,
        "urn:example:gp_ar_" + "x" * 43,
        "gp_ar_" + "x" * 43,
        "http://127.0.0.1:8000/oauth/par",
    ],
)
async def test_a_reference_that_is_not_ours_is_neither_fetched_nor_used(request_uri: str) -> None:
    async with installed(provider=Accounts()) as gatepost:
        await register(gatepost)
        answer = await open_pushed(gatepost, request_uri)
        assert (answer.status_code, heading(answer)) == (400, "This link is over")


async def test_a_reference_twice_or_without_a_client_gets_a_page_and_is_not_spent() -> None:
    async with installed(provider=Accounts()) as gatepost:
        await register(gatepost)
        request_uri = await pushed(gatepost)
        one = urlencode({"request_uri": request_uri})
        for query in (one, f"client_id=client-1&{one}&{one}", f"client_id=client-1&client_id=client-1&{one}"):
            answer = await gatepost.http.get(f"/oauth/authorize?{query}")
            assert answer.status_code == 400
        assert (await open_pushed(gatepost, request_uri)).status_code == 303


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, 400, "invalid_request"),
        ({"redirect_uri": "https://evil.example/cb"}, 400, "invalid_request"),
        ({"response_type": None}, 400, "invalid_request"),
        ({"response_type": "token"}, 400, "unsupported_response_type"),
        ({"code_challenge": None}, 400, "invalid_request"),
        ({"code_challenge_method": "plain"}, 400, "invalid_request"),
        ({"scope": 'a"b'}, 400, "invalid_scope"),
        ({"resource": "https://other.example/mcp"}, 400, "invalid_target"),
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"client_secret": "guess"}, 401, "invalid_client"),
        ({"made_up": "x" * 16_384}, 413, "invalid_request"),
    ],
)
async def test_what_the_authorization_endpoint_would_refuse_cannot_be_pushed(
    changes: dict[str, str | None], status: int, error: str
) -> None:
    async with installed(provider=Accounts()) as gatepost:
        await register(gatepost)
        answer = await push(gatepost, **changes)
        assert (answer.status_code, answer.json()["error"]) == (status, error)


async def test_a_client_that_may_not_ask_people_cannot_push_either() -> None:
    async with installed(provider=Accounts()) as gatepost:
        await register(gatepost, grant_types=("client_credentials",))
        assert (await push(gatepost)).json()["error"] == "unauthorized_client"


async def test_a_client_with_a_secret_or_a_key_has_to_show_it_and_it_is_not_kept() -> None:
    async with installed(provider=Accounts()) as gatepost:
        by_secret: dict[str, Any] = {
            "token_endpoint_auth_method": "client_secret_post",
            "secret_fingerprint": fingerprint(SECRET),
        }
        await register(gatepost, **by_secret)
        assert (await push(gatepost)).json()["error"] == "invalid_client"
        request_uri = await pushed(gatepost, client_secret=SECRET)
        assert (await open_pushed(gatepost, request_uri)).status_code == 303
        await pushed(gatepost, client_secret=SECRET)
        reference = (await pushed(gatepost, client_secret=SECRET)).removeprefix("urn:ietf:params:oauth:request_uri:")
        taken = await gatepost.store.pushed_requests.take_request(
            fingerprint(reference), client_id="client-1", now=gatepost.clock[0]
        )
        assert taken is not None
        assert "secret" not in taken.query

        keyed: dict[str, Any] = {
            "token_endpoint_auth_method": "private_key_jwt",
            "jwks": json.dumps({"keys": [public(P256)]}),
        }
        await register(gatepost, **keyed)
        now = gatepost.clock[0]
        for audience in (ORIGIN, f"{ORIGIN}/oauth/token", f"{ORIGIN}/oauth/par"):
            claims = {"iss": "client-1", "sub": "client-1", "aud": audience, "exp": now + 60}
            assertion = sign("ES256", P256, {**claims, "jti": secrets.token_hex(8)})
            await pushed(gatepost, client_id=None, client_assertion_type=ASSERTION_TYPE, client_assertion=assertion)


async def test_what_has_changed_since_it_was_pushed_is_judged_anew() -> None:
    async with installed(provider=Accounts()) as gatepost:
        await register(gatepost)
        request_uri = await pushed(gatepost)
        await register(gatepost, redirect_uris=("https://app.example/other",))
        assert (await open_pushed(gatepost, request_uri)).status_code == 400
        await register(gatepost)
        request_uri = await pushed(gatepost)
        await gatepost.store.clients.disable_client("client-1", now=gatepost.clock[0])
        assert (await open_pushed(gatepost, request_uri)).status_code == 400


async def in_the_address(gatepost: Installed) -> httpx2.Response:
    query = urlencode({"client_id": "client-1", **REQUEST})
    return await gatepost.http.get(f"/oauth/authorize?{query}")


@pytest.mark.parametrize("by", ["server", "client"])
async def test_where_requests_have_to_be_pushed_one_in_the_address_is_refused(by: str) -> None:
    async with installed(provider=Accounts(), OAUTH_REQUIRE_PAR=str(by == "server").lower()) as gatepost:
        await register(gatepost, requires_pushed_requests=by == "client")
        refused = await in_the_address(gatepost)
        assert refused.status_code == 303
        said = parse_qs(urlsplit(refused.headers["location"]).query)
        assert (said["error"], said["state"], said["iss"]) == (["invalid_request"], [REQUEST["state"]], [ORIGIN])
        assert (await open_pushed(gatepost, await pushed(gatepost))).status_code == 303
        metadata = (await gatepost.http.get("/.well-known/oauth-authorization-server")).json()
        assert metadata.get("require_pushed_authorization_requests", False) is (by == "server")


async def test_a_client_says_at_its_registration_that_it_pushes_and_may_change_its_mind() -> None:
    async with installed(provider=Accounts()) as gatepost:
        asked = {"redirect_uris": [REDIRECT], "require_pushed_authorization_requests": True}
        told = (await gatepost.http.post("/oauth/register", json=asked)).json()
        assert told["require_pushed_authorization_requests"] is True
        kept_client = await gatepost.store.clients.find_client(told["client_id"])
        assert kept_client is not None
        assert kept_client.requires_pushed_requests

        changed = await gatepost.http.put(
            urlsplit(told["registration_client_uri"]).path,
            json={"client_id": told["client_id"], "redirect_uris": [REDIRECT]},
            headers={"Authorization": f"Bearer {told['registration_access_token']}"},
        )
        assert "require_pushed_authorization_requests" not in changed.json()
        wrong = {**asked, "require_pushed_authorization_requests": "yes"}
        refused = await gatepost.http.post("/oauth/register", json=wrong)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client_metadata")


async def test_prompt_none_is_answered_where_people_are_asked_and_not_before() -> None:
    async with installed(provider=Accounts()) as gatepost:
        await register(gatepost)
        answer = await open_pushed(gatepost, await pushed(gatepost, prompt="none"))
        assert "error=login_required" in answer.headers["location"]


async def push_proven(gatepost: Installed, app: Prover, *, proofs: int = 1, **changes: Any) -> httpx2.Response:
    """Push with a proof of a key; once more with the nonce where one is needed."""
    headers = [("DPoP", app.proof(PAR_URL, htu=changes.pop("htu", PAR_URL)))] * proofs
    data = {"client_id": "client-1", **REQUEST, **changes}
    answer = await gatepost.http.post("/oauth/par", data=data, headers=headers)
    if answer.json().get("error") != "use_dpop_nonce":
        return answer
    assert answer.status_code == 400
    app.nonces[PAR_URL] = answer.headers["dpop-nonce"]
    return await push_proven(gatepost, app, proofs=proofs, **changes)


async def test_the_key_that_is_proven_is_that_of_the_code() -> None:
    """As if its thumbprint had been sent as `dpop_jkt` (RFC 9449 section 10.1)."""
    async with installed(provider=Accounts()) as gatepost:
        await register(gatepost)
        app, thief, person = Prover(gatepost), Prover(gatepost), PersonElsewhere(gatepost)
        asked: list[dict[str, Any]] = [{}, {"dpop_jkt": app.thumbprint}]
        for own in asked:
            told = await push_proven(gatepost, app, **own)
            assert told.status_code == 201, told.text
            query = urlencode({"client_id": "client-1", "request_uri": told.json()["request_uri"]})
            begun = await person.browser.get(f"/oauth/authorize?{query}")
            place = begun.headers["location"]
            if "/login" in place:
                place = (await person.log_in(place)).headers["location"]
            question = await person.browser.get(place)
            answer = await person.answer(question, "approve")
            said = parse_qs(urlsplit(answer.headers["location"]).query)
            form = {**code_form(said["code"][0]), "client_id": "client-1"}
            assert (await gatepost.token(**form)).json()["error"] == "invalid_grant"
            assert (await thief.ask(**form)).json()["error"] == "invalid_grant"
            assert (await app.ask(**form)).json()["token_type"] == "DPoP"


async def test_a_proof_of_another_key_or_for_another_endpoint_pushes_nothing() -> None:
    async with installed(provider=Accounts()) as gatepost:
        await register(gatepost)
        app, other = Prover(gatepost), Prover(gatepost)
        wrong = await push_proven(gatepost, app, dpop_jkt=other.thumbprint)
        assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_request")
        elsewhere = await push_proven(gatepost, app, htu=TOKEN_URL)
        assert (elsewhere.status_code, elsewhere.json()["error"]) == (400, "invalid_dpop_proof")
        assert (await push_proven(gatepost, app, proofs=2)).json()["error"] == "invalid_dpop_proof"
        headers = {"DPoP": app.proof(PAR_URL)}
        data = {"client_id": "client-1", **REQUEST}
        assert (await gatepost.http.post("/oauth/par", data=data, headers=headers)).status_code == 201
        again = await gatepost.http.post("/oauth/par", data=data, headers=headers)
        assert again.json()["error"] == "invalid_dpop_proof"


async def test_who_always_proves_a_key_at_the_token_endpoint_need_not_do_so_here() -> None:
    """RFC 9449 section 5.2 speaks of token requests, and `dpop_jkt` says the key as well."""
    async with installed(provider=Accounts(), OAUTH_DPOP_REQUIRED="true") as gatepost:
        await register(gatepost, dpop_bound_access_tokens=True)
        app = Prover(gatepost)
        transaction = await kept(gatepost, await open_pushed(gatepost, await pushed(gatepost)))
        assert transaction.dpop_jkt is None
        request_uri = await pushed(gatepost, dpop_jkt=app.thumbprint)
        assert (await kept(gatepost, await open_pushed(gatepost, request_uri))).dpop_jkt == app.thumbprint


async def test_an_assertion_is_not_used_up_by_a_push_that_lacks_the_nonce() -> None:
    async with installed(provider=Accounts()) as gatepost:
        keys = json.dumps({"keys": [public(P256)]})
        await register(gatepost, token_endpoint_auth_method="private_key_jwt", jwks=keys)
        claims = {"iss": "client-1", "sub": "client-1", "aud": ORIGIN, "exp": gatepost.clock[0] + 60, "jti": "one"}
        own: dict[str, Any] = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": sign("ES256", P256, claims)}
        assert (await push_proven(gatepost, Prover(gatepost), **own)).status_code == 201


async def test_pages_of_every_origin_may_push_and_read_the_nonce() -> None:
    """Apps in browsers are clients as well, and no cookie is looked at here."""
    async with installed(provider=Accounts()) as gatepost:
        await register(gatepost)
        origin = {"Origin": "https://app.example"}
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "dpop"}
        allowed = await gatepost.http.request("OPTIONS", "/oauth/par", headers=origin | asked)
        assert "dpop" in allowed.headers["access-control-allow-headers"].lower()
        data, proof = {"client_id": "client-1", **REQUEST}, {"DPoP": Prover(gatepost).proof(PAR_URL)}
        answer = await gatepost.http.post("/oauth/par", data=data, headers=origin | proof)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "DPoP-Nonce" in answer.headers["access-control-expose-headers"]
        assert answer.headers["dpop-nonce"]

"""What the token endpoint does before it comes to a grant: form, client, grant type, and how it answers."""

from __future__ import annotations

import base64
import logging
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import pytest

from gatepost.oauth.records import Client
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.sql.sqlite import memory_store
from gatepost.web.oauth.client_form import MAX_BODY
from gatepost.web.oauth.grants import GRANT_TYPES
from gatepost.web.site.routing import described
from tests.web.oauth.token_harness import ISSUER, Harness, checked, refusal, token_harness

SECRET = "gp_cs_" + "s" * 43
NAMES = [grant_type.name for grant_type in GRANT_TYPES]


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    async with token_harness(memory_store()) as harness:
        yield harness


def basic(client: Client, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{client.client_id}:{secret}".encode()).decode()}


@pytest.mark.parametrize(
    "content_type",
    ["application/x-www-form-urlencoded", "Application/X-WWW-Form-Urlencoded; charset=UTF-8"],
)
async def test_a_form_is_read_whatever_its_charset_parameter_says(harness: Harness, content_type: str) -> None:
    response = await harness.http.post("/oauth/token", content=b"grant_type=x", headers={"Content-Type": content_type})
    assert refusal(checked(response)) == (400, "invalid_request")
    assert response.json()["error_description"].startswith("client_id is missing")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Content-Type", "application/json")],
        [("Content-Type", "multipart/form-data; boundary=x")],
        [("Content-Type", "text/plain")],
        [("Content-Type", "application/x-www-form-urlencoded-x")],
        [("Content-Type", "application/x-www-form-urlencoded"), ("Content-Type", "application/json")],
    ],
)
async def test_nothing_but_a_form_is_read(harness: Harness, headers: list[tuple[str, str]]) -> None:
    response = await harness.http.post("/oauth/token", content=b"grant_type=refresh_token&client_id=x", headers=headers)
    assert refusal(checked(response)) == (400, "invalid_request")
    assert "application/x-www-form-urlencoded" in response.json()["error_description"]


async def test_a_body_above_the_limit_is_not_read(harness: Harness) -> None:
    response = await harness.post({"grant_type": "refresh_token", "refresh_token": "x" * MAX_BODY})
    assert refusal(response) == (413, "invalid_request")


@pytest.mark.parametrize("name", ["grant_type", "client_id", "code", "redirect_uri", "resource", "unknown"])
async def test_a_parameter_sent_twice_is_refused_even_with_equal_values(harness: Harness, name: str) -> None:
    client = await harness.register()
    code = await harness.approve(client)
    form = urlencode({"grant_type": "authorization_code", "client_id": client.client_id, "code": code})
    response = await harness.http.post(
        "/oauth/token",
        content=f"{form}&{name}=x&{name}=x".encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert refusal(checked(response)) == (400, "invalid_request")
    assert (await harness.redeem(client, code)).status_code == 200


async def test_parameters_in_the_url_count_for_nothing(harness: Harness) -> None:
    client = await harness.register()
    code = await harness.approve(client)
    response = await harness.http.post(
        f"/oauth/token?client_id={client.client_id}", data={"grant_type": "authorization_code", "code": code}
    )
    assert refusal(checked(response)) == (400, "invalid_request")


async def test_a_public_client_needs_no_secret_and_an_empty_one_counts_as_none(harness: Harness) -> None:
    client = await harness.register()
    response = await harness.redeem(client, await harness.approve(client), client_secret="")
    assert response.status_code == 200


async def test_a_public_client_that_sends_a_secret_is_refused(harness: Harness) -> None:
    client = await harness.register()
    response = await harness.redeem(client, await harness.approve(client), client_secret=SECRET)
    assert refusal(response) == (401, "invalid_client")


async def test_a_client_with_a_secret_authenticates_by_its_registered_method(harness: Harness) -> None:
    post = await harness.register(method="client_secret_post", secret=SECRET)
    assert (await harness.redeem(post, await harness.approve(post), client_secret=SECRET)).status_code == 200
    in_header = await harness.register(method="client_secret_basic", secret=SECRET)
    code = await harness.approve(in_header)
    response = await harness.post(
        {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": "https://app.example/callback",
            "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        },
        headers=basic(in_header, SECRET),
    )
    assert response.status_code == 200


async def test_an_unknown_client_is_told_so_without_a_challenge(harness: Harness) -> None:
    response = await harness.post({"grant_type": "authorization_code", "client_id": "client_unknown", "code": "x"})
    assert refusal(response) == (401, "invalid_client")
    assert "www-authenticate" not in response.headers


@pytest.mark.parametrize("authorization", ["Basic !", "Bearer gp_at_x", "Basic Y2xpZW50OnNlY3JldA=="])
async def test_a_client_that_tried_the_header_is_challenged_for_basic(harness: Harness, authorization: str) -> None:
    response = await harness.post({"grant_type": "authorization_code"}, headers={"Authorization": authorization})
    assert refusal(response) == (401, "invalid_client")
    assert response.headers["www-authenticate"] == 'Basic realm="token endpoint", charset="UTF-8"'


async def test_a_wrong_secret_leaves_the_code_valid(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="gatepost.web")
    client = await harness.register(method="client_secret_post", secret=SECRET)
    code = await harness.approve(client)
    response = await harness.redeem(client, code, client_secret="gp_cs_wrong")
    assert refusal(response) == (401, "invalid_client")
    assert (await harness.redeem(client, code, client_secret=SECRET)).status_code == 200
    [record] = caplog.records
    fields = {name: record.__dict__[name] for name in ("error", "reason", "endpoint", "client_id")}
    assert fields == {
        "error": "invalid_client",
        "reason": "client_authentication_failed",
        "endpoint": "/oauth/token",
        "client_id": client.client_id,
    }
    assert "gp_cs_" not in caplog.text


async def test_two_ways_of_authentication_at_once_are_one_too_many(harness: Harness) -> None:
    client = await harness.register(method="client_secret_basic", secret=SECRET)
    parameters = {"grant_type": "authorization_code", "client_secret": SECRET}
    assert refusal(await harness.post(parameters, headers=basic(client, SECRET))) == (400, "invalid_request")


async def test_the_grant_type_has_to_be_named(harness: Harness) -> None:
    client = await harness.register()
    response = await harness.post({"client_id": client.client_id})
    assert refusal(response) == (400, "invalid_request")
    assert response.json()["error_description"] == "grant_type is missing."


@pytest.mark.parametrize("grant_type", ["password", "implicit", "Authorization_Code", "authorization_code "])
async def test_an_unknown_grant_type_is_unsupported(harness: Harness, grant_type: str) -> None:
    client = await harness.register()
    response = await harness.post({"client_id": client.client_id, "grant_type": grant_type})
    assert refusal(response) == (400, "unsupported_grant_type")


@pytest.mark.parametrize("grant_type", NAMES)
async def test_a_grant_type_the_client_has_not_registered_is_not_its_to_use(harness: Harness, grant_type: str) -> None:
    client = await harness.register(grant_types=[other for other in NAMES if other != grant_type])
    response = await harness.post({"client_id": client.client_id, "grant_type": grant_type})
    assert refusal(response) == (400, "unauthorized_client")


@pytest.mark.parametrize(
    ("grant_type", "missing"),
    [("authorization_code", "code"), ("authorization_code", "code_verifier"), ("refresh_token", "refresh_token")],
)
async def test_a_missing_parameter_is_named(harness: Harness, grant_type: str, missing: str) -> None:
    client = await harness.register()
    parameters = {"client_id": client.client_id, "code": "x", "code_verifier": "x", "refresh_token": "x"}
    del parameters[missing]
    response = await harness.post(parameters | {"grant_type": grant_type})
    assert refusal(response) == (400, "invalid_request")
    assert response.json()["error_description"] == f"{missing} is missing."


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
async def test_only_post_is_answered_and_the_refusal_is_not_kept_by_caches(harness: Harness, method: str) -> None:
    response = checked(await harness.http.request(method, "/oauth/token"))
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("broken", ["find_client", "find_code_and_client", "refresh_at_once"])
async def test_a_store_that_cannot_answer_is_a_503_and_nobodys_fault(
    monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    async def fails(*_: object, **__: object) -> None:
        raise StoreUnavailable("the disk is gone")

    store = memory_store()
    async with token_harness(store) as harness:
        client = await harness.register()
        monkeypatch.setattr(store.clients if broken == "find_client" else store.grants, broken, fails)
        redeem = {"grant_type": "authorization_code", "code": "x", "code_verifier": "x"}
        refresh = {"grant_type": "refresh_token", "refresh_token": "x"}
        parameters = refresh if broken == "refresh_at_once" else redeem
        response = await harness.post(parameters | {"client_id": client.client_id})
        assert refusal(response) == (503, "temporarily_unavailable")
        assert response.headers["retry-after"] == "5"


async def test_the_endpoint_is_described_for_readers_of_the_documentation(harness: Harness) -> None:
    operations = described(harness.app.routes)["/oauth/token"]
    assert set(operations) == {"post"}
    assert operations["post"]["summary"] == "Exchange a code or a refresh token for tokens"
    assert set(operations["post"]["responses"]) == {"200", "400", "401", "408", "413", "421", "429", "500", "503"}
    form = operations["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
    assert form["properties"]["grant_type"]["enum"] == NAMES
    assert ISSUER not in str(operations)

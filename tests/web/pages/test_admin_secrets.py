"""What the admin pages make and show once: API keys, clients with their secrets."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator

import pytest

from gatepost.identity import passwords
from gatepost.oauth.asserted_grants import JWT_BEARER
from gatepost.oauth.records import ClientOrigin
from gatepost.stores.contract.api_keys import ApiKey
from gatepost.stores.contract.endpoints import ServedEndpoint
from gatepost.tokens.opaque import fingerprint
from tests.attacks.admin_world import (
    API_KEYS,
    CLIENT,
    CLIENTS,
    NEW_CLIENT,
    SECRET,
    act,
    administered,
    events,
    of,
    person,
)
from tests.attacks.installed import ORIGIN, Installed
from tests.tokens.test_client_keys import P256, public
from tests.web.pages.pages_world import heading

NOW = 1_800_000_000
NEW = {"do": "create", "name": "nightly", "scopes": "notes:read"}


@pytest.fixture(autouse=True)
def _cheap_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_MEMORY_COST", 64)
    passwords._hasher.cache_clear()
    monkeypatch.setattr(passwords, "_hasher", passwords._hasher.__wrapped__)


@pytest.fixture
async def gatepost() -> AsyncIterator[Installed]:
    async with administered() as running:
        await running.store.endpoints.note_endpoints([ServedEndpoint("/mcp", ("notes:read", "notes:write"))])
        yield running


async def live_keys(gatepost: Installed) -> list[ApiKey]:
    return await gatepost.store.api_keys.list_keys(live_at=NOW, limit=99)


async def test_an_api_key_is_made_shown_once_and_counts(gatepost: Installed) -> None:
    ada = (await person(gatepost, "ada")).subject
    answer = await act(gatepost.http, API_KEYS, **NEW, lifetime="90d")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(SECRET + "?shown=")

    shown, again = [await gatepost.http.get(answer.headers["location"]) for _ in range(2)]

    [secret] = re.findall(r"<code>(gp_ak_[^<]*)</code>", shown.text)
    assert heading(again) == "This secret was shown already"
    assert "gp_ak_" not in again.text + answer.headers["location"]
    presented = await gatepost.store.api_keys.find_key(fingerprint(secret))
    assert presented is not None
    key = presented.key
    assert (key.name, key.scopes, key.resource) == ("nightly", ("notes:read",), f"{ORIGIN}/mcp")
    assert (key.user_subject, key.expires_at) == (None, NOW + 90 * 86_400)
    [kept] = await events(gatepost, event="api_key_created")
    assert (kept.actor, kept.subject, kept.client_id) == (ada, key.key_id, key.key_id)
    page = (await gatepost.http.get(API_KEYS)).text
    assert "nightly" in page
    assert secret not in page


@pytest.mark.parametrize(
    ("fields", "field", "problem"),
    [
        ({"name": "two words"}, "name", "A key is called by letters"),
        ({"name": ""}, "name", "A key is called by letters"),
        ({"name": "taken"}, "name", "There is a key of that name already"),
        ({"scopes": "notes:read notes:all"}, "scopes", "of those that there are"),
        ({"scopes": ""}, "scopes", "of those that there are"),
        ({"lifetime": "soon"}, "lifetime", "A stretch of time is"),
        ({"lifetime": "0d"}, "lifetime", "A stretch of time is"),
        ({"endpoint": "/other"}, "endpoint", "There is no such endpoint"),
    ],
)
async def test_a_key_that_cannot_be_is_not_made_and_nothing_typed_is_lost(
    gatepost: Installed, fields: dict[str, str], field: str, problem: str
) -> None:
    await act(gatepost.http, API_KEYS, **{**NEW, "name": "taken"})
    await gatepost.store.endpoints.note_endpoints([ServedEndpoint("/second", ("x",))])
    before = await live_keys(gatepost)

    answer = await act(gatepost.http, API_KEYS, **{**NEW, "endpoint": "/mcp", **fields})

    assert answer.status_code == 422
    assert problem in answer.text
    assert re.search(rf'id="{field}"[^>]*aria-invalid="true"', answer.text)
    assert field == "endpoint" or f'value="{fields[field]}"' in answer.text
    assert await live_keys(gatepost) == before


async def test_a_key_is_revoked_once_and_stays_in_the_list_of_all(gatepost: Installed) -> None:
    await act(gatepost.http, API_KEYS, **NEW)
    [key] = await live_keys(gatepost)
    for _ in range(2):
        answer = await act(gatepost.http, API_KEYS, do="revoke", key=key.key_id)
        assert (answer.status_code, answer.headers["location"]) == (303, API_KEYS)

    [kept] = await events(gatepost, event="api_key_revoked")
    ada = (await person(gatepost, "ada")).subject
    assert (kept.actor, kept.client_id, kept.reason) == (ada, key.key_id, "operator_revoked")
    assert "nightly" not in (await gatepost.http.get(API_KEYS)).text
    assert "Revoked on" in (await gatepost.http.get(of(API_KEYS, all="1"))).text


async def test_keys_come_in_pages(gatepost: Installed) -> None:
    for number in range(60):
        key = ApiKey(f"key_{number:02}", f"k{number:02}", bytes([number]), None, ("a",), ORIGIN, NOW - number)
        await gatepost.store.api_keys.add_key(key)

    first = (await gatepost.http.get(of(API_KEYS, all="1"))).text
    [following] = re.findall(r'href="([^"]*)" rel="next"', first)
    second = (await gatepost.http.get(following.replace("&amp;", "&"))).text

    assert re.findall(r"<bdi>(k\d\d)</bdi>", first + second) == [f"k{number:02}" for number in range(60)]
    assert 'rel="next"' not in second


async def test_where_no_server_has_said_what_it_serves_no_key_is_made() -> None:
    async with administered() as gatepost:
        assert "There is no endpoint that a key could open." in (await gatepost.http.get(API_KEYS)).text

        answer = await act(gatepost.http, API_KEYS, **NEW)

        assert answer.status_code == 422
        assert await live_keys(gatepost) == []


APP = {"name": "Reading list", "redirect_uris": "https://app.example/cb\r\nhttps://app.example/other"}


async def test_an_app_with_a_secret_is_registered_and_its_secret_shown_once(gatepost: Installed) -> None:
    answer = await act(gatepost.http, NEW_CLIENT, **APP, auth_method="client_secret_post", scope="notes:read")
    assert answer.headers["location"].startswith(SECRET + "?shown=")

    shown, again = [await gatepost.http.get(answer.headers["location"]) for _ in range(2)]

    [secret] = re.findall(r"<code>(gp_cs_[^<]*)</code>", shown.text)
    assert "gp_cs_" not in again.text + answer.headers["location"]
    [client] = await gatepost.store.clients.list_clients()
    assert client.secret_fingerprint == fingerprint(secret)
    assert (client.client_name, client.scope) == ("Reading list", "notes:read")
    assert client.redirect_uris == ("https://app.example/cb", "https://app.example/other")
    assert client.origin is ClientOrigin.PREREGISTERED
    [kept] = await events(gatepost, event="client_added")
    assert (kept.client_id, kept.actor) == (client.client_id, (await person(gatepost, "ada")).subject)


async def test_an_app_without_a_secret_leads_to_its_page(gatepost: Installed) -> None:
    answer = await act(gatepost.http, NEW_CLIENT, **APP, refresh_reuse="60")

    [client] = await gatepost.store.clients.list_clients()
    assert answer.headers["location"] == of(CLIENT, client_id=client.client_id)
    assert (client.token_endpoint_auth_method, client.refresh_reuse) == ("none", 60)


async def test_a_program_of_its_own_needs_no_redirect_uri_and_may_have_keys(gatepost: Installed) -> None:
    await act(gatepost.http, NEW_CLIENT, name="Machine", machine="yes", scope="notes:read")
    await act(gatepost.http, NEW_CLIENT, name="Keys", machine="yes", jwks=json.dumps({"keys": [public(P256)]}))

    by_secret, by_keys = await gatepost.store.clients.list_clients()
    if by_secret.client_name == "Keys":
        by_secret, by_keys = by_keys, by_secret
    assert by_secret.token_endpoint_auth_method == "client_secret_basic"
    assert by_keys.token_endpoint_auth_method == "private_key_jwt"
    assert "registered with it" in (await gatepost.http.get(of(CLIENT, client_id=by_keys.client_id))).text


async def test_an_app_may_be_named_users_by_a_provider_and_be_given_bound_tokens_alone(gatepost: Installed) -> None:
    await act(gatepost.http, NEW_CLIENT, name="Assistant", enterprise_managed="yes", dpop="yes")

    [client] = await gatepost.store.clients.list_clients()
    assert (client.grant_types, client.dpop_bound_access_tokens) == ((JWT_BEARER,), True)
    assert client.token_endpoint_auth_method == "client_secret_basic"


async def test_a_server_that_exchanges_tokens_is_registered_with_its_endpoints(gatepost: Installed) -> None:
    await act(gatepost.http, NEW_CLIENT, name="Front", exchange_from="/mcp", exchange_to="/notes /mail/")

    [client] = await gatepost.store.clients.list_clients()
    assert (client.exchange_from, client.exchange_to) == (("/mcp",), ("/notes", "/mail"))
    assert client.grant_types == ("urn:ietf:params:oauth:grant-type:token-exchange",)
    assert client.token_endpoint_auth_method == "client_secret_basic"
    page = (await gatepost.http.get(of(CLIENT, client_id=client.client_id))).text
    assert "<dd><code>/notes</code><code>/mail</code></dd>" in page


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"redirect_uris": ""}, "Name the address to which"),
        ({"redirect_uris": "http://app.example/cb"}, "cannot be registered like this"),
        ({"redirect_uris": "javascript:alert(1)"}, "cannot be registered like this"),
        ({"name": " "}, "Say what the app is called."),
        ({"auth_method": "tls_client_auth"}, "cannot be registered like this"),
        ({"machine": "yes", "auth_method": "none"}, "cannot be registered like this"),
        ({"jwks": "no JSON"}, "which is JSON"),
        ({"jwks": "[" * 3000}, "which is JSON"),
        ({"jwks": "[]"}, "cannot be registered like this"),
        ({"scope": 'quo"ted'}, "cannot be registered like this"),
        ({"exchange_from": "/mcp"}, "needs both"),
        ({"exchange_to": "/mcp"}, "needs both"),
        ({"exchange_from": "/mcp", "exchange_to": "notes"}, "Endpoints are paths such as /mcp"),
        ({"exchange_from": "/a", "exchange_to": "/b", "auth_method": "none"}, "cannot be registered like this"),
        ({"refresh_reuse": "-1"}, "Seconds are a number"),
        ({"refresh_reuse": "9" * 8}, "Seconds are a number"),
        ({"refresh_reuse": "\u0663"}, "Seconds are a number"),
    ],
)
async def test_an_app_that_cannot_be_is_not_registered_and_nothing_typed_is_lost(
    gatepost: Installed, fields: dict[str, str], problem: str
) -> None:
    answer = await act(gatepost.http, NEW_CLIENT, **{**APP, **fields})

    assert answer.status_code == 422
    assert problem in answer.text
    assert 'role="alert"' in answer.text
    assert "name" in fields or 'value="Reading list"' in answer.text
    assert "redirect_uris" in fields or "https://app.example/other" in answer.text
    assert await gatepost.store.clients.list_clients() == []


async def test_an_app_gets_a_new_secret_and_the_old_one_is_dead(gatepost: Installed) -> None:
    made = await act(gatepost.http, NEW_CLIENT, **APP, auth_method="client_secret_basic")
    [old] = re.findall(r"gp_cs_[^<]*", (await gatepost.http.get(made.headers["location"])).text)
    [client] = await gatepost.store.clients.list_clients()
    assert "Make a new secret" in (await gatepost.http.get(of(CLIENT, client_id=client.client_id))).text

    answer = await act(gatepost.http, CLIENT, client_id=client.client_id, do="rotate_secret")

    [new] = re.findall(r"<code>(gp_cs_[^<]*)", (await gatepost.http.get(answer.headers["location"])).text)
    found = await gatepost.store.clients.find_client(client.client_id)
    assert found is not None
    assert found.secret_fingerprint == fingerprint(new) != fingerprint(old)
    [kept] = await events(gatepost, event="client_secret_rotated")
    assert (kept.client_id, kept.actor) == (client.client_id, (await person(gatepost, "ada")).subject)


async def test_an_app_without_a_secret_gets_none(gatepost: Installed) -> None:
    await act(gatepost.http, NEW_CLIENT, **APP)
    [client] = await gatepost.store.clients.list_clients()
    here = of(CLIENT, client_id=client.client_id)

    answer = await act(gatepost.http, CLIENT, client_id=client.client_id, do="rotate_secret")

    assert answer.headers["location"] == here
    assert "Make a new secret" not in (await gatepost.http.get(here)).text
    assert await gatepost.store.clients.list_clients() == [client]
    assert await events(gatepost, event="client_secret_rotated") == []


async def test_how_old_refresh_tokens_of_an_app_may_be_is_said_on_its_page(gatepost: Installed) -> None:
    await act(gatepost.http, NEW_CLIENT, **APP)
    [client] = await gatepost.store.clients.list_clients()

    async def save(seconds: str) -> tuple[int, int | None]:
        answer = await act(gatepost.http, CLIENT, client_id=client.client_id, do="refresh_reuse", seconds=seconds)
        found = await gatepost.store.clients.find_client(client.client_id)
        assert found is not None
        return answer.status_code, found.refresh_reuse

    assert [await save(seconds) for seconds in ("60", "60", "soon", "0", "")] == [
        (303, 60),
        (303, 60),
        (422, 60),
        (303, 0),
        (303, None),
    ]
    assert len(await events(gatepost, event="client_updated")) == 3
    assert f'href="{NEW_CLIENT}"' in (await gatepost.http.get(CLIENTS)).text

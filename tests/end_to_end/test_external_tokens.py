"""Access tokens of an authorization server that others wrote (npm's `oidc-provider`), named by two variables."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

from tests.conftest import RequireService
from tests.end_to_end import local_http
from tests.end_to_end.conftest import TARGET
from tests.end_to_end.openid_provider import SECRET, OpenIDProvider, install
from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.scripted_client import App, Person

REDIRECT_URI = "http://127.0.0.1:9999/callback"


@pytest.fixture(scope="module")
def company(require_service: RequireService) -> Iterator[OpenIDProvider]:
    """A running authorization server."""
    require_service("oidc-provider (npm)", available=install())
    provider = OpenIDProvider(REDIRECT_URI)
    yield provider.start()
    provider.stop()


@pytest.fixture(scope="module")
def server(company: OpenIDProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that has none of its own."""
    environment = {"OAUTH_ENABLE_AS": "false", "OAUTH_ISSUER": company.issuer, "HTTPS_PROXY": "http://127.0.0.1:9"}
    with RunningServer(TARGET, tmp_path_factory.mktemp("external") / "data", environment=environment) as running:
        yield running


def token_of(company: OpenIDProvider, **form: str) -> str:
    """Return an access token that the company issues."""
    client = base64.b64encode(f"gatepost:{quote(SECRET, safe='')}".encode()).decode()
    answer = local_http.post(f"{company.issuer}/token", data=form, headers={"Authorization": f"Basic {client}"})
    assert answer.status_code == 200, answer.text
    token: str = answer.json()["access_token"]
    return token


def persons_token(company: OpenIDProvider, username: str, resource: str) -> str:
    """Return a token of a person who logs in there and allows it."""
    verifier = secrets.token_urlsafe(48)
    query = {
        "response_type": "code",
        "client_id": "gatepost",
        "redirect_uri": REDIRECT_URI,
        "scope": "openid notes:write",
        "code_challenge": base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
        "resource": resource,
    }
    person = Person(company.issuer, username, issuer=company.issuer)
    (code,) = parse_qs(urlsplit(person.decide(f"{company.issuer}/auth?{urlencode(query)}")).query)["code"]
    form = {"code": code, "redirect_uri": REDIRECT_URI, "code_verifier": verifier, "resource": resource}
    return token_of(company, grant_type="authorization_code", **form)


def clients_token(company: OpenIDProvider, resource: str, scope: str = "notes:write") -> str:
    """Return a token of the client itself."""
    return token_of(company, grant_type="client_credentials", resource=resource, scope=scope)


def added_by(server: RunningServer, token: str) -> str:
    """Return what the tool says of who called it."""
    answer = App(server.origin).call(token, "add", {"text": "milk"})
    assert answer.status_code == 200, answer.text
    text: str = answer.json()["result"]["content"][0]["text"]
    return text


def status(server: RunningServer, token: str) -> int:
    """Return how a call is answered."""
    return App(server.origin).call(token, "add", {"text": "milk"}).status_code


def test_a_client_finds_the_issuer_and_its_token_is_taken(server: RunningServer, company: OpenIDProvider) -> None:
    challenge = local_http.post(server.mcp_url, json={}).headers["www-authenticate"]
    metadata = local_http.get(challenge.partition('resource_metadata="')[2].partition('"')[0]).json()
    assert (metadata["resource"], metadata["authorization_servers"]) == (server.mcp_url, [company.issuer])
    assert local_http.get(f"{company.issuer}/.well-known/openid-configuration").json()["issuer"] == company.issuer

    assert added_by(server, clients_token(company, metadata["resource"])).startswith("gatepost")


def test_a_person_who_logs_in_there_is_known_here(server: RunningServer, company: OpenIDProvider) -> None:
    assert added_by(server, persons_token(company, "ada", server.mcp_url)).startswith("ada")
    assert added_by(server, persons_token(company, "bob", server.mcp_url)).startswith("bob")


def test_another_resource_fewer_scopes_and_an_opaque_token_are_refused(
    server: RunningServer, company: OpenIDProvider
) -> None:
    assert status(server, clients_token(company, f"{server.origin}/other")) == 401
    assert status(server, clients_token(company, server.mcp_url, "notes:read")) == 403
    assert status(server, token_of(company, grant_type="client_credentials")) == 401


def test_new_keys_count_at_once_and_an_issuer_that_is_gone_logs_nobody_out(
    server: RunningServer, company: OpenIDProvider
) -> None:
    before = clients_token(company, server.mcp_url)
    assert status(server, before) == 200
    company.rotate()
    after = clients_token(company, server.mcp_url)
    assert key_id(before) != key_id(after)
    assert status(server, after) == 200
    company.stop()
    try:
        assert status(server, after) == 200
    finally:
        company.start()


def key_id(token: str) -> Any:
    """Return the name of the key in a token's header."""
    header = token.partition(".")[0]
    return json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"]


@pytest.fixture(scope="module")
def opaque_company(require_service: RequireService) -> Iterator[OpenIDProvider]:
    """A running authorization server whose access tokens say nothing themselves."""
    require_service("oidc-provider (npm)", available=install())
    provider = OpenIDProvider(REDIRECT_URI, tokens="opaque")
    yield provider.start()
    provider.stop()


@pytest.fixture(scope="module")
def asking_server(opaque_company: OpenIDProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that asks it about each of them."""
    environment = {
        "OAUTH_ENABLE_AS": "false",
        "OAUTH_ISSUER": opaque_company.issuer,
        "OAUTH_ISSUER_CLIENT_ID": "gatepost",
        "OAUTH_ISSUER_CLIENT_SECRET": SECRET,
    }
    with RunningServer(TARGET, tmp_path_factory.mktemp("asking") / "data", environment=environment) as running:
        yield running


def test_opaque_tokens_count_for_whom_the_issuer_says(
    asking_server: RunningServer, opaque_company: OpenIDProvider
) -> None:
    of_ada = persons_token(opaque_company, "ada", asking_server.mcp_url)
    assert "." not in of_ada
    assert added_by(asking_server, of_ada).startswith("ada")
    assert added_by(asking_server, clients_token(opaque_company, asking_server.mcp_url)).startswith("gatepost")


def test_an_opaque_token_for_another_resource_with_fewer_scopes_revoked_or_made_up_is_refused(
    asking_server: RunningServer, opaque_company: OpenIDProvider
) -> None:
    assert status(asking_server, clients_token(opaque_company, f"{asking_server.origin}/other")) == 401
    assert status(asking_server, clients_token(opaque_company, asking_server.mcp_url, "notes:read")) == 403
    assert status(asking_server, "made-up") == 401

    revoked = clients_token(opaque_company, asking_server.mcp_url)
    client = base64.b64encode(f"gatepost:{quote(SECRET, safe='')}".encode()).decode()
    answer = local_http.post(
        f"{opaque_company.issuer}/token/revocation",
        data={"token": revoked},
        headers={"Authorization": f"Basic {client}"},
    )
    assert answer.status_code == 200
    assert status(asking_server, revoked) == 401

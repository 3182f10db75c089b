"""Clients that the operator names, and what becomes of those whom the settings name no longer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gatepost.oauth.errors import InvalidClientMetadata, InvalidRedirectUri
from gatepost.oauth.operator_clients import (
    Reconciliation,
    lost_grants,
    placeholder_of,
    read_preregistration,
    reconcile,
    serves_people,
)
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client, ClientMetadata, ClientOrigin, Grant
from gatepost.stores.conformance.records import client

DOCUMENT: dict[str, Any] = {
    "client_name": "Billing",
    "redirect_uris": ["https://app.example/callback"],
    "token_endpoint_auth_method": "client_secret_basic",
    "scope": "anything notes:read",
}
METADATA = ClientMetadata(
    client_name="Billing",
    redirect_uris=("https://app.example/callback",),
    grant_types=("authorization_code", "refresh_token"),
    response_types=("code",),
    token_endpoint_auth_method="client_secret_basic",
    application_type="web",
    scope="anything notes:read",
    client_uri=None,
    logo_uri=None,
    jwks=None,
    jwks_uri=None,
    dpop_bound_access_tokens=False,
)


def test_the_scopes_of_the_operator_are_taken_as_they_are() -> None:
    assert read_preregistration(DOCUMENT, is_machine=False) == METADATA
    without = {name: value for name, value in DOCUMENT.items() if name != "scope"}
    assert read_preregistration(without, is_machine=False) == replace(METADATA, scope=None)


def test_a_machine_with_redirect_uris_serves_people_too() -> None:
    assert read_preregistration(DOCUMENT, is_machine=True) == replace(
        METADATA, grant_types=("authorization_code", "refresh_token", "client_credentials")
    )


@pytest.mark.parametrize("without", [{"redirect_uris": []}, {"redirect_uris": None}])
def test_a_machine_without_acts_for_itself_only(without: dict[str, Any]) -> None:
    assert read_preregistration({**DOCUMENT, **without}, is_machine=True) == replace(
        METADATA, redirect_uris=(), grant_types=("client_credentials",), response_types=()
    )
    with pytest.raises(InvalidRedirectUri):
        read_preregistration({**DOCUMENT, **without}, is_machine=False)


def test_a_machine_has_to_authenticate() -> None:
    with pytest.raises(InvalidClientMetadata) as refused:
        read_preregistration({**DOCUMENT, "token_endpoint_auth_method": "none"}, is_machine=True)
    assert refused.value.reason is Reason.CLIENT_METADATA_INVALID
    assert refused.value.description.startswith("A client that acts without a login here has to authenticate: ")


def named(client_id: str, **changes: Any) -> Client:
    return client(client_id, **{"origin": ClientOrigin.SETTINGS, **changes})


def test_the_settings_decide_what_is_added_changed_and_removed() -> None:
    kept = {
        "same": named("same", created_at=1),
        "changed": named("changed", created_at=2),
        "gone-2": named("gone-2"),
        "gone-1": named("gone-1"),
    }
    wanted = [
        named("same", created_at=9),
        named("changed", created_at=9, client_name="Other"),
        named("new", created_at=9),
    ]
    assert reconcile(kept, wanted) == Reconciliation(
        added=(named("new", created_at=9),),
        changed=(named("changed", created_at=2, client_name="Other"),),
        removed=("gone-1", "gone-2"),
    )
    assert reconcile({}, []) == Reconciliation(added=(), changed=(), removed=(), taken=())


def test_nothing_is_done_where_an_id_is_somebody_elses() -> None:
    kept = {"app": client("app", origin=ClientOrigin.DYNAMIC), "gone": named("gone")}
    assert reconcile(kept, [named("new"), named("app")]) == Reconciliation(taken=("app",))


def grant(grant_id: str, subject: str, *scopes: str) -> Grant:
    return Grant(grant_id, subject, "client-1", "https://mcp.example.com/mcp", scopes, 1_000, 9_000)


OF_A_PERSON = grant("of a person", "user-1", "a", "b", "c")
OWN = grant("own", "client-1", "a", "b")


@pytest.mark.parametrize(
    ("grant_types", "scope", "lost"),
    [
        (("authorization_code", "client_credentials"), None, []),
        (("authorization_code", "client_credentials"), "b a", []),
        (("authorization_code", "client_credentials"), "a", ["own"]),
        (("authorization_code",), None, ["own"]),
        (("client_credentials",), "a b", ["of a person"]),
        (("refresh_token",), "a b c", ["of a person", "own"]),
    ],
)
def test_a_changed_client_loses_what_it_could_not_get_any_more(
    grant_types: tuple[str, ...], scope: str | None, lost: list[str]
) -> None:
    changed = client(grant_types=grant_types, scope=scope)
    assert lost_grants(changed, [OF_A_PERSON, OWN]) == lost
    assert serves_people(changed) is ("authorization_code" in grant_types)


def test_of_a_client_that_is_known_by_a_document_its_address_can_be_kept_and_nothing_it_could_use() -> None:
    url = "https://app.example/client.json"
    assert placeholder_of(url, now=7) == Client(
        client_id=url,
        client_name="(known by its document)",
        redirect_uris=(),
        grant_types=(),
        response_types=(),
        token_endpoint_auth_method="none",
        application_type="web",
        scope=None,
        client_uri=None,
        logo_uri=None,
        jwks=None,
        jwks_uri=None,
        dpop_bound_access_tokens=False,
        secret_fingerprint=None,
        created_at=7,
        origin=ClientOrigin.DOCUMENT,
    )


@pytest.mark.parametrize("client_id", ["client-1", "http://app.example/client.json"])
def test_nothing_is_kept_of_a_name_that_does_not_begin_as_the_address_of_a_document(client_id: str) -> None:
    assert placeholder_of(client_id, now=7) is None

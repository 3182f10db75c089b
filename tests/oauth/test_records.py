"""What the records say when nobody said otherwise, and what stands in a store for it."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

import pytest

from gatepost.oauth.records import (
    AccessToken,
    AuthorizationCode,
    AuthorizationTransaction,
    Client,
    ClientMetadata,
    ClientOrigin,
    Grant,
    RefreshToken,
    TransactionState,
)
from gatepost.stores.conformance.records import client


def test_the_words_in_a_store_keep_their_meaning() -> None:
    assert {origin.name: origin.value for origin in ClientOrigin} == {
        "DYNAMIC": "dynamic",
        "PREREGISTERED": "preregistered",
        "SETTINGS": "settings",
        "DOCUMENT": "document",
    }
    assert {state.name: state.value for state in TransactionState} == {
        "PENDING": "pending",
        "APPROVED": "approved",
        "DENIED": "denied",
        "REDEEMED": "redeemed",
    }


@pytest.mark.parametrize(
    ("record", "defaults"),
    [
        (
            Client,
            {
                "origin": "dynamic",
                "registration_token_fingerprint": None,
                "disabled_at": None,
                "refresh_reuse": None,
                "requires_pushed_requests": False,
                "exchange_from": (),
                "exchange_to": (),
            },
        ),
        (
            AuthorizationTransaction,
            {
                "state": "pending",
                "started_by_user": False,
                "query": None,
                "dpop_jkt": None,
                "device_code_fingerprint": None,
                "user_code": None,
            },
        ),
        (AuthorizationCode, {"failed_attempts": 0, "grant_id": None, "dpop_jkt": None}),
        (Grant, {"revoked_at": None, "revoked_reason": None, "redirect_uri": None}),
        (AccessToken, {"dpop_jkt": None}),
        (
            RefreshToken,
            {"spent_at": None, "successor_fingerprint": None, "sealed_successor": None, "dpop_jkt": None},
        ),
    ],
)
def test_a_new_record_is_open_unspent_and_in_force(record: Any, defaults: dict[str, Any]) -> None:
    assert {field.name: field.default for field in fields(record) if field.default is not MISSING} == defaults


@pytest.mark.parametrize(
    ("method", "needs_secret"),
    [("none", False), ("client_secret_basic", True), ("client_secret_post", True), ("private_key_jwt", False)],
)
def test_a_client_that_authenticates_with_a_secret_needs_one(method: str, *, needs_secret: bool) -> None:
    assert client(token_endpoint_auth_method=method).needs_secret is needs_secret


def test_the_metadata_of_a_client_is_what_it_said_itself() -> None:
    assert ClientMetadata(**client().metadata()) == ClientMetadata(
        client_name="Notes — für «alle» 🗒",
        redirect_uris=("http://127.0.0.1/callback", "cursor://anysphere.mcp/callback"),
        grant_types=("authorization_code", "refresh_token"),
        response_types=("code",),
        token_endpoint_auth_method="client_secret_basic",
        application_type="native",
        scope="notes:read notes:write",
        client_uri="https://client.example",
        logo_uri="https://client.example/logo.png",
        jwks=None,
        jwks_uri=None,
        dpop_bound_access_tokens=False,
    )

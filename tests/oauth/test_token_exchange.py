"""The rules of token exchange (RFC 8693)."""

from __future__ import annotations

from typing import Any

import pytest

from gatepost.oauth.errors import (
    InvalidDpopProof,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    OAuthError,
    UnauthorizedClient,
)
from gatepost.oauth.operator_clients import preregistration, read_preregistration
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import ClientOrigin
from gatepost.oauth.token_exchange import (
    ACCESS_TOKEN_TYPE,
    JWT_TYPE,
    MOST_ACTORS,
    TOKEN_EXCHANGE,
    HeldToken,
    act_claim,
    actors_of,
    check_actor,
    check_may_exchange,
    check_subject,
    check_token_types,
    endpoint_name,
    exchanged_scopes,
    named_target,
    read_endpoints,
)
from gatepost.stores.conformance.records import RESOURCE, client

FRONT = client("front", origin=ClientOrigin.PREREGISTERED, exchange_from=("/mcp",), exchange_to=("/notes",))
HELD = HeldToken("user-1", "app", RESOURCE, ("notes:read",))
REFRESH_TYPE = "urn:ietf:params:oauth:token-type:refresh_token"


def test_a_client_that_the_operator_lists_may_exchange() -> None:
    check_may_exchange(FRONT)
    check_may_exchange(
        client("front", origin=ClientOrigin.SETTINGS, exchange_from=("/mcp",), exchange_to=("/notes", "/mail"))
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": ClientOrigin.DYNAMIC},
        {"origin": ClientOrigin.DOCUMENT},
        {"token_endpoint_auth_method": "none"},
        {"exchange_from": ()},
        {"exchange_to": ()},
    ],
)
def test_no_other_client_may(changes: dict[str, Any]) -> None:
    listed: dict[str, Any] = {
        "origin": ClientOrigin.PREREGISTERED,
        "exchange_from": ("/mcp",),
        "exchange_to": ("/notes",),
    }
    with pytest.raises(UnauthorizedClient):
        check_may_exchange(client("front", **{**listed, **changes}))


@pytest.mark.parametrize(
    ("subject", "actor", "requested", "has_actor", "reason"),
    [
        (ACCESS_TOKEN_TYPE, None, None, False, None),
        (JWT_TYPE, None, ACCESS_TOKEN_TYPE, False, None),
        (ACCESS_TOKEN_TYPE, JWT_TYPE, None, True, None),
        (REFRESH_TYPE, None, None, False, Reason.TOKEN_TYPE_UNSUPPORTED),
        (ACCESS_TOKEN_TYPE, REFRESH_TYPE, None, True, Reason.TOKEN_TYPE_UNSUPPORTED),
        (ACCESS_TOKEN_TYPE, None, REFRESH_TYPE, False, Reason.TOKEN_TYPE_UNSUPPORTED),
        (ACCESS_TOKEN_TYPE, None, JWT_TYPE, False, Reason.TOKEN_TYPE_UNSUPPORTED),
        (ACCESS_TOKEN_TYPE, None, None, True, Reason.PARAMETER_MISSING),
        (ACCESS_TOKEN_TYPE, ACCESS_TOKEN_TYPE, None, False, Reason.PARAMETER_MISSING),
    ],
)
def test_types_are_those_of_access_tokens_and_an_actor_has_both_or_neither(
    subject: str, actor: str | None, requested: str | None, has_actor: bool, reason: Reason | None
) -> None:
    if reason is None:
        check_token_types(subject, actor, requested, has_actor=has_actor)
        return
    with pytest.raises(InvalidRequest) as refused:
        check_token_types(subject, actor, requested, has_actor=has_actor)
    assert refused.value.reason is reason


BOUND = HeldToken("user-1", "app", RESOURCE, (), "key")
OWN_BOUND = HeldToken("user-1", "front", RESOURCE, (), "key")


@pytest.mark.parametrize(
    ("token", "is_received", "dpop_jkt", "refusal"),
    [
        (HELD, True, None, None),
        (HELD, True, "other", None),
        (HELD, False, None, InvalidRequest),
        (BOUND, True, "other", None),
        (BOUND, True, None, InvalidDpopProof),
        (BOUND, False, "key", InvalidRequest),
        (OWN_BOUND, True, "key", None),
        (OWN_BOUND, True, "other", InvalidGrant),
        (OWN_BOUND, True, None, InvalidDpopProof),
    ],
)
def test_a_token_is_exchanged_by_whom_it_was_sent_to_and_keeps_a_key(
    token: HeldToken, is_received: bool, dpop_jkt: str | None, refusal: type[OAuthError] | None
) -> None:
    if refusal is None:
        check_subject(token, FRONT, is_received=is_received, dpop_jkt=dpop_jkt)
        return
    with pytest.raises(refusal):
        check_subject(token, FRONT, is_received=is_received, dpop_jkt=dpop_jkt)


@pytest.mark.parametrize(
    ("token", "dpop_jkt", "refusal"),
    [
        (HeldToken("front", "front", RESOURCE, ()), None, None),
        (HeldToken("user-2", "front", RESOURCE, ()), "any", None),
        (HELD, None, InvalidRequest),
        (HeldToken("user-2", "front", RESOURCE, (), actors=("front",)), None, InvalidRequest),
        (OWN_BOUND, "key", None),
        (OWN_BOUND, "other", InvalidGrant),
        (OWN_BOUND, None, InvalidDpopProof),
    ],
)
def test_an_actor_is_one_that_the_client_has_a_token_of(
    token: HeldToken, dpop_jkt: str | None, refusal: type[OAuthError] | None
) -> None:
    if refusal is None:
        check_actor(token, FRONT, dpop_jkt=dpop_jkt)
        return
    with pytest.raises(refusal):
        check_actor(token, FRONT, dpop_jkt=dpop_jkt)


def test_actors_stand_one_behind_the_other_and_are_few() -> None:
    assert actors_of(HELD, "front") == ("front",)
    assert actors_of(HeldToken("u", "a", RESOURCE, (), actors=("b", "a")), "c") == ("c", "b", "a")
    assert MOST_ACTORS == 3
    with pytest.raises(InvalidRequest) as refused:
        actors_of(HeldToken("u", "a", RESOURCE, (), actors=("c", "b", "a")), "d")
    assert refused.value.reason is Reason.ACTORS_TOO_MANY


def test_the_claim_has_the_current_actor_outside_and_the_first_inside() -> None:
    assert act_claim(()) is None
    assert act_claim(("a",)) == {"sub": "a"}
    assert act_claim(("c", "b", "a")) == {"sub": "c", "act": {"sub": "b", "act": {"sub": "a"}}}


def test_resource_and_audience_name_one() -> None:
    assert named_target(None, None) is None
    assert named_target(RESOURCE, None) == named_target(None, RESOURCE) == named_target(RESOURCE, RESOURCE) == RESOURCE
    with pytest.raises(InvalidTarget):
        named_target(RESOURCE, "https://other.example")


KNOWN = {"notes:read": "", "notes:write": ""}


@pytest.mark.parametrize(
    ("requested", "held", "ceiling", "given"),
    [
        (None, ("notes:read", "mail:read"), None, ("notes:read",)),
        ("", ("notes:read", "notes:write"), None, ("notes:read", "notes:write")),
        ("notes:write", ("notes:read", "notes:write"), None, ("notes:write",)),
        (None, ("notes:read", "notes:write"), "notes:write mail:read", ("notes:write",)),
        ("elsewhere notes:read", ("notes:read", "notes:write"), None, ("notes:read",)),
    ],
)
def test_scopes_are_those_that_the_token_has_and_the_endpoint_knows(
    requested: str | None, held: tuple[str, ...], ceiling: str | None, given: tuple[str, ...]
) -> None:
    assert exchanged_scopes(requested, held=held, known=KNOWN, ceiling=ceiling) == given


@pytest.mark.parametrize(
    ("requested", "held", "ceiling"),
    [
        ("notes:write", ("notes:read",), None),
        ("notes:read notes:write", ("notes:read",), None),
        ("notes:write", ("notes:read", "notes:write"), "notes:read"),
        (None, ("mail:read",), None),
        (None, ("notes:read",), "notes:write"),
        (None, (), None),
        ('"', ("notes:read",), None),
    ],
)
def test_more_than_that_is_refused(requested: str | None, held: tuple[str, ...], ceiling: str | None) -> None:
    with pytest.raises(InvalidScope):
        exchanged_scopes(requested, held=held, known=KNOWN, ceiling=ceiling)


def test_an_endpoint_without_scopes_needs_none() -> None:
    assert exchanged_scopes(None, held=("notes:read",), known={}, ceiling=None) == ()


def test_paths_are_read_as_endpoints_have_them() -> None:
    assert read_endpoints(["/mcp", "/notes/", "/mcp/", "/"]) == ("/mcp", "/notes", "/")
    assert (endpoint_name(""), endpoint_name("/mcp")) == ("/", "/mcp")
    assert read_endpoints(f"/{number}" for number in range(100))[-1] == "/99"


@pytest.mark.parametrize(
    "word", ["", "mcp", "//evil.example", "https://mcp.example.com/mcp", "/a b", "/a\n", "/é", "/a?b", "/a#b", '/"']
)
def test_anything_else_is_no_path(word: str) -> None:
    with pytest.raises(ValueError, match="paths of endpoints"):
        read_endpoints([word])


def test_there_are_so_many_paths_at_most() -> None:
    with pytest.raises(ValueError, match="100 paths at most"):
        read_endpoints(f"/{number}" for number in range(101))


def test_whoever_exchanges_authenticates_and_needs_no_redirect_uri() -> None:
    typed: dict[str, Any] = {"redirect_uris": [], "is_machine": False, "jwks": None, "jwks_uri": None, "scope": None}
    document = preregistration("Front", exchanges=True, auth_method=None, **typed)
    metadata = read_preregistration(document, is_machine=False, exchanges=True)
    assert metadata.grant_types == (TOKEN_EXCHANGE,)
    assert metadata.token_endpoint_auth_method == "client_secret_basic"
    assert metadata.redirect_uris == metadata.response_types == ()
    public = preregistration("Front", exchanges=True, auth_method="none", **typed)
    with pytest.raises(OAuthError) as refused:
        read_preregistration(public, is_machine=False, exchanges=True)
    assert refused.value.reason is Reason.CLIENT_METADATA_INVALID

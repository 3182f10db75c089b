"""What a machine gets for itself (RFC 6749 section 4.4)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gatepost.oauth.client_credentials import check_machine, client_gone, machine_grant, machine_scopes
from gatepost.oauth.errors import InvalidScope, UnauthorizedClient
from gatepost.oauth.policy import Lifetimes
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import ClientOrigin, Grant
from gatepost.stores.conformance.records import client

MACHINE = replace(
    client(), token_endpoint_auth_method="client_secret_post", scope=None, origin=ClientOrigin.PREREGISTERED
)


@pytest.mark.parametrize("origin", [ClientOrigin.PREREGISTERED, ClientOrigin.SETTINGS])
def test_a_client_of_the_operator_that_proves_itself_may_act_for_itself(origin: ClientOrigin) -> None:
    check_machine(replace(MACHINE, origin=origin))


@pytest.mark.parametrize(
    "other",
    [
        replace(MACHINE, origin=ClientOrigin.DYNAMIC),
        replace(MACHINE, origin=ClientOrigin.DOCUMENT),
        replace(MACHINE, token_endpoint_auth_method="none"),
    ],
)
def test_no_other_may(other: object) -> None:
    with pytest.raises(UnauthorizedClient) as refused:
        check_machine(other)  # type: ignore[arg-type] # parametrize knows no types
    assert refused.value.reason is Reason.GRANT_TYPE_NOT_REGISTERED
    assert refused.value.description.startswith("client_credentials is for clients ")


@pytest.mark.parametrize(
    ("requested", "own", "scopes"),
    [
        (None, None, ("a",)),
        ("b", None, ("b",)),
        (None, "b gone", ("b",)),
        ("a b", "b c", ("b",)),
        ("a b c", "c b", ("b", "c")),
    ],
)
def test_a_token_has_what_is_asked_for_inside_what_the_client_may_have(
    requested: str | None, own: str | None, scopes: tuple[str, ...]
) -> None:
    given = machine_scopes(requested, client=replace(MACHINE, scope=own), known=("a", "b", "c"), default=("a",))
    assert sorted(given) == sorted(scopes)


@pytest.mark.parametrize(("requested", "own"), [("a", "b"), (None, "gone"), (None, "")])
def test_a_token_without_any_scope_is_refused(requested: str | None, own: str) -> None:
    with pytest.raises(InvalidScope) as refused:
        machine_scopes(requested, client=replace(MACHINE, scope=own), known=("a", "b"), default=("a",))
    assert refused.value.reason is Reason.SCOPE_WIDER_THAN_GRANTED


def test_where_there_are_no_scopes_a_token_needs_none() -> None:
    assert machine_scopes(None, client=MACHINE, known=(), default=()) == ()


def test_the_grant_ends_with_its_token() -> None:
    grant = machine_grant(
        MACHINE,
        resource="https://mcp.example.com/mcp",
        scopes=("a",),
        now=1_000,
        lifetimes=Lifetimes(access_token=60, grant=9_999),
        random_bytes=lambda count: b"r" * count,
    )
    assert grant == Grant(
        grant_id="grant_cnJycnJycnJycnJycnJycg",
        subject=MACHINE.client_id,
        client_id=MACHINE.client_id,
        resource="https://mcp.example.com/mcp",
        scopes=("a",),
        created_at=1_000,
        expires_at=1_060,
    )


def test_a_client_that_is_gone_by_then_is_told_so() -> None:
    refusal = client_gone()
    assert (refusal.reason, refusal.description) == (Reason.CLIENT_DISABLED, "This client was disabled or removed.")

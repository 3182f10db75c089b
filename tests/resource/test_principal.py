"""Who calls."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gatepost.resource.principal import API_KEY_SUBJECT, COMMAND_LINE_CLIENT, Principal

ADA = Principal(
    subject="user-1",
    client_id="client-1",
    scopes=frozenset({"notes:read", "notes:write"}),
    resource="https://mcp.example.com/mcp",
    issuer="https://mcp.example.com",
    grant_id="grant-1",
    expires_at=5_000,
)


def test_nothing_is_known_of_a_person_that_the_token_does_not_say() -> None:
    assert replace(ADA, display_name=None, client_name=None, user_issuer=None, profile=None) == ADA


@pytest.mark.parametrize(
    ("scopes", "is_granted"),
    [
        (frozenset(), True),
        (frozenset({"notes:read"}), True),
        (ADA.scopes, True),
        (frozenset({"notes:read", "notes:delete"}), False),
    ],
)
def test_a_caller_has_scopes_that_were_all_granted(scopes: frozenset[str], *, is_granted: bool) -> None:
    assert ADA.has(scopes) is is_granted


def test_what_the_issuer_says_of_a_person_is_not_printed() -> None:
    printed = repr(replace(ADA, profile='["ada@example.com"]'))
    assert printed == repr(ADA)
    assert "profile" not in printed


def test_the_operators_key_has_a_subject_of_its_own() -> None:
    assert API_KEY_SUBJECT == "api-key"


def test_tokens_that_the_command_makes_are_kept_as_those_of_one_client() -> None:
    """Stores hold the name, and the guard knows those tokens by it."""
    assert COMMAND_LINE_CLIENT == "gatepost-cli"

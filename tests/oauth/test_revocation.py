"""Which grant ends when a client gives a token back (RFC 7009)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gatepost.oauth.errors import InvalidGrant
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Grant
from gatepost.oauth.revocation import check_revocation

GRANT = Grant("grant_1", "user-1", "app", "https://mcp.example.com/mcp", ("notes:read",), 1_000, 9_000)


def test_the_grant_of_the_clients_token_ends() -> None:
    assert check_revocation(GRANT, client_id="app") is GRANT


def test_nothing_is_left_to_end_of_an_unknown_token_or_a_grant_that_ended() -> None:
    assert check_revocation(None, client_id="app") is None
    assert check_revocation(replace(GRANT, revoked_at=0), client_id="app") is None


@pytest.mark.parametrize("grant", [GRANT, replace(GRANT, revoked_at=2_000)])
def test_the_token_of_another_client_stays(grant: Grant) -> None:
    with pytest.raises(InvalidGrant) as refused:
        check_revocation(grant, client_id="other")
    assert refused.value.reason is Reason.TOKEN_OF_ANOTHER_CLIENT
    assert refused.value.description == "The token was issued to another client."

from dataclasses import asdict

import pytest

from gatepost.oauth.policy import (
    ALWAYS_THEFT,
    LONGEST_REUSE,
    AuthorizationServer,
    AutoApprove,
    Lifetimes,
    StaleTokens,
)


@pytest.mark.parametrize(
    ("auto_approve", "on_loopback", "elsewhere"),
    [
        (AutoApprove.NEVER, False, False),
        (AutoApprove.LOOPBACK_REDIRECTS, True, False),
        (AutoApprove.ALWAYS, True, True),
    ],
)
def test_consent_is_skipped_only_where_the_operator_said_so(
    auto_approve: AutoApprove, *, on_loopback: bool, elsewhere: bool
) -> None:
    rules = AuthorizationServer("https://mcp.example.com", Lifetimes(), auto_approve=auto_approve)
    assert rules.skips_consent(to_loopback=True) is on_loopback
    assert rules.skips_consent(to_loopback=False) is elsewhere


def test_consent_is_asked_by_default() -> None:
    assert AuthorizationServer("https://mcp.example.com", Lifetimes()).auto_approve is AutoApprove.NEVER


def test_an_approval_lasts_a_year_and_an_access_token_an_hour_unless_told_otherwise() -> None:
    assert asdict(Lifetimes()) == {
        "access_token": 3_600,
        "refresh_token": 2_592_000,
        "grant": 31_536_000,
        "authorization_code": 600,
        "transaction": 1_800,
        "pushed_request": 90,
        "device_code": 600,
        "refresh_window": 120,
        "refresh_reuse": 86_400,
        "browser_session": 43_200,
    }


def test_clients_register_by_themselves_and_documents_and_keys_are_the_operators_choice() -> None:
    rules = AuthorizationServer("https://mcp.example.com", Lifetimes())
    assert rules == AuthorizationServer(
        "https://mcp.example.com",
        Lifetimes(),
        registration_enabled=True,
        client_documents_enabled=False,
        auto_approve=AutoApprove.NEVER,
        publishes_keys=False,
    )


def test_nobody_may_set_that_a_replaced_refresh_token_counts_for_more_than_thirty_days() -> None:
    assert LONGEST_REUSE == 2_592_000


def test_by_the_letter_no_second_use_of_a_refresh_token_gets_anything() -> None:
    assert StaleTokens(seconds=0, grant=0) == ALWAYS_THEFT

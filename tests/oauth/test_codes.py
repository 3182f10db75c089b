from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.oauth.codes import check_code
from gatepost.oauth.errors import InvalidGrant, InvalidTarget, OAuthError
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import AuthorizationCode

# RFC 7636 appendix B.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

CODE = AuthorizationCode(
    code_fingerprint=b"c" * 32,
    transaction_id="transaction-1",
    client_id="client-1",
    redirect_uri="https://app.example/callback",
    redirect_uri_was_sent=True,
    scopes=("notes:read",),
    resource="https://mcp.example.com/mcp",
    code_challenge=CHALLENGE,
    subject="user-1",
    created_at=1000,
    expires_at=1600,
)


def check(
    code: AuthorizationCode | None = CODE,
    *,
    client_id: str = "client-1",
    redirect_uri: str | None = "https://app.example/callback",
    resource: str | None = "https://mcp.example.com/mcp",
    code_verifier: str = VERIFIER,
    now: int = 1599,
) -> AuthorizationCode:
    return check_code(
        code,
        client_id=client_id,
        redirect_uri=redirect_uri,
        resource=resource,
        code_verifier=code_verifier,
        now=now,
    )


def refusal(**arguments: object) -> tuple[type[OAuthError], Reason]:
    with pytest.raises(OAuthError) as caught:
        check(**arguments)  # type: ignore[arg-type] # the tests below name each argument by its type
    return type(caught.value), caught.value.reason


def test_a_code_is_redeemed_by_the_request_that_matches_it() -> None:
    assert check() is CODE


def test_a_client_that_names_no_resource_gets_the_one_of_the_code() -> None:
    assert check(resource=None) is CODE


def test_a_redirect_uri_that_was_not_sent_at_first_need_not_be_sent_now() -> None:
    code = replace(CODE, redirect_uri_was_sent=False)
    assert check(code, redirect_uri=None) is code
    assert check(code) is code


def test_an_unknown_code_is_refused() -> None:
    assert refusal(code=None) == (InvalidGrant, Reason.CODE_UNKNOWN)


def test_a_code_ends_in_the_second_it_expires() -> None:
    assert refusal(now=1600) == (InvalidGrant, Reason.CODE_UNKNOWN)


def test_another_clients_code_is_refused_before_anything_else_is_said_about_it() -> None:
    spent = replace(CODE, grant_id="grant-1", failed_attempts=9)
    assert refusal(code=spent, client_id="client-2") == (InvalidGrant, Reason.CODE_OF_ANOTHER_CLIENT)


def test_a_spent_code_is_a_replay_whatever_else_the_request_says() -> None:
    spent = replace(CODE, grant_id="grant-1", failed_attempts=9)
    assert refusal(code=spent, code_verifier="wrong", redirect_uri=None) == (InvalidGrant, Reason.CODE_REPLAYED)


@pytest.mark.parametrize(
    "redirect_uri",
    [None, "https://app.example/callback/", "https://APP.example/callback", "https://app.example/callback?x"],
)
def test_the_redirect_uri_has_to_be_sent_again_byte_for_byte(redirect_uri: str | None) -> None:
    assert refusal(redirect_uri=redirect_uri) == (InvalidGrant, Reason.CODE_REDIRECT_URI_MISMATCH)


def test_a_redirect_uri_that_is_sent_without_need_has_to_be_true() -> None:
    code = replace(CODE, redirect_uri_was_sent=False)
    assert refusal(code=code, redirect_uri="https://evil.example/") == (InvalidGrant, Reason.CODE_REDIRECT_URI_MISMATCH)


def test_another_resource_is_refused() -> None:
    assert refusal(resource="https://mcp.example.com/mail") == (InvalidTarget, Reason.CODE_RESOURCE_MISMATCH)


@pytest.mark.parametrize("code_verifier", ["", "short", CHALLENGE, VERIFIER[:-1], VERIFIER + "A", VERIFIER + "\n"])
def test_a_wrong_verifier_is_refused(code_verifier: str) -> None:
    assert refusal(code_verifier=code_verifier) == (InvalidGrant, Reason.CODE_VERIFIER_WRONG)


def test_the_right_verifier_comes_too_late_after_too_many_wrong_ones() -> None:
    last_chance = replace(CODE, failed_attempts=4)
    assert check(last_chance) is last_chance
    exhausted = replace(CODE, failed_attempts=5)
    assert refusal(code=exhausted) == (InvalidGrant, Reason.CODE_ATTEMPTS_EXHAUSTED)


@given(st.text())
def test_no_other_text_is_the_verifier(code_verifier: str) -> None:
    assert refusal(code_verifier=code_verifier) == (InvalidGrant, Reason.CODE_VERIFIER_WRONG)

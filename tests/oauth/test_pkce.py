import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.oauth.errors import InvalidRequest
from gatepost.oauth.pkce import check_challenge, verifier_matches
from gatepost.oauth.reasons import Reason

# RFC 7636 appendix B.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

VERIFIERS = st.text("ABCXYZabcxyz0189-._~", min_size=43, max_size=128)


def challenge_of(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def test_the_example_of_the_rfc_matches() -> None:
    assert check_challenge(CHALLENGE, "S256") == CHALLENGE
    assert verifier_matches(VERIFIER, CHALLENGE)


@given(VERIFIERS)
def test_every_verifier_matches_its_challenge(verifier: str) -> None:
    assert verifier_matches(verifier, check_challenge(challenge_of(verifier), "S256"))


@given(VERIFIERS, VERIFIERS)
def test_a_verifier_matches_no_other_challenge(verifier: str, other: str) -> None:
    assert verifier_matches(verifier, challenge_of(other)) == (verifier == other)


@pytest.mark.parametrize(
    "verifier", ["", "short", "a" * 42, "a" * 129, "a" * 42 + " ", "a" * 42 + "+", "é" * 43, "a" * 43 + "\n"]
)
def test_a_malformed_verifier_matches_not_even_its_own_challenge(verifier: str) -> None:
    assert not verifier_matches(verifier, challenge_of(verifier))


def test_the_challenge_itself_is_no_verifier() -> None:
    assert not verifier_matches(CHALLENGE, CHALLENGE)


@pytest.mark.parametrize(
    ("challenge", "method", "reason"),
    [
        (None, None, Reason.CODE_CHALLENGE_MISSING),
        (None, "S256", Reason.CODE_CHALLENGE_MISSING),
        (CHALLENGE, None, Reason.CODE_CHALLENGE_METHOD_UNSUPPORTED),
        (CHALLENGE, "plain", Reason.CODE_CHALLENGE_METHOD_UNSUPPORTED),
        (CHALLENGE, "s256", Reason.CODE_CHALLENGE_METHOD_UNSUPPORTED),
        (CHALLENGE, "S512", Reason.CODE_CHALLENGE_METHOD_UNSUPPORTED),
        (CHALLENGE + "=", "S256", Reason.CODE_CHALLENGE_MALFORMED),
        (CHALLENGE[:-1], "S256", Reason.CODE_CHALLENGE_MALFORMED),
        (CHALLENGE.replace("-", "+"), "S256", Reason.CODE_CHALLENGE_MALFORMED),
        (CHALLENGE[:-1] + "N", "S256", Reason.CODE_CHALLENGE_MALFORMED),
        (CHALLENGE + "\n", "S256", Reason.CODE_CHALLENGE_MALFORMED),
        (VERIFIER * 2, "S256", Reason.CODE_CHALLENGE_MALFORMED),
    ],
)
def test_what_no_verifier_can_answer_is_refused(challenge: str | None, method: str | None, reason: Reason) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        check_challenge(challenge, method)
    assert refusal.value.reason is reason

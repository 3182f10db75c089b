"""Which assertions prove who a client is."""

from typing import Any

import pytest

from gatepost.oauth.client_assertions import ASSERTION_TYPE, Assertion, asserted_client, check_assertion
from gatepost.oauth.errors import InvalidClient
from gatepost.oauth.reasons import Reason
from gatepost.tokens.client_keys import KeyUnknown
from tests.tokens.test_client_keys import P256, RSA, keys, public, sign

NOW = 1_800_000_000
ISSUER = "https://mcp.example.com"
AUDIENCES = {ISSUER, f"{ISSUER}/oauth/token"}
CLAIMS: dict[str, Any] = {"iss": "client-1", "sub": "client-1", "aud": ISSUER, "exp": NOW + 60, "jti": "one"}


def check(**changes: Any) -> Assertion:
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not ...}
    return check_assertion(
        sign("ES256", P256, claims), client_id="client-1", keys=keys(public(P256)), audiences=AUDIENCES, now=NOW
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"aud": f"{ISSUER}/oauth/token"},
        {"aud": [ISSUER]},
        {"aud": [ISSUER, f"{ISSUER}/oauth/token"]},
        {"iat": NOW, "nbf": NOW},
        {"iat": NOW + 60, "nbf": NOW + 60},
        {"iat": NOW - 3660},
        {"iat": NOW - 0.5, "more": {"claims": 1}},
    ],
)
def test_an_assertion_of_the_client_for_this_server_counts(changes: dict[str, Any]) -> None:
    assert check(**changes) == Assertion("client-1", "one", remembered_until=NOW + 120)


def test_it_is_remembered_for_as_long_as_a_clock_may_be_wrong() -> None:
    assert check(exp=NOW - 59) == Assertion("client-1", "one", remembered_until=NOW + 1)
    assert check(exp=NOW + 3660).remembered_until == NOW + 3720


ABSENT: Any = ...
WRONG_AUDIENCES: list[Any] = [ABSENT, "", None, 1, [], {}, "https://other.example", f"{ISSUER}/", f"{ISSUER}/mcp"]
WRONG_TIMES: list[Any] = [
    ABSENT,
    None,
    "soon",
    str(NOW + 60),
    True,
    [],
    -1,
    10**400,
    float("inf"),
    float("nan"),
    NOW + 3661,
]
REFUSED: list[tuple[dict[str, Any], Reason]] = [
    *(({name: value}, Reason.CLIENT_ASSERTION_INVALID) for name in ("iss", "sub") for value in (ABSENT, "client-2", 1)),
    *(({"aud": value}, Reason.CLIENT_ASSERTION_AUDIENCE_WRONG) for value in WRONG_AUDIENCES),
    ({"aud": [ISSUER, "https://other.example"]}, Reason.CLIENT_ASSERTION_AUDIENCE_WRONG),
    ({"aud": [ISSUER, 1]}, Reason.CLIENT_ASSERTION_AUDIENCE_WRONG),
    ({"exp": NOW - 60}, Reason.CLIENT_ASSERTION_EXPIRED),
    ({"exp": 0}, Reason.CLIENT_ASSERTION_EXPIRED),
    *(({"exp": value}, Reason.CLIENT_ASSERTION_INVALID) for value in WRONG_TIMES),
    ({"nbf": NOW + 61}, Reason.CLIENT_ASSERTION_INVALID),
    ({"nbf": "now"}, Reason.CLIENT_ASSERTION_INVALID),
    ({"iat": NOW + 61}, Reason.CLIENT_ASSERTION_INVALID),
    ({"iat": NOW - 3661}, Reason.CLIENT_ASSERTION_INVALID),
    *(
        ({"jti": value}, Reason.CLIENT_ASSERTION_INVALID)
        for value in (ABSENT, None, "", 1, "x" * 513, "a\0b", "a\nb", ["one"])
    ),
]


@pytest.mark.parametrize(("changes", "reason"), REFUSED)
def test_every_other_is_refused_with_its_reason(changes: dict[str, Any], reason: Reason) -> None:
    with pytest.raises(InvalidClient) as refused:
        check(**changes)
    assert refused.value.reason is reason
    assert refused.value.description.endswith(".")


def test_a_wrong_signature_and_an_unknown_key_are_told_apart() -> None:
    signed = sign("RS256", RSA, CLAIMS)
    with pytest.raises(KeyUnknown):
        check_assertion(signed, client_id="client-1", keys=keys(public(P256)), audiences=AUDIENCES, now=NOW)
    altered = signed[:-4] + ("AAAA" if not signed.endswith("AAAA") else "BBBB")
    with pytest.raises(InvalidClient):
        check_assertion(altered, client_id="client-1", keys=keys(public(RSA)), audiences=AUDIENCES, now=NOW)


def test_the_type_of_assertions_is_that_of_the_registry() -> None:
    """RFC 7523 section 2.2."""
    assert ASSERTION_TYPE == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def test_an_assertion_says_whose_it_is() -> None:
    assert asserted_client(sign("ES256", P256, CLAIMS)) == "client-1"


NOBODYS: dict[str, Any] = {"empty": "", "a word": "x", "three words": "a.b.c", "no claims": {}, "a number": {"sub": 1}}


@pytest.mark.parametrize("name", NOBODYS)
def test_one_that_does_not_is_refused(name: str) -> None:
    claims = NOBODYS[name]
    assertion = claims if isinstance(claims, str) else sign("ES256", P256, claims)
    with pytest.raises(InvalidClient):
        asserted_client(assertion)

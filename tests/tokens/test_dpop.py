"""What counts as a DPoP proof, and what is no proof at all (RFC 9449 sections 4.2 and 4.3)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from joserfc.jwk import ECKey

from gatepost.tokens.client_keys import ALGORITHMS
from gatepost.tokens.dpop import (
    LONGEST_PROOF,
    WINDOW,
    ProofInvalid,
    ProofKeys,
    check_proof,
    is_thumbprint,
    normal_url,
    read_proof,
    token_hash,
)
from gatepost.tokens.opaque import fingerprint
from tests.tokens.test_client_keys import KEY_FOR, P256, P384, RSA, encoded, public, sign

# RFC 9449 sections 4.1, 6.1 and 7.1.
OF_THE_RFC = (
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJo"
    "RjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJq"
    "dGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0Ijox"
    "NTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
)
THUMBPRINT_OF_THE_RFC = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
CLAIMS = {"jti": "1", "htm": "POST", "htu": "https://mcp.example/mcp", "iat": 1_000}


def proof(key: Any = P256, algorithm: str = "ES256", claims: object = CLAIMS, **header: Any) -> str:
    return sign(algorithm, key, claims, **{"typ": "dpop+jwt", "jwk": public(key), **header})


def problem(text: str) -> str:
    with pytest.raises(ProofInvalid) as caught:
        read_proof(text, ProofKeys())
    return str(caught.value)


def test_the_proof_of_the_rfc_is_one() -> None:
    read = read_proof(OF_THE_RFC, ProofKeys())
    assert (read.thumbprint, read.jti, read.method) == (THUMBPRINT_OF_THE_RFC, "-BwC3ESc6acc2lTc", "POST")
    check_proof(read, method="POST", url="https://server.example.com/token", now=1_562_262_616)


def test_the_hash_of_a_token_is_that_of_the_rfc() -> None:
    token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
    assert token_hash(fingerprint(token)) == "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm_counts_with_its_kind_of_key(algorithm: str) -> None:
    key: Any = KEY_FOR[algorithm]
    assert read_proof(proof(key, algorithm), ProofKeys()).thumbprint == key.thumbprint()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_signature_that_is_cut_or_of_another_message_is_none(algorithm: str) -> None:
    head, body, signature = proof(KEY_FOR[algorithm], algorithm).split(".")
    other = encoded({**CLAIMS, "jti": "2"})
    wrong = "The DPoP proof is not signed with the key of its jwk."
    assert problem(f"{head}.{other}.{signature}") == wrong
    assert problem(f"{head}.{body}.{signature[:-8]}") == wrong
    assert problem(f"{head}.{body}.") == wrong


@pytest.mark.parametrize(("algorithm", "key"), [("ES256", P384), ("ES384", P256), ("PS256", P256), ("ES256", RSA)])
def test_a_key_is_for_its_own_algorithms(algorithm: str, key: Any) -> None:
    header = encoded({"typ": "dpop+jwt", "alg": algorithm, "jwk": public(key)})
    assert problem(f"{header}.{encoded(CLAIMS)}.AAAA").startswith("jwk of the DPoP proof has no key for")


def test_a_short_rsa_key_is_none() -> None:
    weak = {"kty": "RSA", "e": "AQAB", "n": base64.urlsafe_b64encode(b"\xc5" * 128).rstrip(b"=").decode()}
    header = encoded({"typ": "dpop+jwt", "alg": "PS256", "jwk": weak})
    assert "RSA keys need 2048 bits" in problem(f"{header}.{encoded(CLAIMS)}.AAAA")


def test_a_point_off_the_curve_is_no_key() -> None:
    jwk = public(P256)
    header = encoded({"typ": "dpop+jwt", "alg": "ES256", "jwk": {**jwk, "y": jwk["x"]}})
    assert problem(f"{header}.{encoded(CLAIMS)}.AAAA") == "jwk of the DPoP proof is no key of its kind."


@pytest.mark.parametrize("member", ["x", "y"])
def test_a_number_is_written_in_one_way(member: str) -> None:
    jwk = public(P256)
    for value in (jwk[member] + "=", jwk[member][:-1], "AA" + jwk[member], jwk[member] + "!", 7):
        header = encoded({"typ": "dpop+jwt", "alg": "ES256", "jwk": {**jwk, member: value}})
        assert "DPoP proof" in problem(f"{header}.{encoded(CLAIMS)}.AAAA")


def test_a_private_key_is_refused_by_its_name() -> None:
    header = encoded({"typ": "dpop+jwt", "alg": "ES256", "jwk": P256.as_dict(private=True)})
    assert "private" in problem(f"{header}.{encoded(CLAIMS)}.AAAA")


def test_a_member_that_stands_twice_is_none() -> None:
    twice = base64.urlsafe_b64encode(b'{"jti":"1","jti":"2"}').rstrip(b"=").decode()
    head, _, _ = proof().split(".")
    assert problem(f"{head}.{twice}.AAAA") == "The DPoP proof is not signed with the key of its jwk."
    assert problem(f"{twice}.{twice}.AAAA") == "The DPoP proof is not a signed JWT in compact form."


def test_what_is_longer_than_any_proof_is_not_looked_at() -> None:
    assert problem("x" * (LONGEST_PROOF + 1)) == "The DPoP header takes one signed JWT in compact form."


def test_keys_are_made_once_and_so_many_are_kept() -> None:
    keys = ProofKeys(most=2)
    first = proof()
    header = first.split(".")[0]
    read_proof(first, keys)
    made = keys.of(header)
    read_proof(first, keys)
    assert keys.of(header) is made
    for _ in range(3):
        read_proof(proof(ECKey.generate_key("P-256")), keys)
    assert len(keys) == 2
    assert keys.of(header) is not made


def test_the_time_may_differ_by_five_minutes_in_both_directions() -> None:
    read = read_proof(proof(), ProofKeys())
    for now in (1_000 - WINDOW, 1_000, 1_000 + WINDOW):
        check_proof(read, method="POST", url="https://mcp.example/mcp", now=now)
    for now in (1_000 - WINDOW - 1, 1_000 + WINDOW + 1):
        with pytest.raises(ProofInvalid):
            check_proof(read, method="POST", url="https://mcp.example/mcp", now=now)


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({**CLAIMS, "jti": ""}, "jti"),
        ({**CLAIMS, "jti": "a\0b"}, "jti"),
        ({**CLAIMS, "htm": 1}, "htm"),
        ({**CLAIMS, "htu": None}, "htu"),
        ({**CLAIMS, "iat": "1000"}, "iat"),
        ({**CLAIMS, "iat": 2**60}, "iat"),
        ({**CLAIMS, "iat": -1}, "iat"),
        ({**CLAIMS, "ath": 1}, "ath"),
        ({**CLAIMS, "nonce": ["a"]}, "nonce"),
        ([], "compact form"),
    ],
)
def test_a_claim_that_is_not_what_it_should_be_is_named(claims: object, said: str) -> None:
    assert said in problem(proof(claims=json.loads(json.dumps(claims))))


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("https://mcp.example/mcp", "https://mcp.example/mcp"),
        ("HTTPS://MCP.example:443/mcp/", "https://mcp.example/mcp"),
        ("http://mcp.example:80", "http://mcp.example"),
        ("http://[::1]:8000/%7Eada/%2f", "http://[::1]:8000/~ada/%2F"),
        ("https://mcp.example/MCP", "https://mcp.example/MCP"),
    ],
)
def test_a_url_has_one_spelling(written: str, normal: str) -> None:
    assert normal_url(written) == normal


@pytest.mark.parametrize(
    "written",
    [
        "",
        "/mcp",
        "ftp://mcp.example/",
        "https:///mcp",
        "https://a@mcp.example/",
        "https://mcp.example:x/",
        "https://m/ x",
        "https://m/?a",
        "https://m/#a",
        "https://m/\tx",
        "https://m/é",
        "https://[::1/",
    ],
)
def test_what_is_no_url_of_a_request_has_none(written: str) -> None:
    assert normal_url(written) is None


def test_a_thumbprint_has_forty_three_characters_of_which_the_last_has_four_bits() -> None:
    assert is_thumbprint(THUMBPRINT_OF_THE_RFC)
    assert not is_thumbprint(THUMBPRINT_OF_THE_RFC[:-1])
    assert not is_thumbprint(THUMBPRINT_OF_THE_RFC[:-1] + "B")

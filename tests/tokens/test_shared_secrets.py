"""JWTs that a shared secret vouches for: RFC 7515 appendix A.1 has the form, RFC 7518 section 3.2 the rules."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from gatepost.tokens.client_keys import SignatureInvalid, SignatureWrong
from gatepost.tokens.shared_secrets import SECRET_ALGORITHMS, claims_vouched_for, shortest_secret

SECRET = b"0123456789abcdef" * 4
CLAIMS = {"sub": "ada"}
TYPES = frozenset({None, "JWT"})
HASHES: dict[str, Any] = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(algorithm: str, *, secret: bytes = SECRET, claims: object = CLAIMS, **header: object) -> str:
    head = encoded(json.dumps({"alg": algorithm, **header}).encode())
    message = f"{head}.{encoded(json.dumps(claims).encode())}"
    return f"{message}.{encoded(hmac.digest(secret, message.encode(), HASHES.get(algorithm, hashlib.sha256)))}"


def checked(token: str, *algorithms: str, secret: bytes = SECRET) -> dict[str, Any]:
    return claims_vouched_for(token, secret, algorithms=algorithms or SECRET_ALGORITHMS, types=TYPES)


def test_there_are_three_algorithms_each_with_its_hash() -> None:
    assert SECRET_ALGORITHMS == ("HS256", "HS384", "HS512")
    for algorithm in SECRET_ALGORITHMS:
        assert checked(signed(algorithm), algorithm) == CLAIMS
        assert checked(signed(algorithm, typ="JWT"), algorithm) == CLAIMS
        for other in SECRET_ALGORITHMS:
            if other != algorithm:
                with pytest.raises(SignatureInvalid):
                    checked(signed(algorithm), other)


def test_another_secret_or_anything_changed_is_a_wrong_code() -> None:
    for algorithm in SECRET_ALGORITHMS:
        token = signed(algorithm)
        message, _, code = token.rpartition(".")
        for wrong in (
            signed(algorithm, secret=SECRET + b"x"),
            f"{signed(algorithm, claims={'sub': 'eve'}).rpartition('.')[0]}.{code}",
            f"{message}.{code[:-4]}",
            f"{message}.A",
            f"{message}.{code}AAAA",
        ):
            with pytest.raises(SignatureWrong, match="the code is wrong"):
                checked(wrong)


def test_another_kind_of_message_is_refused_whatever_its_code() -> None:
    for token in (signed("HS256", typ="logout+jwt"), signed("none"), signed("RS256"), signed("HS256", claims=[])):
        with pytest.raises(SignatureInvalid) as refused:
            checked(token)
        assert not isinstance(refused.value, SignatureWrong)
    for token in ("", "a.b", "a.b.c"):
        with pytest.raises(SignatureInvalid):
            checked(token)


@pytest.mark.parametrize(
    ("algorithms", "least"),
    [(["HS256"], 32), (["HS384"], 48), (["HS512"], 64), (["HS256", "HS512", "HS384"], 64)],
)
def test_a_secret_has_as_many_bytes_as_the_longest_hash(algorithms: list[str], least: int) -> None:
    assert shortest_secret(algorithms) == least

"""Which keys and signatures of clients count."""

import base64
import hmac
import json
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from gatepost.tokens.client_keys import (
    ALGORITHMS,
    ISSUER_ALGORITHMS,
    MAX_SIGNED,
    KeysInvalid,
    KeyUnknown,
    SignatureInvalid,
    holds_private_keys,
    read_keys,
    unverified_claims,
    verified_claims,
)

P256, P384, P521, RSA, ED = (
    ECKey.generate_key("P-256"),
    ECKey.generate_key("P-384"),
    ECKey.generate_key("P-521"),
    RSAKey.generate_key(2048),
    OKPKey.generate_key("Ed25519"),
)
KEY_FOR = {"ES256": P256, "ES384": P384, "RS256": RSA, "PS256": RSA, "EdDSA": ED, "Ed25519": ED}
CLAIMS = {"sub": "client-1"}


def public(key: Any, **members: object) -> dict[str, Any]:
    return {**key.as_dict(private=False), **members}


def sign(algorithm: str, key: Any, /, claims: object = CLAIMS, **header: object) -> str:
    registry = jws.JWSRegistry(algorithms=["HS256", *ISSUER_ALGORITHMS], strict_check_header=False)
    if algorithm != "EdDSA":
        return jws.serialize_compact({"alg": algorithm, **header}, json.dumps(claims), key, registry=registry)
    head, body = encoded({"alg": "EdDSA", **header}), encoded(claims)
    signature = key.get_op_key("sign").sign(f"{head}.{body}".encode())
    return f"{head}.{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def keys(*each: dict[str, Any]) -> tuple[Any, ...]:
    return read_keys({"keys": list(each)})


ONLY_OF_ISSUERS = {"RS384": RSA, "RS512": RSA, "PS384": RSA, "PS512": RSA, "ES512": P521}


def test_issuers_may_sign_by_five_algorithms_more() -> None:
    assert (*ALGORITHMS, *ONLY_OF_ISSUERS) == ISSUER_ALGORITHMS
    for algorithm, key in ONLY_OF_ISSUERS.items():
        signed, theirs = sign(algorithm, key, kid="1"), read_keys({"keys": [public(key, kid="1")]}, ISSUER_ALGORITHMS)
        assert verified_claims(signed, theirs, algorithms=ISSUER_ALGORITHMS, types={None}) == CLAIMS
        with pytest.raises(SignatureInvalid):
            verified_claims(signed, theirs)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm_counts_with_its_kind_of_key(algorithm: str) -> None:
    key = KEY_FOR[algorithm]
    signed = sign(algorithm, key, typ="JWT", kid="1")
    assert verified_claims(signed, keys(public(P256, kid="0"), public(key, kid="1"))) == CLAIMS


@pytest.mark.parametrize("signed_as", ["EdDSA", "Ed25519"])
@pytest.mark.parametrize("stated", ["EdDSA", "Ed25519"])
def test_the_two_names_of_one_algorithm_are_the_same(signed_as: str, stated: str) -> None:
    assert verified_claims(sign(signed_as, ED), keys(public(ED, alg=stated))) == CLAIMS


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_of_somebody_else_does_not(algorithm: str) -> None:
    others = {
        "ES256": ECKey.generate_key("P-256"),
        "ES384": ECKey.generate_key("P-384"),
        "EdDSA": OKPKey.generate_key("Ed25519"),
        "Ed25519": OKPKey.generate_key("Ed25519"),
    }
    other = others.get(algorithm) or RSAKey.generate_key(2048)
    with pytest.raises(SignatureInvalid, match="signature"):
        verified_claims(sign(algorithm, other), keys(public(KEY_FOR[algorithm])))


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "HS256", "HS512", "ES512", "RS1", "", None, 1, ["ES256"]]
)
def test_other_algorithms_are_refused_whatever_the_signature(algorithm: object) -> None:
    unsigned = f"{encoded({'alg': algorithm})}.{encoded(CLAIMS)}.AA"
    with pytest.raises(SignatureInvalid, match="algorithm"):
        verified_claims(unsigned, keys(public(P256), public(RSA)))


@pytest.mark.parametrize(
    "secret", [RSA.as_pem(private=False), RSA.as_pem(private=False).strip()], ids=["as it is", "stripped"]
)
def test_a_public_key_is_no_shared_secret(secret: bytes) -> None:
    signed = f"{encoded({'alg': 'HS256'})}.{encoded(CLAIMS)}"
    code = base64.urlsafe_b64encode(hmac.digest(secret, signed.encode(), "sha256")).rstrip(b"=").decode()
    with pytest.raises(SignatureInvalid, match="algorithm"):
        verified_claims(f"{signed}.{code}", keys(public(RSA)))


@pytest.mark.parametrize(
    "header",
    [{"crit": ["exp"]}, {"crit": []}, {"b64": False}, {"typ": "at+jwt"}, {"typ": "logout+jwt"}, {"typ": 1}],
)
def test_extensions_and_tokens_for_other_purposes_are_refused(header: dict[str, object]) -> None:
    head, body = encoded({"alg": "EdDSA", **header}), encoded(CLAIMS)
    signature = ED.get_op_key("sign").sign(f"{head}.{body}".encode())  # type: ignore[union-attr]  # a private key
    signed = f"{head}.{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    with pytest.raises((SignatureInvalid, TypeError)):
        verified_claims(signed, keys(public(ED)))


def test_keys_that_a_message_brings_along_are_not_looked_at() -> None:
    stranger = ECKey.generate_key("P-256")
    signed = sign("ES256", stranger, jwk=public(stranger), jku="https://evil.example/jwks", x5u="https://evil.example")
    with pytest.raises(SignatureInvalid):
        verified_claims(signed, keys(public(P256)))


@pytest.mark.parametrize("key_id", ["2", "../1", "1\x00", 1, ["1"], {}])
def test_a_key_id_that_none_of_the_keys_has_is_told_apart(key_id: object) -> None:
    head = encoded({"alg": "ES256", "kid": key_id})
    with pytest.raises(KeyUnknown):
        verified_claims(f"{head}.{encoded(CLAIMS)}.AA", keys(public(P256, kid="1")))


def test_a_message_without_key_id_is_checked_with_every_key_that_fits() -> None:
    other = public(ECKey.generate_key("P-256"), kid="0")
    assert verified_claims(sign("ES256", P256), keys(public(RSA), other, public(P256, kid="1"))) == CLAIMS


def test_where_that_is_asked_for_a_key_without_a_name_is_tried_whatever_name_the_message_gives_it() -> None:
    signed = sign("ES256", P256, kid="theirs")
    unnamed = {name: value for name, value in public(P256).items() if name != "kid"}
    assert verified_claims(signed, keys(unnamed), unnamed_fit=True) == CLAIMS
    for key, unnamed_fit in ((unnamed, False), (public(P256, kid="ours"), True)):
        with pytest.raises(KeyUnknown):
            verified_claims(signed, keys(key), unnamed_fit=unnamed_fit)
    other = {name: value for name, value in public(ECKey.generate_key("P-256")).items() if name != "kid"}
    with pytest.raises(SignatureInvalid, match="the signature is wrong"):
        verified_claims(signed, keys(other), unnamed_fit=True)


@pytest.mark.parametrize(
    "members", [{"use": "enc"}, {"key_ops": ["encrypt"]}, {"key_ops": "verify"}, {"alg": "ES384"}, {"alg": 1}]
)
def test_a_key_for_another_use_fits_nothing(members: dict[str, object]) -> None:
    with pytest.raises(KeyUnknown):
        verified_claims(sign("ES256", P256), keys(public(P256, **members) | {"kid": "1"}, public(RSA)))


def test_a_key_may_say_that_it_verifies() -> None:
    members = {"use": "sig", "key_ops": ["verify"], "alg": "ES256", "x5c": ["MII"]}
    assert verified_claims(sign("ES256", P256), keys(public(P256, **members))) == CLAIMS


@pytest.mark.parametrize(
    "signed", ["", "a", "a.b", "a.b.c.d", "a.b.", "a b.c.d", "ä.b.c", "e30.e30.e30", "x" * (MAX_SIGNED + 1)]
)
def test_what_is_no_jwt_is_refused(signed: str) -> None:
    with pytest.raises(SignatureInvalid):
        verified_claims(signed, keys(public(P256)))


@pytest.mark.parametrize("body", [b"[]", b"1", b"{", b'{"a":1,"a":1}', b"\xff", b"[" * 3000])
def test_claims_have_to_be_one_json_object(body: bytes) -> None:
    segment = base64.urlsafe_b64encode(body).rstrip(b"=").decode()
    with pytest.raises(SignatureInvalid, match="JSON"):
        unverified_claims(f"e30.{segment}.e30")


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-256"},
        {"kty": "OKP", "crv": "Ed25519", "x": 1},
    ],
)
def test_a_broken_key_verifies_nothing(key: dict[str, Any]) -> None:
    algorithm = "EdDSA" if key["kty"] == "OKP" else "ES256"
    with pytest.raises(SignatureInvalid):
        verified_claims(sign(algorithm, KEY_FOR[algorithm]), keys(key))


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (None, "JWK set"),
        ([], "JWK set"),
        ({}, "JWK set"),
        ({"keys": {}}, "JWK set"),
        ({"keys": ["x"]}, "JWK set"),
        ({"keys": []}, "no key"),
        ({"keys": [{"kty": "EC", "crv": "P-521"}]}, "no key"),
        ({"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}, "no key"),
        ({"keys": [{"kty": "RSA", "n": "!", "e": 1}]}, "no key"),
        ({"keys": [{"kty": "RSA", "n": "A", "e": "AQAB"}]}, "no key"),
        ({"keys": [public(RSA, n=f"!{RSA.as_dict(private=False)['n']}")]}, "no key"),
        ({"keys": [public(RSA, n=f"{RSA.as_dict(private=False)['n']}\n")]}, "no key"),
        ({"keys": [{"kty": "RSA", "n": "_" * 2000, "e": "AQAB"}]}, "no key"),
        ({"keys": [{"kty": "RSA", "n": RSA.as_dict(private=False)["n"], "e": "AQ"}]}, "no key"),
        ({"keys": [{"kty": "RSA", "n": RSA.as_dict(private=False)["n"], "e": "AQABAQAB"}]}, "no key"),
        ({"keys": [public(P256)] * 21}, "more than 20"),
        ({"keys": [{"kty": "oct", "k": "AA"}]}, "private"),
        ({"keys": [public(P256), ED.as_dict(private=True)]}, "private"),
        ({"keys": [RSA.as_dict(private=True)]}, "private"),
    ],
)
def test_sets_without_usable_public_keys_are_refused(document: object, problem: str) -> None:
    with pytest.raises(KeysInvalid, match=problem):
        read_keys(document)


def rsa_key(bits: int, exponent: int = 65_537) -> dict[str, str]:
    """A key of that size, though of no use: nobody has its other half."""
    modulus, small = ((1 << bits) - 1).to_bytes(-(-bits // 8)), exponent.to_bytes(-(-exponent.bit_length() // 8))
    return {"kty": "RSA", "n": b64(modulus), "e": b64(small)}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.mark.parametrize("key", [rsa_key(2048), rsa_key(8192), rsa_key(2048, 3), rsa_key(2048, 2**32 - 1)])
def test_an_rsa_key_has_2048_to_8192_bits_and_an_exponent_of_2_to_32(key: dict[str, str]) -> None:
    assert read_keys({"keys": [key]}) == (key,)


@pytest.mark.parametrize("key", [rsa_key(2047), rsa_key(8193), rsa_key(2048, 1), rsa_key(2048, 2**32)])
def test_any_other_rsa_key_is_passed_over(key: dict[str, str]) -> None:
    with pytest.raises(KeysInvalid) as refused:
        read_keys({"keys": [key]})
    assert str(refused.value) == (
        "has no key for ES256, ES384, RS256, PS256, EdDSA, Ed25519; RSA keys need 2048 bits or more"
    )


def test_a_set_has_20_keys_and_a_message_16_kib_at_most() -> None:
    assert len(read_keys({"keys": [public(P256)] * 20})) == 20
    assert MAX_SIGNED == 16_384
    head, body = encoded({"alg": "ES256"}), encoded(CLAIMS)
    longest = f"{head}.{body}.".ljust(MAX_SIGNED, "A")
    assert unverified_claims(longest) == CLAIMS
    with pytest.raises(SignatureInvalid, match=r"^not a signed JWT in compact form$"):
        unverified_claims(longest + "A")


@pytest.mark.parametrize("name", ["d", "p", "q", "dp", "dq", "qi", "oth", "k"])
def test_each_member_of_a_private_key_gives_it_away(name: str) -> None:
    """RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1."""
    assert holds_private_keys({"keys": [public(P256), {name: "AA"}]})
    with pytest.raises(KeysInvalid, match="private"):
        read_keys({"keys": [public(P256, **{name: "AA"})]})


@pytest.mark.parametrize("document", [None, [], {}, {"keys": None}, {"keys": [1, public(P256)]}, {"d": "AA"}])
def test_what_is_no_set_of_keys_holds_none(document: object) -> None:
    assert not holds_private_keys(document)


def test_of_a_key_what_is_looked_at_is_kept() -> None:
    ec = public(P256, use="sig", key_ops=["verify"], alg="ES256", kid="1", x5c=["MII"], x5t="t", ext=True)
    rsa = public(RSA, x5u="https://evil.example")
    assert read_keys({"keys": [ec, rsa]}) == (
        {name: ec[name] for name in ("kty", "crv", "x", "y", "use", "key_ops", "alg", "kid")},
        {name: rsa[name] for name in ("kty", "n", "e", "kid") if name in rsa},
    )


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "client-authentication+jwt"])
def test_a_message_may_say_that_it_is_a_jwt_or_authenticates_a_client(typ: str | None) -> None:
    said = {} if typ is None else {"typ": typ}
    assert verified_claims(sign("ES256", P256, **said), keys(public(P256))) == CLAIMS


def test_keys_of_other_kinds_are_passed_over() -> None:
    assert read_keys({"keys": [{"kty": "new"}, public(P256)]}) == (public(P256),)


@pytest.mark.parametrize("stated", [[], ["ES256"], {}, 1, True])
def test_a_key_whose_algorithm_is_no_text_is_for_none(stated: object) -> None:
    assert keys(public(P256, alg=stated), public(RSA)) == keys(public(RSA))

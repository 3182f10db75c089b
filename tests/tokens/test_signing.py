"""Signing, against an independent library, and what `verify` refuses (security.md row 28)."""

from __future__ import annotations

import base64
import json
import secrets
import string
import warnings
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey

from gatepost.tokens.signing import (
    ALGORITHMS,
    EDDSA,
    ES256,
    Problem,
    SignatureRefused,
    SigningKey,
    _signature,
    generate_signing_key,
    looks_signed,
    named_key,
    public_jwk,
    restore_signing_key,
    sign,
    verify,
)

KEYS = {algorithm: generate_signing_key(algorithm, secrets.token_bytes) for algorithm in ALGORITHMS}
OURS = {key.key_id: key for key in KEYS.values()}
CLAIMS: dict[str, object] = {"sub": "user-1", "exp": 5, "scope": "notes:read"}
TYP = "at+jwt"
SIGNED = {algorithm: sign(CLAIMS, KEYS[algorithm], typ=TYP) for algorithm in ALGORITHMS}
"""Signed once: another signature of ES256 is another text, and what is drawn must not depend on that."""


def b64(data: bytes | Mapping[str, Any]) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def header(key: SigningKey, **changes: Any) -> dict[str, Any]:
    return {"alg": key.algorithm, "kid": key.key_id, "typ": TYP} | changes


def with_header(changed: Mapping[str, Any], key: SigningKey = KEYS[ES256]) -> str:
    """A token whose signature is right for another header."""
    _, payload, signature = sign(CLAIMS, key, typ=TYP).split(".")
    return f"{b64(changed)}.{payload}.{signature}"


def signed(head: str, payload: str, key: SigningKey = KEYS[EDDSA]) -> str:
    """A token of any two segments, with the signature that belongs to them."""
    signing_input = f"{head}.{payload}"
    return f"{signing_input}.{b64(_signature(key, signing_input.encode()))}"


def ragged(members: Mapping[str, Any]) -> str:
    """A segment that leaves bits over."""
    raw = json.dumps(members).encode()
    return b64(raw + b" " * (len(raw) % 3 == 0))


def respelled(segment: str) -> str:
    """Another spelling of the same bytes."""
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    other = segment[:-1] + alphabet[alphabet.index(segment[-1]) + 1]
    padding = "=" * (-len(segment) % 4)
    assert base64.urlsafe_b64decode(other + padding) == base64.urlsafe_b64decode(segment + padding)
    return other


def problem(token: str) -> Problem:
    with pytest.raises(SignatureRefused) as refusal:
        verify(token, OURS, typ=TYP)
    assert str(refusal.value) == refusal.value.problem.name
    return refusal.value.problem


@pytest.mark.parametrize("key", KEYS.values(), ids=ALGORITHMS)
def test_what_we_sign_we_verify_and_so_does_a_library_with_the_published_key(key: SigningKey) -> None:
    token = sign(CLAIMS, key, typ=TYP)
    assert verify(token, OURS, typ=TYP) == CLAIMS
    jwk = public_jwk(key)
    of_the_curve = {"kty", "crv", "x", "y"} if key.algorithm == ES256 else {"kty", "crv", "x"}
    assert jwk.keys() - of_the_curve == {"kid", "use", "alg"}
    assert (jwk["kid"], jwk["use"], jwk["alg"]) == (key.key_id, "sig", key.algorithm)
    published: dict[str, str | list[str]] = {**jwk}
    library = ECKey.import_key(published) if key.algorithm == ES256 else OKPKey.import_key(published)
    assert library.thumbprint() == key.key_id
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library prefers the newer name Ed25519, which few verifiers know yet
        read = jws.deserialize_compact(token, library, algorithms=[key.algorithm])
    assert read.headers() == header(key)
    assert json.loads(read.payload or b"") == CLAIMS


def test_an_ed25519_signature_is_that_of_rfc_8037() -> None:
    """RFC 8037 appendix A.1 and A.3: key and thumbprint."""
    seed = base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    key = restore_signing_key(EDDSA, seed)
    assert key.key_id == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert public_jwk(key)["x"] == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"


P256_ORDER = int("115792089210356248762697446949407573529996955224135760342422259061068512044369")


def test_a_secret_outside_of_the_curve_is_drawn_again() -> None:
    """FIPS 186-5 appendix A.2.2: from 1 to the order of the curve less 1."""
    drawn = [b"\xff" * 32, P256_ORDER.to_bytes(32), b"\0" * 32, (P256_ORDER - 1).to_bytes(32)]
    asked: list[int] = []

    def random_bytes(count: int) -> bytes:
        asked.append(count)
        return drawn.pop(0)

    assert generate_signing_key(ES256, random_bytes).secret == (P256_ORDER - 1).to_bytes(32)
    assert asked == [32] * 4


def test_the_least_secret_of_the_curve_is_one() -> None:
    assert generate_signing_key(ES256, lambda _: (1).to_bytes(32)).secret == (1).to_bytes(32)


def test_a_token_is_written_without_white_space() -> None:
    head, payload, _ = sign(CLAIMS, KEYS[ES256], typ=TYP).split(".")
    assert b" " not in base64.urlsafe_b64decode(head + "==") + base64.urlsafe_b64decode(payload + "==")


@pytest.mark.parametrize("seed", [b"\xff" * 32, b"\0" * 32])
def test_any_seed_is_a_key_of_ed25519(seed: bytes) -> None:
    assert generate_signing_key(EDDSA, lambda _: seed).secret == seed


@pytest.mark.parametrize("key", KEYS.values(), ids=ALGORITHMS)
def test_the_secret_of_a_key_is_not_in_what_is_printed_of_it(key: SigningKey) -> None:
    assert repr(key) == f"SigningKey(key_id={key.key_id!r}, algorithm={key.algorithm!r})"


@pytest.mark.parametrize(("algorithm", "secret"), [("HS256", b"\1" * 32), (ES256, b"\1" * 31), ("none", b"")])
def test_no_other_key_can_be_restored(algorithm: str, secret: bytes) -> None:
    with pytest.raises(ValueError, match="no secret of a signing key"):
        restore_signing_key(algorithm, secret)


@pytest.mark.parametrize(
    "changed",
    [
        header(KEYS[ES256], alg="none"),
        header(KEYS[ES256], alg="NONE"),
        header(KEYS[ES256], alg="HS256"),
        header(KEYS[ES256], alg="RS256"),
        header(KEYS[ES256], alg=EDDSA),
        header(KEYS[EDDSA], alg=ES256),
    ],
)
def test_the_key_decides_the_algorithm(changed: dict[str, Any]) -> None:
    assert problem(with_header(changed)) is Problem.SIGNATURE_WRONG


@pytest.mark.parametrize(("key", "named"), [(KEYS[ES256], EDDSA), (KEYS[EDDSA], ES256), (KEYS[EDDSA], "none")])
def test_a_header_that_names_another_algorithm_does_not_count_even_when_we_signed_it(
    key: SigningKey, named: str
) -> None:
    assert problem(signed(b64(header(key, alg=named)), b64(CLAIMS), key)) is Problem.SIGNATURE_WRONG


def test_a_public_key_is_no_shared_secret() -> None:
    """The classic confusion: HS256 with the published key as its secret."""
    key = KEYS[ES256]
    for secret in (json.dumps(public_jwk(key)), key.key_id, public_jwk(key)["x"]):
        confused = jws.serialize_compact(
            header(key, alg="HS256"), json.dumps(CLAIMS), OctKey.import_key(secret.ljust(32, "=")), algorithms=["HS256"]
        )
        assert problem(confused) is Problem.SIGNATURE_WRONG


@pytest.mark.parametrize(
    "extra",
    [
        {"jwk": public_jwk(KEYS[ES256])},
        {"jku": "https://evil.example/jwks"},
        {"x5u": "https://evil.example/cert"},
        {"x5c": ["MII"]},
        {"crit": ["exp"], "exp": 1},
        {"crit": []},
        {"b64": False, "crit": ["b64"]},
        {"cty": "JWT"},
        {"zip": "DEF"},
        {"enc": "A256GCM"},
    ],
)
def test_a_header_that_says_more_is_refused(extra: dict[str, Any]) -> None:
    assert problem(with_header(header(KEYS[ES256]) | extra)) is Problem.MALFORMED


@pytest.mark.parametrize(
    "changes",
    [{"typ": "JWT"}, {"typ": "at+JWT"}, {"typ": None}, {"kid": None}, {"kid": 7}, {"kid": ["a"]}, {"alg": None}],
)
def test_a_header_that_says_something_else_is_refused(changes: dict[str, Any]) -> None:
    assert problem(with_header(header(KEYS[ES256], **changes))) is Problem.MALFORMED
    for name in changes:
        shorter = {member: value for member, value in header(KEYS[ES256]).items() if member != name}
        assert problem(with_header(shorter)) is Problem.MALFORMED


@pytest.mark.parametrize("kid", ["", "../../dev/null", "' OR 1=1 --", "http://evil.example/key", "a" * 100])
def test_a_key_id_is_a_name_and_nothing_else(kid: str) -> None:
    assert problem(with_header(header(KEYS[ES256], kid=kid))) is Problem.KEY_UNKNOWN


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b",
        "a.b.c.d",
        "a.b.c",
        "..",
        b64(b"[]") + ".e30.e30",
        b64(b'"x"') + ".e30.e30",
        b64(b"{" * 100) + ".e30.e30",
        b64(b"[" * 180) + ".e30.e30",
        b64(b'{"alg":"ES256","alg":"ES256","kid":"x","typ":"at+jwt"}') + ".e30.e30",
        b64(b"\xff\xfe") + ".e30.e30",
        "=e30.e30.e30",
        "e30=.e30.e30",
        "e3 0.e30.e30",
        "A" * 257 + ".e30.e30",
    ],
)
def test_what_is_no_token_is_malformed(token: str) -> None:
    assert problem(token) is Problem.MALFORMED


@pytest.mark.parametrize("signature", [b"\0" * 63, b"\0" * 64, b"\xff" * 64, b"\0" * 65])
@pytest.mark.parametrize("key", KEYS.values(), ids=ALGORITHMS)
def test_no_other_signature_counts(key: SigningKey, signature: bytes) -> None:
    head, payload, _ = sign(CLAIMS, key, typ=TYP).split(".")
    assert problem(f"{head}.{payload}.{b64(signature)}") is Problem.SIGNATURE_WRONG


def test_the_numbers_of_an_es256_signature_are_32_bytes_each() -> None:
    """RFC 7518 section 3.4: the same two numbers, written longer or shorter, are no signature."""
    key = KEYS[ES256]
    head, payload, _ = sign(CLAIMS, key, typ=TYP).split(".")
    drawn = (_signature(key, f"{head}.{payload}".encode()) for _ in range(10_000))
    r, s = next((raw[:32], raw[32:]) for raw in drawn if raw[32] == 0)

    assert verify(f"{head}.{payload}.{b64(r + s)}", OURS, typ=TYP) == CLAIMS
    assert problem(f"{head}.{payload}.{b64(r + bytes(1) + s)}") is Problem.SIGNATURE_WRONG
    assert problem(f"{head}.{payload}.{b64(r + s[1:])}") is Problem.SIGNATURE_WRONG


@pytest.mark.parametrize("place", [0, 1, 2], ids=["header", "payload", "signature"])
def test_another_spelling_of_the_same_bytes_is_malformed_even_when_we_signed_it(place: int) -> None:
    """RFC 4648 section 3.5: one token has one spelling."""
    segments = signed(ragged(header(KEYS[EDDSA])), ragged(CLAIMS)).split(".")
    assert verify(".".join(segments), OURS, typ=TYP) == CLAIMS

    segments[place] = respelled(segments[place])
    assert problem(".".join(segments) if place == 2 else signed(segments[0], segments[1])) is Problem.MALFORMED


def test_a_header_has_256_characters_at_most() -> None:
    def padded(size: int) -> str:
        head = json.dumps(header(KEYS[EDDSA])).encode()
        return signed(b64(head.ljust(size)), b64(CLAIMS))

    assert len(padded(192).partition(".")[0]) == 256
    assert verify(padded(192), OURS, typ=TYP) == CLAIMS
    assert problem(padded(193)) is Problem.MALFORMED


@pytest.mark.parametrize("key", KEYS.values(), ids=ALGORITHMS)
def test_the_key_that_a_token_names_is_known_before_anything_is_verified(key: SigningKey) -> None:
    assert named_key(with_header(header(key))) == key.key_id
    for token in ("", "a.b.c", with_header(header(key, crit=["exp"]))):
        with pytest.raises(SignatureRefused):
            named_key(token)


@given(data=st.data(), algorithm=st.sampled_from(ALGORITHMS))
def test_no_altered_character_verifies(data: st.DataObject, algorithm: str) -> None:
    token = SIGNED[algorithm]
    position = data.draw(st.integers(0, len(token) - 1))
    character = data.draw(st.sampled_from("AQgw_-09zZ.=").filter(lambda drawn: drawn != token[position]))
    with pytest.raises(SignatureRefused):
        verify(token[:position] + character + token[position + 1 :], OURS, typ=TYP)


@pytest.mark.parametrize("payload", [b"[]", b"1", b"{", b'{"a":1,"a":1}', b"\xff", b"[" * 10_000])
def test_a_payload_that_is_no_object_is_refused_even_when_we_signed_it(payload: bytes) -> None:
    assert problem(signed(b64(header(KEYS[EDDSA])), b64(payload))) is Problem.MALFORMED


def test_the_shape_tells_signed_tokens_from_opaque_ones() -> None:
    assert looks_signed(sign(CLAIMS, KEYS[ES256], typ=TYP))
    assert not looks_signed("gp_at_" + "A" * 43)


def test_a_key_whose_name_a_command_line_would_take_for_an_option_is_made_anew() -> None:
    seeds = [number.to_bytes(32) for number in range(500)]
    bad = next(seed for seed in seeds if restore_signing_key(EDDSA, seed).key_id.startswith("-"))
    good = next(seed for seed in seeds if not restore_signing_key(EDDSA, seed).key_id.startswith("-"))
    offered = iter([bad, good])

    assert generate_signing_key(EDDSA, lambda _: next(offered)).secret == good

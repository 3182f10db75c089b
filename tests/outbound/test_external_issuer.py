"""`ExternalIssuer`: where it finds its keys, which it takes, and what its arguments may be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gatepost import ExternalIssuer
from gatepost.outbound.fetching import FetchFailed
from gatepost.outbound.issuer_keys import IssuerUnavailable
from gatepost.resource import bearer
from gatepost.resource.bearer import TokenRefused
from gatepost.tokens.client_keys import ISSUER_ALGORITHMS
from tests.outbound.external_issuer import CURVE, KEYS, Issuer

NOW = 1_800_000_000
HERE = "https://mcp.example.com/mcp"


def claims(issuer: Issuer, **changes: Any) -> dict[str, Any]:
    return {"iss": issuer.url, "aud": HERE, "sub": "ada", "exp": NOW + 600, "iat": NOW, "scope": "a b"} | changes


def connected(issuer: Issuer, **options: Any) -> ExternalIssuer:
    verifier = ExternalIssuer(issuer.url, **options)
    verifier.connect(issuer.surroundings(lambda: NOW))
    return verifier


async def subject(verifier: ExternalIssuer, token: str) -> str:
    return (await verifier.validate_token(token, HERE)).subject


OPENID = "/.well-known/openid-configuration"
SERVER = "/.well-known/oauth-authorization-server"


@pytest.mark.parametrize(
    ("url", "served", "asked"),
    [
        ("https://id.example.com", OPENID, [OPENID]),
        ("https://id.example.com/", OPENID, [OPENID]),
        ("https://id.example.com", SERVER, [OPENID, SERVER]),
        ("https://id.example.com/realms/x", f"/realms/x{OPENID}", [f"/realms/x{OPENID}"]),
        ("https://id.example.com/realms/x", f"{SERVER}/realms/x", [f"/realms/x{OPENID}", f"{SERVER}/realms/x"]),
        (
            "https://id.example.com/x/",
            f"{OPENID}/x",
            [f"/x{OPENID}", f"{SERVER}/x", f"{OPENID}/x"],
        ),
    ],
)
async def test_its_keys_are_where_its_metadata_says_wherever_that_is(url: str, served: str, asked: list[str]) -> None:
    issuer = Issuer(url)
    issuer.served = {served: {"issuer": url, "jwks_uri": "https://id.example.com/keys"}}
    assert await subject(connected(issuer), issuer.token(claims(issuer))) == "ada"
    assert issuer.asked == [*asked, "/keys"]


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://id.example.com/", "jwks_uri": "https://id.example.com/keys"},
        {"issuer": "https://ID.example.com", "jwks_uri": "https://id.example.com/keys"},
        {"jwks_uri": "https://id.example.com/keys"},
        {"issuer": "https://id.example.com"},
        {"issuer": "https://id.example.com", "jwks_uri": "http://id.example.com/keys"},
        {"issuer": "https://id.example.com", "jwks_uri": "file:///etc/passwd"},
        {"issuer": "https://id.example.com", "jwks_uri": ["https://id.example.com/keys"]},
        [],
        "x",
    ],
)
async def test_metadata_of_another_issuer_or_without_keys_leaves_it_open_whether_a_token_counts(metadata: Any) -> None:
    issuer = Issuer()
    issuer.served = {OPENID: metadata}
    with pytest.raises(IssuerUnavailable):
        await subject(connected(issuer), issuer.token(claims(issuer)))
    assert issuer.asked == [OPENID]


async def test_an_address_that_is_given_is_asked_alone() -> None:
    issuer = Issuer()
    assert (
        await subject(connected(issuer, jwks_uri="https://id.example.com/keys"), issuer.token(claims(issuer))) == "ada"
    )
    assert issuer.asked == ["/keys"]


def spki(key: Any) -> str:
    return str(key.as_pem(private=False).decode())


@pytest.mark.parametrize("kind", ["pem", "path", "set", "jwk"])
async def test_a_public_key_of_a_file_is_never_fetched(kind: str, tmp_path: Path) -> None:
    issuer = Issuer(keys=[CURVE])
    jwk = CURVE.as_dict(private=False)
    file = tmp_path / "key.pem"
    file.write_text(spki(CURVE))
    given = {"pem": spki(CURVE), "path": file, "set": json.dumps({"keys": [jwk]}), "jwk": json.dumps(jwk)}[kind]
    kid = None if kind in {"pem", "path"} else "curve"
    token = issuer.token(claims(issuer), alg="ES256", header={"kid": kid})
    assert await subject(connected(issuer, public_key=given), token) == "ada"
    assert issuer.asked == []


async def test_a_key_of_a_pem_file_has_no_name_and_counts_whatever_name_the_token_has_for_it() -> None:
    issuer = Issuer()
    named = issuer.token(claims(issuer), header={"kid": "one"})
    assert await subject(connected(issuer, public_key=spki(KEYS[0])), named) == "ada"
    with pytest.raises(TokenRefused) as refused:
        await subject(connected(issuer, public_key=spki(KEYS[1])), named)
    assert refused.value.refusal is bearer.SIGNATURE_INVALID
    other = KEYS[0].as_dict(private=False) | {"kid": "other"}
    with pytest.raises(TokenRefused) as refused:
        await subject(connected(issuer, public_key=json.dumps(other)), named)
    assert refused.value.refusal is bearer.KEY_UNKNOWN


async def test_a_key_of_a_file_that_has_not_signed_it_refuses_it() -> None:
    issuer = Issuer()
    with pytest.raises(TokenRefused) as refused:
        await subject(connected(issuer, public_key=spki(KEYS[1])), issuer.token(claims(issuer), header={"kid": None}))
    assert refused.value.refusal is bearer.SIGNATURE_INVALID


@pytest.mark.parametrize("alg", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
async def test_every_algorithm_of_a_key_counts_unless_one_is_named(alg: str) -> None:
    issuer = Issuer()
    token = issuer.token(claims(issuer), alg=alg)
    assert await subject(connected(issuer), token) == "ada"
    others = [name for name in ISSUER_ALGORITHMS if name != alg]
    with pytest.raises(TokenRefused) as refused:
        await subject(connected(issuer, algorithms=others), token)
    assert refused.value.refusal is bearer.MALFORMED


async def test_a_key_that_says_its_algorithm_is_for_no_other() -> None:
    issuer = Issuer()
    key = KEYS[0].as_dict(private=False) | {"alg": "RS256"}
    verifier = connected(issuer, public_key=json.dumps(key))
    assert await subject(verifier, issuer.token(claims(issuer))) == "ada"
    with pytest.raises(TokenRefused):
        await subject(verifier, issuer.token(claims(issuer), alg="PS256"))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"issuer": "http://id.example.com"}, "The issuer is an https URL"),
        ({"issuer": "https://id.example.com?x"}, "The issuer is an https URL"),
        ({"issuer": "id.example.com"}, "The issuer is an https URL"),
        ({"jwks_uri": "http://id.example.com/keys"}, "jwks_uri is an https URL"),
        ({"jwks_uri": "https://a.example", "public_key": "x"}, "leave one of the two out"),
        ({"algorithms": "none"}, "algorithms= takes one or more of"),
        ({"algorithms": []}, "algorithms= takes one or more of"),
        ({"algorithms": ["RS256", "HS256"]}, "A shared secret is set by JWT_SECRET"),
        ({"public_key": "/nowhere/key.pem"}, "cannot be read: /nowhere/key.pem"),
        ({"public_key": KEYS[0].as_pem(private=True).decode()}, "holds a private key"),
        ({"public_key": json.dumps(KEYS[0].as_dict(private=True))}, "private or symmetric key"),
        ({"public_key": "{}"}, "has no key for"),
        ({"public_key": "{"}, "neither PEM nor JSON"),
        ({"public_key": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"}, "holds no public key"),
    ],
)
def test_a_wrong_argument_is_named(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match="(?s)" + sentence.replace("(", ".")):
        ExternalIssuer(**{"issuer": "https://id.example.com", **options})


async def test_reaching_an_issuer_fetches_its_keys_unless_they_were_given() -> None:
    issuer = Issuer()
    assert await connected(issuer).reach()
    assert issuer.asked == [OPENID, "/keys"]
    given = connected(issuer, public_key=json.dumps({"keys": [KEYS[0].as_dict(private=False)]}))
    assert not await given.reach()
    issuer.is_down = True
    with pytest.raises(FetchFailed):
        await connected(issuer).reach()

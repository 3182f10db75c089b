"""Attacks with tokens of issuers elsewhere (security.md rows 27 to 31): what is refused, and what is asked of whom."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from gatepost import ExternalIssuer
from gatepost.outbound.issuer_keys import FLOOR
from gatepost.resource.bearer import MAX_EXTERNAL_LENGTH
from tests.attacks.installed import ORIGIN, installed
from tests.attacks.tokens.external_world import ALONE, HERE, METADATA, NOW, World, notes, world
from tests.outbound.external_issuer import CURVE, KEYS, Issuer


async def test_a_token_of_the_issuer_is_its_user() -> None:
    async with world() as server:
        token = server.token(email="ada@example.com", realm_access={"roles": ["editor"]})
        said = {"subject": "ada", "issuer": server.issuer.url, "roles": ["editor"], "email": "ada@example.com"}
        assert await server.who(token) == said
        assert server.issuer.asked == ["/.well-known/openid-configuration", "/keys"]
        assert [await server.who(server.token(sub="bob")), server.issuer.asked[2:]][1] == []


async def test_the_metadata_names_the_issuer_and_there_is_no_authorization_server() -> None:
    async with world() as server:
        challenge = (await server.call(None)).headers["www-authenticate"]
        assert challenge == f'Bearer resource_metadata="{ORIGIN}{METADATA}", scope="notes:read notes:write"'
        document = (await server.gatepost.http.get(METADATA)).json()
        assert (document["resource"], document["authorization_servers"]) == (HERE, [server.issuer.url])
        for path in ("/.well-known/oauth-authorization-server", "/oauth/authorize", "/oauth/login", "/oauth/jwks"):
            assert (await server.gatepost.http.get(path)).status_code == 404
        assert (await server.gatepost.http.post("/oauth/token")).status_code == 404


async def test_beside_the_built_in_server_both_are_named_and_nobody_has_the_subject_of_another() -> None:
    second = Issuer("https://second.example.com", keys=[KEYS[1]])
    other = ExternalIssuer(second.url)
    async with world(other, OAUTH_ENABLE_AS="true") as server:
        other.connect(second.surroundings(lambda: server.gatepost.clock[0]))
        document = (await server.gatepost.http.get(METADATA)).json()
        assert document["authorization_servers"] == [ORIGIN, server.issuer.url, second.url]
        one = await server.who(server.token(sub="user_1"))
        two = await server.who(second.token(server.claims(sub="user_1", iss=second.url)))
        assert (one["subject"], two["subject"]) == (f"{server.issuer.url}#user_1", f"{second.url}#user_1")
        # The key of one vouches for nobody of the other.
        await server.refused(second.token(server.claims(iss=server.issuer.url)))
        await server.refused(server.token(iss=second.url))


@pytest.mark.parametrize("token_format", ["opaque", "jwt"])
async def test_whoever_names_this_server_as_issuer_needs_its_own_key(token_format: str) -> None:
    async with world(OAUTH_ENABLE_AS="true", OAUTH_ACCESS_TOKEN_FORMAT=token_format) as server:
        for kid in ("one", None):
            await server.refused(server.token(iss=ORIGIN, header={"kid": kid}))
        assert server.issuer.asked == []


ATTACKS: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://evil.example"},
    "an issuer with a slash": {"iss": "https://id.example.com/"},
    "no issuer": {"iss": ...},
    "another audience": {"aud": "https://other.example/mcp"},
    "the origin": {"aud": ORIGIN},
    "the audience and more": {"aud": f"{HERE}/x"},
    "no audience": {"aud": ...},
    "no subject": {"sub": ...},
    "no end": {"exp": ...},
    "an end that has passed": {"exp": NOW - 60},
    "an end that is no number": {"exp": "never"},
    "not yet": {"nbf": NOW + 61},
    "from the future": {"iat": NOW + 61},
    "an ID token": {"nonce": "n", "header": {"typ": "JWT"}},
    "a refresh token of Keycloak": {"typ": "Refresh"},
    "an ID token of Cognito": {"token_use": "id"},
    "bound to a key": {"cnf": {"jkt": "x"}},
    "signed for a login": {"header": {"typ": "logout+jwt"}},
    "signed for a client": {"header": {"typ": "client-authentication+jwt"}},
    "a type that is no text": {"header": {"typ": ["at+jwt"]}},
    "an unknown extension": {"header": {"crit": ["exp"], "exp": 1}},
    "an unencoded payload": {"header": {"b64": False, "crit": ["b64"]}},
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_what_would_not_count_anyway_is_refused_and_nobody_is_asked(attack: str) -> None:
    async with world() as server:
        await server.refused(server.token(**ATTACKS[attack]))
        assert server.issuer.asked == []


def segment(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def by_hand(server: World, header: dict[str, Any], sign: Any) -> str:
    signed = f"{segment(header)}.{segment(server.claims())}"
    return f"{signed}.{base64.urlsafe_b64encode(sign(signed.encode())).decode().rstrip('=') or 'AA'}"


@pytest.mark.parametrize(
    "alg", ["none", "None", "NONE", "", None, 0, ["RS256"], "rs256", "HS256", "HS512", "ES256K", "dir"]
)
async def test_no_algorithm_of_somebody_elses_choice_counts(alg: Any) -> None:
    public = KEYS[0].as_pem(private=False)
    async with world() as server:
        for secret in (public, public.strip(), b"", b"one"):
            token = by_hand(
                server,
                {"alg": alg, "kid": "one", "typ": "at+jwt"},
                lambda signed, secret=secret: hmac.digest(secret, signed, hashlib.sha256),
            )
            await server.refused(token)
        assert server.issuer.asked == []


async def test_a_public_key_is_no_shared_secret_even_where_secrets_are_taken() -> None:
    secret = "0123456789abcdef0123456789abcdef"
    settings = {"OAUTH_ISSUER": "https://id.example.com", "OAUTH_ALGORITHM": "HS256", "JWT_SECRET": secret, **ALONE}
    async with installed(target=notes(), **settings) as gatepost:
        server = World(gatepost, Issuer())
        header = {"alg": "HS256", "typ": "JWT"}

        def signed_by(key: bytes) -> str:
            return by_hand(server, header, lambda signed: hmac.digest(key, signed, hashlib.sha256))

        assert (await server.who(signed_by(secret.encode())))["subject"] == "ada"
        for key in (KEYS[0].as_pem(private=False), b"", secret[:-1].encode()):
            await server.refused(signed_by(key))
        await server.refused(server.token())


async def test_keys_that_a_token_brings_along_are_not_looked_at() -> None:
    own = KEYS[1]
    public = own.as_dict(private=False)
    async with world() as server:
        for header in (
            {"jwk": public},
            {"jwk": public, "kid": "two"},
            {"jku": "https://evil.example/keys", "kid": "two"},
            {"x5u": "https://evil.example/cert", "kid": None},
            {"x5c": ["AAAA"], "kid": "one"},
            {"kid": "../../../../dev/null"},
            {"kid": "https://evil.example/keys"},
            {"kid": "' OR 1=1 --"},
            {"kid": ["one"]},
            {"kid": {"one": 1}},
        ):
            await server.refused(server.token(key=own, header=header))
        assert {*server.issuer.asked} == {"/.well-known/openid-configuration", "/keys"}


async def test_a_signature_of_another_key_or_over_something_else_is_refused() -> None:
    async with world() as server:
        good = server.token()
        head, payload, signature = good.split(".")
        await server.refused(server.token(key=KEYS[1], header={"kid": "one"}))
        await server.refused(f"{head}.{segment(server.claims(scope='notes:write'))}.{signature}")
        await server.refused(f"{segment({'alg': 'PS256', 'kid': 'one', 'typ': 'at+jwt'})}.{payload}.{signature}")
        await server.refused(server.token(key=CURVE, alg="ES256", header={"kid": "one"}))
        for broken in (f"{head}.{payload}.", f"{head}.{payload}", f"{good}.x", f"{head}.{payload}.{signature[:-9]}"):
            answer = await server.call(broken)
            assert answer.status_code == 401
        await server.who(good)


async def test_oversized_tokens_are_refused_before_anything_is_read_of_them() -> None:
    async with world() as server:
        large = server.token(groups=["g" * 36] * 120)
        assert 2048 < len(large) <= MAX_EXTERNAL_LENGTH
        assert (await server.who(large))["subject"] == "ada"
        asked = len(server.issuer.asked)
        await server.refused(server.token(groups=["g" * 36] * 200))
        deep = "[" * 3000
        await server.refused(f"{base64.urlsafe_b64encode(deep.encode()).decode().rstrip('=')}.e30.c2ln")
        doubled = base64.urlsafe_b64encode(b'{"alg":"none","alg":"RS256","kid":"one"}').decode().rstrip("=")
        await server.refused(f"{doubled}.{segment(server.claims())}.c2ln")
        assert len(server.issuer.asked) == asked


async def test_a_flood_of_unknown_keys_makes_one_fetch_in_a_floor_and_keeps_nobody_out() -> None:
    async with world() as server:
        await server.who(server.token())
        before = len(server.issuer.asked)
        for number in range(100):
            await server.refused(server.token(header={"kid": f"random-{number}"}))
        assert len(server.issuer.asked) - before == 2, "the metadata and the keys, once"
        server.gatepost.clock[0] += FLOOR
        await asyncio.gather(*(server.refused(server.token(header={"kid": f"more-{number}"})) for number in range(20)))
        assert len(server.issuer.asked) - before == 4
        await server.who(server.token())


async def test_new_keys_count_at_their_first_token_and_withdrawn_ones_no_more() -> None:
    async with world() as server:
        old = server.token()
        await server.who(old)
        server.issuer.keys = [KEYS[1]]
        await server.who(server.token())
        server.gatepost.clock[0] += 6  # beyond what was verified a moment ago
        await server.refused(old)


async def test_new_keys_without_a_name_count_too() -> None:
    async with world() as server:
        await server.who(server.token(header={"kid": None}))
        server.issuer.keys = [KEYS[1]]
        await server.who(server.token(header={"kid": None}))


async def test_an_issuer_that_is_down_for_an_hour_logs_nobody_out() -> None:
    async with world() as server:
        await server.who(server.token())
        server.issuer.is_down = True
        for _ in range(60):
            server.gatepost.clock[0] += 60
            assert (await server.who(server.token()))["subject"] == "ada"
        server.gatepost.clock[0] += 7 * 24 * 3600
        await server.who(server.token())
        # Whether a key is a new one nobody can say now.
        answer = await server.call(server.token(key=KEYS[1]))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "www-authenticate" not in answer.headers


async def test_without_any_key_ever_it_is_503_and_not_the_clients_fault() -> None:
    issuer = Issuer(is_down=True)
    async with world(issuer=issuer) as server:
        answer = await server.call(server.token())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["error"] == "temporarily_unavailable"
        issuer.is_down = False
        server.gatepost.clock[0] += 10
        await server.who(server.token())

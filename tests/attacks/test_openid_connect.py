"""Logins at an OpenID provider (security.md, upstream logins): whose answers count, and for which login."""

from __future__ import annotations

import hmac
import json
import logging
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from typing import Any

import pytest
from joserfc.jwk import ECKey

from gatepost.identity.openid_connect import CLOCK_SKEW, OpenIDConnect
from gatepost.identity.provider import Surroundings
from tests.identity.openid_issuer import CLIENT_ID, SECRET, Network, OpenIDIssuer, query_of
from tests.identity.openid_world import ISSUER, LOGIN, Upstream, is_refused, is_unavailable, openid_world
from tests.identity.test_several_logins import several
from tests.web.pages.pages_world import heading, make_world


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with openid_world() as world:
        yield world


async def test_what_userinfo_verifies_is_its_own_address(upstream: Upstream) -> None:
    upstream.issuer.claims = {"email": "unverified@b.example"}
    upstream.issuer.userinfo["email_verified"] = True

    await upstream.log_in()

    [person] = upstream.provider.people
    assert (person.email, person.email_verified) == ("unverified@b.example", False)


async def test_userinfo_about_somebody_else_counts_for_nothing(upstream: Upstream) -> None:
    upstream.issuer.userinfo["sub"] = "4712"
    assert is_unavailable(await upstream.log_in())


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "another"},
        {"aud": None},
        {"aud": []},
        {"aud": ["another", CLIENT_ID]},
        {"aud": [CLIENT_ID], "azp": "another"},
        {"nonce": "another"},
        {"nonce": None},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 256},
        {"sub": "\ud800"},
        {"sub": 4711},
        {"exp": None},
        {"exp": 1_000_000 - CLOCK_SKEW},
        {"exp": "soon"},
        {"iat": None},
        {"iat": 1_000_001 + CLOCK_SKEW},
        {"nbf": 1_000_001 + CLOCK_SKEW},
    ],
    ids=str,
)
async def test_an_id_token_that_is_not_for_this_login_logs_nobody_in(
    upstream: Upstream, caplog: pytest.LogCaptureFixture, claims: dict[str, Any]
) -> None:
    upstream.issuer.claims = claims
    with caplog.at_level(logging.WARNING, "gatepost.identity"):
        assert is_unavailable(await upstream.log_in())
    assert "login provider oidc: its ID token is not valid: " in caplog.text
    assert (await upstream.world.session(upstream.browser)).user is None


async def test_a_signature_by_a_key_that_is_not_published_counts_for_nothing(upstream: Upstream) -> None:
    upstream.issuer.key = ECKey.generate_key("P-256", parameters={"kid": "1"})
    assert is_unavailable(await upstream.log_in())


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
async def test_only_the_provider_s_own_keys_sign(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch, algorithm: str
) -> None:
    """`none` is signed by nobody, and HS256 with the client secret by anybody who has that."""
    signed = OpenIDIssuer.id_token

    def otherwise(self: OpenIDIssuer, asked: Any) -> str:
        payload = signed(self, asked).split(".")[1]
        header = urlsafe_b64encode(json.dumps({"alg": algorithm, "kid": "1"}).encode()).decode().rstrip("=")
        mac = (
            hmac.digest(SECRET.encode(), f"{header}.{payload}".encode(), "sha256") if algorithm == "HS256" else b"none"
        )
        return f"{header}.{payload}.{urlsafe_b64encode(mac).decode().rstrip('=')}"

    monkeypatch.setattr(OpenIDIssuer, "id_token", otherwise)
    assert is_unavailable(await upstream.log_in())


async def test_another_issuer_s_answer_is_refused_and_uses_the_state_up(upstream: Upstream) -> None:
    there = await upstream.go()
    mixed_up = await upstream.browser.get(upstream.issuer.log_in(there).replace("id.example", "evil.example"))
    assert is_refused(mixed_up)
    assert "evil" not in mixed_up.text
    assert "/token" not in upstream.issuer.asked
    over = await upstream.browser.get(upstream.issuer.log_in(there))
    assert (over.status_code, heading(over)) == (400, "This login is over")


async def test_an_issuer_that_says_it_names_itself_has_to(upstream: Upstream) -> None:
    assert is_refused(await upstream.log_in(iss=""))


async def test_an_issuer_that_does_not_say_so_need_not_name_itself(upstream: Upstream) -> None:
    del upstream.issuer.metadata["authorization_response_iss_parameter_supported"]
    assert (await upstream.log_in(iss="")).status_code == 303
    assert is_refused(
        await upstream.browser.get(upstream.issuer.log_in(await upstream.go(LOGIN + "&switch=1"), iss="x"))
    )


async def test_the_answer_of_one_provider_does_not_count_at_another() -> None:
    """Mix-up: an honest provider's code is brought to the redirect URI of one that an attacker runs, and back."""
    honest, evil = (OpenIDConnect(f"https://{name}.example", CLIENT_ID, SECRET, name=name) for name in ("id", "evil"))
    worlds = [make_world(provider=honest)]
    worlds.append(make_world(provider=evil, store_of=worlds[0]))
    issuers = [OpenIDIssuer(f"https://{name}.example", [worlds[0].now], name=name) for name in ("id", "evil")]
    network = Network(id_example=issuers[0].app, evil_example=issuers[1].app)
    for provider, world in zip((honest, evil), worlds, strict=True):
        provider.connect(Surroundings(lambda: worlds[0].now, world.random_bytes, network))
    browser, at_evil = worlds[0].browser(), worlds[1].browser()
    answer = issuers[0].log_in((await browser.get("/oauth/login")).headers["location"])
    at_evil.cookies.update(browser.cookies)

    brought = await at_evil.get(
        answer.replace("/login/id/", "/login/evil/").replace("iss=https%3A%2F%2Fid", "iss=https%3A%2F%2Fevil")
    )

    assert (brought.status_code, heading(brought)) == (400, "This login is over")
    assert issuers[1].asked == []
    assert (await browser.get(answer)).status_code == 303
    for world in worlds:
        for opened in world.browsers:
            await opened.aclose()


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://evil.example"},
        {"issuer": f"{ISSUER}/"},
        {"token_endpoint": None},
        {"token_endpoint": "http://id.example/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": ["odd"]},
    ],
    ids=str,
)
async def test_metadata_of_another_issuer_or_without_safe_endpoints_is_not_used(
    upstream: Upstream, changes: dict[str, Any]
) -> None:
    upstream.issuer.metadata |= changes
    assert is_unavailable(await upstream.browser.get(LOGIN))


async def test_a_code_that_another_browser_got_logs_nobody_in(upstream: Upstream) -> None:
    """The thief's code under the victim's own state: what the code is bound to is another browser's (PKCE, nonce)."""
    thief = upstream.world.browser()
    stolen = query_of(upstream.issuer.log_in((await thief.get("/oauth/login")).headers["location"]))["code"]

    injected = await upstream.browser.get(upstream.issuer.back(await upstream.go(), code=stolen, iss=ISSUER))

    assert is_refused(injected)
    assert (await upstream.world.session(upstream.browser)).user is None


async def test_of_several_on_one_page_none_takes_another_s_answer() -> None:
    async with several() as world:
        honest = world.issuers["a"].log_in(await world.go("a"))
        for iss in ("a.example", "b.example"):
            brought = await world.browser.get(honest.replace("/login/a/", "/login/b/").replace("a.example", iss))
            assert (brought.status_code, heading(brought)) == (400, "This login is over")
        assert world.issuers["b"].asked == []
        assert await world.person() is None
        assert (await world.browser.get(honest)).status_code == 303

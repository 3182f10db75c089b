"""Logins at an OpenID provider: what is asked of it, what it says of people, and what they read when it fails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from gatepost.identity.openid_connect import CLOCK_SKEW, OpenIDConnect
from gatepost.identity.provider import Identity, Surroundings
from gatepost.outbound.fetching import FetchFailed
from tests.identity.openid_issuer import CLIENT_ID, SECRET, query_of
from tests.identity.openid_world import CONSENT, ISSUER, LOGIN, Upstream, is_refused, is_unavailable, openid_world
from tests.web.pages.pages_world import make_world


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with openid_world() as world:
        yield world


async def test_who_logs_in_there_is_logged_in_here_and_goes_on_to_consent(upstream: Upstream) -> None:
    before = upstream.world.secret(upstream.browser)

    came_back = await upstream.log_in()

    assert (came_back.status_code, came_back.headers["location"]) == (303, CONSENT)
    assert upstream.world.secret(upstream.browser) not in {None, before}
    user = (await upstream.world.session(upstream.browser)).user
    assert user is not None
    assert (user.issuer, user.external_subject, user.name) == (ISSUER, "4711", "Ada")


async def test_userinfo_says_what_the_id_token_does_not(upstream: Upstream) -> None:
    await upstream.log_in()

    claims = {"sub": "4711", "name": "Ada", "email": "ada@example.com", "groups": ["staff"]}
    assert upstream.provider.people == [
        Identity("4711", "Ada", ISSUER, "ada@example.com", email_verified=False, groups=("staff",), claims=claims)
    ]
    assert upstream.issuer.asked[-1] == "/userinfo"


async def test_userinfo_is_not_asked_for_what_the_id_token_says(upstream: Upstream) -> None:
    upstream.issuer.claims = {"name": "Ada L.", "email": "a@b.example", "email_verified": True}
    await upstream.log_in()

    assert upstream.provider.people == [
        Identity(
            "4711",
            "Ada L.",
            ISSUER,
            "a@b.example",
            email_verified=True,
            claims={"sub": "4711", **upstream.issuer.claims},
        )
    ]
    assert "/userinfo" not in upstream.issuer.asked


@pytest.mark.parametrize("said", ["true", 1, None])
async def test_only_true_verifies_an_address(upstream: Upstream, said: object) -> None:
    upstream.issuer.userinfo["email_verified"] = said
    await upstream.log_in()
    assert not upstream.provider.people[0].email_verified


@pytest.mark.parametrize("prompts", [None, ["login", "select_account"]])
async def test_who_wants_another_account_is_asked_there(upstream: Upstream, prompts: list[str] | None) -> None:
    upstream.issuer.metadata["prompt_values_supported"] = prompts
    assert "prompt" not in query_of(await upstream.go())
    there = query_of(await upstream.go(LOGIN + "&switch=1"))
    assert there["prompt"] == ("login" if prompts is None else "select_account")


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1_000_001 - CLOCK_SKEW},
        {"iat": 1_000_000 + CLOCK_SKEW},
        {"aud": [CLIENT_ID]},
        {"aud": ["another", CLIENT_ID], "azp": CLIENT_ID},
    ],
    ids=str,
)
async def test_clocks_may_differ_a_little_and_there_may_be_other_audiences(
    upstream: Upstream, claims: dict[str, Any]
) -> None:
    upstream.issuer.claims = claims
    assert (await upstream.log_in()).status_code == 303


@pytest.mark.parametrize("kid", ["2", "1", None])
async def test_keys_that_are_replaced_there_are_fetched_again_at_once(upstream: Upstream, kid: str | None) -> None:
    await upstream.log_in()
    upstream.issuer.rotate(kid=kid)
    await upstream.world.begin(upstream.browser)

    answer = await upstream.browser.get(upstream.issuer.log_in(await upstream.go(LOGIN + "&switch=1")))

    assert answer.status_code == 303
    assert upstream.issuer.asked.count("/jwks") == 2


async def test_metadata_and_keys_are_kept_for_an_hour_and_outlast_a_failure(upstream: Upstream) -> None:
    def fetched() -> tuple[int, int]:
        asked = upstream.issuer.asked
        return asked.count("/.well-known/openid-configuration"), asked.count("/jwks")

    async def again() -> int:
        browser = upstream.world.browser()
        there = (await browser.get("/oauth/login")).headers["location"]
        return (await browser.get(upstream.issuer.log_in(there))).status_code

    assert [await again(), await again(), fetched()] == [303, 303, (1, 1)]
    upstream.later(3600)
    assert [await again(), fetched()] == [303, (2, 2)]
    upstream.later(3600)
    for path in ("/.well-known/openid-configuration", "/jwks"):
        upstream.issuer.instead[path] = PlainTextResponse("down", 500)
    assert await again() == 303


@pytest.mark.parametrize(("switch", "prompt"), [("", "consent"), ("?switch=1", "login consent")])
async def test_a_refresh_token_is_asked_for_with_consent(upstream: Upstream, switch: str, prompt: str) -> None:
    world = make_world(provider=(provider := OpenIDConnect(ISSUER, CLIENT_ID, SECRET, keep_tokens=True)))
    provider.connect(Surroundings(lambda: world.now, world.random_bytes, upstream.network))
    async with world.browser() as browser:
        there = query_of((await browser.get(f"/oauth/login{switch}")).headers["location"])
    assert (there["scope"], there["prompt"]) == ("openid profile email offline_access", prompt)


async def test_groups_are_where_the_operator_says(upstream: Upstream) -> None:
    upstream.issuer.userinfo |= {"https://x.example/groups": ["a"], "realm_access": {"roles": ["b", 1, "a"]}}
    groups = ["https://x.example/groups", "realm_access.roles", "realm_access.more", "name.first", "nowhere"]
    world = make_world(provider=(provider := OpenIDConnect(ISSUER, CLIENT_ID, SECRET, groups=groups)))
    provider.connect(Surroundings(lambda: world.now, world.random_bytes, upstream.network))
    async with world.browser() as browser:
        there = (await browser.get("/oauth/login")).headers["location"]
        await browser.get(upstream.issuer.log_in(there))
        user = (await world.session(browser)).user
    assert user is not None
    assert user.profile.groups == ("a", "b")


@pytest.mark.parametrize("error", ["access_denied", "login_required"])
async def test_who_is_not_let_in_there_is_told_and_can_try_again(upstream: Upstream, error: str) -> None:
    refused = await upstream.browser.get(upstream.issuer.back(await upstream.go(), error=error, iss=ISSUER))
    assert is_refused(refused)
    assert "id.example did not let you in, or you did not go on there." in refused.text
    assert f'href="{LOGIN}"' in refused.text


async def test_a_request_that_it_does_not_take_is_for_the_operator(
    upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    for error in ("invalid_scope", "<script>"):
        refused = await upstream.browser.get(
            upstream.issuer.back(await upstream.go(), error=error, error_description="<script>", iss=ISSUER)
        )
        assert is_refused(refused)
        assert "The people who run this server find more in its log." in refused.text
        assert "<script" not in refused.text + caplog.text
    assert "it refuses the request: invalid_scope" in caplog.text


async def test_an_answer_without_a_code_is_none(upstream: Upstream) -> None:
    assert is_refused(await upstream.browser.get(upstream.issuer.back(await upstream.go(), iss=ISSUER)))


async def test_a_code_that_is_over_there_is_no_fault(upstream: Upstream) -> None:
    spent = await upstream.log_in(code="code&9")
    assert is_refused(spent)
    assert "took too long" in spent.text


@pytest.mark.parametrize(
    "answer",
    [
        PlainTextResponse("down", 500),
        PlainTextResponse("wait", 429),
        JSONResponse({"message": "wait"}, 429),
        JSONResponse([]),
        PlainTextResponse("[" * 100_000, media_type="application/json"),
        RedirectResponse("https://evil.example/"),
        JSONResponse({"error": "invalid_client"}, 401),
        JSONResponse({"error": ["odd"]}),
        JSONResponse({"access_token": ["odd"], "token_type": "Bearer"}),
        JSONResponse({"access_token": "theirs", "token_type": "Bearer"}),
        JSONResponse({"access_token": "theirs", "token_type": "Bearer", "id_token": "a.b.c"}),
    ],
)
@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/jwks", "/token", "/userinfo"])
async def test_a_provider_that_fails_is_said_and_nothing_is_lost(
    upstream: Upstream, path: str, answer: Response
) -> None:
    upstream.issuer.instead[path] = answer
    if path == "/.well-known/openid-configuration":
        failed = await upstream.browser.get(LOGIN)
    else:
        failed = await upstream.log_in()
    assert is_unavailable(failed)
    assert not {"evil"} & {part for name in upstream.issuer.asked for part in name.split(".")}

    del upstream.issuer.instead[path]
    upstream.later(5)
    assert (await upstream.log_in()).headers["location"] == CONSENT


async def test_a_provider_that_is_not_there_is_said(upstream: Upstream) -> None:
    app = upstream.network.hosts.pop("id.example")
    assert is_unavailable(await upstream.browser.get(LOGIN))
    assert await upstream.world.rows("pending_logins", "place") == []
    upstream.network.hosts["id.example"] = app
    upstream.later(5)
    assert (await upstream.log_in()).status_code == 303


@pytest.mark.parametrize("error", ["temporarily_unavailable", "server_error"])
async def test_a_provider_that_says_it_fails_is_said(upstream: Upstream, error: str) -> None:
    assert is_unavailable(
        await upstream.browser.get(upstream.issuer.back(await upstream.go(), error=error, iss=ISSUER))
    )


@pytest.mark.parametrize(
    ("issuer", "client_id", "secret"),
    [
        ("http://id.example", "x", None),
        ("https://id.example?x=1", "x", None),
        ("https://id.example#x", "x", None),
        ("https://user@id.example", "x", None),
        ("https://id.example:port", "x", None),
        ("https://", "x", None),
        ("id.example", "x", None),
        ("https://id.example\n", "x", None),
        (ISSUER, "", None),
        (ISSUER, "x", ""),
    ],
)
def test_what_cannot_be_an_issuer_or_a_client_is_refused_with_a_sentence(
    issuer: str, client_id: str, secret: str | None
) -> None:
    with pytest.raises(ValueError, match=r"^The (issuer|client id) is "):
        OpenIDConnect(issuer, client_id, secret)


@pytest.mark.parametrize(
    ("secret", "wanted", "supported", "authentication"),
    [
        (SECRET, None, ["client_secret_post", "private_key_jwt"], ("", [""], [CLIENT_ID, SECRET])),
        (SECRET, None, ["client_secret_post", "client_secret_basic"], ("Basic", [CLIENT_ID, SECRET], [])),
        (SECRET, "client_secret_post", ["client_secret_basic"], ("", [""], [CLIENT_ID, SECRET])),
        (None, None, ["client_secret_basic"], ("", [""], [CLIENT_ID])),
    ],
)
async def test_the_client_authenticates_as_the_provider_takes_it(
    upstream: Upstream,
    secret: str | None,
    wanted: str | None,
    supported: list[str],
    authentication: tuple[str, list[str], list[str]],
) -> None:
    upstream.issuer.metadata["token_endpoint_auth_methods_supported"] = supported
    upstream.issuer.authentication = authentication
    world = make_world(
        provider=(provider := OpenIDConnect(ISSUER, CLIENT_ID, secret, token_endpoint_auth_method=wanted))
    )
    provider.connect(Surroundings(lambda: world.now, world.random_bytes, upstream.network))
    async with world.browser() as browser:
        there = (await browser.get("/oauth/login")).headers["location"]
        assert (await browser.get(upstream.issuer.log_in(there))).status_code == 303


async def test_reaching_a_provider_fetches_its_metadata_and_its_keys(upstream: Upstream) -> None:
    await upstream.provider.reach()
    assert upstream.issuer.asked == ["/.well-known/openid-configuration", "/jwks"]
    other = OpenIDConnect("https://nobody.example", CLIENT_ID, SECRET)
    other.connect(Surroundings(lambda: upstream.world.now, upstream.world.random_bytes, upstream.network))
    with pytest.raises(FetchFailed):
        await other.reach()

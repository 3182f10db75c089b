"""`IntrospectedIssuer`: what it asks, which answers count, and what it does while there is none (RFC 7662)."""

from __future__ import annotations

import asyncio
import base64
import logging
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest

from gatepost import Claims, IntrospectedIssuer
from gatepost.outbound.fetching import FetchFailed
from gatepost.outbound.issuer_keys import PAUSE, IssuerUnavailable
from gatepost.resource import bearer
from gatepost.resource.bearer import Refusal, TokenRefused
from tests.outbound.external_issuer import Issuer

NOW = 1_800_000_000
HERE = "https://mcp.example.com/mcp"
ANSWER: dict[str, Any] = {
    "active": True,
    "sub": "ada",
    "aud": HERE,
    "client_id": "app",
    "scope": "a b",
    "exp": NOW + 600,
    "username": "Ada",
    "token_type": "Bearer",
    "department": "numbers",
}
METADATA = "/.well-known/openid-configuration"


class World:
    """An issuer that answers about every token alike, and what asks it."""

    def __init__(self, **options: Any) -> None:
        self.now = NOW
        self.answer: httpx2.Response = httpx2.Response(200, json=ANSWER)
        self.requests: list[httpx2.Request] = []
        self.issuer = Issuer(introspects=self._introspects)
        self.issuer.served[METADATA] = {
            "issuer": self.issuer.url,
            "introspection_endpoint": f"{self.issuer.url}/introspect",
        }
        self.asking = IntrospectedIssuer(self.issuer.url, client_id="notes", client_secret="hush hush%", **options)
        self.asking.connect(self.issuer.surroundings(lambda: self.now))

    def says(self, **changes: Any) -> None:
        members = {name: value for name, value in (ANSWER | changes).items() if value is not None}
        self.answer = httpx2.Response(200, json=members)

    def _introspects(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return httpx2.Response(self.answer.status_code, content=self.answer.content)

    async def refused(self, token: str = "opaque") -> Refusal:
        with pytest.raises(TokenRefused) as error:
            await self.asking.validate_token(token, HERE)
        return error.value.refusal

    async def is_unknown_now(self, token: str = "opaque") -> bool:
        with pytest.raises(IssuerUnavailable):
            await self.asking.validate_token(token, HERE)
        return True


async def test_what_the_issuer_says_is_what_a_token_is_worth() -> None:
    found = await World().asking.validate_token("opaque", HERE)
    assert (found.subject, found.scopes, found.client_id) == ("ada", ("a", "b"), "app")
    assert (found.expires_at, found.display_name) == (NOW + 600, "Ada")
    assert found.claims == {"sub": "ada", "client_id": "app", "username": "Ada", "department": "numbers"}


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_the_token_goes_into_the_body_and_the_secret_where_the_issuer_wants_it(method: str) -> None:
    world = World(auth_method=method)
    await world.asking.validate_token("opaque", HERE)
    (request,) = world.requests
    form = {"token": ["opaque"], "token_type_hint": ["access_token"]}
    if method == "client_secret_post":
        form |= {"client_id": ["notes"], "client_secret": ["hush hush%"]}
        assert "Authorization" not in request.headers
    else:
        pair = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode()
        assert pair == "notes:hush+hush%25"  # RFC 6749 section 2.3.1
    assert (request.method, request.url.query) == ("POST", b"")
    assert parse_qs(request.content.decode()) == form


async def test_its_endpoint_is_looked_up_once_or_set() -> None:
    world = World()
    for token in ("one", "two"):
        await world.asking.validate_token(token, HERE)
    assert world.issuer.asked == [METADATA, "/introspect", "/introspect"]
    world = World(introspection_uri="https://id.example.com/introspect")
    await world.asking.validate_token("one", HERE)
    assert world.issuer.asked == ["/introspect"]


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"active": False}, bearer.UNKNOWN),
        ({"aud": "https://mcp.example.com/other"}, bearer.ANOTHER_RESOURCE),
        ({"aud": None}, bearer.ANOTHER_RESOURCE),
        ({"aud": f"{HERE}/"}, bearer.ANOTHER_RESOURCE),
        ({"iss": "https://other.example.com"}, bearer.CLAIMS_INVALID),
        ({"exp": NOW - 60}, bearer.EXPIRED),
        ({"exp": "soon"}, bearer.CLAIMS_INVALID),
        ({"nbf": NOW + 61}, bearer.CLAIMS_INVALID),
        ({"sub": None, "client_id": None}, bearer.CLAIMS_INVALID),
        ({"token_type": "DPoP"}, bearer.WRONG_KIND),
        ({"token_type": 7}, bearer.WRONG_KIND),
        ({"token_type": "refresh_token"}, bearer.WRONG_KIND),
        ({"token_use": "refresh_token"}, bearer.WRONG_KIND),
        ({"typ": "Refresh"}, bearer.WRONG_KIND),
        ({"cnf": {"jkt": "x"}}, bearer.WRONG_KIND),
    ],
)
async def test_what_does_not_count_here_is_refused_although_it_is_active(
    changes: dict[str, Any], refusal: Refusal
) -> None:
    world = World()
    world.says(**changes)
    assert await world.refused() == refusal


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": None},
        {"iss": "https://id.example.com"},
        {"aud": ["https://other.example.com", HERE]},
        {"token_type": None},
        {"token_type": "bearer"},
        {"token_type": "access_token"},
        {"token_use": "access_token"},
        {"typ": "Bearer", "nonce": "n"},
        {"exp": NOW - 59},
    ],
)
async def test_what_rfc_7662_leaves_open_may_be_left_out(changes: dict[str, Any]) -> None:
    world = World()
    world.says(**changes)
    assert (await world.asking.validate_token("opaque", HERE)).subject == "ada"


async def test_a_token_without_a_person_is_the_clients_unless_told_otherwise() -> None:
    world = World()
    world.says(sub=None)
    assert (await world.asking.validate_token("opaque", HERE)).subject == "app"
    world = World(claims=Claims())
    world.says(sub=None)
    assert await world.refused() == bearer.CLAIMS_INVALID


async def test_an_audience_that_is_set_takes_the_place_of_the_address() -> None:
    world = World(audience="api://notes")
    assert await world.refused() == bearer.ANOTHER_RESOURCE
    world.says(aud="api://notes")
    assert (await world.asking.validate_token("opaque", HERE)).subject == "ada"


@pytest.mark.parametrize(
    "content", [b"{}", b'{"active":"true"}', b'{"active":1}', b"[]", b"yes", b"", b'{"sub":"ada"}']
)
async def test_an_answer_that_says_neither_is_no_refusal(content: bytes) -> None:
    """A client that is told 401 would log in again, and nothing would be better."""
    world = World()
    world.answer = httpx2.Response(200, content=content)
    assert await world.is_unknown_now()


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 302])
async def test_an_issuer_that_does_not_answer_is_left_alone_for_a_moment(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    world.answer = httpx2.Response(status)
    with caplog.at_level(logging.INFO, "gatepost.outbound"):
        assert await world.is_unknown_now("one")
        assert await world.is_unknown_now("two")
        assert len(world.requests) == 1
        world.now += PAUSE
        world.says()
        assert (await world.asking.validate_token("one", HERE)).subject == "ada"
        assert (await world.asking.validate_token("two", HERE)).subject == "ada"
    assert [record.message for record in caplog.records] == [
        f"https://id.example.com cannot be asked about tokens: /introspect answers {status}",
        "https://id.example.com can be asked about tokens again",
    ]


async def test_a_token_that_the_issuer_dislikes_keeps_nobody_else_out() -> None:
    world = World()
    world.answer = httpx2.Response(400)
    assert await world.is_unknown_now("made-up")
    world.says()
    assert (await world.asking.validate_token("opaque", HERE)).subject == "ada"


async def test_metadata_that_cannot_be_had_leaves_it_open_and_is_asked_for_again() -> None:
    world = World()
    del world.issuer.served[METADATA]["introspection_endpoint"]
    assert await world.is_unknown_now()
    assert world.requests == []
    world.issuer.served[METADATA]["introspection_endpoint"] = "https://id.example.com/introspect"
    world.now += PAUSE
    assert (await world.asking.validate_token("opaque", HERE)).subject == "ada"


async def test_calls_with_one_token_share_one_question_and_those_with_others_do_not() -> None:
    world, gate = World(), asyncio.Event()
    world.issuer.on_request = gate.wait
    calls = [asyncio.create_task(world.asking.validate_token(token, HERE)) for token in ["one"] * 5 + ["two"]]
    await asyncio.sleep(0)
    calls[0].cancel()
    gate.set()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert [answer.subject for answer in answers[1:] if not isinstance(answer, BaseException)] == ["ada"] * 5
    assert sorted(parse_qs(request.content.decode())["token"][0] for request in world.requests) == ["one", "two"]


async def test_made_up_tokens_wait_in_a_bounded_line() -> None:
    world, gate = World(introspection_uri="https://id.example.com/introspect"), asyncio.Event()
    world.issuer.on_request = gate.wait
    calls = [asyncio.create_task(world.asking.validate_token(f"token-{number}", HERE)) for number in range(256)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(world.issuer.asked) == 16
    assert await world.is_unknown_now("one-more")
    gate.set()
    assert {answer.subject for answer in await asyncio.gather(*calls)} == {"ada"}
    assert (await world.asking.validate_token("one-more", HERE)).subject == "ada"


def test_opaque_tokens_and_jwts_that_name_it_are_its_own() -> None:
    world = World()
    ours = world.issuer.token({"iss": world.issuer.url})
    assert world.asking.is_issuer_of("opaque")
    assert world.asking.is_issuer_of(ours)
    assert not world.asking.is_issuer_of(world.issuer.token({"iss": "https://other.example.com"}))
    assert not world.asking.is_issuer_of("a.b.c")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"issuer": "http://id.example.com"}, "The issuer is an https URL"),
        ({"introspection_uri": "http://id.example.com/x"}, "introspection_uri is an https URL"),
        ({"client_id": ""}, "client_id and client_secret"),
        ({"client_secret": ""}, "client_id and client_secret"),
        ({"auth_method": "none"}, "auth_method takes client_secret_basic or client_secret_post"),
    ],
)
def test_an_argument_that_cannot_work_is_refused(options: dict[str, Any], said: str) -> None:
    given = {"issuer": "https://id.example.com", "client_id": "notes", "client_secret": "hush"} | options
    with pytest.raises(ValueError, match=said):
        IntrospectedIssuer(**given)


def test_its_name_for_logs_has_no_secret() -> None:
    assert repr(World().asking) == "IntrospectedIssuer('https://id.example.com')"


async def test_reaching_an_issuer_that_is_asked_shows_whether_it_knows_this_server() -> None:
    world = World()
    world.answer = httpx2.Response(200, json={"active": False})
    assert await world.asking.reach()
    assert len(world.requests) == 1
    world.answer = httpx2.Response(401)
    with pytest.raises(FetchFailed):
        await world.asking.reach()

"""Servers that mean harm to whoever examines them: nothing raises, nothing is obeyed, and nobody else is asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.doctor.answers import MAX_BODY
from gatepost.doctor.examination import Diagnosis, WalkOptions, examine
from gatepost.doctor.report import json_of, text_of
from gatepost.doctor.requester import Requester
from tests.doctor.broken_server import (
    ORIGIN,
    PUBLIC,
    RESOURCE,
    URL,
    Answered,
    Asked,
    BreakingProxy,
    GoOn,
    answered,
    everywhere_public,
    named,
)

ESCAPE = "\x1b]0;owned\x07\x1b[2J\u202e"
IN_HEADERS = "text/\x1b[2J"
PRIVATE = "10.1.2.3"
CHALLENGE = {"www-authenticate": f'Bearer resource_metadata="{ORIGIN}{RESOURCE}/mcp"'}


async def nobody(*_: Any) -> None:
    """An app that is never asked."""


async def examined(
    answer: Callable[[Asked], Answered], *, resolve: Any = everywhere_public, **options: Any
) -> tuple[Diagnosis, list[Asked]]:
    """What is said of a server that answers so, and what it was asked."""

    async def fault(asked: Asked, _go_on: GoOn) -> Answered:
        return answer(asked)

    transport = BreakingProxy(nobody, fault)
    async with Requester(URL, transport=transport, resolve=resolve, **options) as requester:
        return await examine(URL, requester, WalkOptions()), transport.asked


def metadata(resource: Any, server: Any) -> Callable[[Asked], Answered]:
    """A server that has these documents."""

    def answer(asked: Asked) -> Answered:
        if asked.path.startswith(RESOURCE):
            return answered(200, resource)
        if "/.well-known/" in asked.path:
            return answered(200, server)
        if asked.path == "/register":
            return answered(201, {**json.loads(asked.body), "client_id": "one"})
        return Answered(401, CHALLENGE) if asked.path == "/mcp" else answered(404)

    return answer


def sound_server(**members: Any) -> dict[str, Any]:
    endpoints = {f"{name}_endpoint": f"{ORIGIN}/{name}" for name in ("authorization", "token")}
    return {"issuer": ORIGIN, **endpoints, "registration_endpoint": f"{ORIGIN}/register", **members}


def sound_resource(**members: Any) -> dict[str, Any]:
    return {"resource": URL, "authorization_servers": [ORIGIN], **members}


def is_clean(text: str) -> bool:
    return all(character.isprintable() or character == "\n" for character in text)


async def test_escapes_of_a_terminal_are_not_printed() -> None:
    def answer(asked: Asked) -> Answered:
        hostile = dict.fromkeys(("error", "error_description", "issuer", "resource"), ESCAPE)
        lists = {name: [ESCAPE] for name in ("response_types_supported", "scopes_supported")}
        if asked.path.startswith("/.well-known/"):
            return answered(200, {**hostile, **lists, "authorization_servers": [ORIGIN]}, content_type=IN_HEADERS)
        return answered(401, hostile, www_authenticate=f'Bearer error="{IN_HEADERS}"', content_type=IN_HEADERS)

    diagnosis, _ = await examined(answer)

    assert "resource-identifier" in named(diagnosis)
    assert is_clean(text_of(diagnosis))
    assert is_clean(json_of(diagnosis))
    assert is_clean("".join(finding.seen for _, finding in diagnosis.findings))


async def test_an_answer_without_an_end_is_cut() -> None:
    diagnosis, _ = await examined(
        lambda asked: (
            Answered(200, {"content-type": "application/json"}, b"[" * (MAX_BODY + 1))
            if asked.path.startswith(RESOURCE)
            else Answered(401, CHALLENGE)
        )
    )

    assert named(diagnosis)["resource-metadata"] == "fails"


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 50_000, b'"\\ud800"', b"\xff\xfe", b"1e999999", b"null"])
async def test_documents_that_break_readers_are_no_documents(body: bytes) -> None:
    diagnosis, _ = await examined(
        lambda asked: (
            Answered(200, {"content-type": "application/json"}, body)
            if "/.well-known/" in asked.path
            else Answered(401, CHALLENGE)
        )
    )

    assert named(diagnosis)["resource-metadata"] == "fails"


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.sampled_from(["http://[", "https://h:x/", "//", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
RESOURCE_MEMBERS = ("resource", "authorization_servers", "scopes_supported")
SERVER_MEMBERS = (
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "registration_endpoint",
    "response_types_supported",
    "grant_types_supported",
    "code_challenge_methods_supported",
    "token_endpoint_auth_methods_supported",
    "client_id_metadata_document_supported",
)


@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys(RESOURCE_MEMBERS, ANYTHING)),
    st.fixed_dictionaries({}, optional=dict.fromkeys(SERVER_MEMBERS, ANYTHING)),
)
async def test_metadata_of_any_shape_is_looked_at_to_the_end(resource: dict[str, Any], server: dict[str, Any]) -> None:
    diagnosis, _ = await examined(metadata(sound_resource(**resource), sound_server(**server)))

    assert is_clean(text_of(diagnosis))
    assert is_clean(json_of(diagnosis))


async def test_a_server_on_the_internet_leads_to_no_address_that_is_not() -> None:
    async def resolve(host: str) -> Sequence[str]:
        return [PUBLIC] if host in {"mcp.example.com", "login.example.com"} else [PRIVATE]

    inside = {
        "authorization_endpoint": "https://router.example/login",
        "token_endpoint": "http://login.example.com/token",
        "registration_endpoint": "http://169.254.169.254/latest/meta-data",
    }
    resource = sound_resource(authorization_servers=["https://login.example.com"])

    diagnosis, asked = await examined(metadata(resource, sound_server(**inside)), resolve=resolve)

    assert {urlsplit(each.url).netloc for each in asked} == {"mcp.example.com", "login.example.com"}
    assert {urlsplit(each.url).scheme for each in asked} == {"https"}
    assert named(diagnosis)["registration-open"] == "fails"


async def test_on_a_network_of_ones_own_servers_may_name_each_other() -> None:
    async def resolve(_host: str) -> Sequence[str]:
        return [PRIVATE]

    resource = sound_resource(authorization_servers=["http://keycloak.local:8080"])

    _, asked = await examined(metadata(resource, sound_server(issuer="http://keycloak.local:8080")), resolve=resolve)

    assert "keycloak.local:8080" in {urlsplit(each.url).netloc for each in asked}


async def test_a_host_with_a_private_address_beside_its_public_one_is_on_the_internet() -> None:
    async def resolve(host: str) -> Sequence[str]:
        return [PUBLIC, PRIVATE] if host == "mcp.example.com" else [PRIVATE]

    resource = sound_resource(authorization_servers=["http://keycloak.local:8080"])

    _, asked = await examined(metadata(resource, sound_server()), resolve=resolve)

    assert {urlsplit(each.url).netloc for each in asked} == {"mcp.example.com"}


async def test_a_name_that_changes_its_address_once_it_is_asked_stays_on_the_internet() -> None:
    is_asked: list[Asked] = []

    async def resolve(_host: str) -> Sequence[str]:
        return [PRIVATE] if is_asked else [PUBLIC]

    resource = sound_resource(authorization_servers=["http://keycloak.local:8080"])

    def answer(asked: Asked) -> Answered:
        is_asked.append(asked)
        return metadata(resource, sound_server())(asked)

    _, asked = await examined(answer, resolve=resolve)

    assert {urlsplit(each.url).netloc for each in asked} == {"mcp.example.com"}


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://mcp.example.com/", "https://me@mcp.example.com/", "x"])
async def test_what_is_no_url_of_a_server_is_not_asked(url: str) -> None:
    diagnosis, asked = await examined(metadata(sound_resource(authorization_servers=[url]), sound_server()))

    assert {urlsplit(each.url).netloc for each in asked} == {"mcp.example.com"}
    assert named(diagnosis)["server-metadata"] == "fails"


async def test_redirects_are_reported_and_not_followed() -> None:
    def answer(asked: Asked) -> Answered:
        if asked.path.startswith(RESOURCE):
            return Answered(302, {"location": "https://elsewhere.example/metadata?code=made-up"})
        return Answered(401, CHALLENGE)

    diagnosis, asked = await examined(answer)

    assert {urlsplit(each.url).netloc for each in asked} == {"mcp.example.com"}
    seen = " ".join(finding.seen for _, finding in diagnosis.findings)
    assert "302 to https://elsewhere.example/metadata?…" in seen
    assert "made-up" not in text_of(diagnosis)


async def test_a_server_that_takes_all_its_time_costs_no_more_than_the_walk_may() -> None:
    """Each answer takes 14 s by the clock that is read, and the whole 60."""
    clock = [0.0]

    def answer(_asked: Asked) -> Answered:
        clock[0] += 14.0
        return Answered(401, CHALLENGE)

    diagnosis, asked = await examined(answer, clock=lambda: clock[0], walk_seconds=60.0)

    assert len(asked) == 5
    assert named(diagnosis)["discovery-in-ten-seconds"] == "fails"


async def test_slow_discovery_keeps_claude_ai_out_and_nobody_else() -> None:
    clock = [0.0]

    def answer(asked: Asked) -> Answered:
        clock[0] += 4.0
        return metadata(sound_resource(), sound_server(code_challenge_methods_supported=["S256"]))(asked)

    diagnosis, _ = await examined(answer, clock=lambda: clock[0], walk_seconds=10_000.0)

    findings = [(f.seen, f.clients) for check, f in diagnosis.findings if check.id == "discovery-in-ten-seconds"]
    assert findings == [("12.0 s for 3 answers", ("claude-ai",))]


async def test_a_server_that_cannot_be_reached_is_asked_once() -> None:
    def answer(_asked: Asked) -> Answered:
        raise ConnectionRefusedError

    diagnosis, asked = await examined(answer)

    assert len(asked) == 1
    assert named(diagnosis) == {"reachable": "fails"}
    assert [f.seen for _, f in diagnosis.findings] == ["POST /mcp: nobody listens there: connection refused"]

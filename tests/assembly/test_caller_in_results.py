"""Results say who the caller is where the operator wants it, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gatepost import Server
from gatepost.resource.principal import Principal
from gatepost.server.caller_in_results import CALLER, caller
from tests.assembly.test_bare import ELSEWHERE, a_server, around, asked, asking

ADA = {"subject": "ada", "name": "ada", "scopes": ["private"], "roles": []}
CALLS = [
    ("tools/call", {"name": "public", "arguments": {}}),
    ("prompts/get", {"name": "greet"}),
    ("resources/read", {"uri": "notes://today"}),
]


def whole_server() -> Server:
    server = a_server()
    server.add_prompt(greet)
    server.resource("notes://today")(today)
    return server


def greet() -> str:
    """Greet."""
    return "Hello"


def today() -> str:
    """Say what is on today."""
    return "nothing"


async def result_of(method: str, params: dict[str, Any], *, user: str | None = "ada") -> dict[str, Any]:
    headers = {} if user is None else {"X-User": user}
    async with asking(around(whole_server()), ELSEWHERE) as http:
        result: dict[str, Any] = (await asked(http, method, params=params, headers=headers)).json()["result"]
    return result


@pytest.mark.parametrize(("method", "params"), CALLS)
async def test_results_of_calls_say_who_the_caller_is(
    monkeypatch: pytest.MonkeyPatch, method: str, params: dict[str, Any]
) -> None:
    monkeypatch.setenv("MCP_CALLER_IN_RESULTS", "true")
    assert (await result_of(method, params))["_meta"] == {CALLER: ADA}

    monkeypatch.setenv("MCP_REQUIRE_AUTH", "false")
    assert (await result_of(method, params, user=None))["_meta"] == {CALLER: {"subject": "anonymous"}}


async def test_lists_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_CALLER_IN_RESULTS", "true")
    assert "_meta" not in await result_of("tools/list", {})


@pytest.mark.parametrize(("method", "params"), CALLS)
async def test_nothing_is_said_unless_it_is_wanted(method: str, params: dict[str, Any]) -> None:
    assert "_meta" not in await result_of(method, params)


def test_of_a_person_everything_but_the_profile_is_said() -> None:
    principal = Principal(
        subject="user_1",
        client_id="client_1",
        scopes=frozenset({"b", "a"}),
        resource="https://notes.example/mcp",
        issuer="https://notes.example",
        grant_id="grant_1",
        expires_at=7,
        display_name="Ada",
        client_name="An app",
        profile='{"email": "ada@example.com"}',
        roles=frozenset({"editor"}),
    )

    assert caller(principal) == {
        "subject": "user_1",
        "name": "Ada",
        "clientId": "client_1",
        "clientName": "An app",
        "scopes": ["a", "b"],
        "roles": ["editor"],
    }
    assert caller(replace(principal, actors=("front", "gate")))["actors"] == ["front", "gate"]

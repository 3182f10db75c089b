"""What a client learns of resources, templates and prompts, in every revision: capabilities, lists, scopes."""

from __future__ import annotations

from typing import Any

import pytest

from gatepost.protocol.errors import MethodNotFound
from gatepost.protocol.versions import Revision
from gatepost.server.dispatch import ServerTarget
from gatepost.server.server import Server
from tests.server.feature_server import ALL, EARLIER, ICON, WHO, a_server, ask


@pytest.mark.parametrize("revision", ALL)
async def test_a_server_declares_the_features_it_has(revision: Revision) -> None:
    method = "server/discover" if revision.modern else "initialize"
    params = {"protocolVersion": revision.version}

    async def capabilities(server: Server) -> dict[str, Any]:
        found: dict[str, Any] = (await ask(ServerTarget(server), method, params, revision=revision))["capabilities"]
        return found

    only_a_resource, only_a_template, only_a_prompt = Server("a"), Server("b"), Server("c")
    only_a_resource.resource("notes://today")(lambda: "")
    only_a_template.resource("notes://{number}", name="note")(_note)
    only_a_prompt.prompt(name="hello")(lambda: "")
    least: dict[str, Any] = {"logging": {}, "tools": {"listChanged": True}}
    resources, prompts = {"resources": {"listChanged": True, "subscribe": True}}, {"prompts": {"listChanged": True}}
    assert await capabilities(a_server()) == {**least, **resources, **prompts, "completions": {}}
    assert await capabilities(Server("none")) == least
    assert await capabilities(only_a_resource) == {**least, **resources}
    assert await capabilities(only_a_template) == {**least, **resources}
    assert await capabilities(only_a_prompt) == {**least, **prompts}


async def _note(number: str) -> str:
    return number


@pytest.mark.parametrize("revision", ALL)
@pytest.mark.parametrize(
    "method",
    [
        "resources/list",
        "resources/templates/list",
        "resources/read",
        "prompts/list",
        "prompts/get",
        "completion/complete",
    ],
)
async def test_a_feature_that_the_server_has_nothing_of_is_no_method(method: str, revision: Revision) -> None:
    with pytest.raises(MethodNotFound):
        await ask(ServerTarget(Server("none")), method, {"uri": "notes://1", "name": "x"}, revision=revision)


async def test_resources_are_listed_with_all_that_was_declared() -> None:
    assert await ask(ServerTarget(a_server()), "resources/list") == {
        "resources": [
            {
                "uri": "notes://today",
                "name": "today",
                "title": "Today",
                "description": "What there is today.",
                "mimeType": "text/markdown",
                "size": 5,
                "icons": [ICON],
            },
            {"uri": "notes://secret", "name": "secret"},
        ],
        "resultType": "complete",
        "ttlMs": 300_000,
        "cacheScope": "private",
        "_meta": WHO,
    }


@pytest.mark.parametrize("revision", EARLIER)
async def test_lists_leave_out_what_a_revision_does_not_know(revision: Revision) -> None:
    target = ServerTarget(a_server())

    resource = (await ask(target, "resources/list", revision=revision))["resources"][0]
    templates = await ask(target, "resources/templates/list", revision=revision)
    prompt = (await ask(target, "prompts/list", revision=revision))["prompts"][0]

    assert ("icons" in resource, "icons" in prompt) == (revision.version >= "2025-11-25",) * 2
    assert ("title" in resource, "title" in prompt) == (revision.version >= "2025-06-18",) * 2
    assert templates.keys() == {"resourceTemplates"}


async def test_templates_are_listed_apart_from_resources() -> None:
    assert (await ask(ServerTarget(a_server()), "resources/templates/list"))["resourceTemplates"] == [
        {"uriTemplate": "notes://{number}", "name": "note"},
        {"uriTemplate": "notes://shelf/{+path}", "name": "shelf", "title": "Shelf"},
    ]


async def test_prompts_are_listed_with_their_arguments() -> None:
    listed = await ask(ServerTarget(a_server()), "prompts/list", granted=frozenset())

    assert listed["prompts"] == [
        {
            "name": "summarise",
            "title": "Summary",
            "description": "Ask for a summary.",
            "arguments": [
                {"name": "text", "description": "What to summarise.", "required": True},
                {"name": "language", "description": "In which language.", "required": False},
            ],
            "icons": [ICON],
        }
    ]
    assert listed["cacheScope"] == "private"


@pytest.mark.parametrize(
    ("method", "member", "key", "seen"),
    [
        ("resources/list", "resources", "uri", ["notes://today"]),
        ("resources/templates/list", "resourceTemplates", "uriTemplate", ["notes://{number}"]),
        ("prompts/list", "prompts", "name", ["summarise"]),
    ],
)
async def test_what_needs_a_scope_is_hidden_from_callers_without_it(
    method: str, member: str, key: str, seen: list[str]
) -> None:
    target = ServerTarget(a_server())

    assert [one[key] for one in (await ask(target, method, granted=frozenset({"other"})))[member]] == seen
    everything = await ask(target, method, granted=frozenset({"notes:read", "notes:write"}))
    assert len(everything[member]) == 2
    assert len((await ask(target, method))[member]) == 2


async def test_a_list_without_scopes_is_public() -> None:
    server = Server("notes")
    server.resource("notes://today")(lambda: "")

    for method in ("resources/list", "resources/templates/list", "tools/list"):
        assert (await ask(ServerTarget(server), method))["cacheScope"] == "public"

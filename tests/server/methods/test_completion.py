"""Arguments are completed, in every revision."""

from __future__ import annotations

from typing import Any

import pytest

from gatepost.protocol.errors import InternalError, InvalidParams
from gatepost.protocol.versions import Revision
from gatepost.resource.principal import Principal
from gatepost.server.calls.context import Context
from gatepost.server.declared.completion import Completion
from gatepost.server.dispatch import ServerTarget
from gatepost.server.errors import InsufficientScope
from gatepost.server.server import Server
from tests.server.feature_server import ALL, WHO, a_server, ask


async def _note_of_text(text: str) -> str:
    return text


@pytest.mark.parametrize("revision", ALL)
async def test_a_completion_cannot_ask_its_client(revision: Revision, caplog: pytest.LogCaptureFixture) -> None:
    async def complete(_value: str, ctx: Context) -> list[str]:
        await ctx.elicit("Which?", {"type": "object", "properties": {"which": {"type": "string"}}})
        return []

    server = Server("asking")
    server.prompt(name="prompt", completions={"text": complete})(_note_of_text)

    with pytest.raises(InternalError):
        await ask(
            ServerTarget(server),
            "completion/complete",
            reference(ref={"type": "ref/prompt", "name": "prompt"}, name="text"),
            revision=revision,
        )
    assert "MissingRequiredClientCapability" in caplog.text


def reference(value: str = "", *, ref: Any = None, name: Any = "language", **params: Any) -> dict[str, Any]:
    """The parameters of a completion."""
    ref = {"type": "ref/prompt", "name": "summarise"} if ref is None else ref
    return {"ref": ref, "argument": {"name": name, "value": value}, **params}


NUMBER = {"type": "ref/resource", "uri": "notes://{number}"}


@pytest.mark.parametrize("revision", ALL)
@pytest.mark.parametrize(
    ("params", "values"),
    [
        (reference(), ["English", "German"]),
        (reference("g"), ["German"]),
        (reference("x"), []),
        (reference("", name="text"), []),
        (reference("1", ref=NUMBER, name="number"), ["1", "12"]),
        (reference("1", ref={"type": "ref/resource", "uri": "Notes://%7bnumber%7D"}, name="number"), ["1", "12"]),
        (reference("g", context={}), ["German"]),
        (reference("g", context=None), ["German"]),
        (reference("g", context={"arguments": {"text": "x"}}), ["German"]),
    ],
)
async def test_arguments_of_prompts_and_templates_are_completed(
    params: dict[str, Any], values: list[str], revision: Revision
) -> None:
    completed = await ask(ServerTarget(a_server()), "completion/complete", params, revision=revision)

    modern = {"resultType": "complete", "_meta": WHO} if revision.modern else {}
    assert completed == {"completion": {"values": values, "total": len(values), "hasMore": False}, **modern}


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"ref": [], "argument": {}},
        {"ref": {"type": "ref/prompt", "name": "summarise"}},
        reference(ref={"type": "ref/other", "name": "summarise"}),
        reference(ref={"type": "ref/prompt", "name": "unknown"}),
        reference(ref={"type": "ref/prompt"}),
        reference(ref={"type": "ref/resource", "uri": "notes://{unknown}"}),
        reference(ref={"type": "ref/resource", "uri": "notes://today"}),
        reference(name="unknown"),
        reference(name=5),
        reference(context=[]),
        reference(context={"arguments": {"text": 5}}),
    ],
)
async def test_a_completion_of_what_is_not_there_is_wrong_parameters(params: dict[str, Any]) -> None:
    with pytest.raises(InvalidParams):
        await ask(ServerTarget(a_server()), "completion/complete", params)


async def test_what_is_hidden_is_not_completed_either() -> None:
    params = reference(ref={"type": "ref/resource", "uri": "notes://shelf/{+path}"}, name="path")

    with pytest.raises(InsufficientScope):
        await ask(ServerTarget(a_server()), "completion/complete", params, granted=frozenset())


async def test_a_completing_function_sees_the_other_arguments_and_the_caller(principal: Principal) -> None:
    server = Server("notes")

    async def numbers(value: str, arguments: dict[str, str], ctx: Context) -> Completion:
        return Completion([f"{value}-{arguments['author']}-{ctx.user.subject}"], total=7, has_more=True)

    @server.resource("notes://{author}/{number}", completions={"number": numbers})
    async def note(author: str, number: str) -> str:
        return author + number

    params = reference(
        "1",
        ref={"type": "ref/resource", "uri": "notes://{author}/{number}"},
        name="number",
        context={"arguments": {"author": "ada"}},
    )
    completed = await ask(ServerTarget(server), "completion/complete", params, principal=principal)

    assert completed["completion"] == {"values": ["1-ada-alice"], "total": 7, "hasMore": True}

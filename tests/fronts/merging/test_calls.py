"""Requests to one of several servers behind one endpoint: whose they are, and what of them the server sees."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gatepost.resource.scope_map import ScopeMap
from gatepost.server.server import Server
from tests.fronts.front_world import CARL
from tests.fronts.merging.merging_world import Scripted, failing, merging, resources, said, stdio
from tests.web.mcp.sessions.session_world import request, text_of

EXACT = b'"own":{"big":1152921504606846976,"one":1.0,"huge":123456789012345678901234567890}'
ERAS = ["handshake", "modern"]


async def ask(front: Any, era: str, method: str, params: dict[str, Any] | None = None) -> Any:
    if era == "modern":
        return await front.modern(method, params)
    session = await front.begin()
    return (await front.send(request(method, params), session=session)).body


@pytest.mark.parametrize("era", ERAS)
async def test_a_call_goes_to_one_server_by_its_own_name_and_its_result_comes_back_byte_for_byte(
    tmp_path: Path, era: str
) -> None:
    other = Scripted({"tools/call": said("other")})
    async with merging(tmp_path, {"rec": stdio(tmp_path / "record"), "fn": other}) as front:
        if era == "modern":
            name = {"name": "rec_echo", "arguments": {"text": "x"}, "own": 1.0}
            connection = await front.open_modern("tools/call", name).ended()
        else:
            connection = await front.open_call(await front.begin(), "rec_echo", {"text": "x"}).ended()

        assert EXACT in connection.raw
        assert connection.body["result"]["structuredContent"] == {"text": "x"}
        (call,) = front.sent("tools/call")
        assert call["params"]["name"] == "echo"
        assert call["params"].get("own") == (1.0 if era == "modern" else None)
        assert not other.sent("tools/call")


async def test_a_server_without_a_prefix_has_all_other_names(tmp_path: Path) -> None:
    one, plain = Scripted({"tools/call": said("one")}), Scripted({"tools/call": said("plain")})
    async with merging(tmp_path, {"": plain, "one": one}) as front:
        answers = [text_of(await front.modern_call(name)) for name in ("one_a", "onea", "two_a", "one_")]

        assert answers == ["one", "plain", "plain", "one"]
        assert [params["name"] for params in plain.sent("tools/call")] == ["onea", "two_a"]
        assert [params["name"] for params in one.sent("tools/call")] == ["a", ""]


@pytest.mark.parametrize("era", ERAS)
async def test_a_name_of_no_server_is_unknown(tmp_path: Path, era: str) -> None:
    async with merging(tmp_path, {"one": Scripted({"tools/call": said("one")})}) as front:
        assert (await ask(front, era, "tools/call", {"name": "two_a", "arguments": {}}))["error"] == {
            "code": -32602,
            "message": "This server has no such tool.",
        }
        assert (await ask(front, era, "prompts/get", {"name": "a"}))["error"]["message"] == (
            "This server has no such prompt."
        )


async def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    async with merging(tmp_path, {"": Scripted({"tools/call": said("one")})}) as front:
        assert (await ask(front, "handshake", "tools/call", {"name": 1}))["error"]["code"] == -32602


@pytest.mark.parametrize("era", ERAS)
async def test_prompts_and_their_completion_go_to_whose_they_are(tmp_path: Path, era: str) -> None:
    one = Scripted({"prompts/get": {"messages": []}, "completion/complete": {"completion": {"values": ["x"]}}})
    async with merging(tmp_path, {"one": one, "two": Scripted({})}) as front:
        reference = {"type": "ref/prompt", "name": "one_review", "title": "Review"}
        completion = {"ref": reference, "argument": {"name": "a", "value": "b"}}

        assert (await ask(front, era, "prompts/get", {"name": "one_review"}))["result"]["messages"] == []
        assert (await ask(front, era, "completion/complete", completion))["result"]["completion"] == {"values": ["x"]}
        assert one.sent("prompts/get") == [{"name": "review"}]
        assert one.sent("completion/complete") == [{**completion, "ref": {**reference, "name": "review"}}]
        unknown = {"ref": {"type": "ref/prompt", "name": "review"}, "argument": {}}
        assert (await ask(front, era, "completion/complete", unknown))["error"]["code"] == -32602


async def test_errors_pass_with_code_and_data(tmp_path: Path) -> None:
    async with merging(tmp_path, {"rec": stdio(tmp_path / "record"), "fn": Scripted({})}) as front:
        answer = await front.modern_call("rec_fail", {"code": -32099})

        assert answer["error"] == {"code": -32099, "message": "own", "data": {"a": 1.0}}


async def test_an_error_says_which_server_does_not_answer_and_others_go_on(tmp_path: Path) -> None:
    targets = {"dead": stdio(tmp_path / "record", "--die"), "fn": Scripted({"tools/call": said("there")})}
    async with merging(tmp_path, targets) as front:
        errors = [(await front.modern_call("dead_a"))["error"] for _ in range(2)]

        assert text_of(await front.modern_call("fn_a")) == "there"
        assert {error["message"] for error in errors} == {
            "dead behind has no answer; the log explains it as incident abababababababab."
        }
        assert {error["code"] for error in errors} == {-32603}
        assert errors[1]["data"] == {"retryAfter": 1}


# Resources.


async def test_a_resource_in_no_list_is_the_firsts_that_has_it(tmp_path: Path) -> None:
    one = Scripted({"resources/read": failing(-32602)})
    two = Scripted({"resources/read": {"contents": ["two"]}})
    async with merging(tmp_path, {"zero": Scripted({}), "one": one, "two": two}) as front:
        answers = [await front.modern("resources/read", {"uri": "note://1"}) for _ in range(2)]

        assert [answer["result"]["contents"] for answer in answers] == [["two"]] * 2
        # Then it is known whose it is.
        assert len(one.sent("resources/read")) == 1


async def test_what_is_known_of_a_resource_is_known_for_one_user(tmp_path: Path) -> None:
    one = Scripted({"resources/list": resources("note://1"), "resources/read": failing(-32002)})
    two = Scripted({"resources/list": resources("note://1"), "resources/read": {"contents": ["two"]}})
    async with merging(tmp_path, {"one": one, "two": two}) as front:
        await front.modern("resources/read", {"uri": "note://1"})
        await front.modern("resources/read", {"uri": "note://1"}, authorization=f"Bearer {CARL}")

        assert len(one.sent("resources/read")) == 2


async def test_a_resource_of_a_server_that_is_away_is_read_at_no_other(tmp_path: Path) -> None:
    away = asyncio.Event()

    async def listed(_params: Any) -> Any:
        if away.is_set():
            await asyncio.Event().wait()
        return resources("note://1")

    first = Scripted({"resources/list": listed, "resources/read": failing(-32603)}, capabilities={"resources": {}})
    second = Scripted({"resources/list": resources("note://1"), "resources/read": {"contents": ["false"]}})
    async with merging(tmp_path, {"first": first, "second": second}, wait_seconds=0.05) as front:
        await front.modern("resources/list")
        away.set()
        later = (await front.modern("resources/list"))["result"]
        answer = await front.modern("resources/read", {"uri": "note://1"})

        # A list without the first server gives its URI to nobody else.
        assert later["resources"] == []
        assert answer["error"]["code"] == -32603
        assert not second.sent("resources/read")


async def test_a_template_says_whose_a_resource_is_the_most_fixed_text_first(tmp_path: Path) -> None:
    def templates(*texts: str) -> dict[str, Any]:
        return {"resourceTemplates": [{"uriTemplate": text, "name": text} for text in texts]}

    completion: dict[str, Any] = {"completion": {"values": []}}
    one = Scripted({"resources/templates/list": templates("file:///{+path}"), "completion/complete": completion})
    two = Scripted({"resources/templates/list": templates("file:///logs/{day}", "file:///{+path}")})
    for name, each in {"one": one, "two": two}.items():
        each.answers["resources/read"] = {"contents": [name]}
    async with merging(tmp_path, {"one": one, "two": two}) as front:
        listed = (await front.modern("resources/templates/list"))["result"]["resourceTemplates"]
        read = [await front.modern("resources/read", {"uri": uri}) for uri in ("file:///a", "file:///logs/1")]
        reference = {"type": "ref/resource", "uri": "file:///{+path}"}
        await front.modern("completion/complete", {"ref": reference, "argument": {"name": "path", "value": "a"}})

        assert [entry["uriTemplate"] for entry in listed] == ["file:///{+path}", "file:///logs/{day}"]
        assert [answer["result"]["contents"] for answer in read] == [["one"], ["two"]]
        assert one.sent("completion/complete")[0]["ref"] == reference


@pytest.mark.parametrize(("era", "code"), [("handshake", -32002), ("modern", -32602)])
async def test_a_resource_that_nobody_has_is_not_found(tmp_path: Path, era: str, code: int) -> None:
    one = Scripted({"resources/read": failing(-32002)})
    async with merging(tmp_path, {"one": one, "two": Scripted({})}) as front:
        assert (await ask(front, era, "resources/read", {"uri": "note://1"}))["error"]["code"] == code
        assert (await ask(front, "handshake", "resources/read", {"uri": 1}))["error"]["code"] == -32602


async def test_a_resource_needs_what_the_map_says_and_one_of_our_own_what_it_declares(tmp_path: Path) -> None:
    server = Server("own")

    @server.resource("note://own")
    def note() -> str:
        return "own"

    one = Scripted({"resources/read": {"contents": []}})
    scope_map = ScopeMap(resources={"note://secret": ["notes:write"]}, default=[])
    async with merging(tmp_path, {"": server, "one": one}, scope_map=scope_map) as front:
        refused = await front.open_modern("resources/read", {"uri": "note://secret"}).ended()

        assert refused.status == 403
        assert not one.sent("resources/read")
        own = await front.modern("resources/read", {"uri": "note://own"})
        assert own["result"]["contents"][0]["text"] == "own"


# What the specification does not say.


async def test_a_method_that_nobody_specified_is_for_the_server_that_knows_it(tmp_path: Path) -> None:
    one, two = Scripted({}), Scripted({"own/method": {"a": 1.0}})
    async with merging(tmp_path, {"one": one, "two": two}) as front:
        assert (await front.modern("own/method", {"b": 2}))["result"]["a"] == 1.0
        assert (await front.modern("other/method"))["error"]["code"] == -32601
        assert two.sent("own/method") == [{"b": 2}]


async def test_a_server_that_is_away_keeps_no_method_from_the_one_that_knows_it(tmp_path: Path) -> None:
    targets = {"dead": stdio(tmp_path / "record", "--die"), "fn": Scripted({"own/method": {"a": 1}})}
    async with merging(tmp_path, targets) as front:
        assert (await front.modern("own/method"))["result"]["a"] == 1
        # It may be the one that knows it.
        assert (await front.modern("other/method"))["error"]["code"] == -32603


async def test_methods_of_the_other_era_are_unknown_and_reach_nobody(tmp_path: Path) -> None:
    one = Scripted({})
    async with merging(tmp_path, {"one": one}) as front:
        session = await front.begin()
        for method in ("server/discover", "subscriptions/listen", "notifications/cancelled"):
            answer = (await front.send(request(method), session=session)).body
            assert answer["error"]["code"] == -32601
        assert [message["method"] for message in one.asked] == ["initialize"]


async def test_a_task_goes_back_to_the_server_that_began_it(tmp_path: Path) -> None:
    def began(params: Any) -> Any:
        return {"task": {"taskId": "1", "status": "working"}, "of": params["name"]}

    two = {name: Scripted({"tools/call": began, "tasks/get": {"of": name}}) for name in ("one", "two")}
    for each in two.values():
        each.capabilities = {"tools": {}, "tasks": {}}
    async with merging(tmp_path, two) as front:
        session = await front.begin()

        async def ask_of(name: str) -> Any:
            await front.call(session, f"{name}_a")
            return (await front.send(request("tasks/get", {"taskId": "1"}), session=session)).body["result"]["of"]

        assert [await ask_of("two"), await ask_of("one"), await ask_of("two")] == ["two", "one", "two"]


async def test_lists_of_tasks_are_one(tmp_path: Path) -> None:
    two = {name: Scripted({"tasks/list": {"tasks": [{"taskId": name, "own": 1.0}]}}) for name in ("one", "two")}
    async with merging(tmp_path, two) as front:
        session = await front.begin()
        for each in two.values():
            each.capabilities = {"tasks": {}}
        assert (await front.send(request("tasks/list"), session=session)).body["error"]["code"] == -32601
        session = await front.begin()

        answer = (await front.send(request("tasks/list"), session=session)).body
        assert answer["result"]["tasks"] == [{"taskId": "one", "own": 1.0}, {"taskId": "two", "own": 1.0}]


@pytest.mark.parametrize("era", ERAS)
async def test_what_one_of_them_can_all_of_them_can_together(tmp_path: Path, era: str) -> None:
    one = Scripted(capabilities={"tools": {"listChanged": False}, "experimental": {"a": {"b": 1}}}, instructions="Be.")
    two = Scripted(capabilities={"prompts": {}, "completions": {}, "experimental": {"c": {}}}, instructions="Two.")
    async with merging(tmp_path, {"one": one, "": two, "rec": stdio(tmp_path / "record")}) as front:
        if era == "modern":
            result = (await front.modern("server/discover"))["result"]
        else:
            params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
            result = (await front.send(request("initialize", params))).body["result"]
            assert result["serverInfo"] == {"name": "merged", "version": "1"}
            assert result["protocolVersion"] == "2025-11-25"

        assert result["capabilities"] == {
            "tools": {"listChanged": True},
            "prompts": {"listChanged": True},
            "completions": {},
            "logging": {},
            "resources": {"subscribe": True, "listChanged": True},
            "experimental": {"a": {"b": 1}, "c": {}, "own": {"a": 1.0}},
        }
        assert result["instructions"] == (
            "Tools and prompts named one_...:\nBe.\n\nTwo.\n\nTools and prompts named rec_...:\nBe brief."
        )


async def test_a_discovery_without_one_of_the_servers_counts_for_no_time(tmp_path: Path) -> None:
    targets = {"dead": stdio(tmp_path / "record", "--die", is_known=False), "fn": Scripted({})}
    async with merging(tmp_path, targets) as front:
        result = (await front.modern("server/discover"))["result"]

        assert (result["ttlMs"], result["capabilities"]) == (0, {"tools": {"listChanged": True}})

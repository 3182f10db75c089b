"""The methods that change a session: `logging/setLevel`, `resources/subscribe`, `resources/unsubscribe`."""

import pytest

from gatepost.server.dispatch import ServerTarget
from tests.web.mcp.mcp_harness import McpWorld, Pause
from tests.web.mcp.sessions.session_world import SessionWorld, call, principal, request, session_server


@pytest.fixture
def world() -> SessionWorld:
    return SessionWorld()


async def test_log_messages_come_at_the_level_that_the_client_set(world: SessionWorld) -> None:
    session = await world.begin()
    first = await world.send(call("shout"), session=session)
    assert [message["params"]["data"] for message in first.messages[:-1]] == ["one", "two"]
    assert (await world.send(request("logging/setLevel", {"level": "warning"}), session=session)).body["result"] == {}
    second = await world.send(call("shout"), session=session)
    assert [message["params"]["data"] for message in second.messages[:-1]] == ["two"]


async def test_a_level_must_be_one_and_needs_a_session(world: SessionWorld) -> None:
    session = await world.begin()
    wrong = await world.send(request("logging/setLevel", {"level": "loud"}), session=session)
    assert wrong.body["error"]["code"] == -32602
    assert (await world.send(request("logging/setLevel", {"level": "info"}))).body["error"]["code"] == -32600


async def test_a_resource_is_subscribed_to_until_it_is_not(world: SessionWorld) -> None:
    session = await world.begin()
    found = await world.era.services.sessions.find(session, principal())
    assert found is not None
    key = found.session_fingerprint
    for method, is_subscribed in (("resources/subscribe", True), ("resources/unsubscribe", False)):
        answer = await world.send(request(method, {"uri": "note://1"}), session=session)
        assert answer.body == {"jsonrpc": "2.0", "id": 1, "result": {}}
        spelling = await world.store.mcp_sessions.subscribed_as(key, "note://1")
        assert spelling == ("note://1" if is_subscribed else None)


async def test_only_what_is_there_and_allowed_is_subscribed_to(world: SessionWorld) -> None:
    session = await world.begin()
    unknown = await world.send(request("resources/subscribe", {"uri": "note://9"}), session=session)
    assert unknown.body["error"]["code"] == -32002
    nameless = await world.send(request("resources/subscribe"), session=session)
    assert nameless.body["error"]["code"] == -32602
    secret = await world.send(request("resources/subscribe", {"uri": "note://secret"}), session=session)
    assert secret.status == 403
    alone = await world.send(request("resources/subscribe", {"uri": "note://1"}))
    assert alone.body["error"]["code"] == -32600


async def test_a_session_has_only_so_many_subscriptions(world: SessionWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatepost.web.mcp.sessions.session_exchange.MOST_SUBSCRIPTIONS", 0)
    answer = await world.send(request("resources/subscribe", {"uri": "note://1"}), session=await world.begin())
    assert answer.body["error"]["message"] == "This session has as many subscriptions as it may."


async def test_the_uri_of_a_subscription_has_a_bound(world: SessionWorld) -> None:
    @world.server.resource("long://{text}")
    def long(text: str) -> str:
        return text

    session = await world.begin()
    for length, is_taken in ((2048, True), (2049, False)):
        uri = "long://" + "x" * (length - len("long://"))
        answer = await world.send(request("resources/subscribe", {"uri": uri}), session=session)
        assert ("result" in answer.body) is is_taken


async def test_what_sessions_bring_is_declared(world: SessionWorld) -> None:
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    capabilities = (await world.send(request("initialize", params))).body["result"]["capabilities"]
    assert capabilities["logging"] == {}
    assert capabilities["resources"]["subscribe"] is True


@pytest.mark.parametrize("method", ["logging/setLevel", "resources/subscribe", "resources/unsubscribe"])
async def test_the_modern_era_has_none_of_these_methods(method: str) -> None:
    answer = await McpWorld(ServerTarget(session_server(Pause()))).modern(method, {"uri": "note://1", "level": "info"})
    assert (answer.status, answer.body["error"]["code"]) == (404, -32601)

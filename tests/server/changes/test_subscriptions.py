"""Streams of changes (2026-07-28 basic/patterns/subscriptions)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from gatepost.protocol.errors import InvalidParams
from gatepost.protocol.messages import Request
from gatepost.resource.principal import Principal
from gatepost.server.calls.exchange import Exchange
from gatepost.server.changes.bus import Change, LocalChanges
from gatepost.server.changes.subscriptions import Subscription, Subscriptions, TooManySubscriptions, with_notifications
from tests.server.scoped_exchange import SOMEBODY

ID = "io.modelcontextprotocol/subscriptionId"
WHO = {"name": "notes", "version": "1"}
EVERYTHING: Mapping[str, Any] = {"tools": {}, "prompts": {}, "resources": {}}
TOOLS = {"method": "notifications/tools/list_changed", "_meta": {ID: 7}}


class ClientExchange(Exchange):
    """A client that reads, or is slow, or is gone."""

    def __init__(self, principal: Principal | None = None) -> None:
        super().__init__(principal)
        self.heard: list[dict[str, Any]] = []
        self.reads = asyncio.Event()
        self.reads.set()
        self.is_gone = False
        self.ended: list[dict[str, Any]] = []

    async def notify(self, method: str, params: Mapping[str, Any]) -> None:
        await self.reads.wait()
        if self.is_gone:
            raise OSError
        self.heard.append({"method": method, **params})

    async def end(self, result: dict[str, Any]) -> None:
        self.ended.append(result)


class World:
    """A bus and its subscriptions."""

    def __init__(self, **limits: Any) -> None:
        self.bus = LocalChanges()
        self.open = Subscriptions(self.bus, server_info=WHO, **limits)

    def prepare(
        self,
        notifications: Any,
        *,
        exchange: ClientExchange | None = None,
        offered: Mapping[str, Any] = EVERYTHING,
    ) -> Subscription:
        request = Request(7, "subscriptions/listen", {"notifications": notifications})
        return self.open.prepare(
            request,
            exchange or ClientExchange(),
            offered=offered,
            may_see=lambda uri: not uri.startswith("secret:"),
        )

    async def listen(
        self, notifications: Any, *, principal: Principal | None = None, offered: Mapping[str, Any] = EVERYTHING
    ) -> tuple[Subscription, ClientExchange]:
        exchange = ClientExchange(principal)
        subscription = self.prepare(notifications, exchange=exchange, offered=offered)
        await subscription.begin(exchange.end)
        return subscription, exchange


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_acknowledgement_comes_first_and_says_what_is_honoured() -> None:
    asked = {
        "toolsListChanged": True,
        "promptsListChanged": False,
        "resourcesListChanged": True,
        "resourceSubscriptions": ["note://1", "note://1", "secret://2"],
        "unknown": True,
    }

    _, exchange = await World().listen(asked, offered={"tools": {}, "prompts": {}})

    assert exchange.heard == [
        {
            "method": "notifications/subscriptions/acknowledged",
            "_meta": {ID: 7},
            "notifications": {"toolsListChanged": True, "resourceSubscriptions": ["note://1"]},
        }
    ]


async def test_a_resource_is_watched_under_any_spelling_and_called_by_the_clients_own() -> None:
    world = World()
    _, exchange = await world.listen({"resourceSubscriptions": ["Note://caf\u00e9", "note://caf%c3%a9", "note://2"]})

    world.bus.publish(Change("resource", uri="note://caf%C3%A9"))
    await settle()

    assert exchange.heard[0]["notifications"] == {"resourceSubscriptions": ["Note://caf\u00e9", "note://2"]}
    assert [heard["uri"] for heard in exchange.heard[1:]] == ["Note://caf\u00e9"]


async def test_only_what_was_asked_for_is_told() -> None:
    world = World()
    _, tools = await world.listen({"toolsListChanged": True})
    _, others = await world.listen(
        {"promptsListChanged": True, "resourcesListChanged": True, "resourceSubscriptions": ["note://1"]}
    )

    for change in (
        Change("tools"),
        Change("prompts"),
        Change("resources"),
        Change("resource", uri="note://1"),
        Change("resource", uri="note://2"),
    ):
        world.bus.publish(change)
    await settle()

    assert tools.heard[1:] == [TOOLS]
    assert others.heard[1:] == [
        {"method": "notifications/prompts/list_changed", "_meta": {ID: 7}},
        {"method": "notifications/resources/list_changed", "_meta": {ID: 7}},
        {"method": "notifications/resources/updated", "_meta": {ID: 7}, "uri": "note://1"},
    ]


async def test_nobody_is_told_of_what_their_scopes_do_not_show() -> None:
    world = World()
    _, reader = await world.listen({"toolsListChanged": True}, principal=replace(SOMEBODY, scopes=frozenset({"read"})))
    _, anybody = await world.listen({"toolsListChanged": True})

    world.bus.publish(Change("tools", frozenset({"read", "write"})))
    await settle()
    assert (len(reader.heard), len(anybody.heard)) == (1, 2)

    world.bus.publish(Change("tools", frozenset({"read"})))
    await settle()
    assert reader.heard[1:] == [TOOLS]


async def test_a_slow_client_is_told_once_of_what_changes_often() -> None:
    world = World()
    _, exchange = await world.listen({"toolsListChanged": True, "promptsListChanged": True})
    exchange.reads.clear()

    for _ in range(100):
        world.bus.publish(Change("tools"))
        world.bus.publish(Change("prompts"))
        await asyncio.sleep(0)
    exchange.reads.set()
    await settle()

    told = [message["method"] for message in exchange.heard[1:]]
    assert told.count("notifications/tools/list_changed") == 2
    assert len(told) <= 4


async def test_a_change_during_the_acknowledgement_comes_after_it() -> None:
    world, exchange = World(), ClientExchange()
    exchange.reads.clear()
    subscription = world.prepare({"toolsListChanged": True}, exchange=exchange)
    beginning = asyncio.create_task(subscription.begin(exchange.end))
    await asyncio.sleep(0)

    world.bus.publish(Change("tools"))
    await settle()
    exchange.reads.set()
    await beginning
    await settle()

    assert [message["method"] for message in exchange.heard] == [
        "notifications/subscriptions/acknowledged",
        "notifications/tools/list_changed",
    ]


async def test_changes_published_in_a_thread_arrive() -> None:
    world = World()
    _, exchange = await world.listen({"toolsListChanged": True})

    await asyncio.to_thread(world.bus.publish, Change("tools"))
    await settle()

    assert exchange.heard[1:] == [TOOLS]


async def test_the_servers_end_brings_every_stream_its_result() -> None:
    world = World()
    exchanges = [(await world.listen({}))[1] for _ in range(2)]

    await world.open.end_all()

    result = {
        "resultType": "complete",
        "_meta": {ID: 7, "io.modelcontextprotocol/serverInfo": WHO},
    }
    assert [exchange.ended for exchange in exchanges] == [[result], [result]]
    assert len(world.open) == 0


async def test_a_client_that_leaves_is_forgotten_and_gets_nothing_more() -> None:
    world = World()
    subscription, exchange = await world.listen({"toolsListChanged": True})
    exchange.reads.clear()
    world.bus.publish(Change("tools"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    subscription.leave()
    subscription.leave()
    exchange.reads.set()
    world.bus.publish(Change("tools"))
    await world.open.end_all()
    await subscription.end()
    await settle()

    assert len(exchange.heard) == 1
    assert exchange.ended == []
    assert len(world.open) == 0


async def test_a_client_that_is_gone_is_told_nothing_and_harms_nobody() -> None:
    world = World()
    _, gone = await world.listen({"toolsListChanged": True})
    _, there = await world.listen({"toolsListChanged": True})
    gone.is_gone = True

    world.bus.publish(Change("tools"))
    await settle()

    assert there.heard[1:] == [TOOLS]


async def test_a_caller_has_a_bounded_number_of_streams(principal: Principal) -> None:
    world = World(most_per_caller=2)
    first, _ = await world.listen({}, principal=principal)
    await world.listen({}, principal=replace(principal, client_id="another"))

    with pytest.raises(TooManySubscriptions, match="At most 2") as caught:
        world.prepare({}, exchange=ClientExchange(principal))
    assert caught.value.status(modern=True) == 429
    await world.listen({}, principal=replace(principal, subject="bob"))
    await world.listen({})

    first.leave()
    await world.listen({}, principal=principal)


async def test_all_callers_together_have_a_bounded_number_of_streams() -> None:
    world = World(most_open=2)
    await world.listen({})
    late = world.prepare({})
    await world.listen({})

    with pytest.raises(TooManySubscriptions):
        world.prepare({})
    with pytest.raises(TooManySubscriptions):
        await late.begin(ClientExchange().end)


@pytest.mark.parametrize(
    "notifications",
    [
        None,
        [],
        {"toolsListChanged": 1},
        {"promptsListChanged": "true"},
        {"resourceSubscriptions": "note://1"},
        {"resourceSubscriptions": [1]},
        {"resourceSubscriptions": ["x"] * 1001},
        {"resourceSubscriptions": ["x" * 1024] * 257},
    ],
)
def test_a_malformed_filter_is_refused(notifications: Any) -> None:
    with pytest.raises(InvalidParams):
        World().prepare(notifications)


def test_capabilities_say_which_notifications_go_with_them() -> None:
    assert with_notifications({"tools": {}, "resources": {}, "completions": {}}) == {
        "logging": {},
        "tools": {"listChanged": True},
        "resources": {"listChanged": True, "subscribe": True},
        "completions": {},
    }


class QuickExchange(ClientExchange):
    """A client that can be sent messages without waiting, as long as it reads."""

    def send_at_once(self, message: bytes) -> bool:
        if not self.reads.is_set():
            return False
        told = json.loads(message)
        self.heard.append({"method": told["method"], **told["params"]})
        return True


async def test_what_is_sent_at_once_is_what_is_sent_otherwise() -> None:
    world = World()
    asked = {"toolsListChanged": True, "resourceSubscriptions": ["Note://null"]}
    quick, usual = QuickExchange(), ClientExchange()
    for exchange in (quick, usual):
        await world.prepare(asked, exchange=exchange).begin(exchange.end)

    for change in (Change("tools"), Change("resource", uri="note://null"), Change("prompts")):
        world.bus.publish(change)
    await settle()

    assert quick.heard == usual.heard
    assert [heard["method"] for heard in quick.heard[1:]] == [
        "notifications/tools/list_changed",
        "notifications/resources/updated",
    ]


async def test_who_is_slow_to_read_gets_changes_in_order_and_once() -> None:
    world, exchange = World(), QuickExchange()
    await world.prepare({"toolsListChanged": True, "promptsListChanged": True}, exchange=exchange).begin(exchange.end)

    exchange.reads.clear()
    for kind in ("tools", "prompts", "tools"):
        world.bus.publish(Change(kind))
        await settle()
    exchange.reads.set()
    world.bus.publish(Change("prompts"))
    await settle()

    assert [heard["method"].split("/")[1] for heard in exchange.heard[1:]] == ["tools", "prompts", "tools", "prompts"]


async def test_a_change_reaches_all_in_turns_and_the_next_one_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatepost.server.changes.subscriptions.OFFERED_AT_ONCE", 2)
    world = World()
    exchanges = [QuickExchange() for _ in range(5)]
    begun = [world.prepare({"toolsListChanged": True, "promptsListChanged": True}, exchange=each) for each in exchanges]
    for subscription, exchange in zip(begun, exchanges, strict=True):
        await subscription.begin(exchange.end)

    world.bus.publish(Change("tools"))
    await asyncio.sleep(0)
    assert [len(each.heard) - 1 for each in exchanges] == [1, 1, 0, 0, 0]
    begun[4].leave()
    world.bus.publish(Change("prompts"))
    await settle()

    told = [[heard["method"].split("/")[1] for heard in each.heard[1:]] for each in exchanges]
    assert told == [["tools", "prompts"]] * 4 + [[]]

"""`subscriptions/listen` in front of a server that knows `resources/subscribe`."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from tests.fronts.front_world import ALL, Front, fronting, is_alive
from tests.web.mcp.sessions.session_world import Connection

ALL_OF_IT = {"toolsListChanged": True, "promptsListChanged": True, "resourceSubscriptions": ["note://1"]}


def listen(front: Front, notifications: dict[str, Any], **more: Any) -> Connection:
    return front.open_modern("subscriptions/listen", {"notifications": notifications}, request_id=5, **more)


async def test_it_is_acknowledged_with_what_the_server_has(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        stream = listen(front, ALL_OF_IT)
        (acknowledged,) = await stream.until_messages(1)

        assert acknowledged["method"] == "notifications/subscriptions/acknowledged"
        assert acknowledged["params"]["notifications"] == {
            "toolsListChanged": True,
            "resourceSubscriptions": ["note://1"],
        }
        stream.gone.set()
        await stream.finished()


async def test_changes_come_on_its_stream_and_the_server_is_subscribed_to_as_long_as_somebody_watches(
    tmp_path: Path,
) -> None:
    async with fronting(tmp_path) as front:
        first, second = listen(front, ALL_OF_IT), listen(front, {"resourceSubscriptions": ["note://1"]})
        await first.until_messages(1)
        await second.until_messages(1)
        await front.modern_call("update", {"uri": "note://2"})
        await front.modern_call("update", {"uri": "note://1"})
        await front.modern_call("change")

        tag = {"_meta": {"io.modelcontextprotocol/subscriptionId": 5}}
        assert (await first.until_messages(3))[1:] == [
            {"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {**tag, "uri": "note://1"}},
            {"jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": tag},
        ]
        assert len(await second.until_messages(2)) == 2
        for stream in (first, second):
            assert not front.sent("resources/unsubscribe")
            stream.gone.set()
            await stream.finished()
        await front.until(lambda: bool(front.sent("resources/unsubscribe")))
        assert [message["params"] for message in front.sent("resources/subscribe")] == [{"uri": "note://1"}]


async def test_changes_of_another_process_are_none_of_its_business(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        stream = listen(front, {"toolsListChanged": True})
        await stream.until_messages(1)
        await front.modern_call("change", capabilities=ALL)
        await front.modern_call("change")

        assert len(await stream.until_messages(2)) == 2
        stream.gone.set()
        await stream.finished()


async def test_it_ends_with_its_result_when_the_process_dies_or_the_server_stops(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        stream = listen(front, {"toolsListChanged": True})
        await stream.until_messages(1)
        await front.modern_call("die")
        assert (await stream.ended()).messages[-1]["result"]["resultType"] == "complete"

        again = listen(front, {"toolsListChanged": True})
        await again.until_messages(1)
        await front.front.drain()
        assert (await again.ended()).messages[-1]["id"] == 5


async def test_a_process_that_somebody_listens_to_is_not_idle(tmp_path: Path) -> None:
    async with fronting(tmp_path, idle_seconds=0.05) as front:
        stream = listen(front, {"toolsListChanged": True})
        await stream.until_messages(1)
        other = await front.begin()
        (_, gone) = front.processes
        await front.until(lambda: not is_alive(gone))
        assert other
        assert is_alive(front.processes[0])
        stream.gone.set()
        await stream.finished()
        await front.until(lambda: not is_alive(front.processes[0]))


async def test_a_spare_is_there_before_it_is_needed_and_is_taken_first(tmp_path: Path) -> None:
    async with fronting(tmp_path, "--stays", spares=1) as front:
        await front.until(lambda: len(front.lines) == 1)
        await front.modern_call("echo")

        assert front.processes[0] == int(front.record.read_text().split()[0])
        await front.until(lambda: sum(line.startswith("child ") for line in front.lines) == 2)
        assert len({*front.processes}) == 2


async def test_a_spare_that_ends_is_not_used(tmp_path: Path) -> None:
    async with fronting(tmp_path, "--stays", spares=1) as front:
        await front.until(lambda: len(front.lines) == 1)
        (spare,) = front.processes
        os.kill(spare, signal.SIGKILL)
        await front.until(lambda: not front.front._pool._spares._ready)

        assert "result" in await front.modern_call("echo")
        assert not is_alive(spare)

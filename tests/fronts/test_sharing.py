"""Who shares a process behind a front, and what each of them hears."""

from __future__ import annotations

import json
from pathlib import Path

from tests.fronts.front_world import ALL, CARL, Front, fronting
from tests.web.mcp.sessions.session_world import Connection, request, text_of

CARLS = f"Bearer {CARL}"


async def pid_of(front: Front, session: str, **more: str) -> int:
    """The process that serves a session."""
    pid: int = json.loads(text_of(await front.call(session, "ids", **more)))[0]
    return pid


async def opened(*streams: Connection) -> None:
    """Wait until streams have begun."""
    for stream in streams:
        while not stream.raw:
            await stream.changed.wait()
            stream.changed.clear()


async def test_the_sessions_of_one_user_share_a_process_if_told_so(tmp_path: Path) -> None:
    async with fronting(tmp_path, share="user") as front:
        first, second = await front.begin(version="2025-06-18"), await front.begin()
        carls = await front.begin(authorization=CARLS)

        one, other = await pid_of(front, first), await pid_of(front, second)
        assert one == other != await pid_of(front, carls, authorization=CARLS)
        assert len(front.sent("initialize")) == len(front.sent("notifications/initialized")) == 2
        await front.send(None, session=first, method="DELETE", content_type=None)
        assert await pid_of(front, second) == one


async def test_one_user_has_one_process_whatever_the_clients_declare_and_each_is_asked_what_it_can_answer(
    tmp_path: Path,
) -> None:
    async with fronting(tmp_path, share="user") as front:
        able, unable = await front.begin(capabilities={"elicitation": {}}), await front.begin()
        call = front.open_call(able, "ask")
        (question,) = await call.until_messages(1)
        await front.respond(able, question, {"action": "decline"})
        asked = await front.modern_call("ask", capabilities=ALL)

        assert json.loads(text_of((await call.ended()).messages[-1])) == {"action": "decline"}
        assert json.loads(text_of(await front.call(unable, "sample")))["code"] == -32601
        assert json.loads(text_of(await front.modern_call("sample")))["code"] == -32601
        assert asked["result"]["resultType"] == "input_required"
        assert await pid_of(front, able) == await pid_of(front, unable)
        (initialize,) = front.sent("initialize")
        assert initialize["params"]["capabilities"] == {"elicitation": {}, "sampling": {}, "roots": {}}


async def test_a_shared_death_ends_all_sessions_that_shared(tmp_path: Path) -> None:
    async with fronting(tmp_path, share="user") as front:
        first, second = await front.begin(), await front.begin()
        await front.call(first, "die")

        for session in (first, second):
            assert (await front.send(request("tools/list"), session=session)).status == 404


async def test_everybody_shares_one_process_that_knows_of_no_client(tmp_path: Path) -> None:
    async with fronting(tmp_path, share="all") as front:
        anns, carls = await front.begin(capabilities=ALL), await front.begin(authorization=CARLS)
        modern = json.loads(text_of(await front.modern_call("ids", capabilities=ALL)))[0]

        assert await pid_of(front, anns) == await pid_of(front, carls, authorization=CARLS) == modern
        (initialize,) = front.sent("initialize")
        assert initialize["params"]["capabilities"] == {}
        assert initialize["params"]["clientInfo"]["name"] == "gatepost"
        assert json.loads(text_of(await front.call(anns, "ask")))["code"] == -32601
        assert json.loads(text_of(await front.modern_call("ask", capabilities=ALL)))["code"] == -32601


async def test_where_everybody_shares_logs_and_levels_are_nobodys(tmp_path: Path) -> None:
    async with fronting(tmp_path, share="all") as front:
        session = await front.begin()
        set_level = await front.send(request("logging/setLevel", {"level": "debug"}), session=session)
        log = await front.open_call(session, "log").ended()

        assert set_level.body["result"] == {}
        assert not front.sent("logging/setLevel")
        assert text_of(log.body) == "logged"


async def test_a_change_reaches_every_session_that_shares(tmp_path: Path) -> None:
    async with fronting(tmp_path, share="all") as front:
        anns, carls = await front.begin(), await front.begin(authorization=CARLS)
        streams = [front.listen(anns), front.listen(carls, authorization=CARLS)]
        await opened(*streams)
        await front.call(anns, "change")

        for stream in streams:
            assert [message["method"] for message in await stream.until_messages(1)] == [
                "notifications/tools/list_changed"
            ]
            stream.gone.set()
            await stream.finished()


async def test_an_update_of_a_resource_reaches_those_who_subscribed(tmp_path: Path) -> None:
    async with fronting(tmp_path, share="all") as front:
        anns, carls = await front.begin(), await front.begin(authorization=CARLS)
        await front.send(request("resources/subscribe", {"uri": "note://1"}), session=anns)
        await front.send(request("resources/subscribe", {"uri": "note://1"}), session=carls, authorization=CARLS)
        await front.send(request("resources/unsubscribe", {"uri": "note://1"}), session=carls, authorization=CARLS)
        mine, other = front.listen(anns), front.listen(carls, authorization=CARLS)
        await opened(mine)
        await front.call(anns, "update", {"uri": "note://1"})
        await front.call(anns, "change")

        assert [message["method"] for message in await mine.until_messages(2)] == [
            "notifications/resources/updated",
            "notifications/tools/list_changed",
        ]
        assert [message["method"] for message in await other.until_messages(1)] == ["notifications/tools/list_changed"]
        assert len(front.sent("resources/unsubscribe")) == 0
        for stream in (mine, other):
            stream.gone.set()
            await stream.finished()


async def test_a_change_reaches_a_session_on_its_call_where_it_has_no_stream_of_its_own(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        session = await front.begin()
        change, answer = (await front.open_call(session, "change").ended()).messages

        assert change == {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
        assert text_of(answer) == "changed"


async def test_a_session_that_ends_leaves_a_subscription_only_where_somebody_else_has_it(tmp_path: Path) -> None:
    async with fronting(tmp_path, share="user") as front:
        first, second = await front.begin(), await front.begin()
        for session, numbers in ((first, (1, 2, 3)), (second, (2,))):
            for number in numbers:
                await front.send(request("resources/subscribe", {"uri": f"note://{number}"}), session=session)
        wanted = {"notifications": {"resourceSubscriptions": ["note://3"]}}
        stream = front.open_modern("subscriptions/listen", wanted)
        await stream.until_messages(1)
        await front.send(None, session=first, method="DELETE", content_type=None)
        await front.until(lambda: bool(front.sent("resources/unsubscribe")))
        stream.gone.set()
        await stream.finished()
        await front.until(lambda: len(front.sent("resources/unsubscribe")) == 2)

        assert [sent["params"]["uri"] for sent in front.sent("resources/unsubscribe")] == ["note://1", "note://3"]

"""What several servers say of themselves, where one of them says something else to each caller."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from gatepost.fronts.backend import Outgoing, Receiver, SessionUser
from tests.fronts.front_world import CARL, Front
from tests.fronts.merging.merging_world import Scripted, front_of, merging
from tests.web.mcp.mcp_harness import READER
from tests.web.mcp.sessions.session_world import request


class Greeting:
    """A kind of server that is asked in its users' names, and greets them."""

    name = "greeting"
    is_needed_at_start = False

    def __init__(self, *, is_same_for_all: bool = False) -> None:
        self.is_same_for_all = is_same_for_all

    async def connect(self, receiver: Receiver, user: SessionUser | None) -> GreetingLink:
        return GreetingLink(receiver, "nobody" if user is None else user.subject)

    def last_words(self) -> str:
        return ""


class GreetingLink:
    """A connection of one user."""

    def __init__(self, receiver: Receiver, user: str) -> None:
        self._receiver, self._user = receiver, user

    async def send(self, message: Outgoing) -> None:
        if message.id is not None:
            result = {
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {}, "resources": {"subscribe": True}},
                "serverInfo": {"name": "greeting", "version": "1"},
                "instructions": f"Hello {self._user}.",
            }
            self._receiver.take(orjson.dumps({"jsonrpc": "2.0", "id": message.id, "result": result}))

    async def close(self) -> None:
        pass


async def introduced(front: Front, era: str, token: str) -> Any:
    if era == "modern":
        return (await front.modern("server/discover", authorization=f"Bearer {token}"))["result"]
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
    return (await front.send(request("initialize", params), authorization=f"Bearer {token}")).body["result"]


@pytest.mark.parametrize("era", ["handshake", "modern"])
async def test_what_a_server_says_to_one_user_no_other_one_hears(tmp_path: Path, era: str) -> None:
    targets = {"hub": front_of(Greeting(), is_known=False), "fn": Scripted({})}
    async with merging(tmp_path, targets) as front:
        said = [await introduced(front, era, token) for token in (READER, CARL, READER)]

        assert [each["instructions"] for each in said] == [
            f"Tools and prompts named hub_...:\nHello {user}." for user in ("ann", "carl", "ann")
        ]
        assert "resources" in said[0]["capabilities"]
        if era == "modern":
            assert said[0]["cacheScope"] == "private"


@pytest.mark.parametrize(("is_same", "expected"), [(True, "public"), (False, "private")])
async def test_a_discovery_is_for_all_where_all_servers_say_the_same_to_all(
    tmp_path: Path, is_same: bool, expected: str
) -> None:
    greeting = front_of(Greeting(is_same_for_all=is_same), is_known=False)
    async with merging(tmp_path, {"hub": greeting, "fn": Scripted({})}) as front:
        assert (await introduced(front, "modern", READER))["cacheScope"] == expected


async def test_what_it_has_may_be_listened_to_though_it_says_so_to_its_users_alone(tmp_path: Path) -> None:
    targets = {"hub": front_of(Greeting(), is_known=False), "fn": Scripted({})}
    async with merging(tmp_path, targets) as front:
        await introduced(front, "modern", READER)
        wanted = {"resourcesListChanged": True, "promptsListChanged": True}
        stream = front.open_modern("subscriptions/listen", {"notifications": wanted})
        (acknowledged,) = await stream.until_messages(1)

        assert acknowledged["params"]["notifications"] == {"resourcesListChanged": True}
        stream.gone.set()
        await stream.finished()

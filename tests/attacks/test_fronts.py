"""Attacks on what stands behind: other spellings of what scopes are asked about, and users who share a session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gatepost.fronts.credentials import CallersTokens
from gatepost.resource.principal import Principal
from gatepost.resource.scope_map import ScopeMap
from tests.fronts.front_world import CARL, Front, fronting
from tests.fronts.remote_server import Asked, raw_server, remote_front
from tests.fronts.test_modern_server import ModernServer
from tests.fronts.test_sharing import opened
from tests.web.mcp.sessions.session_world import Connection, request

CARLS = f"Bearer {CARL}"
UPDATED = "notifications/resources/updated"
NOTES = ScopeMap(
    tools={"echo": [], "log": ["notes:write"]}, resources={"note://{id}": ["notes:read"]}, default=["base"]
)


def listen(front: Front, uri: str, **more: Any) -> Connection:
    params = {"notifications": {"resourceSubscriptions": [uri]}}
    return front.open_modern("subscriptions/listen", params, request_id=5, **more)


@pytest.mark.parametrize("other", ["Name", "NAME", "nAmE"])
async def test_a_name_in_another_case_does_not_take_the_place_of_the_one_that_is_asked_about(
    tmp_path: Path, other: str
) -> None:
    async with fronting(tmp_path, scope_map=NOTES) as front:
        session = await front.begin()
        for params in ({"name": "echo", other: "log"}, {other: "log"}):
            sent = await front.send(request("tools/call", {**params, "arguments": {}}), session=session)
            assert sent.status == 403
        modern = await front.open_modern("tools/call", {"name": "echo", other: "log", "arguments": {}}).ended()

        assert modern.status == 403
        assert not front.sent("tools/call")


async def test_the_tasks_of_a_persons_other_apps_are_not_listed_to_one_with_fewer_scopes(tmp_path: Path) -> None:
    async with fronting(tmp_path, scope_map=ScopeMap(tools={"log": ["notes:write"]}), share="user") as front:
        session = await front.begin()
        assert (await front.send(request("tasks/list"), session=session)).status == 403
        assert not front.sent("tasks/list")


async def test_of_a_resource_that_one_user_listens_to_another_does_not_hear(tmp_path: Path) -> None:
    async with fronting(tmp_path, share="all") as front:
        carls = await front.begin(authorization=CARLS)
        stream = front.listen(carls, authorization=CARLS)
        await opened(stream)
        anns = listen(front, "note://1")
        await anns.until_messages(1)
        await front.modern_call("update", {"uri": "note://1"})
        await front.modern_call("change")

        assert [message["method"] for message in await anns.until_messages(2)][1:] == [UPDATED]
        assert [message["method"] for message in await stream.until_messages(1)] == ["notifications/tools/list_changed"]
        for each in (anns, stream):
            each.gone.set()
            await each.finished()


async def test_no_user_ends_what_another_listens_to(tmp_path: Path) -> None:
    async with fronting(tmp_path, share="all") as front:
        carls = await front.begin(authorization=CARLS)
        anns = listen(front, "note://1")
        await anns.until_messages(1)
        uri = {"uri": "note://1"}
        for method in ("resources/subscribe", "resources/unsubscribe", "resources/subscribe"):
            await front.send(request(method, uri), session=carls, authorization=CARLS)
        assert not front.sent("resources/unsubscribe")

        anns.gone.set()
        await anns.finished()
        await front.modern_call("echo", {"text": "after"})
        assert not front.sent("resources/unsubscribe")

        await front.send(request("resources/unsubscribe", uri), session=carls, authorization=CARLS)
        assert len(front.sent("resources/unsubscribe")) == 1


@pytest.mark.parametrize("method", ["notifications/cancelled", "notifications/initialized"])
async def test_a_request_that_is_called_like_a_notification_does_not_reach_a_server_that_others_share(
    tmp_path: Path, method: str
) -> None:
    async with fronting(tmp_path, share="all") as front:
        session = await front.begin()
        await front.send(request("tools/list", {}, 4), session=session)  # the server has had all that came before
        before = len(front.sent(method))
        answers = [
            (await front.send(request(method, {"requestId": 1}, 5), session=session)).body,
            await front.modern(method, {"requestId": 1}),
        ]

        assert [answer["error"]["code"] for answer in answers] == [-32601, -32601]
        assert len(front.sent(method)) == before


async def test_a_session_subscribes_to_so_many_resources_of_a_server_that_others_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatepost.fronts.audience.MOST_WATCHED", 2)
    async with fronting(tmp_path, share="all") as front:
        anns, carls = await front.begin(), await front.begin(authorization=CARLS)

        async def subscribe(uri: str, method: str = "resources/subscribe") -> Any:
            return (await front.send(request(method, {"uri": uri}), session=anns)).body

        for uri in ("note://1", "note://2", "note://2"):
            assert "result" in await subscribe(uri)
        assert (await subscribe("note://3"))["error"]["code"] == -32602
        assert (await subscribe("note://" + "x" * 2048))["error"]["code"] == -32602
        assert "result" in await subscribe("note://1", "resources/unsubscribe")
        assert "result" in await subscribe("note://3")
        assert [sent["params"]["uri"] for sent in front.sent("resources/subscribe")] == [
            *("note://1", "note://2", "note://2", "note://3")
        ]
        other = await front.send(
            request("resources/subscribe", {"uri": "note://4"}), session=carls, authorization=CARLS
        )
        assert "result" in other.body


class OneToken:
    """The same access token for everybody."""

    async def access_token(self, provider: str, principal: Principal, *, refused: str | None) -> str:
        del provider, principal, refused
        return "token-of-ann"

    async def once_linked(self, provider: str, principal: Principal, *, refused: str | None) -> str:
        raise AssertionError(provider, principal, refused)


@pytest.mark.parametrize("is_modern", [False, True])
async def test_a_refusal_that_repeats_the_callers_upstream_token_does_not_reach_the_app(
    tmp_path: Path, *, is_modern: bool
) -> None:
    async def repeats(asked: Asked) -> None:
        error = {"code": -32602, "message": f"unlike {asked.headers['authorization']}"}
        await asked.json({"jsonrpc": "2.0", "id": asked.id, "error": error}, 400)

    credentials = CallersTokens("github", OneToken(), {})
    async with raw_server() as server, remote_front(tmp_path, server.url, credentials=credentials) as front:
        if is_modern:
            ModernServer(server)
        server.tools["repeat"] = repeats
        answer = await front.call(await front.begin(), "repeat")

        assert answer["error"]["code"] == -32603
        assert "token-of-ann" not in str(answer)

"""Two servers on one store, as behind a load balancer: what one of them is told counts in the other."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.end_to_end import local_http
from tests.end_to_end.conftest import owner_of
from tests.end_to_end.running_server import RunningServer, free_port
from tests.end_to_end.scripted_client import App

TARGET = "tests/end_to_end/session_target.py:server"
MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"elicitation": {}},
    "clientInfo": {"name": "test", "version": "1"},
}


def messages_of(response: httpx2.Response) -> Iterator[Any]:
    """The messages of an event stream, as they come."""
    lines = (line.removeprefix("data: ") for line in response.iter_lines())
    return (json.loads(line) for line in lines if line.startswith("{"))


class Pair:
    """Two servers that are known by one name, and a session that both serve."""

    def __init__(self, one: RunningServer, other: RunningServer) -> None:
        self.one, self.other = one, other
        # What a load balancer passes on.
        self.headers = {"Host": one.origin.removeprefix("http://")}
        begun = self.post(one, "initialize", INITIALIZE, request_id=1)
        self.headers["Mcp-Session-Id"] = begun.headers["mcp-session-id"]

    def post(
        self, server: RunningServer, method: str, params: dict[str, Any], *, request_id: int | None = None
    ) -> httpx2.Response:
        """Send a message to one of the servers."""
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
        if request_id is not None:
            message["id"] = request_id
        return local_http.post(server.mcp_url, json=message, headers=self.headers)

    @contextmanager
    def waiting_tool(self, *, request_id: int) -> Iterator[Iterator[Any]]:
        """Call a tool at the first server that goes on until it is stopped, and give its messages once it has begun."""
        params = {"name": "wait", "arguments": {}, "_meta": {"progressToken": "p"}}
        message = {"jsonrpc": "2.0", "id": request_id, "method": "tools/call", "params": params}
        with local_http.stream("POST", self.one.mcp_url, json=message, headers=self.headers) as response:
            messages = messages_of(response)
            assert next(messages)["method"] == "notifications/progress"
            yield messages


@pytest.fixture
def pair(tmp_path: Path, storage: dict[str, str]) -> Iterator[Pair]:
    """Two servers over one store."""
    port = free_port()
    environment = storage | {
        "MCP_REQUIRE_AUTH": "false",
        "OAUTH_ENABLED": "false",
        "MCP_PUBLIC_URL": f"http://127.0.0.1:{port}",
    }
    with (
        RunningServer(TARGET, tmp_path / "data", port=port, environment=environment) as one,
        RunningServer(TARGET, tmp_path / "data", environment=environment) as other,
    ):
        yield Pair(one, other)


def test_a_request_is_cancelled_through_the_server_that_does_not_run_it(pair: Pair) -> None:
    with pair.waiting_tool(request_id=7) as messages:
        assert pair.post(pair.other, "notifications/cancelled", {"requestId": 7}).status_code == 202
        assert list(messages) == []
    assert pair.post(pair.one, "ping", {}, request_id=8).json()["result"] == {}


def test_a_session_that_ends_at_one_server_ends_at_the_other_with_what_runs_in_it(pair: Pair) -> None:
    with pair.waiting_tool(request_id=7) as messages:
        ended = local_http.delete(pair.other.mcp_url, headers=pair.headers)
        assert ended.status_code == 200
        assert list(messages) == []
    for server in (pair.one, pair.other):
        assert pair.post(server, "ping", {}, request_id=8).status_code == 404


def test_what_changes_at_one_server_is_told_by_the_other_in_both_eras(pair: Pair) -> None:
    modern = {
        "jsonrpc": "2.0",
        "id": "changes",
        "method": "subscriptions/listen",
        "params": {"_meta": MODERN, "notifications": {"toolsListChanged": True}},
    }
    accept = {"Host": pair.headers["Host"], "Accept": "application/json, text/event-stream"}
    named = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen"}
    url = pair.other.mcp_url
    with (
        local_http.stream("GET", url, headers={**pair.headers, **accept}) as session,
        local_http.stream("POST", url, json=modern, headers={**accept, **named}) as subscription,
    ):
        changes = messages_of(subscription)
        assert next(changes)["method"] == "notifications/subscriptions/acknowledged"
        assert session.status_code == 200
        pair.post(pair.one, "tools/call", {"name": "grow", "arguments": {}}, request_id=2)
        for messages in (changes, messages_of(session)):
            assert next(messages)["method"] == "notifications/tools/list_changed"


def test_what_a_user_answers_at_one_server_reaches_the_tool_at_the_other(pair: Pair) -> None:
    message = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "choose", "arguments": {}}}
    with local_http.stream("POST", pair.one.mcp_url, json=message, headers=pair.headers) as response:
        messages = messages_of(response)
        asked = next(message for message in messages if message.get("method") == "elicitation/create")
        result = {"action": "accept", "content": {"colour": "blue"}}
        answer = {"jsonrpc": "2.0", "id": asked["id"], "result": result}
        assert local_http.post(pair.other.mcp_url, json=answer, headers=pair.headers).status_code == 202
        [*_, last] = messages
    assert last["result"]["content"][0]["text"] == "blue"


def test_a_stream_that_one_server_began_goes_on_at_the_other(pair: Pair) -> None:
    params = {"name": "slow", "arguments": {}, "_meta": {"progressToken": "p"}}
    message = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}
    headers = {**pair.headers, "Accept": "application/json, text/event-stream"}
    with local_http.stream("POST", pair.one.mcp_url, json=message, headers=headers) as response:
        last_event_id = [line for line in response.iter_lines() if line.startswith("id: ")][-1].removeprefix("id: ")
    headers["Last-Event-ID"] = last_event_id
    with local_http.stream("GET", pair.other.mcp_url, headers=headers) as resumed:
        [*_, last] = messages_of(resumed)
    assert last["result"]["content"][0]["text"] == "after all"


def test_what_is_revoked_at_one_server_counts_at_the_other_no_more(tmp_path: Path, storage: dict[str, str]) -> None:
    port = free_port()
    environment = storage | {"MCP_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    with (
        RunningServer(TARGET, tmp_path / "data", port=port, environment=environment) as one,
        RunningServer(TARGET, tmp_path / "data", environment=environment) as other,
    ):
        app = App(one.origin).register()
        tokens = app.redeem(app.code_from(owner_of(one).decide(app.authorization_url()))).json()
        headers = {
            "Host": one.origin.removeprefix("http://"),
            "Authorization": f"Bearer {tokens['access_token']}",
        }

        def ping() -> int:
            message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE}
            return local_http.post(other.mcp_url, json=message, headers=headers).status_code

        assert ping() == 200
        form = {"token": tokens["refresh_token"], "client_id": app.client_id}
        assert local_http.post(f"{one.origin}/oauth/revoke", data=form).status_code == 200
        # At once over PostgreSQL, and else in five seconds; the patience is for a busy machine.
        end = time.monotonic() + local_http.PATIENCE
        while (status := ping()) == 200:
            assert time.monotonic() < end
        assert status == 401


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_client_whose_server_was_killed_listens_at_the_other(pair: Pair, *, comes_back: bool) -> None:
    """Nothing of the server that is gone stands in the way, whether the client goes on or begins anew."""
    headers = {**pair.headers, "Accept": "text/event-stream"}
    with local_http.stream("GET", pair.one.mcp_url, headers=headers) as first:
        last_event_id = next(line.removeprefix("id: ") for line in first.iter_lines() if line.startswith("id: "))
        pair.one.kill()
    if comes_back:
        headers["Last-Event-ID"] = last_event_id
    with local_http.stream("GET", pair.other.mcp_url, headers=headers) as second:
        assert second.status_code == 200
        pair.post(pair.other, "tools/call", {"name": "grow", "arguments": {}}, request_id=2)
        assert next(messages_of(second))["method"] == "notifications/tools/list_changed"

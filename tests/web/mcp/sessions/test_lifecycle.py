"""Sessions: begun with initialize, found by their owner, ended by DELETE or by not being used."""

import asyncio

import pytest

from gatepost.protocol.versions import REVISION_2025_11_25
from gatepost.stores.sql.sqlite import memory_store
from gatepost.tokens.opaque import SecretKind, fingerprint, looks_like
from gatepost.web.mcp.sessions.lifecycle import CACHE_SECONDS, McpSessions, owner_of
from tests.web.mcp.mcp_harness import RESOURCE
from tests.web.mcp.sessions.session_world import SessionWorld, call, principal, request

ANN = owner_of(principal(), RESOURCE.identifier)
UNKNOWN = {
    "jsonrpc": "2.0",
    "error": {"code": -32600, "message": "There is no such session. Send initialize to begin another one."},
}
PING = request("ping")


@pytest.fixture
def world() -> SessionWorld:
    return SessionWorld()


class Sessions(McpSessions):
    """Sessions over a store, at a time that a test sets."""

    def __init__(self, idle_seconds: int = 3600, most_per_owner: int = 1_000) -> None:
        self.time = 1_000
        self.begun = 0
        self.backend = memory_store()
        self.looks = 0
        super().__init__(
            store=self.backend.mcp_sessions,
            resource=RESOURCE.identifier,
            now=lambda: self.time,
            random_bytes=lambda count: self.begun.to_bytes(count, "big"),
            idle_seconds=idle_seconds,
            most_per_owner=most_per_owner,
        )

    async def begin(self) -> str:
        """Begin a session of Ann's and return its id."""
        self.begun += 1
        session_id, _ = await self.start(principal(), REVISION_2025_11_25, {})
        assert session_id is not None
        return session_id


async def test_initialize_begins_a_session_of_which_only_the_fingerprint_is_kept(world: SessionWorld) -> None:
    session = await world.begin(capabilities={"roots": {}})
    assert looks_like(SecretKind.MCP_SESSION, session)
    found = await world.store.mcp_sessions.find_session(fingerprint(session), owner=ANN, now=1_000)
    assert found is not None
    assert (found.revision, found.client_capabilities, found.expires_at) == ("2025-11-25", b'{"roots":{}}', 4_600)
    assert (await world.send(PING, session=session)).body == {"jsonrpc": "2.0", "id": 1, "result": {}}


async def test_an_initialize_that_fails_begins_none(world: SessionWorld) -> None:
    answer = await world.send(request("initialize"))
    assert answer.body["error"]["code"] == -32602
    assert "mcp-session-id" not in answer.headers


async def test_what_a_client_declares_and_a_session_keeps_has_a_bound(world: SessionWorld) -> None:
    await world.begin(capabilities={"x": "x" * (16 * 1024 - 8)})
    params = {"protocolVersion": "2025-11-25", "capabilities": {"x": "x" * (16 * 1024 - 7)}}
    answer = await world.send(request("initialize", params))
    assert answer.body["error"] == {"code": -32602, "message": '"params.capabilities" may have 16384 bytes.'}
    assert "mcp-session-id" not in answer.headers


async def test_a_client_that_sends_no_session_is_served_all_the_same(world: SessionWorld) -> None:
    assert (await world.send(PING)).status == 200


@pytest.mark.parametrize("message", [PING, {"jsonrpc": "2.0", "method": "notifications/initialized"}])
@pytest.mark.parametrize("session", ["", "gp_ms_" + "A" * 43, "nonsense", "caf\xe9"])
async def test_an_unknown_session_is_not_found(world: SessionWorld, session: str, message: object) -> None:
    answer = await world.send(message, session=session)
    assert (answer.status, answer.body) == (404, UNKNOWN)


async def test_an_ended_session_is_not_found(world: SessionWorld) -> None:
    session = await world.begin()
    ended = await world.send(None, session=session, method="DELETE")
    assert (ended.status, ended.body) == (200, None)
    assert (await world.send(PING, session=session)).status == 404
    assert (await world.send(None, session=session, method="DELETE")).status == 404


async def test_a_session_that_another_process_ended_meanwhile_is_not_ended_twice(world: SessionWorld) -> None:
    session = await world.begin()
    await world.process().services.sessions.end(session, principal())
    assert (await world.send(None, session=session, method="DELETE")).status == 404


async def test_a_session_that_another_process_ended_is_not_kept_alive_by_what_changes_it(world: SessionWorld) -> None:
    session = await world.begin()
    await world.store.mcp_sessions.end_session(fingerprint(session), owner=ANN)
    statuses = []
    for _ in range(3):
        answer = await world.send(request("logging/setLevel", {"level": "debug"}), session=session)
        statuses.append(answer.status)
        world.time += 3
    assert statuses == [200, 200, 404]


async def test_delete_needs_a_session(world: SessionWorld) -> None:
    answer = await world.send(None, method="DELETE")
    assert (answer.status, answer.body["error"]["message"]) == (400, "Send the Mcp-Session-Id of the session to end.")


async def test_what_was_agreed_on_counts_where_the_header_is_missing(world: SessionWorld) -> None:
    # Only the older revision answers wrong arguments with an error of the protocol.
    wrong = request("tools/call", {"name": "add", "arguments": {}})
    new, old = await world.begin(), await world.begin(version="2025-06-18")
    assert (await world.send(wrong, session=new)).body["result"]["isError"]
    assert (await world.send(wrong, session=old)).body["error"]["code"] == -32602
    assert (await world.send(wrong, session=new, mcp_protocol_version="2025-06-18")).body["error"]["code"] == -32602


async def test_without_authentication_a_session_belongs_to_who_has_its_id() -> None:
    world = SessionWorld(is_guarded=False)
    session = await world.begin(authorization=None)
    assert (await world.send(PING, session=session, authorization=None)).status == 200


@pytest.mark.parametrize("other", [principal("bob"), None])
async def test_nobody_else_finds_or_ends_a_session(other: object) -> None:
    sessions = Sessions()
    session = await sessions.begin()
    stranger = other if other is None else principal(other.subject, other.client_id)  # type: ignore[attr-defined]  # a principal
    assert await sessions.find(session, stranger) is None
    sessions.time += CACHE_SECONDS
    assert await sessions.find(session, stranger) is None
    assert not await sessions.end(session, stranger)
    assert await sessions.find(session, principal()) is not None


async def test_a_session_goes_on_when_its_app_has_registered_anew() -> None:
    sessions = Sessions()
    session, anew = await sessions.begin(), principal(client_id="client-2")
    assert await sessions.find(session, anew) is not None
    sessions.time += CACHE_SECONDS
    assert await sessions.find(session, anew) is not None
    assert await sessions.end(session, anew)


async def test_a_look_up_is_cached_for_a_moment() -> None:
    sessions = Sessions()
    session = await sessions.begin()
    await sessions.backend.mcp_sessions.end_session(fingerprint(session), owner=ANN)
    sessions.time += CACHE_SECONDS - 1
    assert await sessions.find(session, principal()) is not None
    sessions.time += 1
    assert await sessions.find(session, principal()) is None


@pytest.mark.parametrize("moment", ["before the end", "after the end"])
async def test_a_look_up_that_an_acknowledged_end_overtakes_is_not_cached(
    monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    sessions = Sessions()
    session = await sessions.begin()
    sessions.forget({fingerprint(session)})
    store = sessions.backend.mcp_sessions
    found = await store.find_session(fingerprint(session), owner=ANN, now=sessions.time)
    end_session = store.end_session

    async def late(*_: object, **__: object) -> object:
        if moment == "after the end":
            assert await sessions.end(session, principal())
        return found

    async def end(key: bytes, *, owner: str) -> bool:
        if moment == "before the end":
            assert await sessions.find(session, principal()) is not None
        return await end_session(key, owner=owner)

    monkeypatch.setattr(store, "find_session", late)
    monkeypatch.setattr(store, "end_session", end)
    if moment == "before the end":
        assert await sessions.end(session, principal())
    else:
        await sessions.find(session, principal())
    monkeypatch.undo()
    assert await sessions.find(session, principal()) is None


async def test_a_look_up_is_cached_without_another_look_for_the_very_principal_that_it_was_made_for() -> None:
    sessions = Sessions()
    session = await sessions.begin()
    ann, also_ann, bob = principal(), principal(), principal("bob")
    assert sessions.cached(session, ann) is None
    assert await sessions.find(session, ann) is sessions.cached(session, ann) is not None
    assert sessions.cached(session, also_ann) is sessions.cached(session, None) is None
    assert await sessions.find(session, bob) is None
    assert sessions.cached(session, bob) is None
    assert await sessions.find(session, also_ann) is sessions.cached(session, also_ann) is not None
    sessions.time += CACHE_SECONDS
    assert sessions.cached(session, also_ann) is None


@pytest.mark.parametrize("how", ["ended", "forgotten", "too old"])
async def test_a_session_that_is_over_is_cached_no_longer(how: str) -> None:
    sessions = Sessions(idle_seconds=3)
    session = await sessions.begin()
    ann = principal()
    await sessions.find(session, ann)
    if how == "ended":
        assert await sessions.end(session, ann)
    elif how == "forgotten":
        sessions.forget([fingerprint(session)])
    else:
        sessions.time += 3
    assert sessions.cached(session, ann) is None


async def test_use_prolongs_a_session_but_not_at_each_request() -> None:
    sessions = Sessions(idle_seconds=3600)

    async def ends_at() -> int:
        found = await sessions.backend.mcp_sessions.find_session(fingerprint(session), owner=ANN, now=0)
        assert found is not None
        return found.expires_at

    session = await sessions.begin()
    sessions.time += 149
    assert await sessions.find(session, principal()) is not None
    assert await ends_at() == 4_600
    sessions.time += 6
    assert await sessions.find(session, principal()) is not None
    assert await ends_at() == 4_755
    sessions.time = 4_755
    assert await sessions.find(session, principal()) is None


@pytest.mark.parametrize("idle_seconds", [60, 61, 119, 120])
async def test_a_session_that_is_used_all_the_time_lives_on_however_short_it_may_idle(idle_seconds: int) -> None:
    sessions = Sessions(idle_seconds=idle_seconds)
    session = await sessions.begin()
    for _ in range(20):
        sessions.time += 10
        assert await sessions.find(session, principal()) is not None


async def test_a_cached_session_still_ends_in_time() -> None:
    sessions = Sessions(idle_seconds=3)
    session = await sessions.begin()
    sessions.time += 3
    assert await sessions.find(session, principal()) is None


async def test_the_number_of_look_ups_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatepost.web.mcp.sessions.lifecycle._MOST_CACHED", 1)
    sessions = Sessions()
    session = await sessions.begin()
    await sessions.begin()
    assert await sessions.find(session, principal()) is not None


async def test_one_session_too_many_ends_the_one_used_longest_ago_and_what_runs_in_it() -> None:
    world = SessionWorld(most_sessions=2)
    first = await world.begin()
    world.time += 1
    second = await world.begin()
    listening = world.listen(first)
    calling = world.open(call("wait"), session=first)
    await asyncio.gather(world.pause.started.wait(), listening.until(lambda: bool(listening.raw)))
    world.time += 1
    third = await world.begin()
    await asyncio.gather(calling.ended(), listening.ended())
    assert world.pause.ended == "cancelled"
    assert (await world.send(PING, session=first)).status == 404
    for session in (second, third):
        assert (await world.send(PING, session=session)).status == 200


async def test_a_session_that_is_used_outlives_those_that_were_left_behind() -> None:
    sessions = Sessions(most_per_owner=2)
    used, left = await sessions.begin(), await sessions.begin()
    sessions.time += 600
    assert await sessions.find(used, principal()) is not None
    await sessions.begin()
    assert await sessions.find(used, principal()) is not None
    assert await sessions.find(left, principal()) is None


async def test_without_authentication_nobody_ends_the_session_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatepost.web.mcp.sessions.lifecycle.MOST_OF_EVERYBODY", 1)
    world = SessionWorld(is_guarded=False, most_sessions=1)
    mine = await world.begin(authorization=None)
    parameters = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
    other = await world.send(request("initialize", parameters), authorization=None)
    assert (other.status, other.body["result"]["protocolVersion"]) == (200, "2025-11-25")
    assert "mcp-session-id" not in other.headers
    assert (await world.send(PING, authorization=None)).status == 200
    assert (await world.send(PING, session=mine, authorization=None)).status == 200

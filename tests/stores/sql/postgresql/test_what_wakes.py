"""What changes for others wakes them, and what does not change for them is quiet: NOTIFY holds up who commits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from gatepost.oauth.policy import ALWAYS_THEFT, StaleTokens
from gatepost.resource.profile import Profile
from gatepost.stores.conformance.behaviour.task_life import RUNNER, a_task
from gatepost.stores.conformance.records import NOW, RESOURCE, WINDOW, approve, client, fp, redeem, tokens, user
from gatepost.stores.contract.administration import Administrator
from gatepost.stores.contract.api_keys import ApiKey
from gatepost.stores.contract.grants import RotateOutcome
from gatepost.stores.contract.keys import SealedSigningKey
from gatepost.stores.contract.linked_logins import LinkedLogin, LoginKey
from gatepost.stores.contract.mcp import McpSession
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.wakeups import ACCESS_TAKEN, Wakeup, WakeupKind
from tests.stores.sql.postgresql.processes import Process, notify

KEY, OTHER_KEY = fp("session"), fp("other session")
LAST = Wakeup(WakeupKind.RESPONSE, name="last")
ENDED = Wakeup(WakeupKind.ACCESS, name="grant-1")
SIGNING_KEYS = Wakeup(WakeupKind.SIGNING_KEYS)
STREAM = Wakeup(WakeupKind.STREAM, KEY, "stream-1")
HERE = "this process"

Doing = Callable[[Store], Awaitable[object]]


@pytest.fixture
async def told(process: Process, other: Store) -> Callable[[Doing], Awaitable[list[Wakeup]]]:
    """Does something in one process, and returns what the other has heard of it."""

    async def told_of(do: Doing) -> list[Wakeup]:
        before = len(process.heard)
        await do(other)
        await notify(other, LAST)
        await process.until(lambda: process.heard[-1:] == [LAST])
        heard = process.heard[before:-1]
        process.heard.append(Wakeup(WakeupKind.CHANGES))  # so that the next one waits for another
        return heard

    return told_of


Told = Callable[[Doing], Awaitable[list[Wakeup]]]


async def a_world(store: Store) -> None:
    """Somebody with an app, a key and an MCP session."""
    await store.clients.register_client(client())
    await store.users.add_user(user())
    await redeem(store)
    key = ApiKey("key-1", "backup", fp("key"), "user-1", ("notes:read",), RESOURCE, NOW)
    await store.api_keys.add_key(key)
    await store.keys.begin_signing(signing_key("a"), now=NOW)
    await begin(store, KEY)


async def begin(store: Store, key: bytes, *, most: int = 10) -> None:
    session = McpSession(key, "ada", "2025-11-25", b"{}", NOW, NOW + 60, app="client-1")
    await store.mcp_sessions.start_session(session, most=most, makes_room=True)


def signing_key(name: str) -> SealedSigningKey:
    return SealedSigningKey(name, "ES256", b"sealed", NOW, signs_from=NOW)


async def rotate(
    store: Store, spent: str, successor: str, *, at: int = NOW, stale: StaleTokens = ALWAYS_THEFT
) -> RotateOutcome:
    rotation = await store.grants.rotate_refresh_token(
        fp(f"refresh {spent}"),
        tokens(successor, "grant-1", now=at),
        b"sealed",
        now=at,
        window=WINDOW,
        stale=stale,
    )
    return rotation.outcome


async def test_what_everybody_does_all_the_time_wakes_nobody(told: Told) -> None:
    async def use(store: Store) -> None:
        await a_world(store)
        assert await store.grants.find_access_token(fp("access 1"), now=NOW) is not None
        assert await rotate(store, "1", "2") is RotateOutcome.ROTATED
        assert await rotate(store, "1", "3") is RotateOutcome.REPEATED
        await approve(store, "2")
        await store.users.recognise_user("local", "user-1", display_name=None, subjects=["x"], now=NOW)
        await store.api_keys.find_key(fp("key"))
        await store.api_keys.note_use("key-1", at=NOW)
        await store.clients.register_client(client("client-2"))
        await store.clients.update_client(client("client-2", client_name="Other"))
        await store.clients.remove_client("client-2", now=NOW)
        await store.mcp_sessions.prolong_session(KEY, expires_at=NOW + 99)
        await store.mcp_sessions.find_session(KEY, owner="ada", now=NOW)
        await store.mcp_sessions.subscribe(KEY, "notes://1", as_sent="notes://1", limit=9)
        await store.mcp_client_requests.open(KEY, "ask-1", expires_at=NOW + 60)
        await store.mcp_client_requests.respond(KEY, "ask-1", b"yes", now=NOW, wakes=False)
        await store.mcp_client_requests.find_response(KEY, "ask-1")
        await store.mcp_client_requests.withdraw(KEY, "ask-1")
        await store.limits.take([], now=NOW)

    assert await told(use) == []


async def test_the_stream_of_a_call_wakes_nobody_until_its_client_comes_back_for_it_elsewhere(told: Told) -> None:
    streams: list[Doing] = [
        a_world,
        lambda store: store.mcp_streams.append_event(KEY, "stream-1", b"one"),
        lambda store: store.mcp_streams.attach_stream(KEY, "stream-1", "connection"),
        lambda store: store.mcp_streams.append_event(KEY, "stream-1", b"two"),
        lambda store: store.mcp_streams.finish_stream(KEY, "stream-1"),
        lambda store: store.mcp_streams.append_event(KEY, "stream-2", b"one"),
        lambda store: store.mcp_streams.finish_stream(KEY, "stream-2"),
    ]
    assert [await told(do) for do in streams] == [[], [], [STREAM], [STREAM], [STREAM], [], []]


async def test_the_first_connection_of_a_sessions_own_stream_wakes_nobody_and_the_second_does(told: Told) -> None:
    own = Wakeup(WakeupKind.STREAM, KEY, "session")

    def attach(connection: str) -> Doing:
        return lambda store: store.mcp_streams.attach_stream(KEY, "session", connection)

    def append(store: Store) -> Awaitable[int]:
        return store.mcp_streams.append_event(KEY, "session", b"", connection=HERE)

    doing: list[Doing] = [a_world, attach(HERE), append, attach("elsewhere"), append]
    assert [await told(do) for do in doing] == [[], [], [], [own], []]


OF_GRANT: dict[str, Doing] = {
    "revoke_grant": lambda store: store.grants.revoke_grant("grant-1", reason="revoked", now=NOW),
    "take_back of one app": lambda store: store.approvals.take_back(
        "user-1", grant_id="grant-1", reason="revoked", now=NOW
    ),
    "take_back of all apps": lambda store: store.approvals.take_back("user-1", grant_id=None, reason="out", now=NOW),
}
OF_ANYBODY: dict[str, Doing] = {
    "disable_user": lambda store: store.users.disable_user("user-1", now=NOW),
    "give_role": lambda store: store.users.give_role("user-1", "editor"),
    "take_role": lambda store: store.users.take_role("user-1", "editor"),
    "disable_client": lambda store: store.clients.disable_client("client-1", now=NOW),
    "remove_client": lambda store: store.clients.remove_client("client-1", now=NOW),
    "revoke_key": lambda store: store.api_keys.revoke_key("backup", now=NOW),
    "another profile": lambda store: store.users.recognise_user(
        "local", "user-1", display_name=None, subjects=["x"], now=NOW, profile=Profile(groups=("staff",))
    ),
}


@pytest.mark.parametrize("what", OF_ANYBODY)
async def test_whatever_takes_access_away_wakes_the_others(told: Told, what: str) -> None:
    assert await told(a_world) == []
    assert await told(OF_ANYBODY[what]) == [ACCESS_TAKEN]


@pytest.mark.parametrize("what", OF_GRANT)
async def test_a_grant_that_ends_is_named_so_that_nobody_elses_tokens_are_looked_at_anew(told: Told, what: str) -> None:
    assert await told(a_world) == []
    assert await told(OF_GRANT[what]) == [ENDED]
    assert await told(OF_GRANT[what]) == []


async def test_a_grant_whose_end_comes_nearer_is_named_once(told: Told) -> None:
    stale = StaleTokens(seconds=24 * 3600, grant=600)

    async def spend(store: Store) -> None:
        await a_world(store)
        await rotate(store, "1", "2")
        await rotate(store, "2", "3")

    def go_on(successor: str) -> Doing:
        return lambda store: rotate(store, "1", successor, at=NOW + WINDOW + 1, stale=stale)

    assert await told(spend) == []
    assert await told(go_on("4")) == [ENDED]
    assert await told(go_on("5")) == []


async def test_an_administrator_who_disables_somebody_wakes_the_others(told: Told) -> None:
    async def add(store: Store) -> None:
        await a_world(store)
        await store.users.add_user(user("admin-1", "grace"))

    by = Administrator("admin-1", None)
    assert await told(add) == []
    assert await told(lambda store: store.administration.disable_person("user-1", by=by, now=NOW)) == [ACCESS_TAKEN]
    in_name: Doing = lambda store: store.in_name_of(by).api_keys.add_key(  # noqa: E731 - reads best in a row
        ApiKey("key-2", "mail", fp("key 2"), None, (), RESOURCE, NOW)
    )
    assert await told(in_name) == []
    assert await told(lambda store: store.in_name_of(by).api_keys.revoke_key("mail", now=NOW)) == [ACCESS_TAKEN]


async def test_a_refresh_token_that_is_used_twice_wakes_the_others_with_its_grants_end(told: Told) -> None:
    async def spend(store: Store) -> None:
        await a_world(store)
        await rotate(store, "1", "2")
        await rotate(store, "2", "3")

    async def reuse(store: Store) -> None:
        assert await rotate(store, "1", "4", at=NOW + WINDOW + 1) is RotateOutcome.REUSED

    assert await told(spend) == []
    assert await told(reuse) == [ENDED]


async def test_a_login_that_is_taken_away_wakes_the_others(told: Told) -> None:
    linked = LinkedLogin("https://elsewhere.example", "ada", "user-1", NOW)

    async def link(store: Store) -> None:
        await a_world(store)
        await store.linked_logins.link_login(linked)

    async def unlink(store: Store) -> None:
        keeps = [LoginKey("local", "user-1")]
        await store.linked_logins.unlink_login("user-1", linked.key, keeps=keeps)

    assert await told(link) == []
    assert await told(unlink) == [ACCESS_TAKEN]


async def test_the_end_of_everything_wakes_the_others(told: Told) -> None:
    assert await told(a_world) == []
    everything: Doing = lambda store: store.approvals.revoke_all(issued_before=None, reason="all", now=NOW)  # noqa: E731 - likewise
    assert await told(everything) == [ACCESS_TAKEN, Wakeup(WakeupKind.SESSION_ENDED)]


async def test_signing_keys_that_come_and_go_wake_the_others(told: Told) -> None:
    assert await told(a_world) == []
    rotated: Doing = lambda store: store.keys.rotate_signing_key(signing_key("b"), others_end_at=NOW + 60)  # noqa: E731 - likewise
    assert await told(rotated) == [SIGNING_KEYS]
    assert await told(lambda store: store.keys.retire_signing_key("a", now=NOW)) == [SIGNING_KEYS, ACCESS_TAKEN]
    assert await told(lambda store: store.keys.retire_signing_key("a", now=NOW)) == []


async def test_a_session_that_ends_wakes_the_others_whoever_ends_it(told: Told) -> None:
    assert await told(a_world) == []
    assert await told(lambda store: begin(store, OTHER_KEY, most=1)) == [Wakeup(WakeupKind.SESSION_ENDED, KEY)]
    ended = [Wakeup(WakeupKind.SESSION_ENDED, OTHER_KEY)]
    assert await told(lambda store: store.mcp_sessions.end_session(OTHER_KEY, owner="ada")) == ended
    assert await told(lambda store: store.mcp_sessions.end_session(OTHER_KEY, owner="ada")) == []


async def test_what_may_be_seen_of_a_task_wakes_the_others_and_what_its_runner_notes_for_itself_does_not(
    told: Told,
) -> None:
    task = a_task()
    key, changed = task.task_fingerprint, [Wakeup(WakeupKind.TASK, name=task.task_fingerprint.hex())]
    doing: list[Doing] = [
        lambda store: store.tasks.renew_runner(RUNNER, until=NOW + 60),
        lambda store: store.tasks.begin_task(task, most=9),
        lambda store: store.tasks.keep_value(key, "paid", b"1", runner=RUNNER),
        lambda store: store.tasks.note_progress(key, "half", runner=RUNNER, now=NOW),
        lambda store: store.tasks.ask(key, {"a": b"q"}, runner=RUNNER, now=NOW),
        lambda store: store.tasks.answer(key, {"b": b"r"}, owner="owner", now=NOW),
        lambda store: store.tasks.answer(key, {"a": b"r"}, owner="owner", now=NOW),
        lambda store: store.tasks.forget_news(RUNNER, [key]),
        lambda store: store.tasks.cancel_task(key, owner="owner", now=NOW),
        lambda store: store.tasks.cancel_task(key, owner="owner", now=NOW),
    ]
    assert [await told(do) for do in doing] == [[], [], [], changed, changed, [], changed, [], changed, []]


async def test_what_a_client_sends_for_another_process_wakes_it(told: Told) -> None:
    asks = [
        a_world,
        lambda store: store.mcp_client_requests.open(KEY, "ask-1", expires_at=NOW + 60),
        lambda store: store.mcp_client_requests.respond(KEY, "ask-1", b"yes", now=NOW),
        lambda store: store.mcp_client_requests.respond(KEY, "ask-1", b"no", now=NOW),
        lambda store: store.mcp_cancellations.cancel_request(KEY, "7", now=NOW, expires_at=NOW + 30, most=9),
        lambda store: store.mcp_cancellations.cancel_request(OTHER_KEY, "7", now=NOW, expires_at=NOW + 30, most=9),
        lambda store: store.changes.append_changes("/mcp", ["one", "two"], origin="a", now=NOW),
    ]
    assert [await told(do) for do in asks] == [
        [],
        [],
        [Wakeup(WakeupKind.RESPONSE, KEY, "ask-1")],
        [],
        [Wakeup(WakeupKind.CANCELLED, KEY)],
        [],
        [Wakeup(WakeupKind.CHANGES)],
    ]

"""What only one of several processes may win, on one store: replay, keys, purging, the numbers of events."""

from __future__ import annotations

from gatepost.oauth.limits import Use
from gatepost.oauth.records import Grant
from gatepost.stores.conformance.concurrency.other_processes import NAMES, race
from gatepost.stores.conformance.concurrency.worker import ALLOWANCE, PER_PROCESS
from gatepost.stores.conformance.places import Place
from gatepost.stores.conformance.records import NOW, approve, client, code, fp, grant, redeem
from gatepost.stores.contract.grants import RedeemOutcome
from gatepost.stores.contract.mcp import McpSession
from gatepost.stores.contract.store import Store

NEEDS = "is_shared_by_processes"
ATTEMPTS = len(NAMES) * PER_PROCESS


async def test_an_assertion_counts_once_on_all_processes_together(store: Store, place: Place) -> None:
    """RFC 7523 section 3, item 7: sent to several replicas at once, one of them takes it."""
    answers = [answer for of_process in await race("remember-jti", place) for answer in of_process]
    assert sorted(answers) == [False] * (ATTEMPTS - 1) + [True]
    assert not await store.assertions.remember_jti("client-1", "jti-1", expires_at=NOW + 60, now=NOW)


async def test_of_processes_that_start_at_once_one_adds_the_clients_of_the_settings(store: Store, place: Place) -> None:
    added = [count for of_process in await race("keep-settings-clients", place) for count in of_process]
    assert sorted(added) == [0] * (ATTEMPTS - 1) + [3]
    assert len(await store.clients.list_clients()) == 3


async def test_processes_that_purge_at_once_delete_each_row_once(store: Store, place: Place) -> None:
    over = ATTEMPTS + 5
    for number in range(over):
        await store.assertions.remember_jti("client-1", f"over-{number}", expires_at=NOW, now=NOW - 1)
    await store.assertions.remember_jti("client-1", "alive", expires_at=NOW + 60, now=NOW - 1)
    assert sum(count for of_process in await race("forget-jtis", place) for count in of_process) == over
    assert not await store.assertions.remember_jti("client-1", "alive", expires_at=NOW + 60, now=NOW)


async def test_of_processes_that_begin_to_sign_at_once_one_has_its_key_kept(store: Store, place: Place) -> None:
    begun = dict(zip(NAMES, await race("begin-signing", place), strict=True))
    winners = [f"{name}-{number}" for name in NAMES for number in range(PER_PROCESS) if begun[name][number]]
    assert [key.key_id for key in await store.keys.signing_keys(now=NOW)] == winners
    assert len(winners) == 1


async def test_events_that_processes_append_at_once_get_numbers_of_their_own(store: Store, place: Place) -> None:
    session = McpSession(fp("session"), "owner", "2025-11-25", b"{}", NOW, NOW + 60)
    await store.mcp_sessions.start_session(session, most=9, makes_room=True)
    appended = dict(zip(NAMES, await race("append-events", place), strict=True))
    said = {appended[name][number]: f"{name}-{number}".encode() for name in NAMES for number in range(PER_PROCESS)}
    events, _ = await store.mcp_streams.events_after(fp("session"), "stream", 0, limit=ATTEMPTS + 1)
    assert [event.number for event in events] == list(range(1, ATTEMPTS + 1))
    assert {event.number: event.message for event in events} == said


async def test_changes_that_processes_note_at_once_are_all_seen_by_who_looks_after_a_number(
    store: Store, place: Place
) -> None:
    await race("note-changes", place)
    noted = await store.changes.changes_after("/mcp", 0, limit=ATTEMPTS + 1)
    assert [change.number for change in noted] == list(range(1, ATTEMPTS + 1))
    assert {change.change for change in noted} == {f"{name}-{n}" for name in NAMES for n in range(PER_PROCESS)}


async def test_processes_that_redeem_one_code_at_once_have_one_winner(store: Store, place: Place) -> None:
    await approve(store)

    outcomes = [outcome for mine in await race("redeem", place) for outcome in mine]

    assert len(outcomes) == len(NAMES) * PER_PROCESS
    assert outcomes.count(RedeemOutcome.REDEEMED.name) == 1
    assert outcomes.count(RedeemOutcome.LOST_RACE.name) == len(outcomes) - 1
    spent = await store.grants.find_code(fp("code-1"), now=NOW)
    assert spent is not None
    assert spent.grant_id is not None
    assert spent == code(grant_id=spent.grant_id)
    assert await all_grants(store) == [grant(spent.grant_id)]
    tried = [f"grant-{name}-{number}" for name in NAMES for number in range(PER_PROCESS)]
    for kind in ("access", "refresh"):
        kept = [one for one in tried if await store.approvals.find_grant_of_token(fp(f"{kind} {one}")) is not None]
        assert kept == [spent.grant_id]


async def test_processes_that_use_one_refresh_token_at_once_share_one_successor(store: Store, place: Place) -> None:
    await redeem(store)

    rotations = [tuple(rotation) for mine in await race("rotate", place) for rotation in mine]

    winners = [sealed for outcome, sealed in rotations if outcome == "ROTATED"]
    assert len(winners) == 1
    assert rotations.count(("REPEATED", winners[0])) == len(NAMES) * PER_PROCESS - 1
    assert await all_grants(store) == [grant()]
    offered = [f"sealed {name} {number}" for name in NAMES for number in range(PER_PROCESS)]
    for kind in ("access", "refresh"):
        found = [one for one in offered if await store.approvals.find_grant_of_token(fp(f"{kind} {one}")) is not None]
        assert found == winners


async def test_processes_take_no_more_of_one_allowance_than_there_is(store: Store, place: Place) -> None:
    assert sum(await race("take", place)) == ALLOWANCE.uses
    assert await store.limits.take([Use("key", ALLOWANCE)], now=NOW) > 0


async def test_processes_that_use_one_set_up_link_at_once_make_one_account(store: Store, place: Place) -> None:
    await store.users.offer_setup(fp("link"), now=NOW, unless_since=NOW)

    created = await race("create-first-user", place)

    assert created.count(True) == 1
    users = await store.users.list_users()
    assert [user.username for user in users] == [f"name-{NAMES[created.index(True)]}"]


async def test_processes_may_open_a_store_at_once_where_there_is_nothing_yet(place: Place) -> None:
    assert await race("register", place) == [None] * len(NAMES)

    async with place.opened() as store:
        assert await store.clients.list_clients() == [client(f"client-{name}") for name in NAMES]


async def all_grants(store: Store) -> list[Grant]:
    listed = await store.approvals.list_grants(live_at=None, subject=None, client_id=None, limit=1000)
    return [one.grant for one in listed]

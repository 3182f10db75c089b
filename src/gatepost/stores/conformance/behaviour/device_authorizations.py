"""Requests of devices, what people answer and what becomes of it, on every backend."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from gatepost.oauth.device_authorization import LONGEST_INTERVAL, DeviceState, Poll
from gatepost.oauth.records import Grant, IssuedTokens, TransactionState
from gatepost.stores.conformance.records import (
    NOW,
    client,
    device,
    device_question,
    find_grant,
    fp,
    grant,
    tokens,
    user,
)
from gatepost.stores.contract.grants import RedeemOutcome
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.transactions import ApproveOutcome

BOTH = ("notes:read", "notes:write")
CODE = fp("device 1")


async def begin(store: Store, *questions: str) -> None:
    """Keep `device()`, about which a person is asked in each of these."""
    assert await store.device_authorizations.begin_device_authorization(device()) is True
    for transaction_id in questions:
        await store.transactions.begin_transaction(device_question(transaction_id))


async def approve(
    store: Store, question: str = "question-1", *, subject: str = "user-1", scopes: tuple[str, ...] = BOTH
) -> ApproveOutcome:
    return await store.device_authorizations.approve_device(question, subject=subject, scopes=scopes, now=NOW)


async def redeem(store: Store, given: Grant | None = None, *, name: str = "d", now: int = NOW) -> RedeemOutcome:
    granted = grant() if given is None else given
    return await store.device_authorizations.redeem_device_code(CODE, granted, tokens(name, granted.grant_id), now=now)


async def test_a_request_of_a_device_is_found_as_it_was_by_either_code(store: Store) -> None:
    await begin(store)

    assert await store.device_authorizations.find_device_authorization(CODE) == device()
    assert await store.device_authorizations.find_user_code("BCDFGHJK", now=NOW) == device()
    assert await store.device_authorizations.find_user_code("BCDFGHJL", now=NOW) is None
    assert await store.device_authorizations.find_device_authorization(fp("device 2")) is None


async def test_a_user_code_finds_nothing_from_the_second_it_ends_and_the_device_code_still_says_so(
    store: Store,
) -> None:
    await begin(store)

    assert await store.device_authorizations.find_user_code("BCDFGHJK", now=NOW + 599) is not None
    assert await store.device_authorizations.find_user_code("BCDFGHJK", now=NOW + 600) is None
    assert await store.device_authorizations.find_device_authorization(CODE) == device()


async def test_no_two_requests_have_one_user_code(store: Store) -> None:
    await begin(store)

    assert await store.device_authorizations.begin_device_authorization(device("2")) is False
    assert await store.device_authorizations.find_device_authorization(fp("device 2")) is None
    assert await store.device_authorizations.begin_device_authorization(device("2", "ZZZZZZZZ")) is True


async def test_who_asks_too_soon_waits_longer_up_to_an_end(store: Store) -> None:
    await begin(store)
    polls = store.device_authorizations

    assert await polls.note_poll(CODE, now=NOW) is Poll.IN_TIME
    assert await polls.note_poll(CODE, now=NOW + 3) is Poll.TOO_SOON
    found = await polls.find_device_authorization(CODE)
    assert found == device(poll_interval=10, polled_at=NOW + 3)
    assert await polls.note_poll(CODE, now=NOW + 11) is Poll.TOO_SOON
    assert await polls.note_poll(CODE, now=NOW + 26) is Poll.IN_TIME
    for _ in range(20):
        assert await polls.note_poll(CODE, now=NOW + 27) is Poll.TOO_SOON
    slowest = device(poll_interval=LONGEST_INTERVAL, polled_at=NOW + 27)
    assert await polls.find_device_authorization(CODE) == slowest
    # From here on a flood writes nothing.
    assert await polls.note_poll(CODE, now=NOW + 40) is Poll.TOO_SOON
    assert await polls.find_device_authorization(CODE) == slowest


async def test_nothing_is_noted_of_who_waits_for_nothing(store: Store) -> None:
    await begin(store, "question-1")
    polls = store.device_authorizations

    assert await polls.note_poll(fp("unknown"), now=NOW) is Poll.IN_TIME
    assert await polls.note_poll(CODE, now=NOW + 600) is Poll.IN_TIME
    assert await polls.find_device_authorization(CODE) == device()
    await approve(store)
    assert await polls.note_poll(CODE, now=NOW) is Poll.IN_TIME
    found = await polls.find_device_authorization(CODE)
    assert found is not None
    assert found.polled_at is None


async def test_an_approval_says_who_and_what_and_ends_the_question(store: Store) -> None:
    await begin(store, "question-1")

    assert await approve(store, scopes=("notes:read",)) is ApproveOutcome.APPROVED

    approved = device(state=DeviceState.APPROVED, subject="user-1", scopes=("notes:read",))
    assert await store.device_authorizations.find_device_authorization(CODE) == approved
    assert await store.device_authorizations.find_user_code("BCDFGHJK", now=NOW) is None
    question = await store.transactions.find_transaction("question-1", now=NOW)
    assert question == device_question("question-1", state=TransactionState.APPROVED)


async def test_the_last_approval_of_one_person_counts_until_it_is_redeemed(store: Store) -> None:
    await begin(store, "question-1", "question-2")
    await approve(store)

    assert await approve(store, "question-2", scopes=("notes:read",)) is ApproveOutcome.APPROVED
    assert await redeem(store) is RedeemOutcome.LOST_RACE  # for more than was approved last
    assert await redeem(store, grant(scopes=("notes:read",))) is RedeemOutcome.REDEEMED
    assert await approve(store) is ApproveOutcome.ALREADY_FINISHED


async def test_what_one_person_approved_is_nobody_elses_to_approve(store: Store) -> None:
    await begin(store, "question-1", "question-2")
    await approve(store)

    assert await approve(store, "question-2", subject="user-2") is ApproveOutcome.ALREADY_FINISHED
    found = await store.device_authorizations.find_device_authorization(CODE)
    assert found is not None
    assert found.subject == "user-1"


async def test_a_question_that_is_over_or_about_no_device_approves_nothing(store: Store) -> None:
    await begin(store, "question-1")
    later = store.device_authorizations.approve_device("question-1", subject="user-1", scopes=BOTH, now=NOW + 600)
    await store.transactions.begin_transaction(replace(device_question("other"), device_code_fingerprint=None))

    assert await later is ApproveOutcome.GONE
    assert await approve(store, "other") is ApproveOutcome.GONE
    assert await approve(store, "unknown") is ApproveOutcome.GONE
    assert await store.device_authorizations.find_device_authorization(CODE) == device()


async def test_after_a_denial_nobody_approves_and_after_an_approval_nobody_denies(store: Store) -> None:
    await begin(store, "question-1", "question-2")
    devices = store.device_authorizations

    assert await devices.deny_device("question-1", now=NOW) is True
    assert await devices.deny_device("question-1", now=NOW) is True
    assert await approve(store) is ApproveOutcome.ALREADY_FINISHED
    assert await approve(store, "question-2") is ApproveOutcome.ALREADY_FINISHED
    assert await devices.find_device_authorization(CODE) == device(state=DeviceState.DENIED)
    assert await devices.find_user_code("BCDFGHJK", now=NOW) is None
    question = await store.transactions.find_transaction("question-1", now=NOW)
    assert question == device_question("question-1", state=TransactionState.DENIED)

    await devices.begin_device_authorization(device("2", "ZZZZZZZZ"))
    await store.transactions.begin_transaction(device_question("question-3", "2"))
    await approve(store, "question-3")
    assert await devices.deny_device("question-3", now=NOW) is False
    assert await devices.deny_device("unknown", now=NOW) is False
    assert await devices.deny_device("question-2", now=NOW + 600) is False


async def test_a_device_code_is_spent_once_for_whom_and_what_was_approved(store: Store) -> None:
    await begin(store, "question-1")
    assert await redeem(store) is RedeemOutcome.LOST_RACE  # nobody has answered
    await approve(store)

    for wrong in (
        grant(subject="user-2"),
        grant(client_id="client-2"),
        grant(resource="https://other.example/mcp"),
        grant(scopes=(*BOTH, "more")),
    ):
        assert await redeem(store, wrong) is RedeemOutcome.LOST_RACE
    assert await redeem(store, now=NOW + 600) is RedeemOutcome.LOST_RACE
    assert await redeem(store) is RedeemOutcome.REDEEMED
    assert await redeem(store, grant("grant-2"), name="again") is RedeemOutcome.LOST_RACE

    assert await find_grant(store, "grant-1") == grant()
    assert await find_grant(store, "grant-2") is None
    assert await store.grants.find_access_token(fp("access d"), now=NOW) is not None
    found = await store.device_authorizations.find_device_authorization(CODE)
    assert found is not None
    assert found.grant_id == "grant-1"


async def test_fifty_parallel_redemptions_of_one_device_code_have_one_winner(store: Store) -> None:
    await begin(store, "question-1")
    await approve(store)

    outcomes = await asyncio.gather(*(redeem(store, grant(f"grant-{n}"), name=f"{n}") for n in range(50)))

    assert outcomes.count(RedeemOutcome.REDEEMED) == 1
    winner = f"grant-{outcomes.index(RedeemOutcome.REDEEMED)}"
    found = await store.device_authorizations.find_device_authorization(CODE)
    assert found is not None
    assert found.grant_id == winner
    kept = [await find_grant(store, f"grant-{n}") for n in range(50)]
    assert [one.grant_id for one in kept if one is not None] == [winner]


async def test_of_two_people_who_approve_at_once_one_is_the_one(store: Store) -> None:
    await begin(store, "question-1", "question-2")

    outcomes = await asyncio.gather(approve(store), approve(store, "question-2", subject="user-2"))

    assert sorted(outcome.name for outcome in outcomes) == ["ALREADY_FINISHED", "APPROVED"]
    found = await store.device_authorizations.find_device_authorization(CODE)
    assert found is not None
    assert found.subject == ("user-1" if outcomes[0] is ApproveOutcome.APPROVED else "user-2")


async def test_a_disabled_persons_approval_gives_a_device_nothing(store: Store) -> None:
    await store.users.add_user(user())
    await begin(store, "question-1")
    await approve(store)

    await store.users.disable_user("user-1", now=NOW)
    assert await approve(store) is ApproveOutcome.GONE  # with it went what they had approved
    assert await redeem(store) is RedeemOutcome.LOST_RACE
    await begin(store)
    assert await approve(store) is ApproveOutcome.USER_DISABLED
    assert await redeem(store) is RedeemOutcome.LOST_RACE
    await store.users.enable_user("user-1")
    assert await redeem(store) is RedeemOutcome.LOST_RACE
    assert await store.device_authorizations.find_device_authorization(CODE) == device()


async def test_who_takes_everything_back_takes_back_what_no_device_has_fetched(store: Store) -> None:
    await begin(store, "question-1")
    await approve(store)

    await store.approvals.take_back("user-1", grant_id=None, reason="asked", now=NOW)
    assert await store.device_authorizations.find_device_authorization(CODE) is None

    await begin(store)
    await store.approvals.revoke_all(issued_before=None, reason="asked", now=NOW)
    assert await store.device_authorizations.find_device_authorization(CODE) is None


async def test_a_client_that_is_shut_out_has_no_devices_that_wait(store: Store) -> None:
    await store.clients.register_client(client())
    await begin(store)
    await store.clients.disable_client("client-1", now=NOW)
    assert await store.device_authorizations.find_device_authorization(CODE) is None

    await begin(store)
    await store.clients.remove_client("client-1", now=NOW)
    assert await store.device_authorizations.find_device_authorization(CODE) is None


async def test_a_client_whose_device_waits_is_no_unused_one(store: Store) -> None:
    await store.clients.register_client(client())
    await begin(store)

    assert await store.clients.delete_orphans(before=NOW + 599, limit=9) == 0
    assert await store.clients.delete_orphans(before=NOW + 600, limit=9) == 1


async def test_a_redeemed_device_makes_its_client_a_used_one(store: Store) -> None:
    await store.clients.register_client(client())
    await begin(store, "question-1")
    await approve(store)
    await redeem(store)

    assert await store.clients.delete_orphans(before=NOW + 5000, limit=9) == 0


async def test_of_devices_that_nobody_has_allowed_the_newest_are_kept(store: Store) -> None:
    await begin(store, "question-1")
    await approve(store)
    devices = store.device_authorizations
    for number, letter in enumerate("CDFGH", start=2):
        await devices.begin_device_authorization(device(f"{number}", letter * 8), most=3)

    kept = [n for n in range(1, 7) if await devices.find_device_authorization(fp(f"device {n}")) is not None]
    assert kept == [1, 4, 5, 6]
    assert await redeem(store) is RedeemOutcome.REDEEMED


async def test_ended_requests_of_devices_go(store: Store) -> None:
    await begin(store)
    await store.device_authorizations.begin_device_authorization(device("2", "ZZZZZZZZ", expires_at=NOW + 700))

    assert await store.device_authorizations.delete_device_authorizations(before=NOW + 599, limit=9) == 0
    assert await store.device_authorizations.delete_device_authorizations(before=NOW + 600, limit=9) == 1
    assert await store.device_authorizations.find_device_authorization(CODE) is None
    assert await store.device_authorizations.delete_device_authorizations(before=NOW + 900, limit=9) == 1


async def test_a_grant_of_a_device_has_a_refresh_token_or_none(store: Store) -> None:
    await begin(store, "question-1")
    await approve(store)
    issued = IssuedTokens(tokens("d").access, None)

    outcome = await store.device_authorizations.redeem_device_code(
        CODE, grant(), replace(issued, access=replace(issued.access, grant_id="grant-1")), now=NOW
    )

    assert outcome is RedeemOutcome.REDEEMED
    assert await store.grants.find_access_token(fp("access d"), now=NOW) is not None

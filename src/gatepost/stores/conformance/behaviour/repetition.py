"""What a second call says and does: for a caller who does not know what came of the first (`StoreUnavailable`).

Each operation that writes has a row, on a store with something of every concern. A second call with the same arguments
changes nothing that can be seen, but for those that count.
"""

from __future__ import annotations

from typing import Final

import pytest

from gatepost.oauth.device_authorization import Poll
from gatepost.oauth.limits import Use
from gatepost.oauth.operator_clients import Reconciliation
from gatepost.oauth.records import ClientOrigin
from gatepost.stores.conformance.behaviour.account_links import link
from gatepost.stores.conformance.behaviour.api_keys import api_key
from gatepost.stores.conformance.behaviour.exchanges import REPEATED as REPEATED_EXCHANGES
from gatepost.stores.conformance.behaviour.keys import signing_key
from gatepost.stores.conformance.behaviour.linked_logins import ADA, OCTOCAT, PASSWORD, login
from gatepost.stores.conformance.behaviour.logins import LOGIN
from gatepost.stores.conformance.behaviour.mcp_streams import SESSION
from gatepost.stores.conformance.behaviour.passkeys import passkey
from gatepost.stores.conformance.behaviour.pushed_requests import pushed
from gatepost.stores.conformance.behaviour.refreshing import rotated_at_once
from gatepost.stores.conformance.behaviour.second_steps import CODES, step
from gatepost.stores.conformance.behaviour.task_life import DONE, LOST, RUNNER, a_task, adopt
from gatepost.stores.conformance.behaviour.upstream_tokens import kept
from gatepost.stores.conformance.full_store import ADMIN, KEY, RATE, TOKENS, fill, seen
from gatepost.stores.conformance.records import (
    NOW,
    WINDOW,
    audit_record,
    client,
    code,
    device,
    fp,
    grant,
    session,
    tokens,
    transaction,
    user,
)
from gatepost.stores.conformance.repeated import ANYTHING, REFUSED, Repetition, twice
from gatepost.stores.contract.account_links import InvitationOutcome
from gatepost.stores.contract.administration import AdminOutcome
from gatepost.stores.contract.api_keys import KeyAddition
from gatepost.stores.contract.endpoints import ServedEndpoint
from gatepost.stores.contract.grants import RedeemOutcome, RotateOutcome, Rotation
from gatepost.stores.contract.keys import KeyRetirement
from gatepost.stores.contract.linked_logins import LinkOutcome, UnlinkOutcome
from gatepost.stores.contract.passkeys import PasskeyAddition, PasskeyUse
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.transactions import ApproveOutcome

ROTATED, REPEATED = Rotation(RotateOutcome.ROTATED), Rotation(RotateOutcome.REPEATED, b"sealed 3")
NEWER = kept("2", issuer=OCTOCAT.issuer, external_subject=OCTOCAT.external_subject)
INVITED = user("user-9", "eve")
OF_SETTINGS = [client("client-s", origin=ClientOrigin.SETTINGS), client("client-t", origin=ClientOrigin.SETTINGS)]

# fmt: off
AUTHORIZATION_SERVER: Final[dict[str, Repetition]] = {
    "clients.register_client": twice(lambda s: s.clients.register_client(client("client-n")), 0, REFUSED),
    "clients.update_client": twice(lambda s: s.clients.update_client(client(client_name="Other")), True, True),
    "clients.rotate_client_secret": twice(lambda s: s.clients.rotate_client_secret("client-1", fp("x")), True, True),
    "clients.set_refresh_reuse": twice(lambda s: s.clients.set_refresh_reuse("client-1", 60), True, True),
    "clients.disable_client": twice(lambda s: s.clients.disable_client("client-1", now=NOW), True, True),
    "clients.enable_client": twice(lambda s: s.clients.enable_client("client-1"), True, True),
    "clients.remove_client": twice(lambda s: s.clients.remove_client("client-1", now=NOW), True, False),
    "clients.keep_settings_clients": twice(
        lambda s: s.clients.keep_settings_clients(OF_SETTINGS, now=NOW), ANYTHING, Reconciliation()
    ),
    "clients.give_client_grant": twice(
        lambda s: s.clients.give_client_grant(grant("grant-n"), tokens("new", "grant-n")), True, REFUSED
    ),
    "clients.delete_orphans": twice(lambda s: s.clients.delete_orphans(before=NOW + 5000, limit=9), 1, 0),
    "assertions.remember_jti": twice(
        lambda s: s.assertions.remember_jti("client-1", "jti-2", expires_at=NOW + 60, now=NOW), True, False
    ),
    "assertions.forget_jtis": twice(lambda s: s.assertions.forget_jtis(before=NOW + 60, limit=9), 1, 0),
    "users.offer_setup": twice(lambda s: s.users.offer_setup(fp("link"), now=NOW, unless_since=NOW), None, None),
    "users.create_first_user": twice(lambda s: s.users.create_first_user(fp("link"), INVITED), False, False),
    "users.add_user": twice(lambda s: s.users.add_user(INVITED), True, False),
    "users.recognise_user": twice(
        lambda s: s.users.recognise_user("https://id", "9", display_name="Eve", subjects=["user-9"], now=NOW),
        ANYTHING,
        ANYTHING,
    ),
    "users.forget_profile": twice(lambda s: s.users.forget_profile("user-1"), None, None),
    "users.disable_user": twice(lambda s: s.users.disable_user("user-1", now=NOW), True, True),
    "users.enable_user": twice(lambda s: s.users.enable_user("user-1"), True, True),
    "users.give_role": twice(lambda s: s.users.give_role("user-1", "x"), True, True),
    "users.take_role": twice(lambda s: s.users.take_role("user-1", "admin"), True, True),
    "users.rehash_password": twice(
        lambda s: s.users.rehash_password("user-1", "$new", replaces="$argon2id$made-up"), True, False
    ),
    "users.change_password": twice(lambda s: s.users.change_password("ada", "$new"), True, True),
    "linked_logins.link_login": twice(
        lambda s: s.linked_logins.link_login(login(ADA._replace(external_subject="5"))),
        LinkOutcome.LINKED,
        LinkOutcome.OWN,
    ),
    "linked_logins.unlink_login": twice(
        lambda s: s.linked_logins.unlink_login("user-1", OCTOCAT, keeps=[PASSWORD]),
        UnlinkOutcome.UNLINKED,
        UnlinkOutcome.UNKNOWN,
    ),
    "account_links.offer_link": twice(
        lambda s: s.account_links.offer_link(link("other", subject="user-2", username="bob")), True, True
    ),
    "account_links.reset_password": twice(
        lambda s: s.account_links.reset_password(fp("reset"), "$new", now=NOW), "user-2", None
    ),
    "account_links.accept_invitation": twice(
        lambda s: s.account_links.accept_invitation(fp("invitation"), INVITED, now=NOW),
        InvitationOutcome.ACCEPTED,
        InvitationOutcome.LINK_OVER,
    ),
    "account_links.delete_links": twice(lambda s: s.account_links.delete_links(before=NOW + 100, limit=9), 2, 0),
    "passkeys.add_passkey": twice(
        lambda s: s.passkeys.add_passkey(passkey(b"two")), PasskeyAddition.ADDED, PasskeyAddition.KNOWN
    ),
    "passkeys.use_passkey": twice(
        lambda s: s.passkeys.use_passkey(b"one", sign_count=1, now=NOW), PasskeyUse.ACCEPTED, PasskeyUse.COUNTER_BACK
    ),
    "passkeys.rename_passkey": twice(lambda s: s.passkeys.rename_passkey("user-1", b"one", "Key"), True, True),
    "passkeys.remove_passkey": twice(lambda s: s.passkeys.remove_passkey("user-1", b"one"), True, False),
    "second_steps.set_up": twice(
        lambda s: s.second_steps.set_up(step("user-2", step_id="step-2"), recovery_codes=CODES), True, False
    ),
    "second_steps.accept_time_step": twice(
        lambda s: s.second_steps.accept_time_step("user-1", "step-1", 101), True, False
    ),
    "second_steps.use_recovery_code": twice(
        lambda s: s.second_steps.use_recovery_code("user-1", "step-1", CODES[0]), True, False
    ),
    "second_steps.replace_recovery_codes": twice(
        lambda s: s.second_steps.replace_recovery_codes("user-1", "step-1", CODES[:2]), True, True
    ),
    "second_steps.turn_off": twice(lambda s: s.second_steps.turn_off("user-1"), True, False),
    "second_steps.reseal_second_step": twice(
        lambda s: s.second_steps.reseal_second_step("user-1", "step-1", b"anew"), None, None
    ),
    "browser_sessions.start_session": twice(
        lambda s: s.browser_sessions.start_session(session("new"), replaces=fp("session-1")), True, False
    ),
    "browser_sessions.end_session": twice(lambda s: s.browser_sessions.end_session(fp("session-1")), None, None),
    "browser_sessions.note_use": twice(
        lambda s: s.browser_sessions.note_use(fp("session-1"), now=NOW + 9), None, None
    ),
    "browser_sessions.end_sessions": twice(lambda s: s.browser_sessions.end_sessions("user-1"), 1, 0),
    "browser_sessions.delete_sessions": twice(
        lambda s: s.browser_sessions.delete_sessions(before=NOW + 3600, limit=9), 1, 0
    ),
    "logins.begin_login": twice(
        lambda s: s.logins.begin_login(LOGIN.__class__(fp("n"), "b", "form", b"sealed", NOW + 9)), None, REFUSED
    ),
    "logins.take_login": twice(
        lambda s: s.logins.take_login(fp("state"), browser_id="browser-1", place="github", now=NOW), LOGIN, None
    ),
    "logins.delete_logins": twice(lambda s: s.logins.delete_logins(before=NOW + 600, limit=9), 1, 0),
    "transactions.begin_transaction": twice(
        lambda s: s.transactions.begin_transaction(transaction("transaction-new")), None, REFUSED
    ),
    "transactions.approve_transaction": twice(
        lambda s: s.transactions.approve_transaction(code("code-new", "transaction-open"), now=NOW),
        ApproveOutcome.APPROVED,
        ApproveOutcome.APPROVED,
    ),
    "transactions.approve_at_once": twice(
        lambda s: s.transactions.approve_at_once(
            transaction("transaction-new"), code("code-new", "transaction-new"), client()
        ),
        True,
        REFUSED,
    ),
    "transactions.deny_transaction": twice(
        lambda s: s.transactions.deny_transaction("transaction-open", now=NOW), True, True
    ),
    "transactions.delete_transactions": twice(
        lambda s: s.transactions.delete_transactions(before=NOW + 1800, limit=9), 7, 0
    ),
    "pushed_requests.push_request": twice(lambda s: s.pushed_requests.push_request(pushed("new")), None, REFUSED),
    "pushed_requests.take_request": twice(
        lambda s: s.pushed_requests.take_request(fp("reference 1"), client_id="client-1", now=NOW), pushed(), None
    ),
    "pushed_requests.delete_pushed_requests": twice(
        lambda s: s.pushed_requests.delete_pushed_requests(before=NOW + 90, limit=9), 1, 0
    ),
    "device_authorizations.begin_device_authorization": twice(
        lambda s: s.device_authorizations.begin_device_authorization(device("new")), True, False
    ),
    "device_authorizations.note_poll": twice(
        lambda s: s.device_authorizations.note_poll(fp("device open"), now=NOW),
        Poll.IN_TIME,
        Poll.TOO_SOON,
        counts=True,
    ),
    "device_authorizations.approve_device": twice(
        lambda s: s.device_authorizations.approve_device(
            "question-open", subject="user-1", scopes=("notes:read",), now=NOW
        ),
        ApproveOutcome.APPROVED,
        ApproveOutcome.APPROVED,
    ),
    "device_authorizations.deny_device": twice(
        lambda s: s.device_authorizations.deny_device("question-open", now=NOW), True, True
    ),
    "device_authorizations.redeem_device_code": twice(
        lambda s: s.device_authorizations.redeem_device_code(
            fp("device approved"), grant("grant-n"), tokens("new", "grant-n"), now=NOW
        ),
        RedeemOutcome.REDEEMED,
        RedeemOutcome.LOST_RACE,
    ),
    "device_authorizations.delete_device_authorizations": twice(
        lambda s: s.device_authorizations.delete_device_authorizations(before=NOW + 600, limit=9), 2, 0
    ),
    **REPEATED_EXCHANGES,
    "consents.delete_consents": twice(lambda s: s.consents.delete_consents(before=NOW + 9000, limit=9), 1, 0),
    "grants.count_failed_redemption": twice(
        lambda s: s.grants.count_failed_redemption(fp("code-approved")), None, None, counts=True
    ),
    "grants.redeem_code": twice(
        lambda s: s.grants.redeem_code(fp("code-approved"), grant("grant-n"), tokens("new", "grant-n"), now=NOW),
        RedeemOutcome.REDEEMED,
        RedeemOutcome.LOST_RACE,
    ),
    "grants.rotate_refresh_token": twice(
        lambda s: s.grants.rotate_refresh_token(fp("refresh 2"), tokens("3"), b"sealed 3", now=NOW, window=WINDOW),
        ROTATED,
        REPEATED,
    ),
    "grants.refresh_at_once": twice(rotated_at_once, ROTATED, REPEATED),
    "grants.revoke_grant": twice(lambda s: s.grants.revoke_grant("grant-1", reason="asked", now=NOW), True, True),
    "grants.delete_access_tokens": twice(
        lambda s: s.grants.delete_access_tokens(before=NOW + 3600, limit=9), 4, 0
    ),
    "grants.delete_refresh_tokens": twice(
        lambda s: s.grants.delete_refresh_tokens(before=NOW + 50_000, limit=9), 4, 0
    ),
    "grants.delete_grants": twice(lambda s: s.grants.delete_grants(before=NOW + 100_000, limit=99), 12, 0),
    "approvals.give_grant": twice(
        lambda s: s.approvals.give_grant(grant("grant-n"), tokens("new", "grant-n")), None, REFUSED
    ),
    "approvals.give_user_grant": twice(
        lambda s: s.approvals.give_user_grant(grant("grant-n"), tokens("new", "grant-n")), True, REFUSED
    ),
    "approvals.revoke_all": twice(
        lambda s: s.approvals.revoke_all(issued_before=None, reason="asked", now=NOW), ANYTHING, ANYTHING
    ),
    "approvals.take_back": twice(
        lambda s: s.approvals.take_back("user-1", grant_id=None, reason="asked", now=NOW), ANYTHING, []
    ),
    "administration.disable_person": twice(
        lambda s: s.administration.disable_person("user-2", by=ADMIN, now=NOW),
        AdminOutcome.DONE,
        AdminOutcome.UNCHANGED,
    ),
    "administration.enable_person": twice(
        lambda s: s.administration.enable_person("user-2", by=ADMIN), AdminOutcome.UNCHANGED, AdminOutcome.UNCHANGED
    ),
    "administration.give_role": twice(
        lambda s: s.administration.give_role("user-2", "x", by=ADMIN), AdminOutcome.DONE, AdminOutcome.UNCHANGED
    ),
    "administration.take_role": twice(
        lambda s: s.administration.take_role("user-2", "x", by=ADMIN), AdminOutcome.UNCHANGED, AdminOutcome.UNCHANGED
    ),
    "upstream_tokens.keep_tokens": twice(lambda s: s.upstream_tokens.keep_tokens(NEWER, replaces="1"), True, False),
    "upstream_tokens.claim_refresh": twice(
        lambda s: s.upstream_tokens.claim_refresh(TOKENS, holder="me", now=NOW, until=NOW + 9), True, True
    ),
    "upstream_tokens.keep_refreshed": twice(
        lambda s: s.upstream_tokens.keep_refreshed(NEWER, replaces="1", holder="me"), True, True
    ),
    "upstream_tokens.defer_refresh": twice(
        lambda s: s.upstream_tokens.defer_refresh(TOKENS, holder="me", retry_at=NOW + 9), None, None
    ),
    "upstream_tokens.reseal_tokens": twice(
        lambda s: s.upstream_tokens.reseal_tokens(TOKENS, b"anew"), None, None
    ),
    "upstream_tokens.end_tokens": twice(lambda s: s.upstream_tokens.end_tokens("user-1"), ANYTHING, []),
    "upstream_tokens.delete_tokens": twice(
        lambda s: s.upstream_tokens.delete_tokens(before=NOW + 100_000, limit=9), 1, 0
    ),
    "api_keys.add_key": twice(
        lambda s: s.api_keys.add_key(api_key(2)), KeyAddition.ADDED, KeyAddition.NAME_TAKEN
    ),
    "api_keys.revoke_key": twice(lambda s: s.api_keys.revoke_key("script-1", now=NOW), api_key(), None),
    "api_keys.note_use": twice(lambda s: s.api_keys.note_use("key_1", at=NOW), None, None),
    "api_keys.delete_keys": twice(lambda s: s.api_keys.delete_keys(before=NOW, limit=9), 0, 0),
    "endpoints.note_endpoints": twice(
        lambda s: s.endpoints.note_endpoints([ServedEndpoint("/mcp", ("x",))]), None, None
    ),
    "keys.note_sealing_key": twice(lambda s: s.keys.note_sealing_key("next", replaces="ring"), "next", "next"),
    "keys.begin_signing": twice(lambda s: s.keys.begin_signing(signing_key("k2"), now=NOW), False, False),
    "keys.rotate_signing_key": twice(
        lambda s: s.keys.rotate_signing_key(signing_key("k2"), others_end_at=NOW + 9), None, REFUSED
    ),
    "keys.retire_signing_key": twice(
        lambda s: s.keys.retire_signing_key("k1", now=NOW, even_last=True),
        KeyRetirement.RETIRED,
        KeyRetirement.UNKNOWN,
    ),
    "keys.reseal_signing_key": twice(lambda s: s.keys.reseal_signing_key("k1", b"anew"), None, None),
    "audit.append_events": twice(lambda s: s.audit.append_events([audit_record(1), audit_record(2)]), None, None),
    "audit.delete_events": twice(lambda s: s.audit.delete_events(before=NOW, limit=9), 2, 0),
}
LIVE_STATE: Final[dict[str, Repetition]] = {
    "mcp_sessions.start_session": twice(
        lambda s: s.mcp_sessions.start_session(
            SESSION.__class__(fp("n"), "owner", "2025-11-25", b"{}", NOW, NOW + 9), most=9, makes_room=True
        ),
        [],
        REFUSED,
    ),
    "mcp_sessions.prolong_session": twice(
        lambda s: s.mcp_sessions.prolong_session(KEY, expires_at=NOW + 99), None, None
    ),
    "mcp_sessions.end_session": twice(lambda s: s.mcp_sessions.end_session(KEY, owner="owner"), True, False),
    "mcp_sessions.set_log_level": twice(lambda s: s.mcp_sessions.set_log_level(KEY, "debug"), None, None),
    "mcp_sessions.subscribe": twice(
        lambda s: s.mcp_sessions.subscribe(KEY, "notes://2", as_sent="notes://2", limit=9), True, True
    ),
    "mcp_sessions.unsubscribe": twice(lambda s: s.mcp_sessions.unsubscribe(KEY, "notes://1"), None, None),
    "mcp_sessions.delete_sessions": twice(
        lambda s: s.mcp_sessions.delete_sessions(before=NOW + 60, limit=9), 1, 0
    ),
    "mcp_streams.append_event": twice(lambda s: s.mcp_streams.append_event(KEY, "s", b"x"), 2, 3, counts=True),
    "mcp_streams.finish_stream": twice(lambda s: s.mcp_streams.finish_stream(KEY, "s"), None, None),
    "mcp_streams.forget_stream": twice(lambda s: s.mcp_streams.forget_stream(KEY, "s"), None, None),
    "mcp_streams.attach_stream": twice(lambda s: s.mcp_streams.attach_stream(KEY, "s", "other"), True, True),
    "mcp_client_requests.open": twice(
        lambda s: s.mcp_client_requests.open(KEY, "new", expires_at=NOW + 9), None, None
    ),
    "mcp_client_requests.respond": twice(
        lambda s: s.mcp_client_requests.respond(KEY, "open", b"response", now=NOW), True, False
    ),
    "mcp_client_requests.withdraw": twice(lambda s: s.mcp_client_requests.withdraw(KEY, "open"), None, None),
    "mcp_cancellations.cancel_request": twice(
        lambda s: s.mcp_cancellations.cancel_request(KEY, "8", now=NOW, expires_at=NOW + 9, most=9), None, None
    ),
    "tasks.begin_task": twice(lambda s: s.tasks.begin_task(a_task("new"), most=9), True, REFUSED),
    "tasks.ask": twice(
        lambda s: s.tasks.ask(fp("answered"), {"a": b"q"}, runner=RUNNER, now=NOW), {"a": b"r"}, {"a": b"r"}
    ),
    "tasks.answer": twice(lambda s: s.tasks.answer(fp("asking"), {"a": b"r"}, owner="owner", now=NOW), True, True),
    "tasks.withdraw": twice(lambda s: s.tasks.withdraw(fp("asking"), ["a"], runner=RUNNER, now=NOW), None, None),
    "tasks.keep_value": twice(lambda s: s.tasks.keep_value(fp("task"), "b", b"2", runner=RUNNER), True, True),
    "tasks.note_progress": twice(
        lambda s: s.tasks.note_progress(fp("task"), "half", runner=RUNNER, now=NOW), True, True, counts=True
    ),
    "tasks.finish_task": twice(
        lambda s: s.tasks.finish_task(fp("task"), DONE, runner=RUNNER, now=NOW, kept_until=NOW), True, False
    ),
    "tasks.cancel_task": twice(lambda s: s.tasks.cancel_task(fp("task"), owner="owner", now=NOW), True, True),
    "tasks.forget_news": twice(lambda s: s.tasks.forget_news(RUNNER, [fp("answered")]), None, None),
    "tasks.renew_runner": twice(lambda s: s.tasks.renew_runner(RUNNER, until=NOW + 99), None, None),
    "tasks.end_runner": twice(lambda s: s.tasks.end_runner(RUNNER, LOST, now=NOW), None, None),
    "tasks.adopt_tasks": twice(lambda s: adopt(s, now=NOW + 60), ANYTHING, []),
    "tasks.delete_tasks": twice(lambda s: s.tasks.delete_tasks(before=NOW + 600, limit=9), 3, 0),
    "tasks.delete_runners": twice(lambda s: s.tasks.delete_runners(before=NOW + 600, limit=9), 0, 0),
    "changes.append_changes": twice(
        lambda s: s.changes.append_changes("/mcp", ["tools"], origin="me", now=NOW), None, None, counts=True
    ),
    "changes.delete_changes": twice(lambda s: s.changes.delete_changes(before=NOW, limit=9), 1, 0),
    "limits.take": twice(lambda s: s.limits.take([Use("key", RATE)], now=NOW), 0, 0, counts=True),
    "limits.give_back": twice(lambda s: s.limits.give_back([Use("key", RATE)], now=NOW), None, None, counts=True),
    "limits.delete_limits": twice(lambda s: s.limits.delete_limits(before=NOW + 60, limit=9), 1, 0),
    "leases.take_lease": twice(
        lambda s: s.leases.take_lease("other", holder="me", now=NOW, until=NOW + 9), True, True
    ),
    "leases.return_lease": twice(lambda s: s.leases.return_lease("purge", holder="me"), None, None),
}
# fmt: on
REPETITIONS: Final = AUTHORIZATION_SERVER | LIVE_STATE


@pytest.mark.parametrize("operation", REPETITIONS)
async def test_a_second_call_says_what_the_contract_says_and_changes_nothing(store: Store, operation: str) -> None:
    repetition = REPETITIONS[operation]
    await fill(store)
    await store.account_links.offer_link(link("invitation"))
    if operation == "upstream_tokens.keep_refreshed":
        assert await store.upstream_tokens.claim_refresh(TOKENS, holder="me", now=NOW, until=NOW + 9)

    first = await repetition.call(store)
    after_first = await seen(store)
    if repetition.second is REFUSED:
        # A backend has words of its own for a key that is there already.
        with pytest.raises(Exception):  # noqa: B017, PT011 - see above
            await repetition.call(store)
    else:
        second = await repetition.call(store)
        assert repetition.second is ANYTHING or second == repetition.second
    assert repetition.first is ANYTHING or first == repetition.first
    assert repetition.counts or await seen(store) == after_first

"""The schema: migrations go forward once, and every look-up has its index."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from gatepost.oauth.audit import AuditQuery
from gatepost.oauth.consent import Consent
from gatepost.oauth.limits import Rate, RegistrationBudget, Use
from gatepost.oauth.policy import ALWAYS_THEFT, StaleTokens
from gatepost.oauth.records import ClientOrigin
from gatepost.resource.profile import Profile
from gatepost.stores.conformance.records import (
    NOW,
    WINDOW,
    audit_record,
    client,
    code,
    fp,
    grant,
    remember_consent,
    session,
    tokens,
    transaction,
    user,
)
from gatepost.stores.contract.account_links import AccountLink, InvitationOutcome
from gatepost.stores.contract.administration import Administrator, AdminOutcome
from gatepost.stores.contract.api_keys import ApiKey, KeyAddition
from gatepost.stores.contract.endpoints import ServedEndpoint
from gatepost.stores.contract.grants import RotateOutcome, Rotation
from gatepost.stores.contract.keys import KeyRetirement, SealedSigningKey
from gatepost.stores.contract.linked_logins import LinkedLogin, LinkOutcome, LoginKey, UnlinkOutcome
from gatepost.stores.contract.logins import PendingLogin
from gatepost.stores.contract.mcp import McpSession
from gatepost.stores.contract.passkeys import Passkey, PasskeyAddition, PasskeyUse
from gatepost.stores.contract.second_steps import SecondStep
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.tasks import Task, TaskEnding, TaskStatus
from gatepost.stores.sql.database import Elsewhere, Operation, T, Value
from gatepost.stores.sql.schema.migrations import MIGRATIONS, migrate
from gatepost.stores.sql.sqlite.transaction import SqliteTransaction, run_to_end
from gatepost.stores.sql.store import sql_store

SQLITE_TYPES = {"BYTEA": "BLOB"}

# Whole tables are read only where that is the question, or where there is one row at the most.
SCANS_ON_PURPOSE = {
    "SELECT * FROM users",
    # All second steps, when they are sealed anew.
    "SELECT * FROM second_steps ORDER BY subject",
    "SELECT * FROM clients ORDER BY created_at, client_id",
    "SELECT * FROM signing_keys WHERE ends_at IS NULL OR ends_at > $1 ORDER BY signs_from, ends_at IS NULL, key_id",
    "UPDATE signing_keys SET ends_at = $1 WHERE ends_at IS NULL",
    "SELECT 1 FROM setup_link WHERE link_fingerprint = $1",
    "SELECT created_at FROM setup_link",
    # All access that was given before a time: an operator's command, after a restore or a break-in.
    "DELETE FROM browser_sessions WHERE created_at < $1",
    "DELETE FROM authorization_transactions WHERE created_at < $1",
    "DELETE FROM pushed_requests WHERE created_at < $1",
    "DELETE FROM device_authorizations WHERE created_at < $1",
    "DELETE FROM account_links WHERE created_at < $1",
    "DELETE FROM consents WHERE created_at < $1",
    "DELETE FROM mcp_sessions WHERE created_at < $1",
    "DELETE FROM upstream_tokens WHERE linked_at < $1",
    # An operator's list of keys that operators made, along the index of its order.
    "SELECT * FROM api_keys ORDER BY created_at DESC, key_id LIMIT $1",
    (
        "SELECT * FROM api_keys WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2) "
        "ORDER BY created_at DESC, key_id LIMIT $1"
    ),
    # What servers serve: a handful of rows.
    "SELECT * FROM served_endpoints",
}


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


def schema(connection: sqlite3.Connection) -> set[str]:
    return {row["name"] for row in connection.execute("SELECT name FROM sqlite_master")}


def version(connection: sqlite3.Connection) -> list[int]:
    return [row["version"] for row in connection.execute("SELECT version FROM schema_version")]


def test_migrating_again_changes_nothing(connection: sqlite3.Connection) -> None:
    run_to_end(migrate(SqliteTransaction(connection), type_names=SQLITE_TYPES))
    before = schema(connection)
    run_to_end(migrate(SqliteTransaction(connection), type_names=SQLITE_TYPES))

    assert schema(connection) == before
    assert version(connection) == [len(MIGRATIONS)]


def test_only_the_migrations_that_are_missing_are_run(connection: sqlite3.Connection) -> None:
    one = ("CREATE TABLE one (secret BYTEA)",)
    two = ("CREATE TABLE two (secret BYTEA)", "ALTER TABLE one ADD COLUMN more BIGINT")
    for known in ((one,), (one, two), (one, two)):
        run_to_end(migrate(SqliteTransaction(connection), type_names=SQLITE_TYPES, migrations=known))

    assert schema(connection) == {"schema_version", "one", "two"}
    assert version(connection) == [2]
    columns = [(row["name"], row["type"]) for row in connection.execute("PRAGMA table_info(one)")]
    assert columns == [("secret", "BLOB"), ("more", "BIGINT")]


def test_a_migration_that_fails_leaves_the_version_as_it_was(connection: sqlite3.Connection) -> None:
    good = ("CREATE TABLE one (secret BYTEA)",)
    bad = ("CREATE TABLE two (secret BYTEA)", "CREATE TABLE one (secret BYTEA)")
    run_to_end(migrate(SqliteTransaction(connection), type_names=SQLITE_TYPES, migrations=(good,)))

    connection.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        run_to_end(migrate(SqliteTransaction(connection), type_names=SQLITE_TYPES, migrations=(good, bad)))
    connection.execute("ROLLBACK")

    assert schema(connection) == {"schema_version", "one"}
    assert version(connection) == [1]


class PlanningTransaction(SqliteTransaction):
    """Notes every statement for which SQLite would read a whole table."""

    def __init__(self, connection: sqlite3.Connection, scans: set[str]) -> None:
        super().__init__(connection)
        self._scans = scans
        self.statements = 0

    def _execute(self, sql: str, parameters: tuple[Value, ...]) -> sqlite3.Cursor:
        self.statements += 1
        plan = super()._execute(f"EXPLAIN QUERY PLAN {sql}", parameters).fetchall()
        # `chain` is no table, but what a recursive statement has found so far.
        scans = [step["detail"] for step in plan if step["detail"].startswith("SCAN")]
        if any("CONSTANT ROW" not in scan and scan != "SCAN chain" for scan in scans):
            self._scans.add(" ".join(sql.split()))
        return super()._execute(sql, parameters)


class PlanningDatabase:
    """A `Database` in memory that notes what would read whole tables."""

    description = "memory"
    is_lost_at_exit = True
    busy_timeout = 0.0

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.scans: set[str] = set()
        self._transaction = PlanningTransaction(connection, self.scans)

    async def open(self) -> None:
        """It is."""

    async def close(self) -> None:
        """Its connection is closed by the fixture."""

    async def read(self, operation: Operation[T]) -> T:
        return run_to_end(operation(self._transaction))

    def look_up(self, operation: Operation[T]) -> T | Elsewhere:
        self._transaction.statements = 0
        answer = run_to_end(operation(self._transaction))
        assert self._transaction.statements == 1, "two statements would be two snapshots"
        return answer

    async def write(self, operation: Operation[T]) -> T:
        return run_to_end(operation(self._transaction))


async def test_no_operation_reads_a_whole_table_to_find_a_row(connection: sqlite3.Connection) -> None:
    """A million live tokens must be as fast as a thousand."""
    run_to_end(migrate(SqliteTransaction(connection), type_names=SQLITE_TYPES))
    database = PlanningDatabase(connection)

    store = sql_store(database)
    await use_every_operation(store)
    await use_api_keys(store)
    await store.approvals.revoke_all(issued_before=None, reason="asked", now=NOW)

    assert database.scans == SCANS_ON_PURPOSE


async def use_api_keys(store: Store) -> None:
    keys = store.api_keys
    key = ApiKey("key_1", "nightly", fp("api key"), None, ("a",), "https://mcp.example", NOW)
    assert await keys.add_key(key) is KeyAddition.ADDED
    assert await keys.add_key(replace(key, name="two", user_subject="nobody")) is KeyAddition.NO_PERSON
    await keys.note_use("key_1", at=NOW)
    assert await keys.find_key(fp("api key"))
    for live_at in (None, NOW):
        assert await keys.list_keys(live_at=live_at, limit=5)
        assert await keys.list_keys(live_at=live_at, limit=5, before=(NOW + 1, ""))
    assert await keys.revoke_key("key_1", now=NOW)
    assert await keys.delete_keys(before=NOW, limit=5) == 1
    await store.endpoints.note_endpoints([ServedEndpoint("/mcp", ("a",))])
    assert await store.endpoints.list_endpoints()


async def use_second_steps(store: Store) -> None:
    steps = store.second_steps
    assert await steps.set_up(SecondStep("user-4", "step", b"sealed", 1, NOW), recovery_codes=[fp("a"), fp("b")])
    assert await steps.find_second_step("user-4")
    assert await steps.accept_time_step("user-4", "step", 2)
    assert await steps.use_recovery_code("user-4", "step", fp("a"))
    assert await steps.replace_recovery_codes("user-4", "step", [fp("c")])
    assert await steps.count_recovery_codes("user-4") == 1
    await steps.reseal_second_step("user-4", "step", b"anew")
    await steps.list_second_steps()
    assert await steps.turn_off("user-4")


async def use_accounts(store: Store) -> None:
    assert len(await store.users.list_users()) == 3
    sessions = store.browser_sessions
    links = store.account_links
    for number, (subject, name) in enumerate((("user-1", "ada"), (None, "eve"), (None, None))):
        assert await links.offer_link(AccountLink(fp(f"link {number}"), subject, name, NOW, NOW + 60))
        assert await links.find_link(fp(f"link {number}"), now=NOW)
    assert await links.reset_password(fp("link 0"), "$argon2id$other", now=NOW) == "user-1"
    accepted = await links.accept_invitation(fp("link 1"), user("user-4", "eve"), now=NOW)
    assert accepted is InvitationOutcome.ACCEPTED
    await links.delete_links(before=NOW, limit=1)
    await use_passkeys(store)
    linked = store.linked_logins
    for key in (("a", "1"), ("b", "1")):
        assert await linked.link_login(LinkedLogin(*key, "user-1", NOW)) is LinkOutcome.LINKED
        for name in ("Ada", "Ada L."):
            came = await store.users.recognise_user(
                *key, display_name=name, subjects=("new",), now=NOW, profile=Profile(name)
            )
            assert came.subject == "user-1"
    await store.users.forget_profile("user-1")
    assert len(await linked.list_logins("user-1")) == 3
    assert await linked.link_login(LinkedLogin("a", "1", "user-3", NOW)) is LinkOutcome.OF_ANOTHER
    kept = [LoginKey("b", "1")]
    assert await linked.unlink_login("user-1", LoginKey("a", "1"), keeps=kept) is UnlinkOutcome.UNLINKED
    assert await linked.link_login(LinkedLogin("a", "1", "user-3", NOW)) is LinkOutcome.LINKED
    kept = [LoginKey("a", "1")]
    assert await linked.unlink_login("user-3", LoginKey("issuer", "g"), keeps=kept) is UnlinkOutcome.UNLINKED
    await use_second_steps(store)
    await sessions.note_use(fp("session-1"), now=NOW)
    await sessions.list_sessions("user-1", now=NOW, limit=1)
    for which in ({}, {"only": fp("x")}, {"but": fp("x")}):
        await sessions.end_sessions("user-1", **which)
    await store.approvals.list_apps("user-1", now=NOW, limit=1)
    for subject, grant_id in (("user-1", "grant-1"), ("user-1", None), (None, "grant-1")):
        await store.approvals.take_back(subject, grant_id=grant_id, reason="asked", now=NOW)


async def use_administration(store: Store) -> None:
    administration, by = store.administration, Administrator("user-1", None)
    for after in (None, ("a", "user-0")):
        assert await administration.list_people(name_begins="a", after=after, limit=1)
        await administration.list_clients(name_begins="a", after=after, limit=1)
    assert await administration.find_person("user-1")
    assert await administration.give_role("user-2", "user", by=by) is AdminOutcome.DONE
    assert await administration.take_role("user-2", "user", by=by) is AdminOutcome.DONE
    assert await administration.disable_person("user-2", by=by, now=NOW) is AdminOutcome.DONE
    assert await administration.enable_person("user-2", by=by) is AdminOutcome.DONE
    for asked in ({"subject": "user-1"}, {"client_id": "client-1"}, {}):
        listed = {"subject": None, "client_id": None, **asked}
        await store.approvals.list_grants(live_at=None, limit=1, before=(NOW, "grant-1"), **listed)
    for query in (
        AuditQuery(subject="a", client_id="a", outcome="ok"),
        AuditQuery(client_id="a", event="a"),
        AuditQuery(actor="a", address="a"),
        AuditQuery(address="a", until=NOW),
        AuditQuery(event="a", since=NOW),
    ):
        await store.audit.list_events(query, before=None, limit=1)
    assert await store.clients.enable_client("client-1")


async def use_passkeys(store: Store) -> None:
    passkey = Passkey(b"one", "user-1", b"handle", "localhost", "Phone", b"key", 0, (), NOW)
    assert await store.passkeys.add_passkey(passkey) is PasskeyAddition.ADDED
    assert await store.passkeys.find_passkey(b"one")
    for count, use in ((7, PasskeyUse.ACCEPTED), (7, PasskeyUse.COUNTER_BACK)):
        assert await store.passkeys.use_passkey(b"one", sign_count=count, now=NOW) is use
    assert await store.passkeys.rename_passkey("user-1", b"one", "Laptop")
    assert await store.passkeys.list_passkeys("user-1")
    assert await store.passkeys.remove_passkey("user-1", b"one")


async def use_every_operation(store: Store) -> None:
    clients, transactions = store.clients, store.transactions
    grants, users, sessions = store.grants, store.users, store.browser_sessions
    keys = store.keys
    assert await keys.note_sealing_key("a", replaces=None) == await keys.sealing_key_id()
    assert await keys.begin_signing(SealedSigningKey("a", "ES256", b"", NOW, signs_from=NOW), now=NOW)
    await keys.rotate_signing_key(SealedSigningKey("b", "ES256", b"", NOW, signs_from=NOW), others_end_at=NOW + 1)
    await keys.reseal_signing_key("b", b"sealed")
    assert await keys.retire_signing_key("a", now=NOW) is KeyRetirement.RETIRED
    await users.offer_setup(fp("link"), now=NOW, unless_since=NOW)
    assert await users.setup_is_open(fp("link"))
    assert await users.create_first_user(fp("link"), user())
    await users.add_user(user("user-2", "bob"))
    assert await users.find_user("ada") == await users.find_user_by_subject("user-1")
    for name in ("Grace", "Grace H."):
        known = await users.recognise_user("issuer", "g", display_name=name, subjects=("user-3",), now=NOW)
        assert known.display_name == name
    await use_accounts(store)
    await clients.register_client(client())
    for name in ("counted-1", "counted-2"):
        registered = client(name, created_at=NOW - 3600)
        assert not await clients.register_client(registered, budget=RegistrationBudget(most_unused=1, spared_seconds=0))
    assert await clients.remove_client("counted-2", now=NOW)
    assert await clients.find_client("client-1") is not None
    await transactions.begin_transaction(transaction())
    await transactions.approve_transaction(code(), now=NOW)
    at_once = transaction("transaction-2"), code("code-2", "transaction-2"), client()
    assert await transactions.approve_at_once(*at_once)
    assert not await transactions.deny_transaction("transaction-1", now=NOW)
    assert await transactions.find_transaction("transaction-1", now=NOW) is not None
    assert await grants.find_code(fp("code-1"), now=NOW) is not None
    await grants.count_failed_redemption(fp("code-1"))
    await grants.redeem_code(fp("code-1"), grant(), tokens(), now=NOW)
    await use_refresh_tokens(store)
    assert await grants.find_access_token(fp("access first"), now=NOW) is not None
    assert await grants.find_refresh(fp("refresh first")) is not None
    approvals = store.approvals
    await approvals.give_grant(grant("grant-2"), tokens("given", "grant-2"))
    assert await approvals.find_grant_of_token(fp("refresh given")) == grant("grant-2")
    for subject, client_id in (("user-1", None), (None, "client-1")):
        found = await approvals.list_grants(live_at=NOW, subject=subject, client_id=client_id, limit=9)
        assert [listing.grant.grant_id for listing in found] == ["grant-2"]
    await grants.revoke_grant("grant-1", reason="asked", now=NOW)
    assert await grants.list_revoked(["grant-1", "grant-2"]) == {"grant-1"}
    assert await sessions.start_session(session("before", subject=None))
    assert await sessions.start_session(session(), replaces=fp("before"))
    assert await sessions.find_session(fp("session-1"), now=NOW) is not None
    await sessions.end_session(fp("session-1"))
    assert await users.change_password("ada", "$argon2id$new")
    assert await users.disable_user("user-1", now=NOW)
    assert await users.enable_user("user-1")
    await use_mcp_sessions(store)
    await change_clients(store)
    await purge(store)


async def use_refresh_tokens(store: Store) -> None:
    late = NOW + WINDOW + 1
    for name, now, rotation, stale in (
        ("second", NOW, Rotation(RotateOutcome.ROTATED), ALWAYS_THEFT),
        ("late", late, Rotation(RotateOutcome.STALE, chain=(b"",)), StaleTokens(WINDOW + 1, 1_000)),
        ("third", late, Rotation(RotateOutcome.REUSED), ALWAYS_THEFT),
    ):
        assert rotation == await store.grants.rotate_refresh_token(
            fp("refresh first"), tokens(name), b"", now=now, window=WINDOW, stale=stale
        )


async def change_clients(store: Store) -> None:
    clients = store.clients
    await use_administration(store)
    assert await clients.update_client(client(client_name="Another"))
    assert await clients.rotate_client_secret("client-1", fp("secret"))
    assert await clients.set_refresh_reuse("client-1", 60)
    assert await clients.give_client_grant(grant("grant-3"), tokens("third", "grant-3"))
    settled = client("client-2", origin=ClientOrigin.SETTINGS)
    assert (await clients.keep_settings_clients([settled], now=NOW)).added == (settled,)
    assert (await clients.keep_settings_clients([replace(settled, scope="notes")], now=NOW)).changed
    assert (await clients.keep_settings_clients([], now=NOW)).removed == ("client-2",)
    assert await clients.disable_client("client-1", now=NOW)
    assert await clients.remove_client("client-1", now=NOW)
    assert len(await clients.list_clients()) == await clients.delete_orphans(before=NOW, limit=10) == 0
    assert await store.assertions.remember_jti("client-1", "jti", expires_at=NOW, now=NOW)
    assert await store.assertions.forget_jtis(before=NOW, limit=10) == 1


async def use_mcp_sessions(store: Store) -> None:
    sessions, streams = store.mcp_sessions, store.mcp_streams
    for number in (1, 2):
        begun = McpSession(fp(f"mcp {number}"), "owner", "2025-11-25", b"{}", NOW, NOW + 60)
        await sessions.start_session(begun, most=1, makes_room=True)
    key = fp("mcp 2")
    assert await sessions.find_session(key, owner="owner", now=NOW) is not None
    await sessions.prolong_session(key, expires_at=NOW + 90)
    await sessions.set_log_level(key, "debug")
    assert await sessions.subscribe(key, "notes://1", as_sent="notes://1", limit=1)
    await sessions.unsubscribe(key, "notes://1")
    assert await streams.attach_stream(key, "a", "me")
    assert [await streams.append_event(key, "a", b"one", connection="me", most=1) for _ in range(2)] == [1, 2]
    await streams.finish_stream(key, "a")
    assert (await streams.events_after(key, "a", 1, limit=1, connection="me"))[1]
    assert await streams.attached_streams([key]) == {(key, "a")}
    await streams.forget_stream(key, "a")
    questions = store.mcp_client_requests
    await questions.open(key, "q", expires_at=NOW + 9)
    assert await questions.respond(key, "q", b"{}", now=NOW)
    assert await questions.find_response(key, "q") == b"{}"
    await questions.withdraw(key, "q")
    cancellations = store.mcp_cancellations
    await cancellations.cancel_request(key, "1", now=NOW, expires_at=NOW + 9, most=1)
    assert await cancellations.cancelled_requests([key], now=NOW) == {key: {"1"}}
    assert await sessions.end_session(key, owner="owner")
    await sessions.delete_sessions(before=NOW, limit=10)
    await use_tasks(store)
    changes = store.changes
    await changes.append_changes("/mcp", ["a", "b"], origin="me", now=NOW)
    assert len(await changes.changes_after("/mcp", 0, limit=9)) == 2
    assert await changes.last_changes(["/mcp", "/other"]) == {"/mcp": 2, "/other": 0}
    assert await changes.delete_changes(before=NOW, limit=10) == 1


async def use_tasks(store: Store) -> None:
    tasks, key = store.tasks, fp("task")
    await tasks.renew_runner("me", until=NOW)
    for name in ("task", "once", "over"):
        task = Task(
            fp(name),
            "/mcp",
            "owner",
            "person",
            "count",
            NOW,
            NOW + 60,
            1000,
            "me",
            request=None if name == "once" else b"",
        )
        assert await tasks.begin_task(task, most=9)
    assert await tasks.ask(key, {"a": b"q", "b": b"q"}, runner="me", now=NOW) == {}
    assert await tasks.answer(key, {"a": b"r"}, owner="owner", now=NOW)
    await tasks.withdraw(key, ["b"], runner="me", now=NOW)
    assert await tasks.keep_value(key, "paid", b"1", runner="me")
    assert await tasks.note_progress(key, "half", runner="me", now=NOW)
    assert await tasks.find_task(key, owner="owner", now=NOW)
    assert await tasks.list_versions([key])
    assert await tasks.find_responses(key)
    assert await tasks.find_values(key)
    assert await tasks.list_news("me", limit=9)
    await tasks.forget_news("me", [key])
    ending = TaskEnding(TaskStatus.FAILED, b"{}")
    assert await tasks.finish_task(fp("over"), ending, runner="me", now=NOW, kept_until=NOW)
    await tasks.end_runner("me", ending, now=NOW)
    assert await tasks.find_orphans("/mcp", now=NOW)
    adoption = await tasks.adopt_tasks("/mcp", ending, runner="other", now=NOW, limit=9, most_runs=3)
    assert adoption.to_run
    assert await tasks.list_run("other") == {task.task_fingerprint for task in adoption.to_run}
    assert len(await tasks.list_adopted("other")) == len(adoption.to_run)
    assert await tasks.cancel_task(key, owner="owner", now=NOW)
    assert await tasks.delete_tasks(before=NOW + 60, limit=9) == 3
    assert await tasks.delete_runners(before=NOW, limit=9) == 1


async def purge(store: Store) -> None:
    await store.logins.begin_login(PendingLogin(fp("state"), "browser-1", "issuer", b"", NOW + 60))
    assert await store.logins.take_login(fp("state"), browser_id="browser-1", place="issuer", now=NOW) is not None
    assert await store.logins.delete_logins(before=NOW, limit=10) == 0
    consents = store.consents
    consent = Consent("user-1", "client-1", "https://app.example", "https://mcp.example", (), NOW, NOW + 1)
    await remember_consent(store, consent)
    found = await consents.find_consent(
        "user-1", client_id="client-1", redirect_uri="https://app.example", resource="https://mcp.example", now=NOW
    )
    assert found == consent
    await consents.delete_consents(before=NOW, limit=10)
    audit = store.audit
    await audit.append_events([audit_record()])
    assert len(await audit.list_events(AuditQuery(subject="user-1"), before=None, limit=5)) == 1
    await audit.delete_events(before=NOW, limit=10)
    limits = store.limits
    await limits.take([Use("key", Rate(1, 60))], now=NOW)
    await limits.delete_limits(before=NOW, limit=10)
    assert await store.leases.take_lease("purge", holder="me", now=NOW, until=NOW + 60)
    await store.leases.return_lease("purge", holder="me")
    end = NOW + 1_000_000
    await store.transactions.delete_transactions(before=end, limit=10)
    await store.grants.delete_access_tokens(before=NOW, limit=10)
    await store.grants.delete_refresh_tokens(before=NOW, limit=10)
    await store.browser_sessions.delete_sessions(before=end, limit=10)
    assert await store.grants.delete_grants(before=end, limit=10) > 0

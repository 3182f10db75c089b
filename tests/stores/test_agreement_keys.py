"""Whatever is done to keys, leases, limits, assertions, changes and audit events, SQL answers as the model does."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from gatepost.oauth.audit import AuditEvent, AuditQuery, Outcome, event_id
from gatepost.oauth.limits import Rate, Use
from gatepost.stores.conformance.records import NOW, audit_record
from gatepost.stores.contract.keys import SealedSigningKey
from tests.stores.both_stores import BothStores, text

NAMES = ("a", "b", "c")
RATES = {"a": Rate(1, 60), "b": Rate(3, 7), "c": Rate(100, 3600)}

names = st.sampled_from(NAMES)
picks = st.integers(0, 2)
limits = st.integers(0, 3)
seconds_ahead = st.sampled_from((0, 60, 600))
events = st.sampled_from((AuditEvent.LOGIN, AuditEvent.REVOCATION))
outcomes = st.sampled_from(Outcome)
queries = st.builds(
    AuditQuery,
    since=st.sampled_from((0, NOW, NOW + 600)),
    event=st.none() | events.map(str),
    outcome=st.none() | outcomes.map(str),
    subject=st.none() | names,
    client_id=st.none() | names,
)


class KeysAgree(BothStores):
    """Does to both stores what servers do among themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.keys = 0
        self.event_ids: list[str] = []

    def new_key(self, sealed: bytes, seconds: int) -> SealedSigningKey:
        key_id = f"key-{self.keys}"
        self.keys += 1
        return SealedSigningKey(key_id, "ES256", sealed, self.now, signs_from=self.now + seconds)

    @rule(key_id=names, replaces=st.none() | names)
    def note_sealing_key(self, key_id: str, replaces: str | None) -> None:
        self.both(lambda store: store.keys.note_sealing_key(key_id, replaces=replaces))
        self.both(lambda store: store.keys.sealing_key_id())

    @rule(sealed=st.binary(max_size=20))
    def begin_signing(self, sealed: bytes) -> None:
        key = self.new_key(sealed, 0)
        self.both(lambda store: store.keys.begin_signing(key, now=self.now))

    @rule(sealed=st.binary(max_size=20), seconds=seconds_ahead, others=seconds_ahead)
    def rotate_signing_key(self, sealed: bytes, seconds: int, others: int) -> None:
        key = self.new_key(sealed, seconds)
        self.both(lambda store: store.keys.rotate_signing_key(key, others_end_at=self.now + others))

    @rule(pick=picks, even_last=st.booleans())
    def retire_signing_key(self, pick: int, *, even_last: bool) -> None:
        key_id = f"key-{self.keys - 1 - pick}"
        self.both(lambda store: store.keys.retire_signing_key(key_id, now=self.now, even_last=even_last))

    @rule(pick=picks, sealed=st.binary(max_size=20))
    def reseal_signing_key(self, pick: int, sealed: bytes) -> None:
        self.both(lambda store: store.keys.reseal_signing_key(f"key-{self.keys - 1 - pick}", sealed))

    @rule(name=names, holder=names, seconds=seconds_ahead)
    def take_lease(self, name: str, holder: str, seconds: int) -> None:
        until = self.now + seconds
        self.both(lambda store: store.leases.take_lease(name, holder=holder, now=self.now, until=until))

    @rule(name=names, holder=names)
    def return_lease(self, name: str, holder: str) -> None:
        self.both(lambda store: store.leases.return_lease(name, holder=holder))

    @rule(wanted=st.lists(names, min_size=1, unique=True), times=st.integers(1, 4), count=st.integers(1, 3))
    def take(self, wanted: list[str], times: int, count: int) -> None:
        uses = [Use(name, RATES[name], min(count, RATES[name].uses)) for name in wanted]
        for _ in range(times):
            self.both(lambda store: store.limits.take(uses, now=self.now))

    @rule()
    def delete_limits(self) -> None:
        # How many went is not compared: which of the rows that mean nothing a `take` removes is left open.
        for store in self.stores:
            self.loop.run_until_complete(store.limits.delete_limits(before=self.now, limit=100))
        assert self.both(lambda store: store.limits.delete_limits(before=self.now, limit=100)) == 0

    @rule(client_id=names, jti=names | text, seconds=seconds_ahead, times=st.integers(1, 2))
    def remember_jti(self, client_id: str, jti: str, seconds: int, times: int) -> None:
        expires_at = self.now + seconds
        for _ in range(times):
            self.both(lambda store: store.assertions.remember_jti(client_id, jti, expires_at=expires_at, now=self.now))

    @rule(limit=limits)
    def forget_jtis(self, limit: int) -> None:
        self.delete(lambda store: store.assertions.forget_jtis, before=self.now, limit=limit)

    @rule(event=events, outcome=outcomes, subject=st.none() | names, client_id=st.none() | names, reason=text)
    def append_events(
        self, event: AuditEvent, outcome: Outcome, subject: str | None, client_id: str | None, reason: str
    ) -> None:
        records = []
        for _ in range(2):
            key = event_id(at=self.now, microsecond=len(self.event_ids), random=bytes(6))
            self.event_ids.append(key)
            records.append(
                audit_record(
                    event_id=key,
                    at=self.now,
                    event=event,
                    outcome=outcome,
                    subject=subject,
                    client_id=client_id,
                    reason=reason,
                )
            )
        self.both(lambda store: store.audit.append_events(records))

    @rule(query=queries, pick=st.none() | picks, limit=st.integers(1, 3))
    def list_events(self, query: AuditQuery, pick: int | None, limit: int) -> None:
        before = self.event_ids[-1 - pick] if pick is not None and pick < len(self.event_ids) else None
        self.both(lambda store: store.audit.list_events(query, before=before, limit=limit))

    @rule(seconds=st.sampled_from((0, 1, 600)), limit=limits)
    def delete_events(self, seconds: int, limit: int) -> None:
        self.delete(lambda store: store.audit.delete_events, before=self.now - seconds, limit=limit)

    @rule(topic=names, changes=st.lists(names, min_size=1, max_size=3), origin=names)
    def append_changes(self, topic: str, changes: list[str], origin: str) -> None:
        self.both(lambda store: store.changes.append_changes(topic, changes, origin=origin, now=self.now))

    @rule(seconds=seconds_ahead, limit=limits)
    def delete_changes(self, seconds: int, limit: int) -> None:
        self.delete(lambda store: store.changes.delete_changes, before=self.now - seconds, limit=limit)

    @rule(topic=names, number=st.integers(0, 9), limit=st.integers(1, 3))
    def changes_after(self, topic: str, number: int, limit: int) -> None:
        self.both(lambda store: store.changes.last_changes([topic, *NAMES]))
        self.both(lambda store: store.changes.changes_after(topic, number, limit=limit))

    def look_everything_up(self) -> None:
        for topic in NAMES:
            self.changes_after(topic, 0, 100)
        self.both(lambda store: store.keys.sealing_key_id())
        self.both(lambda store: store.keys.signing_keys(now=NOW))
        self.both(lambda store: store.keys.signing_keys(now=self.now))
        self.both(lambda store: store.audit.list_events(AuditQuery(), before=None, limit=10_000))


TestKeysAgree = KeysAgree.TestCase
TestKeysAgree.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)

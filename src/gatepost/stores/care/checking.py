"""Whether a store is sound: what the database says of itself, and what is true of all rows.

Each question is a short transaction of its own, so that servers go on as if nobody asked; what is written between two
questions is seen by the later one alone, and each rule is one question.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import field
from pathlib import Path
from typing import Any, Final

from gatepost.late_dataclass import dataclass
from gatepost.stores.care.paging import pages
from gatepost.stores.care.state import KNOWN_VERSION, SchemaState, maintenance_of, read_state
from gatepost.stores.contract.errors import StoreMisconfigured, StoreUnavailable
from gatepost.stores.contract.keys import SealedSigningKey
from gatepost.stores.second_steps import open_step
from gatepost.stores.signing_keys import open_signing_key
from gatepost.stores.sql.database import Row, Transaction, Value
from gatepost.stores.sql.keys import live_signing_keys, noted_sealing_key
from gatepost.stores.sql.maintenance import Maintenance, Shape
from gatepost.stores.sql.rows import Table
from gatepost.stores.sql.schema.catalogue import INVARIANTS, RELATIONS, TABLES, TableEntry
from gatepost.stores.sql.schema.migrations import migrate
from gatepost.stores.sql.sqlite.connections import TYPE_NAMES, connect
from gatepost.stores.sql.sqlite.maintenance import SqliteMaintenance
from gatepost.stores.sql.sqlite.transaction import SqliteTransaction, run_to_end
from gatepost.stores.sql.tables import SECOND_STEPS, SIGNING_KEYS, UPSTREAM_TOKENS
from gatepost.stores.upstream_tokens import open_tokens
from gatepost.stores.urls import Location
from gatepost.tokens.sealing import KeyRing, SealBroken, sealed_under


@dataclass(frozen=True, slots=True)
class TableReport:
    """One table."""

    name: str
    rows: int
    oldest: int | None
    """When its first row came to be, seconds UTC; None where rows do not say, or there are none."""
    newest: int | None


@dataclass(slots=True, kw_only=True)
class StoreReport:
    """What was found. A store is sound when there are no problems."""

    place: str
    """Where it lies, without credentials."""
    database: str
    """Which database holds it, with its version."""
    schema_version: int
    known_version: int
    state: SchemaState
    size: int = 0
    """Bytes."""
    problems: list[str] = field(default_factory=list)
    """Each a sentence for people, without data."""
    not_asked: list[str] = field(default_factory=list)
    """What could not be looked at, and why."""
    tables: list[TableReport] = field(default_factory=list)
    sealed_under: dict[str, int] = field(default_factory=dict)
    """How many values are sealed under which key, by the key's public name."""

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class _Sealed:
    """A column of sealed values."""

    table: Table[Any]
    name: str
    column: str
    open: Callable[[Any, KeyRing], object]
    """Raises SealBroken or StoreMisconfigured where a record's value does not open in its row."""


_SEALED: Final[Sequence[_Sealed]] = (
    _Sealed(SIGNING_KEYS, "signing_keys", "sealed_secret", open_signing_key),
    _Sealed(SECOND_STEPS, "second_steps", "sealed_secret", open_step),
    _Sealed(UPSTREAM_TOKENS, "upstream_tokens", "sealed_tokens", open_tokens),
)
"""What is sealed under the server's keys. Successors of refresh tokens and logins under way are sealed under what a
client or a browser holds, and can be opened by nobody here."""

_ENTRIES: Final[Mapping[str, TableEntry]] = {table.name: table for table in TABLES}


@dataclass(frozen=True, slots=True)
class KeysReport:
    """What was found of keys."""

    noted: str | None
    """The public name of the key that seals, as the store has noted it; None where no server has started on it."""
    signing: Sequence[SealedSigningKey]
    """Those that have not ended, in the order in which they sign."""
    problems: Sequence[str]
    """See `StoreReport`; likewise `sealed_under`."""
    sealed_under: Mapping[str, int]


async def check_keys(location: Location, *, ring: KeyRing | None, now: int) -> KeysReport:
    """Look at what is sealed in a store whose schema this code has, and at the keys that sign; see `check_store`."""
    async with maintenance_of(location) as maintenance:
        return await _Check(maintenance, ring, now).run_on_keys()


async def check_store(location: Location, *, ring: KeyRing | None, now: int) -> StoreReport:
    """Look at a whole store, beside whatever servers use it.

    Args:
        location: where it lies.
        ring: the sealing keys; None where nothing is to be opened.
        now: the time, seconds UTC.

    Raises:
        StoreMisconfigured: there is no store, or it lives in a process's memory.
        StoreUnavailable: it cannot answer, for another reason than that it is damaged.
    """
    async with maintenance_of(location) as maintenance:
        return await _Check(maintenance, ring, now).run()


@dataclass(slots=True)
class _Check:
    maintenance: Maintenance
    ring: KeyRing | None
    now: int
    report: StoreReport = field(init=False)

    async def run_on_keys(self) -> KeysReport:
        """Look at what is sealed alone."""
        report = self.report = StoreReport(
            place=self.maintenance.description,
            database=self.maintenance.kind,
            schema_version=KNOWN_VERSION,
            known_version=KNOWN_VERSION,
            state="current",
        )
        for sealed in _SEALED:
            await self._open(sealed)
        signing = await self.maintenance.read(lambda transaction: live_signing_keys(transaction, now=self.now))
        noted = await self.maintenance.read(noted_sealing_key)
        return KeysReport(noted, signing, report.problems, report.sealed_under)

    async def run(self) -> StoreReport:
        maintenance = self.maintenance
        findings = await maintenance.findings()
        try:
            shape = await maintenance.read(maintenance.shape)
            version, state = await maintenance.read(lambda transaction: read_state(maintenance, transaction))
        except StoreUnavailable:
            if not findings.damage:
                raise
            shape, version, state = Shape({}, frozenset()), 0, "empty"
        self.report = StoreReport(
            place=maintenance.description,
            database=maintenance.kind,
            schema_version=version,
            known_version=KNOWN_VERSION,
            state=state,
            size=await maintenance.size(),
            problems=[*findings.damage],
            not_asked=[*findings.not_asked],
        )
        is_known = state in {"current", "newer"}
        self._judge_schema(shape)
        for table in TABLES:
            if table.name in shape.columns:
                await self._count(table)
        if is_known and not findings.damage:
            await self._hold_invariants()
            for sealed in _SEALED:
                await self._open(sealed)
        return self.report

    def _judge_schema(self, shape: Shape) -> None:
        report = self.report
        if report.problems:
            report.not_asked.append("relations and sealed values: the database is damaged")
        elif report.state == "empty":
            report.problems.append("no store was made here yet")
        elif report.state == "unusable":
            report.problems.append(
                f"the schema version is {report.schema_version} and this Gatepost knows versions up to "
                f"{report.known_version}: use the Gatepost that made it"
            )
        elif report.state == "older":
            report.not_asked.append(
                f"relations and sealed values: the schema version is {report.schema_version} and this Gatepost looks "
                f"at {report.known_version} (gatepost store migrate)"
            )
        else:
            expected = expected_shape()
            for name, columns in expected.columns.items():
                missing = columns.keys() - shape.columns.get(name, {}).keys()
                report.problems += [f"{name} lacks the column {column}" for column in sorted(missing)]
            report.problems += [f"the index {name} is missing" for name in sorted(expected.indexes - shape.indexes)]

    async def _count(self, table: TableEntry) -> None:
        ages = "NULL AS oldest, NULL AS newest"
        if table.age is not None:
            ages = f"min({table.age}) AS oldest, max({table.age}) AS newest"
        query = f"SELECT count(*) AS found, {ages} FROM {table.name}"  # noqa: S608 - names of our own schema
        try:
            (row,) = await self._ask(query)
        except StoreUnavailable:
            if self.report.is_sound:
                raise
            self.report.problems.append(f"{table.name} cannot be read")
        else:
            self.report.tables.append(TableReport(table.name, row["found"], row["oldest"], row["newest"]))

    async def _hold_invariants(self) -> None:
        for relation in RELATIONS:
            await self._hold(relation.name, relation.query)
        for rule in INVARIANTS:
            await self._hold(rule.name, rule.query, *((self.now,) if rule.takes_now else ()))

    async def _hold(self, name: str, query: str, *parameters: Value) -> None:
        (row,) = await self._ask(query, *parameters)
        if row["found"]:
            self.report.problems.append(f"{name}: {row['found']}")

    async def _open(self, sealed: _Sealed) -> None:
        broken: dict[str, int] = {}
        async for page in pages(self._ask, _ENTRIES[sealed.name], ("*",)):
            for row in page:
                under = sealed_under(row[sealed.column])
                if sealed.name == "signing_keys" and row["ends_at"] is not None and row["ends_at"] <= self.now:
                    continue  # nobody needs it any more
                self.report.sealed_under[under] = self.report.sealed_under.get(under, 0) + 1
                if not self._opens(sealed, row):
                    broken[under] = broken.get(under, 0) + 1
        for under, found in broken.items():
            why = "altered or in another's row" if self.ring and under in self.ring.key_ids else "no such key at hand"
            self.report.problems.append(
                f"values of {sealed.name} that do not open (sealed under {under}, {why}): {found}"
            )
        note = "whether sealed values open: there is no sealing key at hand"
        if self.ring is None and self.report.sealed_under and note not in self.report.not_asked:
            self.report.not_asked.append(note)

    def _opens(self, sealed: _Sealed, row: Row) -> bool:
        if self.ring is None:
            return True
        try:
            sealed.open(sealed.table.record(row), self.ring)
        except (SealBroken, StoreMisconfigured):
            return False
        return True

    async def _ask(self, sql: str, /, *parameters: Value) -> Sequence[Row]:
        return await self.maintenance.read(lambda transaction: transaction.all(sql, *parameters))


def expected_shape() -> Shape:
    """Return what this code's schema has."""

    async def make(transaction: Transaction) -> Shape:
        await migrate(transaction, type_names=TYPE_NAMES)
        return await SqliteMaintenance(Path()).shape(transaction)

    with closing(connect(":memory:", timeout=0)) as connection:
        return run_to_end(make(SqliteTransaction(connection)))

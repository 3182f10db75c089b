"""Carrying a store from one database to another: out into lines, and in again, wholly or not at all.

Nothing is opened on the way: tokens and codes stay fingerprints, what is sealed stays sealed and opens with the same
keys in the same row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import BinaryIO, Final

from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import AuditRecord
from gatepost.stores.care.export_format import ExportReader, ExportWriter, Header
from gatepost.stores.care.paging import pages
from gatepost.stores.care.state import KNOWN_VERSION, count, maintenance_of, read_state
from gatepost.stores.contract.errors import StoreMisconfigured
from gatepost.stores.sql.approvals import end_all_access
from gatepost.stores.sql.database import Transaction, Value
from gatepost.stores.sql.maintenance import Maintenance, Shape
from gatepost.stores.sql.schema.catalogue import CARRIED, TableEntry
from gatepost.stores.sql.schema.migrations import MIGRATIONS, migrate
from gatepost.stores.sql.tables import AUDIT_EVENTS
from gatepost.stores.urls import Location, Progress

_MOST_PARAMETERS: Final = 900
"""In one statement; SQLite may have been built for 999."""
_TOLD: Final = 1000
"""After so many rows it is told how far an import is."""
_CARRIED: Final[Mapping[str, TableEntry]] = {table.name: table for table in CARRIED}
_PLACES: Final = {table.name: place for place, table in enumerate(CARRIED)}


@dataclass(frozen=True, slots=True)
class Ending:
    """Whose access ends, and why, in the step in which rows come from elsewhere."""

    reason: str
    """For grants, a code of `reasons.py`."""
    now: int
    """Seconds UTC."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What has been done."""

    header: Header
    """What the file said of itself."""
    ended: Mapping[str, int]
    """How much of what ended, by words for people; empty where access was kept."""


async def export_store(
    location: Location, write: Callable[[bytes], object], *, made_at: int, made_by: str, progress: Progress
) -> Header:
    """Write all rows that are carried, as they are at one moment. Servers go on meanwhile.

    Args:
        location: where the store lies.
        write: takes the next bytes; it may take its time.
        made_at: the time, seconds UTC.
        made_by: the version of Gatepost.
        progress: is told how many rows of how many are done.

    Raises:
        StoreMisconfigured: there is no store of this code's version.
        StoreUnavailable: it cannot answer.
    """
    async with maintenance_of(location) as maintenance:

        async def export(transaction: Transaction) -> Header:
            version, state = await read_state(maintenance, transaction)
            if state != "current":
                raise StoreMisconfigured(
                    f"the store {maintenance.description} has schema version {version} and this Gatepost exports "
                    f"version {KNOWN_VERSION}: gatepost store migrate brings an older one up to date, and a newer one "
                    "is exported by the Gatepost that made it"
                )
            there = (await maintenance.shape(transaction)).columns
            header = Header(
                schema_version=version,
                made_at=made_at,
                made_by=made_by,
                columns={table.name: tuple(there[table.name]) for table in CARRIED},
                rows={table.name: await count(transaction, table.name) for table in CARRIED},
            )
            writer = ExportWriter(write)
            writer.header(header)
            done = 0
            for table in CARRIED:
                columns = header.columns[table.name]
                async for page in pages(transaction.all, table, columns):
                    writer.rows(table.name, [[row[column] for column in columns] for row in page])
                    done += len(page)
                    progress(done, header.total)
            writer.end(header)
            return header

        return await maintenance.read(export)


async def import_store(
    location: Location,
    source: BinaryIO,
    *,
    ending: Ending | None,
    events: Sequence[AuditRecord],
    progress: Progress,
) -> Imported:
    """Put the rows of an export into a store that has none, in one transaction: all of it happens, or nothing.

    Args:
        location: where the store lies; one that is missing is made.
        source: the export.
        ending: how all access ends that the export holds, in the same step; None keeps it.
        events: what is added to the audit trail in the same step.
        progress: is told how many rows of how many are done.

    Raises:
        StoreMisconfigured: the file is cut, altered, of a newer schema or no export; or the store holds something.
        StoreUnavailable: the store cannot answer. Where its connection died in the commit, it may have happened.
    """
    reader = ExportReader(source)
    header = reader.header()
    if header.schema_version > KNOWN_VERSION:
        raise StoreMisconfigured(
            f"the export has schema version {header.schema_version} and this Gatepost knows versions up to "
            f"{KNOWN_VERSION}: upgrade Gatepost"
        )
    async with maintenance_of(location, may_create=True) as maintenance:

        async def load(transaction: Transaction) -> Imported:
            await _prepare(maintenance, transaction, header)
            shape = await maintenance.shape(transaction)
            _refuse_other_shape(header, shape)
            await maintenance.keep_writers_out(transaction, tuple(header.columns))
            await _refuse_rows(maintenance, transaction, header)
            await _Loading(transaction, reader, header, shape, progress).run()
            await migrate(transaction, type_names=maintenance.type_names)
            ended = {} if ending is None else await end_all_access(transaction, reason=ending.reason, now=ending.now)
            for event in events:
                await AUDIT_EVENTS.insert(transaction, event)
            return Imported(header, ended)

        return await maintenance.write(load)


async def _prepare(maintenance: Maintenance, transaction: Transaction, header: Header) -> None:
    """Bring the tables into the version of the export; what came later is done to its rows afterwards."""
    version, state = await read_state(maintenance, transaction)
    if version > header.schema_version:
        raise StoreMisconfigured(
            f"the store {maintenance.description} has schema version {version} already and the export has "
            f"{header.schema_version}: import it where no store was made yet"
        )
    if state in {"empty", "older"}:
        known = MIGRATIONS[: header.schema_version]
        await migrate(transaction, type_names=maintenance.type_names, migrations=known)


def _refuse_other_shape(header: Header, shape: Shape) -> None:
    carried = {name: set(columns) for name, columns in shape.columns.items() if name in _CARRIED}
    named = {name: set(columns) for name, columns in header.columns.items()}
    if named != carried or any(len(named[name]) < len(columns) for name, columns in header.columns.items()):
        raise StoreMisconfigured("the export has other tables or columns than its schema version: it was altered")


async def _refuse_rows(maintenance: Maintenance, transaction: Transaction, header: Header) -> None:
    there = {table: found for table in header.columns if (found := await count(transaction, table))}
    if there:
        what = ", ".join(f"{found} in {table}" for table, found in there.items())
        raise StoreMisconfigured(
            f"the store {maintenance.description} holds rows already ({what}), and nothing is added to them: "
            "import into one in which nothing was made yet"
        )


@dataclass(slots=True)
class _Loading:
    """The rows of an export on their way into the tables."""

    transaction: Transaction
    reader: ExportReader
    header: Header
    shape: Shape
    progress: Progress
    _told: int = field(default=0, init=False)

    async def run(self) -> None:
        done = dict.fromkeys(self.header.columns, 0)
        table, waiting = "", list[list[Value]]()
        for name, values in self.reader.rows():
            if name != table:
                await self._add(table, waiting)
                if name not in done or _PLACES[name] < _PLACES.get(table, 0):
                    raise StoreMisconfigured(f"line {self.reader.number} of the export is out of place: it was altered")
                table, waiting = name, []
            self._refuse_wrong(name, values)
            waiting.append(values)
            done[name] += 1
            if len(waiting) * len(values) >= _MOST_PARAMETERS - len(values):
                await self._add(table, waiting)
                waiting = []
                self._tell(sum(done.values()))
        await self._add(table, waiting)
        if done != dict(self.header.rows):
            raise StoreMisconfigured("the export holds other rows than its first line says: it was altered")
        self.progress(self.header.total, self.header.total)

    def _tell(self, done: int) -> None:
        if done // _TOLD > self._told // _TOLD:
            self._told = done
            self.progress(done, self.header.total)

    def _refuse_wrong(self, table: str, values: Sequence[Value]) -> None:
        columns = self.header.columns[table]
        types = self.shape.columns[table]
        is_right = len(values) == len(columns) and all(
            value is None or isinstance(value, types[column]) for column, value in zip(columns, values, strict=True)
        )
        if not is_right:
            raise StoreMisconfigured(
                f"line {self.reader.number} of the export has other values than {table} takes: it was altered"
            )

    async def _add(self, table: str, rows: Sequence[Sequence[Value]]) -> None:
        if not rows:
            return
        columns = self.header.columns[table]
        places = ", ".join(
            f"({', '.join(f'${row * len(columns) + column + 1}' for column in range(len(columns)))})"
            for row in range(len(rows))
        )
        statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES {places}"  # noqa: S608 - columns of our own schema
        try:
            await self.transaction.run(statement, *(value for row in rows for value in row))
        except Exception as error:
            if not _is_of_rows(error):
                raise
            first = self.reader.number - len(rows)
            raise StoreMisconfigured(
                f"a row of {table} in lines {first} to {self.reader.number} of the export cannot be kept here "
                f"({type(error).__name__}): it is there twice, names a row that is missing, or holds what this "
                "database does not take"
            ) from error


def _is_of_rows(error: Exception) -> bool:
    """Say whether a driver refused what it was given: SQLSTATE classes 22 and 23, or the DB-API's own (PEP 249)."""
    state = getattr(error, "sqlstate", None)
    return str(state)[:2] in {"22", "23"} or type(error).__name__ in {"IntegrityError", "DataError", "OverflowError"}

"""Where a store is, in which version, how large; and bringing it up to date."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.errors import StoreMisconfigured
from gatepost.stores.sql.database import Transaction
from gatepost.stores.sql.maintenance import Maintenance
from gatepost.stores.sql.schema.catalogue import TABLES
from gatepost.stores.sql.schema.migrations import MIGRATIONS, migrate, schema_version, works_with
from gatepost.stores.urls import Location

SchemaState: TypeAlias = Literal["current", "older", "newer", "unusable", "empty"]
"""How a database stands to this code. `newer`: it only has more, so this code works; `unusable`: it does not."""

KNOWN_VERSION: Final = len(MIGRATIONS)
"""The schema version of this code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStatus:
    """What there is to say of a store at a look."""

    place: str
    """Where it lies, without credentials."""
    database: str
    """Which database holds it, with its version."""
    schema_version: int
    """Of the database; 0 where no store was made yet."""
    known_version: int
    """Of this code."""
    state: SchemaState
    size: int
    """Bytes."""
    rows: Mapping[str, int]
    """By table, of those that there are."""


async def status_of(location: Location) -> StoreStatus:
    """Look at a store of any version; nothing is changed.

    Raises:
        StoreMisconfigured: there is none, or it lives in a process's memory.
        StoreUnavailable: it cannot answer.
    """
    async with maintenance_of(location) as maintenance:

        async def look(transaction: Transaction) -> tuple[int, SchemaState, dict[str, int]]:
            there = (await maintenance.shape(transaction)).columns
            version, state = await read_state(maintenance, transaction)
            rows = {table.name: await count(transaction, table.name) for table in TABLES if table.name in there}
            return version, state, rows

        version, state, rows = await maintenance.read(look)
        return StoreStatus(
            place=maintenance.description,
            database=maintenance.kind,
            schema_version=version,
            known_version=KNOWN_VERSION,
            state=state,
            size=await maintenance.size(),
            rows=rows,
        )


async def migrate_store(location: Location) -> tuple[int, int]:
    """Bring a store up to date, or make it, and return its version before and after.

    Raises:
        StoreMisconfigured: it has a version that this code does not work with.
        StoreUnavailable: it cannot answer.
    """
    async with maintenance_of(location, may_create=True) as maintenance:

        async def bring_up_to_date(transaction: Transaction) -> tuple[int, int]:
            before, _ = await read_state(maintenance, transaction)
            await migrate(transaction, type_names=maintenance.type_names)
            return before, await schema_version(transaction)

        return await maintenance.write(bring_up_to_date)


def maintenance_of(location: Location, *, may_create: bool = False) -> Maintenance:
    """Return a connection for work on a store as a whole, not open yet. Raises StoreMisconfigured where there is none.

    Args:
        location: where the store lies.
        may_create: whether entering makes what is missing.
    """
    if location.maintenance is None:
        raise StoreMisconfigured(f"a store in {location.make_store().description} is not looked after from outside")
    return location.maintenance(may_create)


async def read_state(maintenance: Maintenance, transaction: Transaction) -> tuple[int, SchemaState]:
    """Return the version of a database, and how it stands to this code."""
    if "schema_version" not in (await maintenance.shape(transaction)).columns:
        return 0, "empty"
    version = await schema_version(transaction)
    if not await works_with(transaction, KNOWN_VERSION):
        return version, "unusable"
    if version == 0:
        return version, "empty"
    return version, "older" if version < KNOWN_VERSION else "newer" if version > KNOWN_VERSION else "current"


async def count(transaction: Transaction, table: str) -> int:
    """Return how many rows a table has."""
    row = await transaction.one(f"SELECT count(*) AS found FROM {table}")  # noqa: S608 - one of the catalogue's names
    return 0 if row is None else int(row["found"])

"""`Maintenance` over one connection to PostgreSQL, outside of any pool and without limits of time."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from gatepost.stores.contract.errors import StoreMisconfigured, StoreUnavailable
from gatepost.stores.sql.database import Operation, Row, T, Transaction
from gatepost.stores.sql.maintenance import Findings, Shape
from gatepost.stores.sql.postgresql.connecting import Connector, description_of
from gatepost.stores.sql.postgresql.database import MIGRATION_LOCK, TYPE_NAMES, refuse_foreign_tables
from gatepost.stores.sql.postgresql.durability import keeping
from gatepost.stores.sql.postgresql.errors import explained, explained_at_open, state_of
from gatepost.stores.sql.postgresql.transaction import PostgresqlTransaction

if TYPE_CHECKING:
    from asyncpg import Connection

_CLOSE_SECONDS: Final = 5.0
_NO_PRIVILEGE: Final = "42501"
# What a server's own transactions are limited to (an operator may have set limits too): an export waits for its reader.
_NO_LIMITS: Final = (
    "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL lock_timeout = 0"
)
_BEGIN_READ: Final = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_NO_LIMITS}"
_BEGIN_WRITE: Final = f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {_NO_LIMITS}"
_COLUMNS: Final = """
    SELECT table_name, column_name, data_type FROM information_schema.columns
    WHERE table_schema = current_schema() ORDER BY table_name, ordinal_position
"""
_VALUES: Final[Mapping[str, type[str | int | bytes]]] = {"text": str, "bigint": int, "bytea": bytes}
# Those of primary keys and UNIQUE belong to a constraint.
_INDEXES: Final = """
    SELECT indexes.relname AS name FROM pg_index
    JOIN pg_class AS indexes ON indexes.oid = pg_index.indexrelid
    WHERE indexes.relnamespace = current_schema()::regnamespace
        AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE pg_constraint.conindid = pg_index.indexrelid)
"""
_TABLES: Final = "SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename"
_SIZE: Final = """
    SELECT COALESCE(sum(pg_total_relation_size(pg_class.oid)), 0)::bigint AS bytes FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
"""
_INVALID: Final = """
    SELECT 'the index ' || pg_class.relname || ' is not valid: rebuild it (REINDEX)' AS said
    FROM pg_index JOIN pg_class ON pg_class.oid = pg_index.indexrelid
    WHERE pg_class.relnamespace = current_schema()::regnamespace AND NOT (indisvalid AND indisready AND indislive)
    UNION ALL
    SELECT 'the constraint ' || conname || ' has not been validated' FROM pg_constraint
    WHERE connamespace = current_schema()::regnamespace AND NOT convalidated
    UNION ALL
    SELECT 'checksums of ' || checksum_failures || ' pages of the database were wrong' FROM pg_stat_database
    WHERE datname = current_database() AND checksum_failures > 0
"""
_AMCHECK: Final = "SELECT extnamespace::regnamespace::text AS place FROM pg_extension WHERE extname = 'amcheck'"
_INDEX_CHECK: Final = """
    SELECT pg_class.oid::regclass::text AS name FROM pg_index
    JOIN pg_class ON pg_class.oid = pg_index.indexrelid
    JOIN pg_am ON pg_am.oid = pg_class.relam
    WHERE pg_class.relnamespace = current_schema()::regnamespace AND pg_am.amname = 'btree' AND indisvalid
"""


class PostgresqlMaintenance:
    """See `Maintenance`. An empty schema is a store in which nothing was made yet.

    Args:
        url: as libpq takes it.
        password_file: a file that holds the password and nothing else; None where the URL says all.
    """

    type_names: Final = TYPE_NAMES

    def __init__(self, url: str, *, password_file: Path | None = None) -> None:
        self._url, self._password_file = url, password_file
        self.description = description_of(url)
        self.kind = "PostgreSQL"
        self._connection: Connection | None = None

    async def __aenter__(self) -> Self:
        connector = Connector(self._url, password_file=self._password_file)
        try:
            # A migration changes tables under what was prepared for them, and PgBouncer need know nothing of it so.
            connection = await connector.connect(statement_cache_size=0)
        except ImportError as error:
            raise StoreMisconfigured(
                'a store in PostgreSQL needs its driver: pip install "gatepost[postgres]"'
            ) from error
        except Exception as error:
            fault = explained_at_open(error, self.description)
            if fault is error:
                raise
            raise fault from error
        self._connection = connection
        version = connection.get_server_version()
        self.kind = f"PostgreSQL {version.major}.{version.minor}"
        try:
            refuse_foreign_tables({row["name"] for row in await connection.fetch(_TABLES)}, self.description)
        except BaseException:
            connection.terminate()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.close(timeout=_CLOSE_SECONDS)
            except Exception:  # noqa: BLE001 - it is gone already, or is made to go
                connection.terminate()

    async def read(self, operation: Operation[T]) -> T:
        return await self._run(_BEGIN_READ, operation, commits=False)

    async def write(self, operation: Operation[T]) -> T:
        async def alone(transaction: Transaction) -> T:
            await transaction.one("SELECT pg_advisory_xact_lock($1)", MIGRATION_LOCK)
            return await operation(transaction)

        return await self._run(_BEGIN_WRITE, alone, commits=True)

    async def keep_writers_out(self, transaction: Transaction, tables: Sequence[str]) -> None:
        if tables:
            names = ", ".join(f'"{table}"' for table in tables)
            await transaction.run(f"LOCK TABLE {names} IN EXCLUSIVE MODE")

    async def shape(self, transaction: Transaction) -> Shape:
        columns: dict[str, dict[str, type[str | int | bytes]]] = {}
        for row in await transaction.all(_COLUMNS):
            columns.setdefault(row["table_name"], {})[row["column_name"]] = _VALUES.get(row["data_type"], str)
        return Shape(columns, frozenset(row["name"] for row in await transaction.all(_INDEXES)))

    async def size(self) -> int:
        row = await self.read(lambda transaction: transaction.one(_SIZE))
        return 0 if row is None else int(row["bytes"])

    async def findings(self) -> Findings:
        not_asked: list[str] = []
        damage = [row["said"] for row in await self._all(_INVALID)]
        for row in await self._all(_TABLES):
            # Every value is read, also those that lie outside of their row.
            query = f'SELECT sum(length(whole.*::text)) FROM "{row["name"]}" AS whole'  # noqa: S608 - names of tables
            damage += await self._said_of(query, f"the table {row['name']} cannot be read")
        functions = await self._all(_AMCHECK)
        if functions:
            try:
                damage += await self._compared_indexes(functions[0]["place"])
            except StoreMisconfigured:
                not_asked.append("indexes against their tables: this user may not call the functions of amcheck")
        else:
            not_asked.append("indexes against their tables: the extension amcheck is not there (CREATE EXTENSION)")
        (sums,) = await self._all("SELECT current_setting('data_checksums') AS sums")
        if sums["sums"] != "on":
            not_asked.append("checksums of pages: this server was made without them (initdb --data-checksums)")
        return Findings(damage, not_asked)

    async def _compared_indexes(self, place: str) -> list[str]:
        """Return what is wrong with indexes, as the functions of amcheck say, which lie in the schema `place`."""
        damage: list[str] = []
        for row in await self._all(_INDEX_CHECK):
            name = row["name"].replace("'", "''")
            query = f"SELECT {place}.bt_index_check('{name}', true)"
            damage += await self._said_of(query, f"the index {row['name']} is damaged")
        return damage

    async def _all(self, query: str) -> Sequence[Row]:
        return await self.read(lambda transaction: transaction.all(query))

    async def _said_of(self, query: str, sentence: str) -> list[str]:
        """Return the sentence where a query cannot be answered; whether the server is gone is another question."""
        try:
            await self.read(lambda transaction: transaction.one(query))
        except Exception as error:
            cause = error.__cause__ or error
            state = getattr(cause, "sqlstate", None)
            if not isinstance(state, str) or not state.startswith(("XX", "58", "22")):
                raise
            return [f"{sentence} ({state})"]
        return []

    async def _run(self, begin: str, operation: Operation[T], *, commits: bool) -> T:
        connection = self._connection
        if connection is None:
            raise StoreUnavailable("the store is closed")
        ends = False
        try:
            await connection.execute(begin)
            transaction = PostgresqlTransaction(connection, keeping=keeping(self._url))
            result = await operation(transaction)
            ends = commits
            await connection.execute(transaction.commit if commits else "ROLLBACK")
        except BaseException as error:
            with contextlib.suppress(Exception):
                await connection.execute("ROLLBACK")
            if isinstance(error, Exception):
                fault = explained(error, self.description, has_begun_to_commit=ends)
                if state_of(error) == _NO_PRIVILEGE:
                    said = f"the store {self.description} cannot be looked after: the user lacks a privilege"
                    fault = StoreMisconfigured(f"{said} ({_NO_PRIVILEGE})")
                if fault is not error:
                    raise fault from error
            raise
        return result

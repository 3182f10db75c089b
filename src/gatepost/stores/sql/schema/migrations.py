"""Bringing a database's schema up to date: forward only, numbered, all of it or nothing.

The caller runs `migrate` in one transaction that no other process can write beside (`BEGIN IMMEDIATE` in SQLite), so
any number of processes may start at once on a fresh or an older database.

Servers of the version before serve beside those that have migrated, so from version 15 on a migration only adds:
docs/layout.md has the rule, docs/decisions/0074-care-of-a-store.md its reasons.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Final

from gatepost.stores.contract.errors import StoreMisconfigured
from gatepost.stores.sql.database import Transaction
from gatepost.stores.sql.schema import (
    administration,
    api_keys,
    authorization_server,
    exchanges,
    live_state,
    pushed_requests,
    tasks,
)

MIGRATIONS: Final[Sequence[Sequence[str]]] = (
    (*authorization_server.STATEMENTS, *live_state.STATEMENTS),
    authorization_server.PROFILES,
    authorization_server.ACCOUNT_PAGES,
    authorization_server.ROLES,
    authorization_server.UPSTREAM_TOKENS,
    authorization_server.PASSKEYS,
    authorization_server.LINKED_LOGINS,
    authorization_server.SECOND_STEPS,
    authorization_server.PROFILE_SUBJECTS,
    administration.ADMINISTRATION,
    authorization_server.REFRESH_REUSE,
    api_keys.API_KEYS,
    authorization_server.SECOND_FACTORS,
    ("ALTER TABLE schema_version ADD COLUMN oldest_code BIGINT",),
    authorization_server.DPOP,
    authorization_server.DEVICE_AUTHORIZATIONS,
    pushed_requests.PUSHED_REQUESTS,
    tasks.TASKS,
    exchanges.EXCHANGES,
)
"""The statements of each version; the first is version 1. One that has been released is never edited: a change is the
next version."""

_SAYS_OLDEST_CODE: Final = 14

OLDEST_CODE: Final = 14
"""The oldest schema version whose code works on this schema. A migration that takes something away raises it."""

_log = logging.getLogger(__name__)


async def schema_version(transaction: Transaction) -> int:
    """Return which version a database has that has the table `schema_version`; 0 where none was noted."""
    row = await transaction.one("SELECT version FROM schema_version")
    return 0 if row is None else int(row["version"])


async def works_with(transaction: Transaction, known: int) -> bool:
    """Say whether code that knows `known` versions works on this database, which has another version or the same."""
    row = await transaction.one("SELECT * FROM schema_version")
    if row is None or row["version"] <= known:
        return True
    try:
        oldest: int | None = row["oldest_code"]
    except (KeyError, IndexError):  # as drivers say that there is no such column
        return False
    return oldest is not None and oldest <= known


async def migrate(
    transaction: Transaction,
    *,
    type_names: Mapping[str, str],
    migrations: Sequence[Sequence[str]] = MIGRATIONS,
    oldest_code: int = OLDEST_CODE,
) -> None:
    """Apply every migration the database has not had yet.

    `type_names` maps a PostgreSQL column type to the backend's own name for it; `oldest_code` is noted as
    `OLDEST_CODE`.

    A newer version that only added something is left as it is.

    Raises:
        StoreMisconfigured: a newer version of Gatepost has migrated this database to what we do not know.
    """
    await transaction.run("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")
    version = await schema_version(transaction)
    if not await works_with(transaction, len(migrations)):
        raise StoreMisconfigured(
            f"the store has schema version {version} and this Gatepost knows versions up to {len(migrations)}: "
            "upgrade Gatepost, or restore a backup made before the upgrade"
        )
    if version > len(migrations):
        _log.warning("the store has schema version %d, newer than this Gatepost, which works with it", version)
    if version >= len(migrations):
        return
    for statements in migrations[version:]:
        for statement in statements:
            await transaction.run(_in_dialect(statement, type_names))
    await transaction.run("DELETE FROM schema_version")
    await transaction.run("INSERT INTO schema_version (version) VALUES ($1)", len(migrations))
    if len(migrations) >= _SAYS_OLDEST_CODE:
        await transaction.run("UPDATE schema_version SET oldest_code = $1", oldest_code)


def _in_dialect(statement: str, type_names: Mapping[str, str]) -> str:
    for standard, own in type_names.items():
        statement = statement.replace(standard, own)
    return statement

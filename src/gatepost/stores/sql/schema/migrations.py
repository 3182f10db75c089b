"""Bringing a database's schema up to date: forward only, numbered, all of it or nothing.

The caller runs `migrate` in one transaction that no other process can write beside (`BEGIN IMMEDIATE` in SQLite), so
any number of processes may start at once on a fresh or an older database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gatepost.stores.contract.errors import StoreMisconfigured
from gatepost.stores.sql.database import Transaction
from gatepost.stores.sql.schema import administration, api_keys, authorization_server, live_state

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
)
"""The statements of each version; the first is version 1. One that has been released is never edited: a change is the
next version."""


async def migrate(
    transaction: Transaction,
    *,
    type_names: Mapping[str, str],
    migrations: Sequence[Sequence[str]] = MIGRATIONS,
) -> None:
    """Apply every migration the database has not had yet.

    `type_names` maps a PostgreSQL column type to the backend's own name for it.

    Raises:
        StoreMisconfigured: a newer version of Gatepost has migrated this database further than we know.
    """
    await transaction.run("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")
    row = await transaction.one("SELECT version FROM schema_version")
    version: int = 0 if row is None else row["version"]
    if version > len(migrations):
        raise StoreMisconfigured(
            f"the store has schema version {version} and this Gatepost knows versions up to {len(migrations)}: "
            "upgrade Gatepost, or restore a backup made before the upgrade"
        )
    if version == len(migrations):
        return
    for statements in migrations[version:]:
        for statement in statements:
            await transaction.run(_in_dialect(statement, type_names))
    await transaction.run("DELETE FROM schema_version")
    await transaction.run("INSERT INTO schema_version (version) VALUES ($1)", len(migrations))


def _in_dialect(statement: str, type_names: Mapping[str, str]) -> str:
    for standard, own in type_names.items():
        statement = statement.replace(standard, own)
    return statement

"""Tokens of login providers elsewhere, in SQL."""

from __future__ import annotations

from typing import Final

from gatepost.stores.contract.upstream_tokens import KeptTokens
from gatepost.stores.sql.database import Operations, Transaction, Value, read, write
from gatepost.stores.sql.linked_logins import find_person
from gatepost.stores.sql.rows import delete_ended
from gatepost.stores.sql.tables import UPSTREAM_TOKENS

_FIND: Final = "SELECT * FROM upstream_tokens WHERE subject = $1 AND provider = $2"
_DELETE: Final = "DELETE FROM upstream_tokens WHERE subject = $1 AND provider = $2"
_CLAIM: Final = """
    UPDATE upstream_tokens SET refresher = $4, refreshing_until = $6
    WHERE subject = $1 AND provider = $2 AND version = $3
        AND (refresher IS NULL OR refresher = $4 OR refreshing_until <= $5) AND COALESCE(retry_at, -1) = $7
"""
_DEFER: Final = """
    UPDATE upstream_tokens SET refresher = NULL, refreshing_until = NULL, retry_at = $5
    WHERE subject = $1 AND provider = $2 AND version = $3 AND refresher = $4
"""
_RESEAL: Final = """
    UPDATE upstream_tokens SET sealed_tokens = $4 WHERE subject = $1 AND provider = $2 AND version = $3
"""
_DELETE_ENDED: Final = delete_ended("upstream_tokens", "subject, provider", end="ends_at")


class SqlUpstreamTokenStore(Operations):
    """`UpstreamTokenStore` over a database."""

    @write
    async def keep_tokens(self, transaction: Transaction, tokens: KeptTokens, *, replaces: str | None) -> bool:
        # In this very step, so that none stay of a login that was unlinked while its provider was asked.
        person, _ = await find_person(transaction, tokens.login)
        if person is None or person.subject != tokens.subject or person.disabled_at is not None:
            return False
        there = await _find(transaction, tokens.subject, tokens.provider)
        if (None if there is None else there.version) != replaces:
            return False
        await _replace(transaction, tokens)
        return True

    @read
    async def find_tokens(self, transaction: Transaction, subject: str, provider: str) -> KeptTokens | None:
        return await _find(transaction, subject, provider)

    @read
    async def list_tokens(
        self, transaction: Transaction, subject: str | None, *, limit: int, after: tuple[str, str] | None = None
    ) -> list[KeptTokens]:
        parameters: list[Value] = [limit]
        conditions: list[str] = []
        if subject is not None:
            parameters.append(subject)
            conditions.append("subject = $2")
        if after is not None:
            parameters += after
            last, provider = f"${len(parameters) - 1}", f"${len(parameters)}"
            conditions.append(f"subject >= {last} AND (subject > {last} OR provider > {provider})")
        where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
        query = f"SELECT * FROM upstream_tokens {where}ORDER BY subject, provider LIMIT $1"  # noqa: S608 - our own text
        return await UPSTREAM_TOKENS.all(transaction, query, *parameters)

    @write
    async def claim_refresh(
        self, transaction: Transaction, tokens: KeptTokens, *, holder: str, now: int, until: int
    ) -> bool:
        key, retry_at = (tokens.subject, tokens.provider, tokens.version), tokens.retry_at
        return await transaction.run(_CLAIM, *key, holder, now, until, -1 if retry_at is None else retry_at) > 0

    @write
    async def keep_refreshed(self, transaction: Transaction, tokens: KeptTokens, *, replaces: str, holder: str) -> bool:
        there = await _find(transaction, tokens.subject, tokens.provider)
        if there is None or there.version == tokens.version:
            return there is not None
        if there.version != replaces or there.refresher != holder:
            return False
        await _replace(transaction, tokens)
        return True

    @write
    async def defer_refresh(self, transaction: Transaction, tokens: KeptTokens, *, holder: str, retry_at: int) -> None:
        await transaction.run(_DEFER, tokens.subject, tokens.provider, tokens.version, holder, retry_at)

    @write
    async def reseal_tokens(self, transaction: Transaction, tokens: KeptTokens, sealed_tokens: bytes) -> None:
        await transaction.run(_RESEAL, tokens.subject, tokens.provider, tokens.version, sealed_tokens)

    @write
    async def end_tokens(
        self, transaction: Transaction, subject: str, *, provider: str | None = None, version: str | None = None
    ) -> list[KeptTokens]:
        there = await UPSTREAM_TOKENS.all(
            transaction, "SELECT * FROM upstream_tokens WHERE subject = $1 ORDER BY provider", subject
        )
        ended = [
            tokens for tokens in there if provider in {None, tokens.provider} and version in {None, tokens.version}
        ]
        for tokens in ended:
            await transaction.run(_DELETE, subject, tokens.provider)
        return ended

    @write
    async def delete_tokens(self, transaction: Transaction, *, before: int, limit: int) -> int:
        return await transaction.run(_DELETE_ENDED, before, limit)


async def _find(transaction: Transaction, subject: str, provider: str) -> KeptTokens | None:
    return await UPSTREAM_TOKENS.one(transaction, _FIND, subject, provider)


async def _replace(transaction: Transaction, tokens: KeptTokens) -> None:
    await transaction.run(_DELETE, tokens.subject, tokens.provider)
    await UPSTREAM_TOKENS.insert(transaction, tokens)

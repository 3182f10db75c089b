"""Whether a commit that PostgreSQL has acknowledged outlives a crash: what is answered 200 is promised to."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

logger = logging.getLogger("gatepost.stores")

_ON: Final = "; SET LOCAL synchronous_commit = on"
_LOOK: Final = "SELECT current_setting('synchronous_commit') AS commits, current_setting('fsync') AS syncs"


IS_KEPT: Final = "current_setting('synchronous_commit') <> 'off'"
"""A condition for a statement that is a transaction by itself, so that nothing can be said before it."""


def chooses_commit(url: str) -> bool:
    """Say whether a store's URL says itself what a commit waits for."""
    return "synchronous_commit" in parse_qs(urlsplit(url).query)


async def commit_setting(connection: PoolConnectionProxy, url: str, description: str) -> str:
    """Return what is to be said at the beginning of each transaction that writes, after `BEGIN`; may be empty.

    `off` is not left to a default of the database, the user or the machine, but to the store's own URL. What waits for
    standbys in another way than `on` (`remote_apply`, `remote_write`, `local`) is the operator's choice, and stays.
    """
    found = await connection.fetchrow(_LOOK)
    if found["syncs"] == "off":
        logger.warning("the store %s has fsync off: a power cut may lose or damage all of it", description)
    if chooses_commit(url):
        if found["commits"] == "off":
            logger.warning(
                "the store's URL has synchronous_commit off: a crash of the database may lose what was acknowledged, "
                "such as a revocation"
            )
        return ""
    return _ON if found["commits"] in {"on", "off"} else ""

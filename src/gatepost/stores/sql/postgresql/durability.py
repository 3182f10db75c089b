"""Whether a commit that PostgreSQL has acknowledged outlives a crash: what is answered 200 is promised to."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

logger = logging.getLogger("gatepost.stores")

_KEEPING: Final = (
    "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'; "
)
_LOOK: Final = "SELECT current_setting('synchronous_commit') AS commits, current_setting('fsync') AS syncs"


IS_KEPT: Final = "current_setting('synchronous_commit') <> 'off'"
"""A condition for a statement that is a transaction by itself, so that nothing can be said before it."""


def chooses_commit(url: str) -> bool:
    """Say whether a store's URL says itself what a commit waits for."""
    return "synchronous_commit" in parse_qs(urlsplit(url).query)


def keeping(url: str) -> str:
    """Return what is to be said in the message of each COMMIT, before it; may be empty.

    `off` is not left to a default of the database, the user or the machine, but to the store's own URL. What waits for
    standbys in another way than `on` (`remote_apply`, `remote_write`, `local`) is the operator's choice, and stays.
    Which of them it is, each transaction asks for itself: another host of the URL may have taken over since, or the
    default have been changed. Not at its beginning, where asking would take the snapshot.
    """
    return "" if chooses_commit(url) else _KEEPING


async def warn_of_loss(connection: PoolConnectionProxy, url: str, description: str) -> None:
    """Say in the log what a crash of the database could take along."""
    found = await connection.fetchrow(_LOOK)
    if found["syncs"] == "off":
        logger.warning("the store %s has fsync off: a power cut may lose or damage all of it", description)
    if chooses_commit(url) and found["commits"] == "off":
        logger.warning(
            "the store's URL has synchronous_commit off: a crash of the database may lose what was acknowledged, "
            "such as a revocation"
        )

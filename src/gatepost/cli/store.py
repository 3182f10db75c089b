"""`gatepost store …`: the store as a whole."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from gatepost.cli.open_store import with_store
from gatepost.cli.output import say, table

if TYPE_CHECKING:
    from gatepost.stores.contract.store import Store


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `store` and its actions."""
    parser = commands.add_parser("store", help="look after the store", description="Look after the store.")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    action = actions.add_parser(
        "purge",
        help="delete what is over",
        description="Delete what is over, in small batches. A running server does so by itself.",
    )
    action.set_defaults(run=purge)


def purge(_options: argparse.Namespace) -> int:
    """Delete all that is over and print how many rows went.

    Without the lease that servers take: a second purge beside the first only finds less to do.
    """
    from gatepost.configuration.settings import load_settings  # noqa: PLC0415 - with the rest of the work

    audit_days = load_settings().oauth.audit_days
    deleted = with_store(lambda store: _purge(store, audit_days=audit_days))
    rows = [(what, str(count)) for what, count in deleted.items()]
    say(table(("PURGED", "ROWS"), rows))
    return 0


async def _purge(store: Store, *, audit_days: int) -> dict[str, int]:
    from gatepost.stores.purging import purge_everything, purges_of  # noqa: PLC0415 - with the rest of the work

    async def go_on() -> bool:
        return True

    return await purge_everything(
        purges_of(store, audit_days=audit_days), now=lambda: int(time.time()), may_go_on=go_on
    )

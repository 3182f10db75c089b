"""`gatepost store …`: the store as a whole."""

from __future__ import annotations

import argparse
import time

from gatepost.cli.open_store import with_store
from gatepost.cli.terminal import Actions, say_table
from gatepost.configuration.settings import load_settings
from gatepost.stores.contract.store import Store
from gatepost.stores.purging import purge_everything, purges_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions of `store`."""
    Actions(parser).add(
        "purge",
        purge,
        "delete what is over",
        description="Delete what is over, in small batches. A running server does so by itself.",
    )


def purge(_options: argparse.Namespace) -> None:
    """Delete all that is over and print how many rows went.

    Without the lease that servers take: a second purge beside the first only finds less to do.
    """
    audit_days = load_settings().oauth.audit_days
    deleted = with_store(lambda store: _purge(store, audit_days=audit_days))
    say_table(("PURGED", "ROWS"), [(what, str(count)) for what, count in deleted.items()])


async def _purge(store: Store, *, audit_days: int) -> dict[str, int]:
    async def go_on() -> bool:
        return True

    return await purge_everything(
        purges_of(store, audit_days=audit_days), now=lambda: int(time.time()), may_go_on=go_on
    )

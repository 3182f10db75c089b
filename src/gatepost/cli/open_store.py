"""One operation on the store that the settings name, from the terminal, beside a running server or without one."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar, Unpack

from gatepost.cli.terminal import CommandRefused
from gatepost.configuration.deployment import locate_store
from gatepost.configuration.settings import Settings, SettingsError, load_settings
from gatepost.oauth.audit import AuditEvent, Outcome
from gatepost.observability.audit_trail import AuditTrail, EventDetails
from gatepost.stores.contract.store import Store
from gatepost.stores.urls import Location

Answer = TypeVar("Answer")

_CHECKOUT: Final = Path(".gatepost")
"""Where `make serve` keeps its data."""


def with_store(operation: Callable[[Store], Awaitable[Answer]], *, may_create: bool = False) -> Answer:
    """Open the store, run one operation on it, and close it.

    Raises:
        SettingsError: a setting is wrong, or the store lives in the server's memory.
        CommandRefused: there is no store, and this may not create one.
        StoreError: the store cannot be opened or cannot answer.
    """
    location = reachable_location(load_settings(), may_create=may_create)

    async def run() -> Answer:
        store = location.make_store()
        await store.open()
        try:
            return await operation(store)
        finally:
            await store.close()

    return asyncio.run(run())


def reachable_location(settings: Settings, *, may_create: bool) -> Location:
    """Return where the store lies. Raises SettingsError and CommandRefused as `with_store`."""
    location = locate_store(settings)
    if location.is_lost_at_exit:
        raise SettingsError("MCP_STORAGE_URL=memory: lives inside the server process and cannot be reached from here.")
    if not (may_create or location.is_there()):
        raise CommandRefused(f"There is no store at {store_read()}. A server makes one when it starts.")
    return location


def store_read() -> str:
    """Return which store the settings name, and who else might have been meant, as the end of a sentence."""
    location = locate_store(load_settings())
    here = location.make_store().description
    other = (_CHECKOUT / "gatepost.db").absolute()
    if not other.is_file() or str(other) == here:
        return f"{here} (OAUTH_STORAGE_DIR or MCP_STORAGE_URL name another)"
    return f"{here}; set OAUTH_STORAGE_DIR={_CHECKOUT} for the one in this directory, which make serve uses"


async def audit(store: Store, event: AuditEvent, **details: Unpack[EventDetails]) -> None:
    """Put what was done from the terminal in the audit trail."""
    trail = AuditTrail(store=store.audit, now=time.time, random_bytes=secrets.token_bytes)
    await trail.record(event, Outcome.OK, address="terminal", **details)

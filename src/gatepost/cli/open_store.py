"""One operation on the store that the settings name, from the terminal, beside a running server or without one."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar, Unpack

from gatepost.cli.terminal import CommandRefused, complain
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
    settings = load_settings()
    location = reachable_location(settings, may_create=may_create)
    mention_other_store(settings)

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
        missing = f"There is no store at {store_read()}. A server makes one when it starts."
        raise CommandRefused(missing, *_other_store(settings))
    return location


def store_read() -> str:
    """Return which store the settings name, as the end of a sentence."""
    here = locate_store(load_settings()).make_store().description
    return f"{here} (OAUTH_STORAGE_DIR or MCP_STORAGE_URL name another)"


def mention_other_store(settings: Settings) -> None:
    """Say on standard error that there is another store in this directory, unless the settings name one."""
    complain(*_other_store(settings))


def _other_store(settings: Settings) -> Iterator[str]:
    is_named = settings.server.storage_url is not None or "storage_dir" in settings.oauth.model_fields_set
    if not is_named and (_CHECKOUT / "gatepost.db").is_file():
        here = locate_store(settings).make_store().description
        this = f"set OAUTH_STORAGE_DIR={_CHECKOUT} for the store in this directory, which make serve uses"
        yield f"This is about {here}; {this}."


async def audit(store: Store, event: AuditEvent, **details: Unpack[EventDetails]) -> None:
    """Put what was done from the terminal in the audit trail."""
    trail = AuditTrail(store=store.audit, now=time.time, random_bytes=secrets.token_bytes)
    await trail.record(event, Outcome.OK, address="terminal", **details)

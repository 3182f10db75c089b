"""One operation on the store that the settings name, from the terminal, beside a running server or without one."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from gatepost.configuration.deployment import locate_store
from gatepost.configuration.settings import SettingsError, load_settings
from gatepost.oauth.audit import AuditEvent, AuditRecord, Outcome, event_id
from gatepost.stores.contract.store import Store

Answer = TypeVar("Answer")


def with_store(operation: Callable[[Store], Awaitable[Answer]]) -> Answer:
    """Open the store, run one operation on it, and close it.

    Raises:
        SettingsError: a setting is wrong, or the store lives in the server's memory.
        StoreError: the store cannot be opened or cannot answer.
    """
    location = locate_store(load_settings())
    if location.is_lost_at_exit:
        raise SettingsError("MCP_STORAGE_URL=memory: lives inside the server process and cannot be reached from here.")

    async def run() -> Answer:
        store = location.make_store()
        await store.open()
        try:
            return await operation(store)
        finally:
            await store.close()

    return asyncio.run(run())


async def audit(store: Store, event: AuditEvent, *, subject: str | None = None, client_id: str | None = None) -> None:
    """Put what was done from the terminal in the audit trail."""
    now = int(time.time())
    record = AuditRecord(
        event_id=event_id(at=now, sequence=0, random=secrets.token_bytes(6)),
        at=now,
        event=event,
        outcome=Outcome.OK,
        subject=subject,
        client_id=client_id,
        address="terminal",
    )
    await store.audit.append_events([record])

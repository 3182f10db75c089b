"""The memory store: the records and one store for each concern over them."""

from __future__ import annotations

from gatepost.stores.contract.store import Store
from gatepost.stores.memory.approvals import MemoryApprovalStore
from gatepost.stores.memory.audit import MemoryAuditStore
from gatepost.stores.memory.browser_sessions import MemoryBrowserSessionStore
from gatepost.stores.memory.changes import MemoryChangeStore
from gatepost.stores.memory.clients import MemoryAssertionStore, MemoryClientStore
from gatepost.stores.memory.consents import MemoryConsentStore
from gatepost.stores.memory.expiry import MemoryExpiryStore, MemoryLeaseStore
from gatepost.stores.memory.grants import MemoryGrantStore
from gatepost.stores.memory.keys import MemoryKeyStore
from gatepost.stores.memory.limits import MemoryLimitStore
from gatepost.stores.memory.mcp import (
    McpRecords,
    MemoryMcpCancellationStore,
    MemoryMcpClientRequestStore,
    MemoryMcpSessionStore,
    MemoryMcpStreamStore,
)
from gatepost.stores.memory.records import Records
from gatepost.stores.memory.transactions import MemoryTransactionStore
from gatepost.stores.memory.users import MemoryUserStore


def memory_store() -> Store:
    """Return a store in the memory of one process; everything is lost when it ends. It can be used at once."""
    records, mcp_records = Records(), McpRecords()
    return Store(
        clients=MemoryClientStore(records),
        assertions=MemoryAssertionStore(records),
        transactions=MemoryTransactionStore(records),
        grants=MemoryGrantStore(records),
        users=MemoryUserStore(records),
        browser_sessions=MemoryBrowserSessionStore(records),
        keys=MemoryKeyStore(records),
        approvals=MemoryApprovalStore(records),
        expiry=MemoryExpiryStore(records),
        leases=MemoryLeaseStore(records),
        limits=MemoryLimitStore(records),
        audit=MemoryAuditStore(records),
        consents=MemoryConsentStore(records),
        mcp_sessions=MemoryMcpSessionStore(mcp_records),
        mcp_streams=MemoryMcpStreamStore(mcp_records),
        mcp_client_requests=MemoryMcpClientRequestStore(mcp_records),
        mcp_cancellations=MemoryMcpCancellationStore(mcp_records),
        changes=MemoryChangeStore(),
        description="memory (lost at exit)",
        is_lost_at_exit=True,
        open=_nothing,
        close=_nothing,
        check=_nothing,
    )


async def _nothing() -> None:
    """Memory needs no connection, always answers, and is lost with the object."""

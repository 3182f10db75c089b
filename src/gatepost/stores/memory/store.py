"""The memory store: the records and one store for each concern over them."""

from __future__ import annotations

from gatepost.stores.contract.approvals import ApprovalStore
from gatepost.stores.contract.assertions import AssertionStore
from gatepost.stores.contract.audit import AuditStore
from gatepost.stores.contract.browser_sessions import BrowserSessionStore
from gatepost.stores.contract.changes import ChangeStore
from gatepost.stores.contract.clients import ClientStore
from gatepost.stores.contract.consents import ConsentStore
from gatepost.stores.contract.expiry import ExpiryStore, LeaseStore
from gatepost.stores.contract.grants import GrantStore
from gatepost.stores.contract.keys import KeyStore
from gatepost.stores.contract.limits import LimitStore
from gatepost.stores.contract.mcp import McpCancellationStore, McpClientRequestStore, McpSessionStore, McpStreamStore
from gatepost.stores.contract.transactions import TransactionStore
from gatepost.stores.contract.users import UserStore
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


class MemoryStore:
    """`Store` in the memory of one process; everything is lost when it ends."""

    def __init__(self) -> None:
        records = Records()
        self._clients = MemoryClientStore(records)
        self._assertions = MemoryAssertionStore(records)
        self._transactions = MemoryTransactionStore(records)
        self._grants = MemoryGrantStore(records)
        self._users = MemoryUserStore(records)
        self._browser_sessions = MemoryBrowserSessionStore(records)
        self._keys = MemoryKeyStore(records)
        self._approvals = MemoryApprovalStore(records)
        self._expiry = MemoryExpiryStore(records)
        self._leases = MemoryLeaseStore(records)
        self._limits = MemoryLimitStore(records)
        self._audit = MemoryAuditStore(records)
        self._consents = MemoryConsentStore(records)
        mcp_records = McpRecords()
        self._mcp_sessions = MemoryMcpSessionStore(mcp_records)
        self._mcp_streams = MemoryMcpStreamStore(mcp_records)
        self._mcp_client_requests = MemoryMcpClientRequestStore(mcp_records)
        self._mcp_cancellations = MemoryMcpCancellationStore(mcp_records)
        self._changes = MemoryChangeStore()

    @property
    def clients(self) -> ClientStore:
        """See `Store`."""
        return self._clients

    @property
    def assertions(self) -> AssertionStore:
        """See `Store`."""
        return self._assertions

    @property
    def transactions(self) -> TransactionStore:
        """See `Store`."""
        return self._transactions

    @property
    def grants(self) -> GrantStore:
        """See `Store`."""
        return self._grants

    @property
    def users(self) -> UserStore:
        """See `Store`."""
        return self._users

    @property
    def browser_sessions(self) -> BrowserSessionStore:
        """See `Store`."""
        return self._browser_sessions

    @property
    def keys(self) -> KeyStore:
        """See `Store`."""
        return self._keys

    @property
    def approvals(self) -> ApprovalStore:
        """See `Store`."""
        return self._approvals

    @property
    def expiry(self) -> ExpiryStore:
        """See `Store`."""
        return self._expiry

    @property
    def leases(self) -> LeaseStore:
        """See `Store`."""
        return self._leases

    @property
    def limits(self) -> LimitStore:
        """See `Store`."""
        return self._limits

    @property
    def audit(self) -> AuditStore:
        """See `Store`."""
        return self._audit

    @property
    def consents(self) -> ConsentStore:
        """See `Store`."""
        return self._consents

    @property
    def mcp_sessions(self) -> McpSessionStore:
        """See `Store`."""
        return self._mcp_sessions

    @property
    def mcp_streams(self) -> McpStreamStore:
        """See `Store`."""
        return self._mcp_streams

    @property
    def mcp_client_requests(self) -> McpClientRequestStore:
        """See `Store`."""
        return self._mcp_client_requests

    @property
    def mcp_cancellations(self) -> McpCancellationStore:
        """See `Store`."""
        return self._mcp_cancellations

    @property
    def changes(self) -> ChangeStore:
        """See `Store`."""
        return self._changes

    @property
    def description(self) -> str:
        """Says that nothing is kept."""
        return "memory (lost at exit)"

    @property
    def is_lost_at_exit(self) -> bool:
        """See `Store`."""
        return True

    async def open(self) -> None:
        """Nothing to connect."""

    async def close(self) -> None:
        """Nothing to let go; what is held is lost with the object."""

    async def check(self) -> None:
        """Memory always answers."""

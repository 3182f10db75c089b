"""The SQLite store: the SQL operations over one file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

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
from gatepost.stores.sql.approvals import SqlApprovalStore
from gatepost.stores.sql.assertions import SqlAssertionStore
from gatepost.stores.sql.audit import SqlAuditStore
from gatepost.stores.sql.browser_sessions import SqlBrowserSessionStore
from gatepost.stores.sql.changes import SqlChangeStore
from gatepost.stores.sql.clients import SqlClientStore
from gatepost.stores.sql.consents import SqlConsentStore
from gatepost.stores.sql.database import Transaction
from gatepost.stores.sql.expiry import SqlExpiryStore, SqlLeaseStore
from gatepost.stores.sql.grants import SqlGrantStore
from gatepost.stores.sql.keys import SqlKeyStore
from gatepost.stores.sql.limits import SqlLimitStore
from gatepost.stores.sql.mcp import SqlMcpClientRequestStore, SqlMcpSessionStore
from gatepost.stores.sql.mcp_cancellations import SqlMcpCancellationStore
from gatepost.stores.sql.mcp_streams import SqlMcpStreamStore
from gatepost.stores.sql.sqlite.database import SqliteDatabase
from gatepost.stores.sql.transactions import SqlTransactionStore
from gatepost.stores.sql.users import SqlUserStore

_PROBE: Final = """
    INSERT INTO store_probe (slot, written) VALUES (1, 1)
    ON CONFLICT (slot) DO UPDATE SET written = store_probe.written + 1
"""


class SqliteStore:
    """`Store` in one SQLite file, shared by any number of processes of this machine.

    Args:
        path: The file; created with its directory when missing. Local disk only: SQLite's locks do not work on network
            file systems.
        busy_timeout: For how many seconds a write waits for other processes' writes before it is `StoreUnavailable`.
    """

    def __init__(self, path: Path, *, busy_timeout: float = 5.0) -> None:
        self._path = path
        self._database = SqliteDatabase(path, busy_timeout=busy_timeout)
        self._clients = SqlClientStore(self._database)
        self._assertions = SqlAssertionStore(self._database)
        self._transactions = SqlTransactionStore(self._database)
        self._grants = SqlGrantStore(self._database)
        self._users = SqlUserStore(self._database)
        self._browser_sessions = SqlBrowserSessionStore(self._database)
        self._keys = SqlKeyStore(self._database)
        self._approvals = SqlApprovalStore(self._database)
        self._expiry = SqlExpiryStore(self._database)
        self._leases = SqlLeaseStore(self._database)
        self._limits = SqlLimitStore(self._database)
        self._audit = SqlAuditStore(self._database)
        self._consents = SqlConsentStore(self._database)
        self._mcp_sessions = SqlMcpSessionStore(self._database)
        self._mcp_streams = SqlMcpStreamStore(self._database)
        self._mcp_client_requests = SqlMcpClientRequestStore(self._database)
        self._mcp_cancellations = SqlMcpCancellationStore(self._database)
        self._changes = SqlChangeStore(self._database)

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
        """The file's path."""
        return str(self._path)

    @property
    def is_lost_at_exit(self) -> bool:
        """See `Store`."""
        return False

    async def open(self) -> None:
        """See `Store.open`."""
        await self._database.open()

    async def close(self) -> None:
        """See `Store.close`."""
        await self._database.close()

    async def check(self) -> None:
        """See `Store.check`."""
        self._database.check_file()
        await self._database.write(_write_probe)
        await self._database.read(_read_probe)


async def _write_probe(transaction: Transaction) -> None:
    await transaction.run(_PROBE)


async def _read_probe(transaction: Transaction) -> None:
    await transaction.one("SELECT written FROM store_probe WHERE slot = 1")

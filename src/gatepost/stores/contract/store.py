"""A whole store: its concerns together, and its life."""

from __future__ import annotations

from typing import Protocol

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


class Store(Protocol):
    """A whole backend: one attribute per concern."""

    @property
    def clients(self) -> ClientStore: ...
    @property
    def assertions(self) -> AssertionStore: ...
    @property
    def transactions(self) -> TransactionStore: ...
    @property
    def grants(self) -> GrantStore: ...
    @property
    def users(self) -> UserStore: ...
    @property
    def browser_sessions(self) -> BrowserSessionStore: ...
    @property
    def keys(self) -> KeyStore: ...
    @property
    def approvals(self) -> ApprovalStore: ...
    @property
    def expiry(self) -> ExpiryStore: ...
    @property
    def leases(self) -> LeaseStore: ...
    @property
    def limits(self) -> LimitStore: ...
    @property
    def audit(self) -> AuditStore: ...
    @property
    def consents(self) -> ConsentStore: ...
    @property
    def mcp_sessions(self) -> McpSessionStore: ...
    @property
    def mcp_streams(self) -> McpStreamStore: ...
    @property
    def mcp_client_requests(self) -> McpClientRequestStore: ...
    @property
    def mcp_cancellations(self) -> McpCancellationStore: ...
    @property
    def changes(self) -> ChangeStore: ...

    @property
    def description(self) -> str:
        """Where the data lies, for people: `memory (lost at exit)`, or a path. Never with credentials."""

    @property
    def is_lost_at_exit(self) -> bool:
        """Whether all of it lives in this process."""

    async def open(self) -> None:
        """Connect and bring the schema up to date; several processes may do so at once.

        Raises:
            StoreMisconfigured: the location, its permissions or its schema version do not allow it.
            StoreUnavailable: it cannot be reached now.
        """

    async def close(self) -> None:
        """Finish what is under way and let go; closing twice is fine."""

    async def check(self) -> None:
        """Read and write a probe, durably. Raises StoreUnavailable when either fails."""

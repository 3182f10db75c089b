"""A whole store over a SQL database."""

from __future__ import annotations

from typing import Final

from gatepost.stores.contract.store import Store
from gatepost.stores.contract.wakeups import NO_WAKEUPS, Wakeups
from gatepost.stores.sql.account_links import SqlAccountLinkStore
from gatepost.stores.sql.administration import AdministeredDatabase, SqlAdministrationStore
from gatepost.stores.sql.api_keys import SqlApiKeyStore
from gatepost.stores.sql.approvals import SqlApprovalStore
from gatepost.stores.sql.assertions import SqlAssertionStore
from gatepost.stores.sql.audit import SqlAuditStore
from gatepost.stores.sql.browser_sessions import SqlBrowserSessionStore
from gatepost.stores.sql.changes import SqlChangeStore
from gatepost.stores.sql.clients import SqlClientStore
from gatepost.stores.sql.consents import SqlConsentStore
from gatepost.stores.sql.database import Database, Operations, Transaction, read, write
from gatepost.stores.sql.device_authorizations import SqlDeviceAuthorizationStore
from gatepost.stores.sql.endpoints import SqlEndpointStore
from gatepost.stores.sql.exchanges import SqlExchangeStore
from gatepost.stores.sql.grants import SqlGrantStore
from gatepost.stores.sql.keys import SqlKeyStore
from gatepost.stores.sql.leases import SqlLeaseStore
from gatepost.stores.sql.limits import SqlLimitStore
from gatepost.stores.sql.linked_logins import SqlLinkedLoginStore
from gatepost.stores.sql.logins import SqlLoginStore
from gatepost.stores.sql.mcp import (
    SqlMcpCancellationStore,
    SqlMcpClientRequestStore,
    SqlMcpSessionStore,
    SqlMcpStreamStore,
)
from gatepost.stores.sql.passkeys import SqlPasskeyStore
from gatepost.stores.sql.pushed_requests import SqlPushedRequestStore
from gatepost.stores.sql.second_steps import SqlSecondStepStore
from gatepost.stores.sql.tasks import SqlTaskStore
from gatepost.stores.sql.transactions import SqlTransactionStore
from gatepost.stores.sql.upstream_tokens import SqlUpstreamTokenStore
from gatepost.stores.sql.users import SqlUserStore

_WRITE_PROBE: Final = """
    INSERT INTO store_probe (slot, written) VALUES (1, 1)
    ON CONFLICT (slot) DO UPDATE SET written = store_probe.written + 1
"""


def sql_store(database: Database, wakeups: Wakeups = NO_WAKEUPS) -> Store:
    """Return the store over a database, with the wake-ups that it delivers; neither is open yet."""
    return Store(
        clients=SqlClientStore(database),
        assertions=SqlAssertionStore(database),
        users=SqlUserStore(database),
        linked_logins=SqlLinkedLoginStore(database),
        account_links=SqlAccountLinkStore(database),
        passkeys=SqlPasskeyStore(database),
        second_steps=SqlSecondStepStore(database),
        browser_sessions=SqlBrowserSessionStore(database),
        logins=SqlLoginStore(database),
        transactions=SqlTransactionStore(database),
        device_authorizations=SqlDeviceAuthorizationStore(database),
        pushed_requests=SqlPushedRequestStore(database),
        consents=SqlConsentStore(database),
        grants=SqlGrantStore(database),
        exchanges=SqlExchangeStore(database),
        approvals=SqlApprovalStore(database),
        administration=SqlAdministrationStore(database),
        upstream_tokens=SqlUpstreamTokenStore(database),
        api_keys=SqlApiKeyStore(database),
        endpoints=SqlEndpointStore(database),
        keys=SqlKeyStore(database),
        audit=SqlAuditStore(database),
        mcp_sessions=SqlMcpSessionStore(database),
        mcp_streams=SqlMcpStreamStore(database),
        mcp_client_requests=SqlMcpClientRequestStore(database),
        mcp_cancellations=SqlMcpCancellationStore(database),
        tasks=SqlTaskStore(database),
        changes=SqlChangeStore(database),
        limits=SqlLimitStore(database),
        leases=SqlLeaseStore(database),
        description=database.description,
        is_lost_at_exit=database.is_lost_at_exit,
        open=database.open,
        close=database.close,
        check=_Probe(database).check,
        in_name_of=lambda by: sql_store(AdministeredDatabase(database, by), wakeups),
        wakeups=wakeups,
    )


class _Probe(Operations):
    """What `Store.check` does."""

    async def check(self) -> None:
        await self._write()
        await self._read()

    @write
    async def _write(self, transaction: Transaction) -> None:
        await transaction.run(_WRITE_PROBE)

    @read
    async def _read(self, transaction: Transaction) -> None:
        await transaction.one("SELECT written FROM store_probe WHERE slot = 1")

"""A whole store: its concerns together, and its life."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.account_links import AccountLinkStore
from gatepost.stores.contract.administration import AdministrationStore, Administrator
from gatepost.stores.contract.api_keys import ApiKeyStore
from gatepost.stores.contract.approvals import ApprovalStore
from gatepost.stores.contract.assertions import AssertionStore
from gatepost.stores.contract.audit import AuditStore
from gatepost.stores.contract.browser_sessions import BrowserSessionStore
from gatepost.stores.contract.changes import ChangeStore
from gatepost.stores.contract.clients import ClientStore
from gatepost.stores.contract.consents import ConsentStore
from gatepost.stores.contract.device_authorizations import DeviceAuthorizationStore
from gatepost.stores.contract.endpoints import EndpointStore
from gatepost.stores.contract.exchanges import ExchangeStore
from gatepost.stores.contract.grants import GrantStore
from gatepost.stores.contract.keys import KeyStore
from gatepost.stores.contract.leases import LeaseStore
from gatepost.stores.contract.limits import LimitStore
from gatepost.stores.contract.linked_logins import LinkedLoginStore
from gatepost.stores.contract.logins import LoginStore
from gatepost.stores.contract.mcp import McpCancellationStore, McpClientRequestStore, McpSessionStore, McpStreamStore
from gatepost.stores.contract.passkeys import PasskeyStore
from gatepost.stores.contract.pushed_requests import PushedRequestStore
from gatepost.stores.contract.second_steps import SecondStepStore
from gatepost.stores.contract.tasks import TaskStore
from gatepost.stores.contract.transactions import TransactionStore
from gatepost.stores.contract.upstream_tokens import UpstreamTokenStore
from gatepost.stores.contract.users import UserStore
from gatepost.stores.contract.wakeups import NO_WAKEUPS, Wakeups


def no_figures() -> Mapping[str, int]:
    """Return the figures of a store without a pool: none."""
    return {}


LIVE_STATE: Final = frozenset(
    {
        "mcp_sessions",
        "mcp_streams",
        "mcp_client_requests",
        "mcp_cancellations",
        "tasks",
        "changes",
        "limits",
        "leases",
    }
)
"""The concerns of `Store` that are live state. The others are the durable truth of the authorization server.

An operation touches its own half alone, so that the two may lie in different places one day. Two do not yet:
`ClientStore.register_client` counts among the limits within a budget, and `ApprovalStore.revoke_all` ends MCP sessions.
"""


@dataclass(frozen=True)
class Store:
    """A backend: one field a concern, in two halves that may lie in different places one day."""

    # The durable truth of the authorization server.
    clients: ClientStore
    assertions: AssertionStore
    users: UserStore
    linked_logins: LinkedLoginStore
    account_links: AccountLinkStore
    passkeys: PasskeyStore
    second_steps: SecondStepStore
    browser_sessions: BrowserSessionStore
    logins: LoginStore
    transactions: TransactionStore
    device_authorizations: DeviceAuthorizationStore
    pushed_requests: PushedRequestStore
    consents: ConsentStore
    grants: GrantStore
    exchanges: ExchangeStore
    approvals: ApprovalStore
    administration: AdministrationStore
    upstream_tokens: UpstreamTokenStore
    api_keys: ApiKeyStore
    endpoints: EndpointStore
    keys: KeyStore
    audit: AuditStore

    # The live state of MCP, and what processes agree on while they run.
    mcp_sessions: McpSessionStore
    mcp_streams: McpStreamStore
    mcp_client_requests: McpClientRequestStore
    mcp_cancellations: McpCancellationStore
    tasks: TaskStore
    changes: ChangeStore
    limits: LimitStore
    leases: LeaseStore

    description: str
    """Where the data lies, for people: `memory (lost at exit)`, or a path. Never with credentials."""
    is_lost_at_exit: bool
    """Whether all of it lives in this process."""

    open: Callable[[], Awaitable[None]]
    """Connects and brings the schema up to date; several processes may do so at once.

    Raises StoreMisconfigured when the location, its permissions or its schema version do not allow it, and
    StoreUnavailable when it cannot be reached now.
    """
    close: Callable[[], Awaitable[None]]
    """Finishes what is under way and disconnects; closing twice is fine."""
    check: Callable[[], Awaitable[None]]
    """Reads and writes a probe, durably. Raises StoreUnavailable when either fails."""
    in_name_of: Callable[[Administrator], Store]
    """Returns this store for changes by an administrator: each write looks at them first, in the same step.

    Its writes raise NotAdministrator, and write nothing, when they are disabled or have been given the role no more.
    """
    wakeups: Wakeups = NO_WAKEUPS
    """What other processes over it have done, for those who wait for it."""
    figures: Callable[[], Mapping[str, int]] = no_figures
    """How it is with its connections at this moment, for operators; empty where there is no pool of them."""

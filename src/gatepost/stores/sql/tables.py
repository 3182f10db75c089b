"""Which records lie in which table."""

from __future__ import annotations

from typing import Final

from gatepost.oauth.audit import AuditEvent, AuditRecord, Outcome
from gatepost.oauth.consent import Consent
from gatepost.oauth.device_authorization import DeviceAuthorization, DeviceState
from gatepost.oauth.pushed_requests import PushedRequest
from gatepost.oauth.records import (
    AccessToken,
    AuthorizationCode,
    AuthorizationTransaction,
    Client,
    ClientOrigin,
    Grant,
    RefreshToken,
    TransactionState,
)
from gatepost.oauth.token_exchange import ExchangedToken
from gatepost.resource.profile import Profile
from gatepost.stores.contract.account_links import AccountLink
from gatepost.stores.contract.api_keys import ApiKey
from gatepost.stores.contract.browser_sessions import BrowserSession
from gatepost.stores.contract.endpoints import ServedEndpoint
from gatepost.stores.contract.keys import SealedSigningKey
from gatepost.stores.contract.linked_logins import LinkedLogin
from gatepost.stores.contract.logins import PendingLogin
from gatepost.stores.contract.mcp import McpSession
from gatepost.stores.contract.passkeys import Passkey
from gatepost.stores.contract.second_steps import SecondStep
from gatepost.stores.contract.tasks import Task, TaskStatus
from gatepost.stores.contract.upstream_tokens import KeptTokens
from gatepost.stores.contract.users import User
from gatepost.stores.sql.rows import FLAG, LIST, SCOPES, Conversion, Table

CLIENTS: Final = Table(
    "clients",
    Client,
    redirect_uris=LIST,
    grant_types=LIST,
    response_types=LIST,
    origin=Conversion(str, ClientOrigin),
    dpop_bound_access_tokens=FLAG,
    requires_pushed_requests=FLAG,
    exchange_from=SCOPES,
    exchange_to=SCOPES,
)
TRANSACTIONS: Final = Table(
    "authorization_transactions",
    AuthorizationTransaction,
    redirect_uri_was_sent=FLAG,
    scopes=SCOPES,
    state=Conversion(str, TransactionState),
    started_by_user=FLAG,
)
DEVICE_AUTHORIZATIONS: Final = Table(
    "device_authorizations", DeviceAuthorization, scopes=SCOPES, state=Conversion(str, DeviceState)
)
PUSHED_REQUESTS: Final = Table("pushed_requests", PushedRequest)
CODES: Final = Table("authorization_codes", AuthorizationCode, redirect_uri_was_sent=FLAG, scopes=SCOPES)
GRANTS: Final = Table("grants", Grant, scopes=SCOPES)
ACCESS_TOKENS: Final = Table("access_tokens", AccessToken, scopes=SCOPES)
EXCHANGED_TOKENS: Final = Table("exchanged_tokens", ExchangedToken, scopes=SCOPES, actors=SCOPES)
REFRESH_TOKENS: Final = Table("refresh_tokens", RefreshToken)
CONSENTS: Final = Table("consents", Consent, scopes=SCOPES)
USERS: Final = Table("users", User, profile=Conversion(Profile.to_text, Profile.from_text), roles=SCOPES)
LINKED_LOGINS: Final = Table("linked_logins", LinkedLogin)
ACCOUNT_LINKS: Final = Table("account_links", AccountLink)
PASSKEYS: Final = Table("passkeys", Passkey, transports=LIST)
SECOND_STEPS: Final = Table("second_steps", SecondStep)
BROWSER_SESSIONS: Final = Table("browser_sessions", BrowserSession, has_second_factor=FLAG)
PENDING_LOGINS: Final = Table("pending_logins", PendingLogin)
UPSTREAM_TOKENS: Final = Table("upstream_tokens", KeptTokens, scopes=SCOPES, is_refreshable=FLAG)
API_KEYS: Final = Table("api_keys", ApiKey, scopes=SCOPES)
SERVED_ENDPOINTS: Final = Table("served_endpoints", ServedEndpoint, scopes=SCOPES)
SIGNING_KEYS: Final = Table("signing_keys", SealedSigningKey)
AUDIT_EVENTS: Final = Table(
    "audit_events", AuditRecord, event=Conversion(str, AuditEvent), outcome=Conversion(str, Outcome)
)
MCP_SESSIONS: Final = Table("mcp_sessions", McpSession)
TASKS: Final = Table("tasks", Task, status=Conversion(str, TaskStatus))

"""What a store promises, said a second time with dictionaries: the model that the agreement tests compare with.

It shares no line with the SQL, so a mistake has to be made twice to go unseen. It has the operations that those tests
drive and no others; each is what its protocol says, and explained there. One object stands for all concerns of a half.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from gatepost.oauth.audit import AuditQuery, AuditRecord
from gatepost.oauth.limits import MICROSECONDS, RegistrationBudget, Use, take
from gatepost.oauth.policy import ALWAYS_THEFT, StaleTokens
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import (
    AccessToken,
    AuthorizationCode,
    AuthorizationTransaction,
    Client,
    Grant,
    IssuedTokens,
    RefreshToken,
    TransactionState,
)
from gatepost.resource.profile import NO_PROFILE, Profile
from gatepost.stores.contract.approvals import ConnectedApp
from gatepost.stores.contract.browser_sessions import BrowserSession, SessionView
from gatepost.stores.contract.changes import LoggedChange
from gatepost.stores.contract.grants import (
    MOST_GENERATIONS,
    CodeView,
    JudgeRefresh,
    LiveAccessToken,
    RedeemOutcome,
    RefreshView,
    RotateOutcome,
    Rotation,
)
from gatepost.stores.contract.keys import KeyRetirement, SealedSigningKey
from gatepost.stores.contract.linked_logins import LinkedLogin, LinkOutcome, LoginKey, UnlinkOutcome
from gatepost.stores.contract.logins import PendingLogin
from gatepost.stores.contract.mcp import McpSession, StreamEvent
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.transactions import ApproveOutcome
from gatepost.stores.contract.users import Person, User

Key = TypeVar("Key")


def model_store() -> Store:
    """Return the model as a store."""
    durable, live = DurableTruth(), LiveState()
    durable_concerns = (
        "clients",
        "assertions",
        "users",
        "linked_logins",
        "browser_sessions",
        "logins",
        "transactions",
        "grants",
        "approvals",
        "keys",
        "audit",
    )
    live_concerns = ("sessions", "streams", "client_requests", "cancellations")
    concerns: dict[str, Any] = dict.fromkeys(durable_concerns, durable)
    concerns |= {f"mcp_{name}": live for name in live_concerns}
    concerns |= dict.fromkeys(("changes", "limits", "leases"), live)
    return cast("Store", SimpleNamespace(**concerns))


def delete(rows: dict[Key, Any], over: Sequence[Key], limit: int) -> int:
    """Delete at most `limit` of the rows that are over."""
    for key in over[:limit]:
        del rows[key]
    return len(over[:limit])


class DurableTruth:
    def __init__(self) -> None:
        self.clients: dict[str, Client] = {}
        self.unused: dict[int, str] = {}
        self.registered_until: int | None = None
        self.assertions: dict[tuple[str, str], int] = {}
        self.transactions: dict[str, AuthorizationTransaction] = {}
        self.codes: dict[bytes, AuthorizationCode] = {}
        self.grants: dict[str, Grant] = {}
        self.access_tokens: dict[bytes, AccessToken] = {}
        self.refresh_tokens: dict[bytes, RefreshToken] = {}
        self.users: dict[str, User] = {}
        self.links: dict[LoginKey, LinkedLogin] = {}
        self.setup_link: tuple[bytes, int] | None = None
        self.browser_sessions: dict[bytes, BrowserSession] = {}
        self.logins: dict[bytes, PendingLogin] = {}
        self.noted_key: str | None = None
        self.keys: dict[str, SealedSigningKey] = {}
        self.events: dict[str, AuditRecord] = {}

    # Clients and their assertions.

    async def register_client(self, client: Client, *, budget: RegistrationBudget | None = None) -> int:
        if budget is not None:
            now = client.created_at
            oldest, newest = min(self.unused, default=1), max(self.unused, default=0)
            leaving = self.clients[self.unused[oldest]] if newest - oldest + 1 >= budget.most_unused else None
            if leaving is not None and leaving.created_at <= now < leaving.created_at + budget.spared_seconds:
                return leaving.created_at + budget.spared_seconds - now
            taken = take(self.registered_until, Use("", budget.rate), now=now)
            self.registered_until = taken.spent_until
            if taken.wait:
                return taken.wait
            if leaving is not None:
                self._remove_client(self.unused.pop(oldest), now=now)
            self.unused[newest + 1] = client.client_id
        self.clients[client.client_id] = client
        return 0

    def _remove_client(self, client_id: str, *, now: int) -> None:
        del self.clients[client_id]
        ended = [key for key, request in self.transactions.items() if request.client_id == client_id]
        delete(self.codes, [key for key, code in self.codes.items() if code.transaction_id in ended], len(self.codes))
        delete(self.transactions, ended, len(ended))
        for grant in [grant for grant in self.grants.values() if grant.client_id == client_id]:
            self._revoke(grant, reason=Reason.CLIENT_REMOVED.value, now=now)

    async def find_client(self, client_id: str) -> Client | None:
        return self.clients.get(client_id)

    async def complete_client(self, client_id: str, registered: Client | None) -> Client | None:
        del client_id
        return registered

    async def remember_jti(self, client_id: str, jti: str, *, expires_at: int, now: int) -> bool:
        if self.assertions.get((client_id, jti), now) > now:
            return False
        self.assertions[client_id, jti] = expires_at
        return True

    async def forget_jtis(self, *, before: int, limit: int) -> int:
        return delete(self.assertions, [key for key, end in self.assertions.items() if end <= before], limit)

    # Authorization requests.

    async def begin_transaction(self, request: AuthorizationTransaction) -> None:
        self.transactions[request.transaction_id] = request

    async def find_transaction(self, transaction_id: str, *, now: int) -> AuthorizationTransaction | None:
        request = self.transactions.get(transaction_id)
        if request is None or request.expires_at <= now:
            return None
        codes = [code for code in self.codes.values() if code.transaction_id == transaction_id]
        is_redeemed = any(code.grant_id is not None for code in codes)
        return replace(request, state=TransactionState.REDEEMED) if is_redeemed else request

    async def approve_transaction(self, code: AuthorizationCode, *, now: int) -> ApproveOutcome:
        request = await self.find_transaction(code.transaction_id, now=now)
        if request is None:
            return ApproveOutcome.GONE
        earlier = [other for other in self.codes.values() if other.transaction_id == code.transaction_id]
        if request.state is TransactionState.DENIED or any(other.grant_id is not None for other in earlier):
            return ApproveOutcome.ALREADY_FINISHED
        if self._is_disabled(code.subject):
            return ApproveOutcome.USER_DISABLED
        for other in earlier:
            del self.codes[other.code_fingerprint]
        self.codes[code.code_fingerprint] = code
        self.transactions[request.transaction_id] = replace(request, state=TransactionState.APPROVED)
        return ApproveOutcome.APPROVED

    async def approve_at_once(self, request: AuthorizationTransaction, code: AuthorizationCode, client: Client) -> bool:
        if self.clients.get(client.client_id) != client or self._is_disabled(code.subject):
            return False
        self.transactions[request.transaction_id] = replace(request, state=TransactionState.APPROVED)
        self.codes[code.code_fingerprint] = code
        return True

    async def deny_transaction(self, transaction_id: str, *, now: int) -> bool:
        request = await self.find_transaction(transaction_id, now=now)
        if request is None or request.state not in {TransactionState.PENDING, TransactionState.DENIED}:
            return False
        self.transactions[transaction_id] = replace(request, state=TransactionState.DENIED)
        return True

    # Codes, grants and tokens.

    async def find_code(self, code_fingerprint: bytes, *, now: int) -> AuthorizationCode | None:
        code = self.codes.get(code_fingerprint)
        return None if code is None or code.expires_at <= now else code

    async def find_code_and_client(self, code_fingerprint: bytes, *, now: int) -> CodeView | None:
        code = await self.find_code(code_fingerprint, now=now)
        return None if code is None else CodeView(code, self.clients.get(code.client_id))

    async def count_failed_redemption(self, code_fingerprint: bytes) -> None:
        code = self.codes.get(code_fingerprint)
        if code is not None:
            self.codes[code_fingerprint] = replace(code, failed_attempts=code.failed_attempts + 1)

    async def redeem_code(
        self, code_fingerprint: bytes, grant: Grant, tokens: IssuedTokens, *, now: int
    ) -> RedeemOutcome:
        code = await self.find_code(code_fingerprint, now=now)
        if code is None or code.grant_id is not None or self._is_disabled(code.subject):
            return RedeemOutcome.LOST_RACE
        self.codes[code_fingerprint] = replace(code, grant_id=grant.grant_id)
        self.grants[grant.grant_id] = grant
        self.unused = {number: unused for number, unused in self.unused.items() if unused != grant.client_id}
        self._insert(tokens)
        return RedeemOutcome.REDEEMED

    async def find_refresh(self, token_fingerprint: bytes) -> RefreshView | None:
        token = self.refresh_tokens.get(token_fingerprint)
        if token is None:
            return None
        grant = self.grants[token.grant_id]
        person = self._person(self.users.get(grant.subject))
        client = self.clients.get(grant.client_id)
        return RefreshView(token, grant, self._is_disabled(grant.subject), person, client)

    async def find_grant_of_token(self, token_fingerprint: bytes) -> Grant | None:
        token = self.access_tokens.get(token_fingerprint) or self.refresh_tokens.get(token_fingerprint)
        return None if token is None else self.grants[token.grant_id]

    async def find_access_token(self, token_fingerprint: bytes, *, now: int) -> LiveAccessToken | None:
        token = self.access_tokens.get(token_fingerprint)
        grant = None if token is None else self.grants[token.grant_id]
        if token is None or grant is None or token.expires_at <= now or grant.expires_at <= now:
            return None
        client, user = self.clients.get(grant.client_id), self.users.get(grant.subject)
        return LiveAccessToken(
            subject=grant.subject,
            client_id=grant.client_id,
            client_name=None if client is None else client.client_name,
            scopes=token.scopes,
            resource=grant.resource,
            grant_id=grant.grant_id,
            expires_at=min(token.expires_at, grant.expires_at),
            grant_revoked=grant.revoked_at is not None,
            user_disabled=self._is_disabled(grant.subject),
            display_name=None if user is None else user.username if user.display_name is None else user.display_name,
            user_issuer=None if user is None else user.profile_issuer or user.issuer,
            profile=None if user is None else user.profile.to_text(),
            person=self._person(user),
        )

    async def refresh_at_once(
        self, token_fingerprint: bytes, judge: JudgeRefresh, *, now: int, window: int
    ) -> tuple[RefreshView | None, Rotation | None]:
        found = await self.find_refresh(token_fingerprint)
        if (judged := judge(found)) is None:
            return found, None
        rotation = await self.rotate_refresh_token(
            token_fingerprint, judged.tokens, judged.sealed, now=now, window=window, stale=judged.stale
        )
        return found, rotation

    async def rotate_refresh_token(
        self,
        token_fingerprint: bytes,
        successor: IssuedTokens,
        sealed_successor: bytes,
        *,
        now: int,
        window: int,
        stale: StaleTokens = ALWAYS_THEFT,
    ) -> Rotation:
        token = self.refresh_tokens.get(token_fingerprint)
        grant = None if token is None else self.grants[token.grant_id]
        if token is None or grant is None or token.expires_at <= now or grant.expires_at <= now:
            return Rotation(RotateOutcome.DEAD)
        if grant.revoked_at is not None or self._is_disabled(grant.subject):
            return Rotation(RotateOutcome.DEAD)
        if token.spent_at is None:
            assert successor.refresh is not None
            self.refresh_tokens[token_fingerprint] = replace(
                token,
                spent_at=now,
                successor_fingerprint=successor.refresh.token_fingerprint,
                sealed_successor=sealed_successor,
            )
            self._insert(successor)
            return Rotation(RotateOutcome.ROTATED)
        next_one = self.refresh_tokens.get(token.successor_fingerprint or b"")
        if now - token.spent_at <= window and next_one is not None and next_one.spent_at is None:
            return Rotation(RotateOutcome.REPEATED, token.sealed_successor)
        chain = []
        newest: RefreshToken | None = token
        while newest is not None and newest.spent_at is not None and newest.sealed_successor is not None:
            chain.append(newest.sealed_successor)
            newest = self.refresh_tokens.get(newest.successor_fingerprint or b"")
        is_whole = newest is not None and newest.spent_at is None and len(chain) <= MOST_GENERATIONS
        if is_whole and stale.seconds and now <= token.spent_at + stale.seconds:
            self.access_tokens[successor.access.token_fingerprint] = successor.access
            self.grants[grant.grant_id] = replace(grant, expires_at=min(grant.expires_at, now + stale.grant))
            return Rotation(RotateOutcome.STALE, chain=tuple(chain))
        self._revoke(grant, reason=Reason.REFRESH_TOKEN_REUSED.value, now=now)
        return Rotation(RotateOutcome.REUSED)

    async def revoke_grant(self, grant_id: str, *, reason: str, now: int) -> bool:
        grant = self.grants.get(grant_id)
        if grant is not None:
            self._revoke(grant, reason=reason, now=now)
        return grant is not None

    async def list_apps(self, subject: str, *, now: int, limit: int) -> list[ConnectedApp]:
        apps = []
        for grant in self._live_grants(now=now):
            if grant.subject != subject:
                continue
            access = [token for token in self.access_tokens.values() if token.grant_id == grant.grant_id]
            refresh = [token for token in self.refresh_tokens.values() if token.grant_id == grant.grant_id]
            if any(token.expires_at > now for token in access) or any(
                token.expires_at > now and token.spent_at is None for token in refresh
            ):
                client = self.clients.get(grant.client_id)
                last = max([token.created_at for token in access] + [token.created_at for token in refresh])
                apps.append(ConnectedApp(grant, None if client is None else client.client_name, last))
        return sorted(apps, key=lambda app: (-app.grant.created_at, app.grant.grant_id))[:limit]

    async def take_back(self, subject: str | None, *, grant_id: str | None, reason: str, now: int) -> list[Grant]:
        own = [grant for grant in self._live_grants(now=now) if subject in {None, grant.subject}]
        ended = [grant for grant in own if grant.grant_id == grant_id or (grant_id is None and subject is not None)]
        if grant_id is None and subject is not None:
            self._forget_unspent_codes(subject)
        for grant in ended:
            self._revoke(grant, reason=reason, now=now)
        return sorted(ended, key=lambda grant: grant.grant_id)

    def _live_grants(self, *, now: int) -> list[Grant]:
        return [grant for grant in self.grants.values() if grant.revoked_at is None and grant.expires_at > now]

    def _forget_unspent_codes(self, subject: str) -> None:
        unspent = [key for key, code in self.codes.items() if code.subject == subject and code.grant_id is None]
        delete(self.codes, unspent, len(unspent))

    def _insert(self, tokens: IssuedTokens) -> None:
        self.access_tokens[tokens.access.token_fingerprint] = tokens.access
        if tokens.refresh is not None:
            self.refresh_tokens[tokens.refresh.token_fingerprint] = tokens.refresh

    def _revoke(self, grant: Grant, *, reason: str, now: int) -> None:
        if grant.revoked_at is None:
            self.grants[grant.grant_id] = replace(grant, revoked_at=now, revoked_reason=reason)

    # People and their browsers.

    async def offer_setup(self, link_fingerprint: bytes, *, now: int, unless_since: int) -> int | None:
        if self._has_accounts():
            return None
        if self.setup_link is None or not unless_since <= self.setup_link[1] <= now:
            self.setup_link = (link_fingerprint, now)
        return self.setup_link[1]

    async def setup_is_open(self, link_fingerprint: bytes) -> bool:
        return not self._has_accounts() and self.setup_link is not None and self.setup_link[0] == link_fingerprint

    async def create_first_user(self, link_fingerprint: bytes, user: User) -> bool:
        return await self.setup_is_open(link_fingerprint) and await self.add_user(user)

    async def add_user(self, user: User) -> bool:
        if user.subject in self.users or await self.find_user(user.username or "") is not None:
            return False
        self.users[user.subject] = user
        self.setup_link = None
        return True

    async def find_user(self, username: str) -> User | None:
        return next((user for user in self.users.values() if user.username == username), None)

    async def find_user_by_subject(self, subject: str) -> User | None:
        return self.users.get(subject)

    async def recognise_user(
        self,
        issuer: str,
        external_subject: str,
        *,
        display_name: str | None,
        subjects: Sequence[str],
        now: int,
        profile: Profile = NO_PROFILE,
    ) -> User:
        login = LoginKey(issuer, external_subject)
        link = self.links.get(login)
        if link is not None:
            self.links[login] = link if display_name is None else replace(link, display_name=display_name)
            self.users[link.subject] = replace(
                self.users[link.subject],
                profile=profile,
                profile_issuer=issuer,
                profile_subject=external_subject,
            )
            return self.users[link.subject]
        known = self._began_with(login)
        if known is None:
            subject = next(name for name in subjects if name not in self.users and name not in self.clients)
            known = User(subject, issuer, external_subject, now)
        known = known if display_name is None else replace(known, display_name=display_name)
        self.users[known.subject] = replace(known, profile=profile, profile_issuer=None, profile_subject=None)
        return self.users[known.subject]

    def _began_with(self, login: LoginKey) -> User | None:
        return next((user for user in self.users.values() if (user.issuer, user.external_subject) == login), None)

    async def forget_profile(self, subject: str) -> None:
        user = self.users.get(subject)
        if user is not None and user.profile_issuer is not None:
            self.users[subject] = replace(user, profile=NO_PROFILE, profile_issuer=None, profile_subject=None)

    async def link_login(self, login: LinkedLogin) -> LinkOutcome:
        person = self.users.get(login.subject)
        if person is None or person.disabled_at is not None:
            return LinkOutcome.NO_PERSON
        link = self.links.get(login.key)
        owner = link or self._began_with(login.key)
        if owner is not None and owner.subject != person.subject:
            return LinkOutcome.OF_ANOTHER
        if owner is not None:
            if link is not None and login.display_name is not None:
                self.links[login.key] = replace(link, display_name=login.display_name)
            return LinkOutcome.OWN
        if login.issuer in [one.issuer for one in await self.list_logins(login.subject)]:
            return LinkOutcome.ONE_THERE
        self.links[login.key] = login
        return LinkOutcome.LINKED

    async def list_logins(self, subject: str) -> list[LinkedLogin]:
        user = self.users.get(subject)
        if user is None:
            return []
        name = user.username or user.display_name
        first = LinkedLogin(user.issuer, user.external_subject, subject, user.created_at, name)
        linked = [link for link in self.links.values() if link.subject == subject]
        return [first, *sorted(linked, key=lambda link: (link.linked_at, *link.key))]

    async def unlink_login(self, subject: str, login: LoginKey, *, keeps: Collection[LoginKey]) -> UnlinkOutcome:
        own = await self.list_logins(subject)
        if login not in [one.key for one in own] or login.issuer == "local":
            return UnlinkOutcome.UNKNOWN
        left = [one for key in keeps for one in own if one.key == key != login]
        if not left:
            return UnlinkOutcome.LAST
        user = self.users[subject]
        said_by = user.profile_issuer or user.issuer
        is_first = own[0].key == login
        if is_first:
            issuer, external_subject = left[0].key
            del self.links[left[0].key]
            name = user.display_name if left[0].display_name is None else left[0].display_name
            user = replace(user, issuer=issuer, external_subject=external_subject, display_name=name)
            if said_by == issuer:
                user = replace(user, profile_issuer=None, profile_subject=None)
            else:
                user = replace(user, profile_issuer=said_by)
        else:
            del self.links[login]
        if said_by == login.issuer:
            user = replace(user, profile=NO_PROFILE, profile_issuer=None, profile_subject=None)
        self.users[subject] = user
        began = [login, (None, None)] if is_first else [login]
        ended = [
            key
            for key, session in self.browser_sessions.items()
            if session.subject == subject and (session.issuer, session.external_subject) in began
        ]
        delete(self.browser_sessions, ended, len(ended))
        return UnlinkOutcome.UNLINKED

    async def list_users(self) -> list[User]:
        local = [user for user in self.users.values() if user.username is not None]
        others = [user for user in self.users.values() if user.username is None]
        return [
            *sorted(local, key=lambda user: user.username or ""),
            *sorted(others, key=lambda user: (user.issuer, user.name, user.subject)),
        ]

    async def disable_user(self, subject: str, *, now: int) -> bool:
        user = self.users.get(subject)
        if user is None:
            return False
        if user.disabled_at is None:
            self.users[subject] = replace(user, disabled_at=now)
        self._end_sessions(user)
        self._forget_unspent_codes(user.subject)
        for grant in [grant for grant in self.grants.values() if grant.subject == user.subject]:
            self._revoke(grant, reason=Reason.USER_DISABLED.value, now=now)
        return True

    async def give_role(self, subject: str, role: str) -> bool:
        user = self.users.get(subject)
        return user is not None and self._change(user, roles=tuple(sorted({*user.roles, role}))) is not None

    async def take_role(self, subject: str, role: str) -> bool:
        user = self.users.get(subject)
        return user is not None and self._change(user, roles=tuple(sorted({*user.roles} - {role}))) is not None

    async def enable_user(self, subject: str) -> bool:
        return self._change(self.users.get(subject), disabled_at=None) is not None

    async def rehash_password(self, subject: str, password_hash: str, *, replaces: str) -> bool:
        known = self.users.get(subject)
        if known is None or known.password_hash != replaces:
            return False
        return self._change(known, password_hash=password_hash) is not None

    async def change_password(self, username: str, password_hash: str, *, of: User | None = None) -> bool:
        known = await self.find_user(username)
        if known is None or (of is not None and of.password_hash != known.password_hash):
            return False
        user = self._change(known, password_hash=password_hash)
        if user is not None:
            self._end_sessions(user)
        return user is not None

    async def start_session(
        self, session: BrowserSession, *, replaces: bytes | None = None, of: User | None = None
    ) -> bool:
        if of is not None:
            key = LoginKey(session.issuer or of.issuer, session.external_subject or of.external_subject)
            link = self.links.get(key)
            now = self._began_with(key) or (None if link is None else self.users.get(link.subject))
            if now is None or now.subject != of.subject or now.password_hash != of.password_hash or now.disabled_at:
                return False
        if replaces is not None and self.browser_sessions.pop(replaces, None) is None:
            return False
        self.browser_sessions[session.session_fingerprint] = session
        return True

    async def find_session(self, session_fingerprint: bytes, *, now: int) -> SessionView | None:
        session = self.browser_sessions.get(session_fingerprint)
        if session is None or session.expires_at <= now:
            return None
        return SessionView(session, self.users.get(session.subject or ""))

    async def end_session(self, session_fingerprint: bytes) -> None:
        self.browser_sessions.pop(session_fingerprint, None)

    async def note_use(self, session_fingerprint: bytes, *, now: int) -> None:
        session = self.browser_sessions.get(session_fingerprint)
        if session is not None and now > (session.last_used_at or session.created_at):
            self.browser_sessions[session_fingerprint] = replace(session, last_used_at=now)

    async def list_sessions(self, subject: str, *, now: int, limit: int) -> list[BrowserSession]:
        own = [one for one in self.browser_sessions.values() if one.subject == subject and one.expires_at > now]
        return sorted(own, key=lambda one: (-one.created_at, one.session_fingerprint))[:limit]

    async def end_sessions(self, subject: str, *, only: bytes | None = None, but: bytes | None = None) -> int:
        own = [key for key, session in self.browser_sessions.items() if session.subject == subject]
        ended = [key for key in own if only in {None, key} and key != but]
        return delete(self.browser_sessions, ended, len(ended))

    async def begin_login(self, login: PendingLogin) -> None:
        self.logins[login.state_fingerprint] = login

    async def take_login(
        self, state_fingerprint: bytes, *, browser_id: str, place: str, now: int
    ) -> PendingLogin | None:
        login = self.logins.get(state_fingerprint)
        if login is None or (login.browser_id, login.place) != (browser_id, place) or login.expires_at <= now:
            return None
        return self.logins.pop(state_fingerprint)

    def _has_accounts(self) -> bool:
        return any(user.issuer == "local" for user in self.users.values())

    def _person(self, user: User | None) -> Person | None:
        if user is None:
            return None
        known = user.issuer, user.external_subject, user.username, user.display_name
        said = user.profile.to_text(), user.roles, user.profile_issuer, user.profile_subject
        return Person(*known, *said)

    def _is_disabled(self, subject: str) -> bool:
        user = self.users.get(subject)
        return user is not None and user.disabled_at is not None

    def _change(self, user: User | None, **changes: Any) -> User | None:
        if user is not None:
            self.users[user.subject] = replace(user, **changes)
        return user

    def _end_sessions(self, user: User) -> None:
        ended = [key for key, session in self.browser_sessions.items() if session.subject == user.subject]
        delete(self.browser_sessions, ended, len(ended))

    # Keys and the audit trail.

    async def sealing_key_id(self) -> str | None:
        return self.noted_key

    async def note_sealing_key(self, key_id: str, *, replaces: str | None) -> str:
        if self.noted_key in {None, replaces}:
            self.noted_key = key_id
        return self.noted_key or key_id

    async def signing_keys(self, *, now: int) -> list[SealedSigningKey]:
        live = (key for key in self.keys.values() if key.ends_at is None or key.ends_at > now)
        return sorted(live, key=lambda key: (key.signs_from, key.ends_at is None, key.key_id))

    async def begin_signing(self, key: SealedSigningKey, *, now: int) -> bool:
        if await self.signing_keys(now=now):
            return False
        self.keys[key.key_id] = key
        return True

    async def rotate_signing_key(self, key: SealedSigningKey, *, others_end_at: int) -> None:
        for other in self.keys.values():
            if other.ends_at is None:
                self.keys[other.key_id] = replace(other, ends_at=others_end_at)
        self.keys[key.key_id] = key

    async def retire_signing_key(self, key_id: str, *, now: int, even_last: bool = False) -> KeyRetirement:
        live = [key for key in self.keys.values() if key.ends_at is None or key.ends_at > now]
        others = [key for key in live if key.key_id != key_id]
        if len(others) == len(live):
            return KeyRetirement.UNKNOWN
        if not even_last and not [key for key in others if key.ends_at is None and key.signs_from <= now]:
            return KeyRetirement.ALONE
        self.keys[key_id] = replace(self.keys[key_id], ends_at=now)
        return KeyRetirement.RETIRED

    async def reseal_signing_key(self, key_id: str, sealed_secret: bytes) -> None:
        key = self.keys.get(key_id)
        if key is not None:
            self.keys[key_id] = replace(key, sealed_secret=sealed_secret)

    async def append_events(self, records: Sequence[AuditRecord]) -> None:
        self.events |= {record.event_id: record for record in records}

    async def list_events(self, query: AuditQuery, *, before: str | None, limit: int) -> list[AuditRecord]:
        newest_first = sorted(self.events.values(), key=lambda record: record.event_id, reverse=True)
        matching = (one for one in newest_first if asked_for(query, one) and (before is None or one.event_id < before))
        return list(islice(matching, limit))

    async def delete_events(self, *, before: int, limit: int) -> int:
        return delete(self.events, [key for key, record in self.events.items() if record.at <= before], limit)


@dataclass
class Stream:
    events: list[StreamEvent] = field(default_factory=list)
    is_finished: bool = False
    connection: str | None = None


@dataclass
class ClientRequest:
    expires_at: int
    response: bytes | None = None


@dataclass
class Session:
    """An MCP session with all that is its own."""

    record: McpSession
    subscriptions: dict[str, str] = field(default_factory=dict)
    streams: defaultdict[str, Stream] = field(default_factory=lambda: defaultdict(Stream))
    client_requests: dict[str, ClientRequest] = field(default_factory=dict)
    cancellations: dict[str, int] = field(default_factory=dict)


class LiveState:
    def __init__(self) -> None:
        self.sessions: dict[bytes, Session] = {}
        self.topics: dict[str, dict[str, tuple[LoggedChange, int]]] = {}  # in the order of their numbers
        self.limits: dict[str, int] = {}
        self.leases: dict[str, tuple[str, int]] = {}

    # MCP sessions.

    async def start_session(self, session: McpSession, *, most: int, makes_room: bool) -> list[bytes] | None:
        records = [one.record for one in self.sessions.values()]
        live = [one for one in records if one.owner == session.owner and one.expires_at > session.created_at]
        excess = max(0, len(live) + 1 - most)
        if excess and not makes_room:
            return None
        live.sort(key=lambda one: (one.expires_at, one.created_at))
        ended = [one.session_fingerprint for one in live[:excess]]
        delete(self.sessions, ended, excess)
        self.sessions[session.session_fingerprint] = Session(session)
        return ended

    async def find_session(self, session_fingerprint: bytes, *, owner: str, now: int) -> McpSession | None:
        session = self.sessions.get(session_fingerprint)
        if session is None or session.record.owner != owner or session.record.expires_at <= now:
            return None
        return session.record

    async def prolong_session(self, session_fingerprint: bytes, *, expires_at: int) -> None:
        session = self.sessions.get(session_fingerprint)
        if session is not None and session.record.expires_at < expires_at:
            session.record = replace(session.record, expires_at=expires_at)

    async def end_session(self, session_fingerprint: bytes, *, owner: str) -> bool:
        session = self.sessions.get(session_fingerprint)
        if session is None or session.record.owner != owner:
            return False
        del self.sessions[session_fingerprint]
        return True

    async def set_log_level(self, session_fingerprint: bytes, level: str) -> None:
        session = self.sessions.get(session_fingerprint)
        if session is not None:
            session.record = replace(session.record, log_level=level)

    async def subscribe(self, session_fingerprint: bytes, uri: str, *, as_sent: str, limit: int) -> bool:
        session = self.sessions.get(session_fingerprint)
        if session is None or (uri not in session.subscriptions and len(session.subscriptions) >= limit):
            return False
        session.subscriptions.setdefault(uri, as_sent)
        return True

    async def unsubscribe(self, session_fingerprint: bytes, uri: str) -> None:
        if session_fingerprint in self.sessions:
            self.sessions[session_fingerprint].subscriptions.pop(uri, None)

    async def subscribed_as(self, session_fingerprint: bytes, uri: str) -> str | None:
        session = self.sessions.get(session_fingerprint)
        return None if session is None else session.subscriptions.get(uri)

    async def delete_sessions(self, *, before: int, limit: int) -> int:
        over = [key for key, session in self.sessions.items() if session.record.expires_at <= before]
        return delete(self.sessions, over, limit)

    # Their streams.

    async def append_event(
        self,
        session_fingerprint: bytes,
        stream_id: str,
        message: bytes,
        *,
        connection: str | None = None,
        most: int | None = None,
    ) -> int:
        session = self.sessions.get(session_fingerprint)
        if session is None or self._is_detached(session, stream_id, connection):
            return 0
        events = session.streams[stream_id].events
        number = events[-1].number + 1 if events else 1
        events.append(StreamEvent(number, message))
        if most is not None:
            del events[:-most]
        return number

    async def finish_stream(self, session_fingerprint: bytes, stream_id: str) -> None:
        if session_fingerprint in self.sessions:
            self.sessions[session_fingerprint].streams[stream_id].is_finished = True

    async def forget_stream(self, session_fingerprint: bytes, stream_id: str) -> None:
        if session_fingerprint in self.sessions:
            self.sessions[session_fingerprint].streams.pop(stream_id, None)

    async def events_after(
        self, session_fingerprint: bytes, stream_id: str, number: int, *, limit: int, connection: str | None = None
    ) -> tuple[list[StreamEvent], bool]:
        session = self.sessions.get(session_fingerprint)
        if session is None or self._is_detached(session, stream_id, connection):
            return [], connection is not None
        stream = session.streams[stream_id]
        behind = [event for event in stream.events if event.number > number]
        return behind[:limit], stream.is_finished and len(behind) <= limit

    async def attach_stream(self, session_fingerprint: bytes, stream_id: str, connection: str) -> bool:
        session = self.sessions.get(session_fingerprint)
        if session is not None:
            session.streams[stream_id].connection = connection
        return session is not None

    async def attached_streams(self, session_fingerprints: Sequence[bytes]) -> set[tuple[bytes, str]]:
        return {
            (key, stream_id)
            for key in session_fingerprints
            if key in self.sessions
            for stream_id, stream in self.sessions[key].streams.items()
            if stream.connection is not None
        }

    def _is_detached(self, session: Session, stream_id: str, connection: str | None) -> bool:
        return connection is not None and session.streams[stream_id].connection != connection

    # Client requests and cancellations.

    async def open(self, session_fingerprint: bytes, request_id: str, *, expires_at: int) -> None:
        if session_fingerprint in self.sessions:
            self.sessions[session_fingerprint].client_requests[request_id] = ClientRequest(expires_at)

    async def respond(self, session_fingerprint: bytes, request_id: str, message: bytes, *, now: int) -> bool:
        request = self._client_request(session_fingerprint, request_id)
        if request is None or request.response is not None or request.expires_at <= now:
            return False
        request.response = message
        return True

    async def find_response(self, session_fingerprint: bytes, request_id: str) -> bytes | None:
        request = self._client_request(session_fingerprint, request_id)
        return None if request is None else request.response

    async def withdraw(self, session_fingerprint: bytes, request_id: str) -> None:
        if session_fingerprint in self.sessions:
            self.sessions[session_fingerprint].client_requests.pop(request_id, None)

    def _client_request(self, session_fingerprint: bytes, request_id: str) -> ClientRequest | None:
        session = self.sessions.get(session_fingerprint)
        return None if session is None else session.client_requests.get(request_id)

    async def cancel_request(
        self, session_fingerprint: bytes, request_id: str, *, now: int, expires_at: int, most: int
    ) -> None:
        session = self.sessions.get(session_fingerprint)
        if session is None:
            return
        session.cancellations = {key: end for key, end in session.cancellations.items() if end > now}
        if len(session.cancellations) < most:
            session.cancellations[request_id] = expires_at

    async def cancelled_requests(
        self, session_fingerprints: Sequence[bytes], *, now: int
    ) -> dict[bytes, frozenset[str]]:
        return {
            key: frozenset(request_id for request_id, end in self.sessions[key].cancellations.items() if end > now)
            for key in session_fingerprints
            if key in self.sessions and self.sessions[key].record.expires_at > now
        }

    # What processes agree on.

    async def append_changes(self, topic: str, changes: Sequence[str], *, origin: str, now: int) -> None:
        logged = self.topics.setdefault(topic, {})
        for number, change in enumerate(changes, start=self._last_change(topic) + 1):
            logged.pop(change, None)
            logged[change] = (LoggedChange(number, change, origin), now)

    async def changes_after(self, topic: str, number: int, *, limit: int) -> list[LoggedChange]:
        logged = self.topics.get(topic, {}).values()
        return [change for change, _ in logged if change.number > number][:limit]

    async def last_changes(self, topics: Sequence[str]) -> dict[str, int]:
        return {topic: self._last_change(topic) for topic in topics}

    def _last_change(self, topic: str) -> int:
        return max((change.number for change, _ in self.topics.get(topic, {}).values()), default=0)

    async def delete_changes(self, *, before: int, limit: int) -> int:
        over = [
            (topic, change)
            for topic, logged in self.topics.items()
            for change, (_, appended_at) in tuple(logged.items())[:-1]
            if appended_at <= before
        ][:limit]
        for topic, change in over:
            del self.topics[topic][change]
        return len(over)

    async def take(self, uses: Sequence[Use], *, now: int) -> int:
        taken = {use.key: take(self.limits.get(use.key), use, now=now) for use in uses}
        wait = max((one.wait for one in taken.values()), default=0)
        if wait == 0:
            self.limits |= {key: one.spent_until for key, one in taken.items()}
        return wait

    async def delete_limits(self, *, before: int, limit: int) -> int:
        over = [key for key, spent_until in self.limits.items() if spent_until <= before * MICROSECONDS]
        return delete(self.limits, over, limit)

    async def take_lease(self, name: str, *, holder: str, now: int, until: int) -> bool:
        held_by, ends_at = self.leases.get(name, (holder, until))
        if held_by != holder and now < ends_at <= until + (until - now):
            return False
        self.leases[name] = (holder, until)
        return True

    async def return_lease(self, name: str, *, holder: str) -> None:
        if self.leases.get(name, ("", 0))[0] == holder:
            del self.leases[name]


def asked_for(query: AuditQuery, record: AuditRecord) -> bool:
    wanted = (
        (query.event, record.event),
        (query.outcome, record.outcome),
        (query.subject, record.subject),
        (query.client_id, record.client_id),
    )
    return record.at >= query.since and all(want is None or want == has for want, has in wanted)

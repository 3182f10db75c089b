"""Whatever is done to them, a model and a whole server agree on which tokens are alive.

The machine authorizes, redeems, refreshes, replays, revokes and disables, lets time pass, purges, and restarts the
server on its SQLite file. After each step every access token ever issued is tried at its MCP endpoint; in the end every
token is tried everywhere.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from gatepost.oauth.policy import Lifetimes
from gatepost.oauth.records import ClientOrigin
from gatepost.stores.conformance.records import client
from gatepost.stores.contract.users import LOCAL
from gatepost.stores.contract.users import User as Account
from gatepost.tokens.opaque import fingerprint
from tests.attacks.tokens.restartable_server import (
    MAIL,
    MONITOR_ID,
    MONITOR_SECRET,
    NOTES,
    REDIRECT_URI,
    SCOPES,
    RestartableServer,
)
from tests.attacks.tokens.token_model import App, Attempt, Code, Model, Pair, User, Verdict

T = TypeVar("T")

START = 1_800_000_000
DAY = 24 * 3600
# So that a grant's absolute end can be reached by a few refreshes.
LIFETIMES = Lifetimes(refresh_token=200 * DAY)
CACHE_SECONDS = 5
"""For how long an MCP endpoint may go by what it found out before: what an operator does elsewhere counts after it."""

users = st.sampled_from((0, 1))
apps = st.sampled_from((0, 1, 2))
jumps = st.sampled_from((1, 10, 60, 121, 599, 3599, 3600, DAY, 3 * DAY, 150 * DAY, 200 * DAY))
scope_choices = st.sampled_from(("read write", "read", ""))
wrong_codes = st.sampled_from(
    (
        Attempt.WITH_WRONG_VERIFIER,
        Attempt.WITH_WRONG_REDIRECT_URI,
        Attempt.FOR_OTHER_RESOURCE,
        Attempt.BY_OTHER_CLIENT,
    )
)
wrong_refreshes = st.sampled_from((Attempt.FOR_OTHER_RESOURCE, Attempt.FOR_MORE_SCOPES, Attempt.BY_OTHER_CLIENT))


class TokenLives(RuleBasedStateMachine):
    """Does to a server what its users, clients, thieves and operators do."""

    ACCESS_TOKEN_FORMAT = "opaque"

    codes: Bundle[Code] = Bundle("codes")
    pairs: Bundle[Pair] = Bundle("pairs")

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.model = Model(LIFETIMES)
        self.users = (User("ada"), User("bob"))
        self.apps = (
            App("client_a", LIFETIMES.refresh_reuse),
            App("client_b", refresh_reuse=0),
            App("client_c", refresh_reuse=3600),
        )
        self.loop = asyncio.new_event_loop()
        self.directory = tempfile.TemporaryDirectory()
        self.server = RestartableServer(
            Path(self.directory.name),
            now=lambda: self.now,
            OAUTH_REFRESH_TOKEN_TTL=str(LIFETIMES.refresh_token),
            OAUTH_ACCESS_TOKEN_FORMAT=self.ACCESS_TOKEN_FORMAT,
        )
        self.wait_for(self.server.start())
        self.wait_for(self.register())

    def wait_for(self, work: Awaitable[T]) -> T:
        """Run the server until this is done."""
        return self.loop.run_until_complete(work)

    async def register(self) -> None:
        """Add the accounts, the clients, and the resource server that asks about all tokens."""
        store = self.server.store
        for user in self.users:
            await store.users.add_user(Account(user.subject, LOCAL, user.subject, self.now, username=user.name))
        public = client(
            redirect_uris=(REDIRECT_URI,),
            token_endpoint_auth_method="none",
            application_type="web",
            scope="read write",
            secret_fingerprint=None,
            origin=ClientOrigin.PREREGISTERED,
        )
        for app in self.apps:
            own = None if app.refresh_reuse == LIFETIMES.refresh_reuse else app.refresh_reuse
            await store.clients.register_client(replace(public, client_id=app.client_id, refresh_reuse=own))
        monitor = replace(
            public,
            client_id=MONITOR_ID,
            token_endpoint_auth_method="client_secret_post",
            secret_fingerprint=fingerprint(MONITOR_SECRET),
        )
        await store.clients.register_client(monitor)

    def teardown(self) -> None:
        """Try every token everywhere, and clean up."""
        try:
            self.try_everything()
        finally:
            self.server.close(self.loop)
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()
            self.directory.cleanup()

    @rule(
        target=codes,
        user=users,
        app=apps,
        resource=st.sampled_from((NOTES, MAIL)),
        scope=scope_choices,
        seconds=st.sampled_from((0, 0, 0, LIFETIMES.transaction - 1, LIFETIMES.transaction)),
    )
    def authorize(self, user: int, app: int, resource: str, scope: str, seconds: int) -> Any:
        who, by = self.users[user], self.apps[app]

        def pause() -> None:
            self.now += seconds

        pauses = pause if seconds else None
        text = self.wait_for(
            self.server.authorize(by.client_id, username=who.name, resource=resource, scope=scope, pause=pauses)
        )
        if who.is_disabled or by.is_disabled or seconds >= LIFETIMES.transaction:
            assert text is None
            return multiple()
        assert text is not None
        code = Code(
            text, who, by, resource, frozenset(scope.split()) or SCOPES, self.now + LIFETIMES.authorization_code
        )
        self.model.codes.append(code)
        return code

    @rule(target=pairs, code=codes)
    def redeem(self, code: Code) -> Any:
        return self.present_code(code, Attempt.RIGHTLY)

    @rule(code=codes, attempt=wrong_codes, times=st.sampled_from((1, 1, 5)))
    def redeem_wrongly(self, code: Code, attempt: Attempt, times: int) -> None:
        for _ in range(times):
            self.present_code(code, attempt)

    @rule(
        target=pairs,
        user=users,
        app=apps,
        resource=st.sampled_from((NOTES, MAIL)),
        scope=scope_choices,
        seconds=st.sampled_from((0, 599, 600)),
    )
    def authorize_and_redeem(self, user: int, app: int, resource: str, scope: str, seconds: int) -> Any:
        """Do the two in a row, so that short sequences reach the states that matter."""
        code = self.authorize(user, app, resource, scope, 0)
        if not isinstance(code, Code):
            return code
        self.now += seconds
        return self.present_code(code, Attempt.RIGHTLY)

    @rule(target=pairs, pair=pairs, scope=st.sampled_from((None, None, "read")))
    def refresh(self, pair: Pair, scope: str | None) -> Any:
        return self.present_refresh_token(pair, Attempt.RIGHTLY, scope=scope)

    @rule(target=pairs, pair=pairs, seconds=st.sampled_from((0, 120, 121, 3600, 3601, DAY, DAY + 1)))
    def refresh_twice(self, pair: Pair, seconds: int) -> Any:
        first = self.present_refresh_token(pair, Attempt.RIGHTLY)
        self.now += seconds
        self.present_refresh_token(pair, Attempt.RIGHTLY)
        return first

    @rule(target=pairs, pair=pairs, uses_the_old_one=st.booleans())
    def refresh_and_use_the_successor(self, pair: Pair, *, uses_the_old_one: bool) -> Any:
        first = self.present_refresh_token(pair, Attempt.RIGHTLY)
        if not isinstance(first, Pair):
            return first
        second = self.present_refresh_token(first, Attempt.RIGHTLY)
        if uses_the_old_one:
            self.present_refresh_token(pair, Attempt.RIGHTLY)
        return second

    @rule(pair=pairs, attempt=wrong_refreshes)
    def refresh_wrongly(self, pair: Pair, attempt: Attempt) -> None:
        self.present_refresh_token(pair, attempt)

    @rule(code=consumes(codes))
    def replay_the_code(self, code: Code) -> None:
        self.present_code(code, Attempt.RIGHTLY)
        self.present_code(code, Attempt.RIGHTLY)

    @rule(pair=pairs, app=st.none() | st.none() | apps, which=st.sampled_from(("access_token", "refresh_token")))
    def give_back(self, pair: Pair, app: int | None, which: str) -> None:
        by = pair.grant.app if app is None else self.apps[app]
        token: str = getattr(pair, which)
        was_alive = self.model.is_alive(pair, now=self.now)
        response = self.wait_for(self.server.revoke(by.client_id, token))
        self.model.give_back(pair, token, by=by)
        if by.is_disabled:
            assert response.status_code == 401
        elif by is pair.grant.app:
            assert response.status_code == 200
        else:
            # Of a token that is over nothing may be known any more.
            assert response.status_code == 400 or not was_alive

    @rule(user=users)
    def disable_user(self, user: int) -> None:
        who = self.users[user]
        store = self.server.store
        assert self.wait_for(store.users.disable_user(who.subject, now=self.now))
        self.model.disable(who)
        self.try_introspection()
        self.now += CACHE_SECONDS

    @rule(user=users)
    def enable_user(self, user: int) -> None:
        who = self.users[user]
        assert self.wait_for(self.server.store.users.enable_user(who.subject))
        who.is_disabled = False

    # The first client stays, so that something is left to do.
    @rule(app=st.sampled_from((1, 2)))
    def disable_client(self, app: int) -> None:
        store = self.server.store
        assert self.wait_for(store.clients.disable_client(self.apps[app].client_id, now=self.now))
        self.model.disable(self.apps[app])
        self.try_introspection()
        self.now += CACHE_SECONDS

    @rule(seconds=jumps)
    def let_time_pass(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def purge(self) -> None:
        self.wait_for(self.server.purge())
        self.model.purge(now=self.now)

    @rule()
    def restart(self) -> None:
        self.wait_for(self.server.stop())
        self.wait_for(self.server.start())

    @invariant()
    def endpoints_agree(self) -> None:
        for pair in self.model.pairs:
            self.wait_for(self.try_at_endpoint(pair, pair.grant.resource))

    def present_code(self, code: Code, attempt: Attempt) -> Any:
        by = self.other_than(code.app) if attempt is Attempt.BY_OTHER_CLIENT else code.app
        changes = {
            Attempt.WITH_WRONG_VERIFIER: {"code_verifier": "w" * 43},
            Attempt.WITH_WRONG_REDIRECT_URI: {"redirect_uri": "https://evil.example/"},
            Attempt.FOR_OTHER_RESOURCE: {"resource": other_resource(code.resource)},
        }.get(attempt, {})
        verdict = self.model.redeem(code, attempt, by=by, now=self.now)
        response = self.wait_for(self.server.redeem(by.client_id, code.text, **changes))
        if verdict is not Verdict.NEW:
            assert_refused(verdict, response.status_code, response.json())
            return multiple()
        assert code.grant is not None
        return self.issued(code.grant, response, scopes=code.scopes)

    def present_refresh_token(self, pair: Pair, attempt: Attempt, *, scope: str | None = None) -> Any:
        grant = pair.grant
        by = self.other_than(grant.app) if attempt is Attempt.BY_OTHER_CLIENT else grant.app
        scopes = grant.scopes if scope is None else frozenset(scope.split())
        if not scopes <= grant.scopes:
            attempt = Attempt.FOR_MORE_SCOPES
        changes = {} if scope is None else {"scope": scope}
        if attempt is Attempt.FOR_OTHER_RESOURCE:
            changes = {"resource": other_resource(grant.resource)}
        elif attempt is Attempt.FOR_MORE_SCOPES:
            changes = {"scope": "read write more"}
        verdict = self.model.refresh(pair, attempt, by=by, now=self.now)
        response = self.wait_for(self.server.refresh(by.client_id, pair.refresh_token, **changes))
        if verdict is Verdict.NEW:
            return self.issued(grant, response, scopes=scopes)
        if verdict is Verdict.AGAIN:
            answer, successor = response.json(), pair.successor
            assert successor is not None
            assert (answer["access_token"], answer["refresh_token"], frozenset(answer["scope"].split())) == (
                successor.access_token,
                successor.refresh_token,
                successor.scopes,
            )
        elif verdict is Verdict.NEWEST:
            return self.issued(grant, response, scopes=scopes, owner=grant.pairs[-1])
        else:
            assert_refused(verdict, response.status_code, response.json())
        return multiple()

    def issued(self, grant: Any, response: Any, *, scopes: frozenset[str], owner: Pair | None = None) -> Pair:
        assert response.status_code == 200, response.text
        answer = response.json()
        assert frozenset(answer["scope"].split()) == scopes
        known = {token for pair in grant.pairs for token in (pair.access_token, pair.refresh_token)}
        pair = Pair(grant, answer["access_token"], answer["refresh_token"], scopes, self.now, owner=owner)
        assert known & {pair.access_token, pair.refresh_token} == ({owner.refresh_token} if owner else set())
        (grant.pairs if owner is None else grant.late_pairs).append(pair)
        assert answer["expires_in"] == min(LIFETIMES.access_token, grant.ends - self.now)
        return pair

    def other_than(self, app: App) -> App:
        return next(other for other in self.apps if other is not app)

    async def try_at_endpoint(self, pair: Pair, resource: str, tool: str = "whoami") -> None:
        status, subject = await self.server.call(resource, pair.access_token, tool)
        if resource != pair.grant.resource or not self.model.is_alive(pair, now=self.now):
            assert (status, subject) == (401, None)
        elif {"whoami": "read", "write": "write"}[tool] not in pair.scopes:
            assert (status, subject) == (403, None)
        else:
            assert (status, subject) == (200, pair.grant.user.subject)

    def try_introspection(self) -> None:
        """Ask the authorization server about every access token."""
        for pair in self.model.pairs:
            expected: dict[str, Any] = {"active": False}
            if self.model.is_alive(pair, now=self.now):
                ends = min(pair.created_at + LIFETIMES.access_token, pair.grant.ends)
                expected = {
                    "active": True,
                    "client_id": pair.grant.app.client_id,
                    "sub": pair.grant.user.subject,
                    "aud": pair.grant.resource,
                    "exp": ends,
                }
            answer = self.wait_for(self.server.introspect(pair.access_token))
            assert {**answer, **expected} == answer
            assert frozenset(answer.get("scope", "").split()) == (pair.scopes if answer["active"] else frozenset())

    def try_everything(self) -> None:
        """Try every token everywhere; last of all every code and refresh token is used once more."""
        self.try_introspection()
        calls: list[Callable[[Pair], Awaitable[None]]] = [
            lambda pair: self.try_at_endpoint(pair, other_resource(pair.grant.resource)),
            lambda pair: self.try_at_endpoint(pair, pair.grant.resource, "write"),
        ]
        for pair in self.model.pairs:
            for call in calls:
                self.wait_for(call(pair))
            assert self.wait_for(self.server.introspect(pair.refresh_token)) == {"active": False}
            assert self.wait_for(self.server.call(pair.grant.resource, pair.refresh_token)) == (401, None)
        for pair in reversed(self.model.pairs):
            self.present_refresh_token(pair, Attempt.RIGHTLY)
        for code in self.model.codes:
            self.present_code(code, Attempt.RIGHTLY)
        self.endpoints_agree()
        self.try_introspection()


def other_resource(resource: str) -> str:
    return NOTES if resource == MAIL else MAIL


def assert_refused(verdict: Verdict, status: int, answer: dict[str, Any]) -> None:
    if verdict is Verdict.CLIENT_REFUSED:
        assert (status, answer["error"]) == (401, "invalid_client")
    else:
        assert status == 400
        assert answer["error"] in {"invalid_grant", "invalid_scope", "invalid_target"}


class SignedTokenLives(TokenLives):
    """The same where access tokens are signed."""

    ACCESS_TOKEN_FORMAT = "jwt"


TestTokenLives = TokenLives.TestCase
TestTokenLives.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestSignedTokenLives = SignedTokenLives.TestCase
TestSignedTokenLives.settings = settings(TestTokenLives.settings, max_examples=6)

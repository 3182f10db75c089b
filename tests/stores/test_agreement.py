"""Whatever is done to users, codes, grants and tokens, SQL answers as the model does."""

from __future__ import annotations

from functools import partial
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from gatepost.oauth.limits import Rate, RegistrationBudget
from gatepost.oauth.policy import ALWAYS_THEFT, StaleTokens
from gatepost.oauth.records import IssuedTokens
from gatepost.resource.profile import Profile
from gatepost.stores.conformance.records import WINDOW, client, code, fp, grant, session, tokens, transaction, user
from gatepost.stores.contract.grants import RedeemOutcome, RotateOutcome, Successor
from gatepost.stores.contract.linked_logins import LinkedLogin, LoginKey
from gatepost.stores.contract.logins import PendingLogin
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.transactions import ApproveOutcome
from gatepost.stores.contract.users import User
from tests.stores.both_stores import BothStores, text

SUBJECTS = ("user-0", "user-1")
USERNAMES = ("ada", "bob")
subjects = st.sampled_from((*SUBJECTS, "not-a-local-account"))
usernames = st.sampled_from(USERNAMES)
profiles = st.builds(Profile, st.none() | text, groups=st.tuples(text), claims=st.dictionaries(text, st.integers()))
issuers = st.sampled_from(("operator", "https://idp.example", "local"))
logins = st.builds(LoginKey, issuers, usernames)
# Which of the records made so far is meant; beyond the last one it is an unknown one.
picks = st.integers(0, 2)
reuses = st.sampled_from((ALWAYS_THEFT, StaleTokens(WINDOW * 2, 1_000), StaleTokens(100_000, 50)))


class StoresAgree(BothStores):
    """Does everything to both stores, with random records, choices and jumps of the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.transactions = self.codes = self.grants = self.tokens = self.sessions = self.clients = 0
        self.people = self.logins = 0

    @rule(name=text, uris=st.lists(text, max_size=2), scope=st.none() | text)
    def register_client(self, name: str, uris: list[str], scope: str | None) -> None:
        registered = client(f"client-{self.clients}", client_name=name, redirect_uris=tuple(uris), scope=scope)
        self.clients += 1
        self.both(lambda store: store.clients.register_client(registered))

    @rule(uses=st.integers(1, 3), most=st.integers(1, 3))
    def register_within(self, uses: int, most: int) -> None:
        registered = client(f"client-{self.clients}", created_at=self.now)
        budget = RegistrationBudget(Rate(uses, 600), most, spared_seconds=WINDOW)
        if not self.both(lambda store: store.clients.register_client(registered, budget=budget)):
            self.clients += 1

    @rule(client_state=st.none() | text, was_sent=st.booleans())
    def begin_transaction(self, client_state: str | None, *, was_sent: bool) -> None:
        begun = transaction(
            f"transaction-{self.transactions}",
            client_id=f"client-{self.transactions % 3}",
            client_state=client_state,
            redirect_uri_was_sent=was_sent,
            expires_at=self.now + 1800,
        )
        self.transactions += 1
        self.both(lambda store: store.transactions.begin_transaction(begun))

    @rule(pick=picks, subject=subjects)
    def approve(self, pick: int, subject: str) -> None:
        approved = code(
            f"code-{self.codes}",
            f"transaction-{self.latest(self.transactions, pick)}",
            subject=subject,
            expires_at=self.now + 600,
        )
        outcome = self.both(lambda store: store.transactions.approve_transaction(approved, now=self.now))
        if outcome is ApproveOutcome.APPROVED:
            self.codes += 1

    @rule(pick=picks, subject=subjects)
    def approve_at_once(self, pick: int, subject: str) -> None:
        asked = transaction(f"transaction-{self.transactions}", client_id=f"client-{pick}", expires_at=self.now + 1800)
        self.transactions += 1
        approved = code(
            f"code-{self.codes}",
            asked.transaction_id,
            client_id=asked.client_id,
            subject=subject,
            expires_at=self.now + 600,
        )
        found = self.both(lambda store: store.clients.find_client(asked.client_id))
        judged = found or client(asked.client_id)
        if self.both(lambda store: store.transactions.approve_at_once(asked, approved, judged)):
            self.codes += 1

    @rule(pick=picks)
    def deny(self, pick: int) -> None:
        transaction_id = f"transaction-{self.latest(self.transactions, pick)}"
        self.both(lambda store: store.transactions.deny_transaction(transaction_id, now=self.now))

    @rule(pick=picks)
    def count_failed_redemption(self, pick: int) -> None:
        fingerprint = fp(f"code-{self.latest(self.codes, pick)}")
        self.both(lambda store: store.grants.count_failed_redemption(fingerprint))

    @rule(pick=picks, subject=subjects, lifetime=st.sampled_from((100, 100_000)), with_refresh=st.booleans())
    def redeem(self, pick: int, subject: str, lifetime: int, *, with_refresh: bool) -> None:
        created = grant(
            f"grant-{self.grants}", subject=subject, client_id=f"client-{pick}", expires_at=self.now + lifetime
        )
        issued = tokens(f"{self.tokens}", created.grant_id, now=self.now)
        if not with_refresh:
            issued = IssuedTokens(issued.access, None)
        fingerprint = fp(f"code-{self.latest(self.codes, pick)}")
        self.both(lambda store: store.grants.find_code_and_client(fingerprint, now=self.now))
        outcome = self.both(lambda store: store.grants.redeem_code(fingerprint, created, issued, now=self.now))
        if outcome is RedeemOutcome.REDEEMED:
            self.grants += 1
            self.tokens += 1

    # The next three do several things in a row, so that short sequences reach the states that matter.

    @rule(subject=subjects, lifetime=st.sampled_from((WINDOW, 100_000)), seconds=st.sampled_from((0, 0, 599, 600)))
    def issue(self, subject: str, lifetime: int, seconds: int) -> None:
        self.begin_transaction(client_state=None, was_sent=True)
        self.approve(0, subject)
        self.let_time_pass(seconds)
        self.redeem(0, subject, lifetime, with_refresh=True)

    @rule(pick=picks, pauses=st.lists(st.sampled_from((0, WINDOW, WINDOW + 1)), min_size=1, max_size=3), stale=reuses)
    def rotate(self, pick: int, pauses: list[int], stale: StaleTokens) -> None:
        number = self.latest(self.tokens, pick)
        for pause in pauses:
            self.let_time_pass(pause)
            self.rotate_once(number, stale)

    @rule(pick=picks, stale=reuses)
    def rotate_and_use_the_successor_first(self, pick: int, stale: StaleTokens) -> None:
        number = self.latest(self.tokens, pick)
        for token in (number, self.tokens, number):
            self.rotate_once(token, stale)

    def rotate_once(self, number: int, stale: StaleTokens) -> None:
        fingerprint = fp(f"refresh {number}")
        found, _ = self.both(
            lambda store: store.grants.refresh_at_once(fingerprint, lambda _: None, now=self.now, window=WINDOW)
        )
        grant_id = "unknown" if found is None else found.grant.grant_id
        successor = tokens(f"{self.tokens}", grant_id, now=self.now)
        sealed = f"sealed {self.tokens}".encode()
        judged = Successor(successor, sealed, stale)
        _, rotation = self.both(
            lambda store: store.grants.refresh_at_once(fingerprint, lambda _: judged, now=self.now, window=WINDOW)
        )
        if rotation.outcome in {RotateOutcome.ROTATED, RotateOutcome.STALE}:
            self.tokens += 1

    @rule(pick=picks, reason=text)
    def revoke(self, pick: int, reason: str) -> None:
        grant_id = f"grant-{self.latest(self.grants, pick)}"
        self.both(lambda store: store.grants.revoke_grant(grant_id, reason=reason, now=self.now))

    @rule(pick=picks, grace=st.sampled_from([0, 60]))
    def offer_setup(self, pick: int, grace: int) -> None:
        link = fp(f"link {pick}")
        self.both(lambda store: store.users.offer_setup(link, now=self.now, unless_since=self.now - grace))

    @rule(pick=picks, subject=st.sampled_from(SUBJECTS), username=usernames)
    def create_first_user(self, pick: int, subject: str, username: str) -> None:
        self.both(lambda store: store.users.create_first_user(fp(f"link {pick}"), user(subject, username)))

    @rule(subject=st.sampled_from(SUBJECTS), username=usernames)
    def add_user(self, subject: str, username: str) -> None:
        self.both(lambda store: store.users.add_user(user(subject, username)))

    @rule(issuer=issuers, external=usernames, name=st.none() | text, wanted=st.sampled_from(SUBJECTS), profile=profiles)
    def recognise_user(self, issuer: str, external: str, name: str | None, wanted: str, profile: Profile) -> None:
        candidates = (wanted, f"random-{self.people}")
        self.people += 1
        self.both(
            lambda store: store.users.recognise_user(
                issuer, external, display_name=name, subjects=candidates, now=self.now, profile=profile
            )
        )

    @rule(issuer=issuers, external=usernames, subject=subjects, name=st.none() | text)
    def link_login(self, issuer: str, external: str, subject: str, name: str | None) -> None:
        login = LinkedLogin(issuer, external, subject, self.now, name)
        self.both(lambda store: store.linked_logins.link_login(login))

    @rule(login=logins, subject=subjects, keeps=st.lists(logins, max_size=3))
    def unlink_login(self, login: LoginKey, subject: str, keeps: list[LoginKey]) -> None:
        self.both(lambda store: store.linked_logins.unlink_login(subject, login, keeps=keeps))

    @rule(subject=subjects)
    def forget_profile(self, subject: str) -> None:
        self.both(lambda store: store.users.forget_profile(subject))

    @rule(subject=subjects)
    def disable_user(self, subject: str) -> None:
        self.both(lambda store: store.users.disable_user(subject, now=self.now))

    @rule(subject=subjects)
    def enable_user(self, subject: str) -> None:
        self.both(lambda store: store.users.enable_user(subject))

    @rule(subject=subjects, role=st.sampled_from(["admin", "user"]), gives=st.booleans())
    def change_role(self, subject: str, role: str, *, gives: bool) -> None:
        self.both(
            lambda store: (store.users.give_role if gives else store.users.take_role)(subject, role)  # the same on both
        )

    @rule(username=usernames, password_hash=text, of=st.none() | st.just(user()))
    def change_password(self, username: str, password_hash: str, of: User | None) -> None:
        self.both(lambda store: store.users.change_password(username, password_hash, of=of))

    @rule(subject=st.none() | subjects, pick=st.none() | picks, reason=text)
    def take_back(self, subject: str | None, pick: int | None, reason: str) -> None:
        grant_id = None if pick is None else f"grant-{self.latest(self.grants, pick)}"
        self.both(lambda store: store.approvals.take_back(subject, grant_id=grant_id, reason=reason, now=self.now))

    @rule(pick=picks)
    def note_use(self, pick: int) -> None:
        fingerprint = fp(f"session-{self.latest(self.sessions, pick)}")
        self.both(lambda store: store.browser_sessions.note_use(fingerprint, now=self.now))

    @rule(subject=subjects, pick=picks, which=st.sampled_from(("only", "but")))
    def end_sessions(self, subject: str, pick: int, which: str) -> None:
        named = {which: fp(f"session-{self.latest(self.sessions, pick)}")}
        self.both(lambda store: store.browser_sessions.end_sessions(subject, **named))

    @rule(
        pick=st.none() | picks,
        subject=st.none() | subjects,
        login=st.just((None, None)) | logins,
        of=st.none() | st.just(user()),
    )
    def start_session(
        self, pick: int | None, subject: str | None, login: tuple[str | None, str | None], of: User | None
    ) -> None:
        issuer, external_subject = login
        started = session(
            f"session-{self.sessions}",
            subject=subject,
            issuer=issuer,
            external_subject=external_subject,
            expires_at=self.now + 3600,
        )
        replaces = None if pick is None else fp(f"session-{self.latest(self.sessions, pick)}")
        self.sessions += 1
        self.both(lambda store: store.browser_sessions.start_session(started, replaces=replaces, of=of))

    @rule(pick=picks)
    def end_session(self, pick: int) -> None:
        fingerprint = fp(f"session-{self.latest(self.sessions, pick)}")
        self.both(lambda store: store.browser_sessions.end_session(fingerprint))

    @rule(browser=picks, place=st.sampled_from(("github", "form")))
    def begin_login(self, browser: int, place: str) -> None:
        begun = PendingLogin(
            fp(f"login-{self.logins}"), f"browser-{browser}", place, b"sealed", expires_at=self.now + 600
        )
        self.logins += 1
        self.both(lambda store: store.logins.begin_login(begun))

    @rule(pick=picks, browser=picks, place=st.sampled_from(("github", "form")))
    def take_login(self, pick: int, browser: int, place: str) -> None:
        fingerprint = fp(f"login-{self.latest(self.logins, pick)}")
        self.both(
            lambda store: store.logins.take_login(
                fingerprint, browser_id=f"browser-{browser}", place=place, now=self.now
            )
        )

    def latest(self, count: int, pick: int) -> int:
        """Return the number of the latest record but `pick`; -1, which there is none of, before the first."""
        return max(count - 1 - pick, -1)

    def look_everything_up(self) -> None:
        """Ask every question that a store answers about every record made so far."""
        self.both(lambda store: store.users.list_users())
        for subject in SUBJECTS:
            self.both(partial(list_own, subject=subject, now=self.now))
            self.both(partial(list_logins, subject=subject))
        for username, subject in zip(USERNAMES, SUBJECTS, strict=True):
            self.both(partial(find_user, username=username, subject=subject))
        for number in range(5):
            self.both(partial(find_link, fingerprint=fp(f"link {number}")))
        for number in range(self.clients):
            self.both(partial(find_client, client_id=f"client-{number}"))
        for number in range(max(self.transactions, self.codes)):
            self.both(partial(find_request, number=number, now=self.now))
        for number in range(max(self.grants, self.tokens)):
            self.both(partial(find_grant_and_tokens, number=number, now=self.now))
        for number in range(self.sessions):
            self.both(partial(find_session, fingerprint=fp(f"session-{number}"), now=self.now))


async def list_logins(store: Store, *, subject: str) -> Any:
    return await store.linked_logins.list_logins(subject)


async def find_user(store: Store, *, username: str, subject: str) -> list[Any]:
    return [await store.users.find_user(username), await store.users.find_user_by_subject(subject)]


async def list_own(store: Store, *, subject: str, now: int) -> list[Any]:
    return [
        await store.approvals.list_apps(subject, now=now, limit=3),
        await store.browser_sessions.list_sessions(subject, now=now, limit=3),
    ]


async def find_link(store: Store, *, fingerprint: bytes) -> bool:
    return await store.users.setup_is_open(fingerprint)


async def find_client(store: Store, *, client_id: str) -> Any:
    return await store.clients.find_client(client_id)


async def find_request(store: Store, *, number: int, now: int) -> list[Any]:
    return [
        await store.transactions.find_transaction(f"transaction-{number}", now=now),
        await store.grants.find_code(fp(f"code-{number}"), now=now),
    ]


async def find_grant_and_tokens(store: Store, *, number: int, now: int) -> list[Any]:
    return [
        await store.approvals.find_grant_of_token(fp(f"access {number}")),
        await store.grants.find_access_token(fp(f"access {number}"), now=now),
        await store.grants.find_refresh(fp(f"refresh {number}")),
    ]


async def find_session(store: Store, *, fingerprint: bytes, now: int) -> Any:
    return await store.browser_sessions.find_session(fingerprint, now=now)


TestStoresAgree = StoresAgree.TestCase
TestStoresAgree.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)

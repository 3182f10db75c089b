"""Apps that register, redeem codes, refresh and revoke without a pause, and remember what they were told.

What is not answered, or answered by 503, is sent again until it is; only what an answer of success said is held against
the store afterwards.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx2

from gatepost.stores.contract.store import Store
from tests.attacks.tokens import seeding
from tests.end_to_end import local_http
from tests.faults.requests import with_store

APPLICATION = {"client_name": "Torture", "redirect_uris": [seeding.REDIRECT_URI]}
MOST_REFRESHED = 10
"""Of the live tokens and of the revoked ones, after each fault."""
_PAUSE = 0.02  # seconds, as a client makes before it asks again
_LAST_TRIES = 3_000
"""Once all is said to be well again."""


class Lost(Exception):
    """A refusal of what had been promised."""


@dataclass
class Told:
    """What servers answered.

    Attributes:
        clients: the ids of registered clients.
        live: what the token endpoint gave last, for each grant that was not revoked.
        revoked: likewise, of those that were.
        acknowledged: how many requests were answered by success, by kind.
        sent_again: how many requests were answered by nothing, or 503.
        spent: codes whose answer was lost, and which were refused when they were sent again.
        faults: what may not be, a sentence each.
    """

    clients: list[str] = field(default_factory=list)
    live: list[dict[str, Any]] = field(default_factory=list)
    revoked: list[dict[str, Any]] = field(default_factory=list)
    acknowledged: Counter[str] = field(default_factory=Counter)
    sent_again: int = 0
    spent: int = 0
    faults: list[str] = field(default_factory=list)

    def add(self, other: Told) -> None:
        """Take in what another one holds."""
        self.clients += other.clients
        self.live += other.live
        self.revoked += other.revoked
        self.acknowledged += other.acknowledged
        self.sent_again += other.sent_again
        self.spent += other.spent
        self.faults += other.faults


class App:
    """One app that lives a life with each code, until it is told that it is over."""

    def __init__(self, origin: str, codes: deque[str], over: threading.Event) -> None:
        self.told = Told()
        self._codes, self._over = codes, over
        self._http = local_http.client(base_url=origin)

    def work(self) -> Told:
        """Use up codes, which apps share, until it is over."""
        with self._http:
            while self._codes and not self._over.is_set():
                with suppress(IndexError):  # another app has taken the last one
                    self._live(self._codes.popleft(), is_revoked=bool(len(self._codes) % 2))
        return self.told

    def _live(self, code: str, *, is_revoked: bool) -> None:
        try:
            self._go_through(code, is_revoked=is_revoked)
        except Lost as lost:
            self.told.faults.append(str(lost))

    def _go_through(self, code: str, *, is_revoked: bool) -> None:
        registered = self._answered("registration", "/oauth/register", json=APPLICATION)
        self.told.clients.append(registered["client_id"])
        given = self._answered("code", "/oauth/token", may_be_spent=True, data=seeding.code_form(code))
        if not given:
            self.told.spent += 1
            return
        for _ in range(3):
            form = seeding.refresh_form(given["refresh_token"])
            given = self._answered("refresh", "/oauth/token", data=form)
        if is_revoked:
            self._answered("revocation", "/oauth/revoke", data=seeding.revoke_form(given["refresh_token"]))
        (self.told.revoked if is_revoked else self.told.live).append(given)

    def _answered(self, kind: str, path: str, *, may_be_spent: bool = False, **request: Any) -> dict[str, Any]:
        """Send a request until it is answered; return the body, empty where a code was spent for a lost answer."""
        is_first, last_tries = True, _LAST_TRIES
        while last_tries:
            try:
                answer = self._http.post(path, **request)
            except httpx2.TransportError:
                answer = None
            if answer is not None and answer.is_success:
                self.told.acknowledged[kind] += 1
                body: dict[str, Any] = answer.json() if answer.content else {}
                return body
            if answer is not None and answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                if may_be_spent and not is_first and answer.json().get("error") == "invalid_grant":
                    return {}
                raise Lost(f"a {kind} was answered {answer.status_code}: {answer.text[:200]}")
            is_first, last_tries = False, last_tries - self._over.is_set()
            self.told.sent_again += 1
            threading.Event().wait(_PAUSE)
        raise Lost(f"a {kind} is answered no more")


def differences(place: str, origin: str, told: Told, revoked: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield a sentence for each thing that was acknowledged and is not so; the server runs, and nobody works."""

    async def look(store: Store) -> tuple[list[str], list[bool], list[bool]]:
        missing = [name for name in told.clients if await store.clients.find_client(name) is None]
        live = await seeding.alive(store, [given["access_token"] for given in told.live])
        return missing, live, await seeding.alive(store, [given["access_token"] for given in revoked])

    missing, live, dead = with_store(place, look)
    if missing:
        yield f"lost: {len(missing)} registrations"
    if not all(live):
        yield f"lost: {live.count(False)} grants"
    if any(dead):
        yield f"resurrected: {dead.count(True)} grants"
    with local_http.client(base_url=origin) as http:
        for expected, those in ((HTTPStatus.OK, told.live), (HTTPStatus.BAD_REQUEST, told.revoked)):
            for given in those[-MOST_REFRESHED:]:
                answer = http.post("/oauth/token", data=seeding.refresh_form(given["refresh_token"]))
                if answer.status_code != expected:
                    yield f"a refresh is answered {answer.status_code} in place of {expected}: {answer.text[:200]}"

"""A server over a store that a test breaks: it is never restarted, since recovery needs no restart."""

from __future__ import annotations

import time
from dataclasses import dataclass

from gatepost.stores.contract.store import Store
from tests.attacks.tokens.seeding import is_alive
from tests.end_to_end import local_http
from tests.end_to_end.running_server import RunningServer
from tests.faults.requests import Requests, assert_done, with_store

IMPATIENT = "tests.faults.impatient_server"
TARGET = "tests/end_to_end/sample_server.py:server"
SETTINGS = {"TARGET": TARGET, "OAUTH_LIMIT_FACTOR": "0"}


@dataclass
class World:
    """A running server, and where its store lies, as it is reached past the fault."""

    server: RunningServer
    place: str

    def requests(self) -> Requests:
        """Prepare one request of each kind."""
        return Requests(self.server.origin, self.place)

    def probe(self, path: str) -> int:
        """Return the status of a probe."""
        return local_http.get(self.server.origin + path).status_code

    def wait_until_ready(self) -> None:
        """Wait until the server says that it can do its work."""
        deadline = time.monotonic() + local_http.PATIENCE
        while self.probe("/healthz") != 200:
            assert time.monotonic() < deadline, self.server.output

    def assert_not_ready(self) -> None:
        """Check that the probes tell a server that lives from one that can work."""
        assert self.probe("/health") == 200
        deadline = time.monotonic() + local_http.PATIENCE
        while self.probe("/healthz") != 503:  # it says for a second what it found last
            assert time.monotonic() < deadline

    def assert_whole(self, requests: Requests, *, waits: bool = True) -> None:
        """Check that whatever was answered by 503 can be asked again now, that it counts once, and is kept."""
        if waits:
            self.wait_until_ready()
        sent = requests.send()
        assert_done(sent)
        assert sent["introspect"].json()["active"] is True
        # Each counts once: a code that was spent, an assertion that was used, a grant that was revoked.
        again = requests.send("code", "assertion")
        assert {name: answer.json()["error"] for name, answer in again.items()} == {
            "code": "invalid_grant",
            "assertion": "invalid_client",
        }
        registered = sent["register"].json()["client_id"]
        known, refreshed, revoked = with_store(
            self.place,
            lambda store: _looked_up(
                store, registered, sent["refresh"].json()["access_token"], requests.revoked.access_token
            ),
        )
        assert known
        assert refreshed
        assert not revoked


async def _looked_up(store: Store, client_id: str, refreshed: str, revoked: str) -> tuple[bool, bool, bool]:
    known = await store.clients.find_client(client_id)
    return known is not None, await is_alive(store, refreshed), await is_alive(store, revoked)

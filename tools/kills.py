"""Kill a server under load with -9, again and again, and see whether everything it acknowledged is true; by hand.

    python -m tools.kills [--count 400] [--seed 1]

Apps register, redeem codes, refresh and revoke without a pause. A moment later the server dies. The next one has to
know every client, take the tokens that were given last, and none that was ever revoked. What was under way may be
either.
"""

from __future__ import annotations

import argparse
import random
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx2

from gatepost.stores.conformance.records import code, transaction
from gatepost.stores.contract.store import Store
from gatepost.tokens.opaque import SecretKind, fingerprint, mint
from tests.attacks.tokens import seeding
from tests.end_to_end import local_http
from tests.end_to_end.running_server import RunningServer
from tests.web.oauth.token_harness import CHALLENGE

TARGET = "tests/end_to_end/sample_server.py:server"
APPLICATION = {"client_name": "Kill", "redirect_uris": [seeding.REDIRECT_URI]}
WORKERS = 4
CODES = 25  # for each worker and life
LONGEST_LIFE = 0.8  # seconds under load
MOST_REFRESHED = 10  # of the live ones, after each kill


@dataclass
class Acknowledged:
    """What servers acknowledged. Tokens are those of one answer of the token endpoint."""

    clients: list[str] = field(default_factory=list)
    live: list[dict[str, Any]] = field(default_factory=list)
    revoked: list[dict[str, Any]] = field(default_factory=list)
    answers: int = 0

    def add(self, other: Acknowledged) -> None:
        """Take in what another one holds."""
        self.clients += other.clients
        self.live += other.live
        self.revoked += other.revoked
        self.answers += other.answers


def work(server: RunningServer, codes: Sequence[str]) -> Acknowledged:
    """Live one life with each code, until the server is dead."""
    done = Acknowledged()
    with local_http.client(base_url=server.origin) as http:
        try:
            for number, secret in enumerate(codes):
                done.clients.append(answered(http.post("/oauth/register", json=APPLICATION))["client_id"])
                given = answered(http.post("/oauth/token", data=seeding.code_form(secret)))
                done.answers += 2
                done.live.append(given)
                for _ in range(2):
                    form = seeding.refresh_form(given["refresh_token"])
                    given.update(answered(http.post("/oauth/token", data=form)))
                    done.answers += 1
                if number % 2:
                    done.live.remove(given)  # what is being revoked may be either
                    answered(http.post("/oauth/revoke", data=seeding.revoke_form(given["refresh_token"])))
                    done.answers += 1
                    done.revoked.append(given)
        except httpx2.TransportError:
            pass
    return done


def answered(answer: httpx2.Response) -> dict[str, Any]:
    """Return the body of a success."""
    if not answer.is_success:
        raise AssertionError(f"{answer.request.url.path} answers {answer.status_code}: {answer.text[:200]}")
    body: dict[str, Any] = answer.json() if answer.content else {}
    return body


async def approve(store: Store, server: RunningServer, number: int) -> list[str]:
    """Keep approved authorization requests; return their codes."""
    if await store.clients.find_client(seeding.CLIENT.client_id) is None:
        await store.clients.register_client(seeding.CLIENT)
    codes = []
    for _ in range(number):
        secret = mint(SecretKind.AUTHORIZATION_CODE, secrets.token_bytes)
        name = secrets.token_hex(8)
        asked = transaction(name, expires_at=seeding.FAR, resource=server.mcp_url)
        approved = code("", name, resource=server.mcp_url, expires_at=seeding.FAR, code_challenge=CHALLENGE)
        await store.transactions.begin_transaction(asked)
        await store.transactions.approve_transaction(replace(approved, code_fingerprint=fingerprint(secret)), now=0)
        codes.append(secret)
    return codes


def faults(server: RunningServer, done: Acknowledged, revoked: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield a sentence for each thing that was acknowledged and is not so; the server runs."""

    async def look(store: Store) -> tuple[list[str], list[bool], list[bool]]:
        missing = [name for name in done.clients if await store.clients.find_client(name) is None]
        live = await seeding.alive(store, [given["access_token"] for given in done.live])
        return missing, live, await seeding.alive(store, [given["access_token"] for given in revoked])

    missing, live, dead = seeding.with_store(server, look)
    if missing:
        yield f"{len(missing)} registrations are gone"
    if not all(live):
        yield f"{live.count(False)} access tokens are gone"
    if any(dead):
        yield f"{dead.count(True)} revoked access tokens are good"
    with local_http.client(base_url=server.origin) as http:
        for expected, those in ((HTTPStatus.OK, done.live), (HTTPStatus.BAD_REQUEST, done.revoked)):
            for given in those[-MOST_REFRESHED:]:
                answer = http.post("/oauth/token", data=seeding.refresh_form(given["refresh_token"]))
                if answer.status_code != expected:
                    yield f"a refresh is answered {answer.status_code} in place of {expected}: {answer.text[:200]}"


def kill_once(server: RunningServer, life: float) -> Acknowledged:
    """Have apps work for so many seconds, kill the server, start it again, and return what was acknowledged."""
    codes = seeding.with_store(server, lambda store: approve(store, server, WORKERS * CODES))
    with ThreadPoolExecutor(WORKERS) as pool:
        working = [pool.submit(work, server, codes[number::WORKERS]) for number in range(WORKERS)]
        threading.Event().wait(life)
        server.kill()
        done = Acknowledged()
        for one in working:
            done.add(one.result())
    server.start()
    return done


def run(count: int, chance: random.Random, data: Path) -> int:
    """Kill so many times; print each fault, and return how many there are."""
    server = RunningServer(TARGET, data, environment={"OAUTH_LIMIT_FACTOR": "0"}, will_be_killed=True)
    total, found, began = Acknowledged(), 0, time.monotonic()
    with server:
        for number in range(1, count + 1):
            done = kill_once(server, chance.uniform(0.02, LONGEST_LIFE))
            total.add(done)
            for fault in faults(server, done, total.revoked):
                found += 1
                print(f"kill {number}: {fault}")
            if not number % 10 or number == count:
                seeding.nothing_is_half_there(server)
                print(
                    f"{number} kills in {time.monotonic() - began:.0f} s: {total.answers} answers, of them "
                    f"{len(total.clients)} registrations and {len(total.revoked)} revocations; {found} faults",
                    flush=True,
                )
    return found


def main(arguments: list[str]) -> int:
    """Kill servers; return 1 if anything that was acknowledged is not so, else 0."""
    parser = argparse.ArgumentParser(
        description="Kill a server under load, and see whether what it acknowledged is so."
    )
    parser.add_argument("--count", type=int, default=400, help="how many kills (default 400)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments at which servers die")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        chance = random.Random(options.seed)  # noqa: S311 - moments, no secrets
        return int(run(options.count, chance, Path(folder) / "data") > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

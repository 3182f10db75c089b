"""SIGKILL of a real server in the middle of issuing, rotating and revoking (security.md, faults; rows 15 and 18).

Several clients work at once, and the server dies as soon as some of them have their answers. After a restart: what was
answered is true, and who got no answer can go on or begin again. Nothing is half there.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from tests.attacks.tokens.seeding import (
    alive,
    approved_codes,
    code_form,
    count_live_grants,
    grant_tokens,
    nothing_is_half_there,
    refresh_form,
    revoke_form,
    with_store,
)
from tests.end_to_end import local_http
from tests.end_to_end.running_server import RunningServer

TARGET = "tests/end_to_end/sample_server.py:server"
PIECES = 30
ANSWERED_FIRST = 8
"""So many answers are waited for before the server dies."""
WORKERS = 4


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """A server that has not been started yet."""
    running = RunningServer(TARGET, tmp_path / "data", environment={"OAUTH_LIMIT_FACTOR": "0"}, is_measured=False)
    yield running
    running.stop()


@dataclass
class Answers:
    """What the clients got before the server died, by what they had sent."""

    given: dict[str, httpx2.Response] = field(default_factory=dict)
    enough: threading.Event = field(default_factory=threading.Event)


def work_until_death(server: RunningServer, path: str, forms: Mapping[str, dict[str, str]]) -> Answers:
    """Send the forms from several clients at once, kill the server in the middle, and start it again."""
    answers = Answers()

    def work(share: Sequence[str]) -> None:
        with local_http.client(base_url=server.origin) as http:
            for name in share:
                try:
                    answers.given[name] = http.post(path, data=forms[name])
                except httpx2.TransportError:
                    return  # it is dead
                if len(answers.given) >= ANSWERED_FIRST:
                    answers.enough.set()

    server.start()
    names = list(forms)
    with ThreadPoolExecutor(WORKERS) as pool:
        working = [pool.submit(work, names[number::WORKERS]) for number in range(WORKERS)]
        assert answers.enough.wait(180)
        server.kill()
        for one in working:
            one.result(180)
    server.start()
    assert {answer.status_code for answer in answers.given.values()} == {200}
    assert len(answers.given) >= ANSWERED_FIRST
    return answers


def post(server: RunningServer, path: str, form: dict[str, str]) -> httpx2.Response:
    return local_http.post(server.origin + path, data=form)


@pytest.mark.parametrize("sent", ["access_token", "refresh_token"])
def test_a_revocation_that_was_answered_outlives_the_server(server: RunningServer, sent: str) -> None:
    grants = grant_tokens(server, PIECES)
    forms = {tokens[sent]: revoke_form(tokens[sent]) for tokens in grants}

    answers = work_until_death(server, "/oauth/revoke", forms)

    revoked = [tokens["access_token"] for tokens in grants if tokens[sent] in answers.given]
    assert not any(with_store(server, lambda store: alive(store, revoked)))
    for tokens in grants:
        assert post(server, "/oauth/revoke", forms[tokens[sent]]).status_code == 200
    every = [tokens["access_token"] for tokens in grants]
    assert not any(with_store(server, lambda store: alive(store, every)))
    nothing_is_half_there(server)


def test_whoever_was_rotating_goes_on_with_the_token_it_holds(server: RunningServer) -> None:
    grants = grant_tokens(server, PIECES)
    forms = {tokens["refresh_token"]: refresh_form(tokens["refresh_token"]) for tokens in grants}

    answers = work_until_death(server, "/oauth/token", forms)

    nothing_is_half_there(server)
    went_on = []
    for token, form in forms.items():
        held = answers.given[token].json()["refresh_token"] if token in answers.given else token
        answer = post(server, "/oauth/token", {**form, "refresh_token": held})
        assert answer.status_code == 200, answer.text
        went_on.append(answer.json()["access_token"])
    assert all(with_store(server, lambda store: alive(store, went_on)))
    nothing_is_half_there(server)


def test_a_code_gave_its_tokens_or_nothing(server: RunningServer) -> None:
    forms = {secret: code_form(secret) for secret in approved_codes(server, PIECES)}

    answers = work_until_death(server, "/oauth/token", forms)

    nothing_is_half_there(server)
    given = [answer.json()["access_token"] for answer in answers.given.values()]
    assert all(with_store(server, lambda store: alive(store, given)))
    again = [post(server, "/oauth/token", form) for secret, form in forms.items() if secret not in answers.given]
    # Whose answer was lost sends a code that is spent: that is a replay, and ends the grant it never got to use.
    assert {answer.status_code for answer in again} <= {200, 400}
    fresh = [answer.json()["access_token"] for answer in again if answer.status_code == 200]
    assert all(with_store(server, lambda store: alive(store, fresh)))

    assert with_store(server, count_live_grants) == len(given) + len(fresh)
    nothing_is_half_there(server)

"""Many threads and two server processes with one code or one refresh token (security.md rows 9, 15 and 16)."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from tests.attacks.tokens.seeding import (
    alive,
    approved_codes,
    code_form,
    count_live_grants,
    grant_tokens,
    refresh_form,
    revoke_form,
    with_store,
)
from tests.end_to_end import local_http
from tests.end_to_end.running_server import RunningServer, free_port

TARGET = "tests/end_to_end/sample_server.py:server"
AT_ONCE = 50


@pytest.fixture
def replicas(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[list[RunningServer]]:
    """Two processes behind one public URL, on one database; not started yet. The parameter is OAUTH_REFRESH_REUSE."""
    port = free_port()
    public = f"http://127.0.0.1:{port}"
    environment = {"OAUTH_LIMIT_FACTOR": "0", "MCP_PUBLIC_URL": public}
    if hasattr(request, "param"):
        environment["OAUTH_REFRESH_REUSE"] = request.param
    both = [
        RunningServer(TARGET, tmp_path / "data", port=number, environment=environment) for number in (port, free_port())
    ]
    yield both
    for one in both:
        one.stop()


def post_at_once(
    replicas: list[RunningServer], requests: Sequence[tuple[str, dict[str, str]]]
) -> list[httpx2.Response]:
    """Send all requests at the same moment, each from a thread and a connection of its own, to the replicas in turn."""
    barrier = threading.Barrier(len(requests))
    host = f"127.0.0.1:{replicas[0].port}"

    def send(number: int) -> httpx2.Response:
        path, form = requests[number]
        with local_http.client(base_url=replicas[number % len(replicas)].origin) as http:
            http.get("/health", headers={"Host": host})  # so that the connection is there
            barrier.wait(180)
            return http.post(path, data=form, headers={"Host": host})

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(send, range(len(requests))))


def outcomes(answers: Sequence[httpx2.Response]) -> Counter[tuple[int, str | None]]:
    return Counter((answer.status_code, answer.json().get("error")) for answer in answers)


def test_of_fifty_redemptions_at_two_replicas_one_wins_and_a_replay_ends_it(replicas: list[RunningServer]) -> None:
    (code,) = approved_codes(replicas[0], 1)
    for one in replicas:
        one.start()

    answers = post_at_once(replicas, [("/oauth/token", code_form(code))] * AT_ONCE)

    assert outcomes(answers) == {(200, None): 1, (400, "invalid_grant"): AT_ONCE - 1}
    (winner,) = (answer.json() for answer in answers if answer.status_code == 200)
    replay = post_at_once(replicas, [("/oauth/token", code_form(code))] * 2)
    assert outcomes(replay) == {(400, "invalid_grant"): 2}
    assert with_store(replicas[0], lambda store: alive(store, [winner["access_token"]])) == [False]
    refreshed = post_at_once(replicas, [("/oauth/token", refresh_form(winner["refresh_token"]))] * 2)
    assert outcomes(refreshed) == {(400, "invalid_grant"): 2}


@pytest.mark.parametrize("replicas", ["0"], indirect=True)
def test_everybody_who_uses_a_refresh_token_at_once_gets_the_same_tokens(replicas: list[RunningServer]) -> None:
    (tokens,) = grant_tokens(replicas[0], 1)
    for one in replicas:
        one.start()

    held = tokens["refresh_token"]
    for _ in range(3):
        answers = post_at_once(replicas, [("/oauth/token", refresh_form(held))] * AT_ONCE)
        assert outcomes(answers) == {(200, None): AT_ONCE}
        assert len({answer.json()["access_token"] for answer in answers}) == 1
        (held,) = {answer.json()["refresh_token"] for answer in answers}

    assert with_store(replicas[0], lambda store: alive(store, [answers[0].json()["access_token"]])) == [True]
    assert with_store(replicas[0], count_live_grants) == 1
    # Three generations later the first one is a thief's, however many use it.
    reused = post_at_once(replicas, [("/oauth/token", refresh_form(tokens["refresh_token"]))] * 4)
    assert outcomes(reused) == {(400, "invalid_grant"): 4}
    assert with_store(replicas[0], count_live_grants) == 0


def test_fifty_processes_with_old_tokens_meet_in_the_newest_one_while_another_goes_on(
    replicas: list[RunningServer],
) -> None:
    (first,) = grant_tokens(replicas[0], 1)
    for one in replicas:
        one.start()
    held = [first["refresh_token"]]
    for _ in range(3):
        (answer,) = post_at_once(replicas, [("/oauth/token", refresh_form(held[-1]))])
        held.append(answer.json()["refresh_token"])
    old = [held[number % 3] for number in range(AT_ONCE - 1)]

    answers = post_at_once(replicas, [("/oauth/token", refresh_form(token)) for token in (held[-1], *old)])

    assert outcomes(answers) == {(200, None): AT_ONCE}
    went_on, *late = [answer.json() for answer in answers]
    # Some came before the newest token was used, and some after it.
    assert {answer["refresh_token"] for answer in late} <= {held[-1], went_on["refresh_token"]}
    tokens = [answer["access_token"] for answer in (went_on, *late)]
    assert with_store(replicas[0], lambda store: alive(store, tokens)) == [True] * AT_ONCE
    assert with_store(replicas[0], count_live_grants) == 1
    # One family still: whatever anybody holds leads to the same token.
    after = post_at_once(replicas, [("/oauth/token", refresh_form(answer["refresh_token"])) for answer in late[:4]])
    assert outcomes(after) == {(200, None): 4}
    last = {
        answer.json()["refresh_token"]
        for answer in post_at_once(replicas, [("/oauth/token", refresh_form(token)) for token in held[:3]])
    }
    assert len(last) == 1


def test_a_refresh_that_races_a_revocation_leaves_nothing_alive(replicas: list[RunningServer]) -> None:
    grants = grant_tokens(replicas[0], AT_ONCE // 2)
    for one in replicas:
        one.start()
    requests = []
    for number, tokens in enumerate(grants):
        pair = [
            ("/oauth/token", refresh_form(tokens["refresh_token"])),
            ("/oauth/revoke", revoke_form(tokens["access_token"])),
        ]
        requests += pair if number % 2 else pair[::-1]

    answers = post_at_once(replicas, requests)

    given = []
    for (path, _), answer in zip(requests, answers, strict=True):
        if path == "/oauth/revoke":
            assert answer.status_code == 200
        elif answer.status_code == 200:
            given.append(answer.json())
        else:
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    everything = [tokens["access_token"] for tokens in (*grants, *given)]
    assert not any(with_store(replicas[0], lambda store: alive(store, everything)))
    assert with_store(replicas[0], count_live_grants) == 0

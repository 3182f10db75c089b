"""SIGKILL of a real server at every single write of issuing, rotating and revoking (security.md, faults; row 18).

Round after round a server dies one write later, and the next one, on the same database, shows how its client goes on;
until one lives to answer.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx2

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
from tests.end_to_end.running_server import RunningServer, free_port

TARGET = "tests/attacks/tokens/dying_server.py:server"
MOST_WRITES = 20

GoOn = Callable[[RunningServer, dict[str, str]], None]


def dying_server(tmp_path: Path, port: int, dies_at: int) -> RunningServer:
    environment = {
        "OAUTH_LIMIT_FACTOR": "0",
        "ARMED_BY": str(tmp_path / "armed"),
        "DIES_AT": str(dies_at),
    }
    return RunningServer(TARGET, tmp_path / "data", port=port, environment=environment, is_measured=False)


def post(server: RunningServer, path: str, form: dict[str, str]) -> httpx2.Response:
    return local_http.post(server.origin + path, data=form)


def die_at_every_write(
    tmp_path: Path, port: int, path: str, forms: list[dict[str, str]], go_on: GoOn
) -> tuple[int, httpx2.Response]:
    """Send one form to each server until one answers; return how many died, and the answer."""
    armed = tmp_path / "armed"
    for died, form in enumerate(forms):
        server = dying_server(tmp_path, port, died + 1).start()
        try:
            if died:
                go_on(server, forms[died - 1])
            armed.touch()
            answer = post(server, path, form)
        except httpx2.TransportError:
            nothing_is_half_there(server)
        else:
            return died, answer
        finally:
            armed.unlink(missing_ok=True)
            server.kill()
    raise AssertionError(f"more than {MOST_WRITES} writes")


def test_a_code_is_redeemed_wholly_or_not_at_all_wherever_the_server_dies(tmp_path: Path) -> None:
    port = free_port()
    codes = approved_codes(dying_server(tmp_path, port, 0), MOST_WRITES)
    given: list[int] = []

    def go_on(server: RunningServer, form: dict[str, str]) -> None:
        # Nothing was written: it is good still. It was, and nobody got the tokens: a replay, which ends their grant.
        before = with_store(server, count_live_grants)
        answer = post(server, "/oauth/token", form)
        given.append(answer.status_code)
        if answer.status_code == 200:
            assert with_store(server, lambda store: alive(store, [answer.json()["access_token"]])) == [True]
            assert with_store(server, count_live_grants) == before + 1
        else:
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
            assert with_store(server, count_live_grants) == before - 1

    died, answer = die_at_every_write(tmp_path, port, "/oauth/token", [code_form(code) for code in codes], go_on)

    assert answer.status_code == 200
    # Nothing before the commit counts, everything behind it does: code, grant, two tokens and the commit itself.
    assert given == sorted(given)
    assert given.count(200) >= 4
    assert given[-1] == 400
    assert died >= 6


def test_a_rotation_happens_wholly_or_not_at_all_wherever_the_server_dies(tmp_path: Path) -> None:
    port = free_port()
    held = [tokens["refresh_token"] for tokens in grant_tokens(dying_server(tmp_path, port, 0), MOST_WRITES)]

    def go_on(server: RunningServer, form: dict[str, str]) -> None:
        answer = post(server, "/oauth/token", form)
        assert answer.status_code == 200, answer.text
        again = post(server, "/oauth/token", refresh_form(answer.json()["refresh_token"]))
        assert again.status_code == 200, again.text
        assert with_store(server, lambda store: alive(store, [again.json()["access_token"]])) == [True]

    died, answer = die_at_every_write(tmp_path, port, "/oauth/token", [refresh_form(token) for token in held], go_on)

    assert answer.status_code == 200
    assert died >= 5


def test_a_revocation_is_answered_only_when_no_death_can_undo_it(tmp_path: Path) -> None:
    port = free_port()
    grants = grant_tokens(dying_server(tmp_path, port, 0), MOST_WRITES)
    access = {tokens["refresh_token"]: tokens["access_token"] for tokens in grants}

    def go_on(server: RunningServer, form: dict[str, str]) -> None:
        assert post(server, "/oauth/revoke", form).status_code == 200
        assert with_store(server, lambda store: alive(store, [access[form["token"]]])) == [False]
        refused = post(server, "/oauth/token", refresh_form(form["token"]))
        assert refused.json()["error"] == "invalid_grant"

    died, answer = die_at_every_write(tmp_path, port, "/oauth/revoke", [revoke_form(token) for token in access], go_on)

    assert answer.status_code == 200
    assert died >= 3
    # The one that answered was killed right behind its answer.
    last = list(access.values())[died]
    assert with_store(dying_server(tmp_path, port, 0), lambda store: alive(store, [last])) == [False]

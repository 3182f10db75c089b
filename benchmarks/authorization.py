"""The authorization server: codes and refresh tokens per second, and the token check as the store grows.

Gatepost keeps everything durably (SQLite, synced at every commit); its peers here keep everything in memory and lose it
at the end. `python -m benchmarks.authorization` runs this part alone.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from benchmarks.environments import FASTMCP, GATEPOST, NODE_SERVERS, node_binary
from benchmarks.load import Load, LoadFailed, Plan, run_load
from benchmarks.machine import SERVER_CORE, has_two_cores
from benchmarks.messages import MCP_PATH, WrongAnswer
from benchmarks.peers import SERVERS, fill_store
from benchmarks.processes import ServerFailed, ServerProcess, free_port

CLIENT_ID: Final = "client_benchmark"
REDIRECT_URI: Final = "http://127.0.0.1:9/callback"
VERIFIER: Final = "benchmark-verifier-0123456789-0123456789-0123456789"
CHALLENGE: Final = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
_CODES_A_SECOND: Final = 4000
"""How many codes are prepared for each second of load; when they run out, the run is over early."""
_CHAINS: Final = 128
"""Refresh tokens that take turns; more than connections, so that none is used twice."""
_CHECK_SECONDS: Final = 60
_REFUSED: Final = (http.client.BAD_REQUEST, http.client.UNAUTHORIZED)
CROWDS: Final = (1_000, 1_000_000)
"""Live tokens in the store when a token is checked."""


@dataclass(frozen=True, slots=True)
class OAuthPeer:
    """One authorization server under test."""

    key: str
    title: str
    token_path: str
    start: Callable[[Path, int, int], tuple[ServerProcess, Sequence[str]]]
    """From a directory of its own, a port and a number of codes to the server and the codes."""


def _start_gatepost(directory: Path, port: int, codes: int) -> tuple[ServerProcess, Sequence[str]]:
    filled = fill_store(directory, resource=f"http://127.0.0.1:{port}{MCP_PATH}", codes=codes)
    command = [GATEPOST.python, "-m", "gatepost", "serve", f"{SERVERS / 'gatepost_server.py'}:server"]
    # One client on one address asks as often as it can: limits go on counting, but must not refuse.
    environment = {"BENCHMARK_TOOLS": "0", "OAUTH_STORAGE_DIR": str(directory), "OAUTH_LIMIT_FACTOR": "1000"}
    return ServerProcess([*command, f"--port={port}"], port=port, environment=environment, cwd=directory), filled


def _start_other(command: Sequence[str], directory: Path, port: int, codes: int) -> tuple[ServerProcess, Sequence[str]]:
    """Start a server that makes its own codes, with names that both sides know."""
    plan = {"client_id": CLIENT_ID, "redirect_uri": REDIRECT_URI, "challenge": CHALLENGE, "count": codes}
    environment = {"BENCHMARK_CODES": json.dumps(plan)}
    process = ServerProcess([*command, str(port)], port=port, environment=environment, cwd=directory)
    return process, [f"code-{index:036d}" for index in range(codes)]


OAUTH_PEERS: Final = (
    OAuthPeer("gatepost", "Gatepost, durable (SQLite)", "/oauth/token", _start_gatepost),
    OAuthPeer(
        "fastmcp",
        "FastMCP, in memory",
        "/token",
        lambda *rest: _start_other([FASTMCP.python, str(SERVERS / "oauth_fastmcp.py")], *rest),
    ),
    OAuthPeer(
        "oidc-provider",
        "oidc-provider (npm), in memory",
        "/token",
        lambda *rest: _start_other([node_binary(), str(NODE_SERVERS / "oauth_oidc_provider.mjs")], *rest),
    ),
)


@dataclass(slots=True)
class Exchanges:
    """All rounds of one authorization server."""

    codes: dict[int, Load] = field(default_factory=dict)
    refreshes: dict[int, Load] = field(default_factory=dict)
    failure: str | None = None


def measure_exchanges(
    *,
    rounds: int,
    seconds: float,
    directory: Path,
    until: float,
    say: Callable[[str], None],
) -> dict[str, Exchanges]:
    """Redeem codes, then refresh, at each server in turn; each round starts them anew with fresh codes."""
    results = {peer.key: Exchanges() for peer in OAUTH_PEERS}
    for round_ in range(rounds):
        for peer in OAUTH_PEERS[:: -1 if round_ % 2 else 1]:
            result = results[peer.key]
            if result.failure is not None or time.monotonic() >= until:
                continue
            own = directory / f"{peer.key}-oauth-{round_}"
            own.mkdir()
            try:
                result.codes[round_], result.refreshes[round_] = _exchange(peer, own, seconds)
            except (WrongAnswer, LoadFailed, ServerFailed, OSError, subprocess.SubprocessError) as error:
                result.failure = str(error)
                say(f"authorization: {peer.title}: {error}")
            else:
                say(
                    f"authorization {round_ + 1}: {peer.title}: {result.codes[round_].per_second:,.0f} codes/s, "
                    f"{result.refreshes[round_].per_second:,.0f} refreshes/s"
                )
    return results


def _exchange(peer: OAuthPeer, directory: Path, seconds: float) -> tuple[Load, Load]:
    port = free_port()
    process, codes = peer.start(directory, port, _CHAINS + 1 + round(_CODES_A_SECOND * seconds))
    with process:
        process.wait_until_listening()
        tokens = _checked_tokens(peer, port, codes[: _CHAINS + 1])
        waiting = [code_form(code) for code in codes[_CHAINS + 1 :]]
        redeem = Plan("once", peer.token_path, [_FORM], waiting, marker='"access_token"')
        redeemed = run_load(redeem, port=port, pid=process.pid, seconds=seconds)
        before, after = refresh_form("TOKEN").decode().split("TOKEN")
        refresh = Plan(
            "refresh", peer.token_path, [_FORM], marker='"access_token"', tokens=tokens, before=before, after=after
        )
        return redeemed, run_load(refresh, port=port, pid=process.pid, seconds=seconds)


def code_form(code: str) -> bytes:
    """Return the body that redeems a code (RFC 6749 section 4.1.3, RFC 7636 section 4.5)."""
    return urlencode(
        {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT_URI,
            "client_id": CLIENT_ID,
            "code_verifier": VERIFIER,
        }
    ).encode()


def refresh_form(token: str) -> bytes:
    """Return the body that uses a refresh token (RFC 6749 section 6)."""
    return urlencode({"grant_type": "refresh_token", "client_id": CLIENT_ID, "refresh_token": token}).encode()


def _checked_tokens(peer: OAuthPeer, port: int, codes: Sequence[str]) -> list[str]:
    """Redeem codes, look at every answer, and return the refresh tokens of all but the first.

    Raises:
        WrongAnswer: an answer is wrong, or a code or a verifier counts that must not.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        first = _expect_tokens(_post(connection, peer, code_form(codes[0])))
        second = _expect_tokens(_post(connection, peer, refresh_form(first["refresh_token"])))
        if {first["access_token"], first["refresh_token"]} & {second["access_token"], second["refresh_token"]}:
            raise WrongAnswer("a refresh gave the same tokens again")
        wrong_verifier = code_form(codes[1]).replace(VERIFIER.encode(), VERIFIER[::-1].encode())
        for refused in (code_form(codes[0]), wrong_verifier):
            status, answer = _post(connection, peer, refused)
            # RFC 6749 section 5.2 says 400; one peer says 401, which is its own affair.
            if status not in _REFUSED or answer.get("error") != "invalid_grant":
                raise WrongAnswer(f"not refused as it should be: status {status}: {answer}")
        # The code after the one that was misused: a server may call a code off after a wrong verifier.
        return [_expect_tokens(_post(connection, peer, code_form(code)))["refresh_token"] for code in codes[2:]]
    finally:
        connection.close()


def _post(connection: http.client.HTTPConnection, peer: OAuthPeer, body: bytes) -> tuple[int, dict[str, Any]]:
    connection.request("POST", peer.token_path, body=body, headers=_FORM)
    response = connection.getresponse()
    text = response.read()
    try:
        answer = json.loads(text)
    except ValueError:
        raise WrongAnswer(f"status {response.status}: {text[:300].decode(errors='replace')}") from None
    return response.status, answer


def _expect_tokens(answered: tuple[int, dict[str, Any]]) -> Mapping[str, str]:
    status, answer = answered
    complete = {"access_token", "refresh_token", "token_type", "expires_in"} <= answer.keys()
    if status != http.client.OK or not complete or answer["token_type"].lower() != "bearer":
        raise WrongAnswer(f"status {status}: {answer}")
    return answer


@dataclass(slots=True)
class TokenChecks:
    """Microseconds per check, by the number of live tokens in the store."""

    rounds: dict[int, list[float]] = field(default_factory=dict)
    failure: str | None = None


def measure_token_checks(
    *, rounds: int, directory: Path, until: float, say: Callable[[str], None], crowds: Sequence[int] = CROWDS
) -> TokenChecks:
    """Check tokens against a store with few and with many live ones, in turn."""
    result = TokenChecks({crowd: [] for crowd in crowds})
    resource = "http://127.0.0.1:1/mcp"
    tokens = {}
    try:
        for crowd in crowds:
            own = directory / f"crowd-{crowd}"
            own.mkdir()
            began = time.monotonic()
            tokens[crowd] = fill_store(own, resource=resource, clones=crowd)
            say(f"token check: {crowd:,} live tokens written in {time.monotonic() - began:.0f} s")
        for _ in range(rounds):
            for crowd in crowds:
                if time.monotonic() < until:
                    database = directory / f"crowd-{crowd}" / "gatepost.db"
                    result.rounds[crowd].append(_check_once(database, resource, tokens[crowd]))
                    say(f"token check: {crowd:,} live tokens: {result.rounds[crowd][-1]:.1f} µs")
    except (subprocess.SubprocessError, ValueError) as error:
        result.failure = str(error)
        say(f"token check: {error}")
    return result


def _check_once(database: Path, resource: str, tokens: Sequence[str]) -> float:
    pinned = ["taskset", "--cpu-list", str(SERVER_CORE)] if has_two_cores() else []
    script = [GATEPOST.python, str(SERVERS / "gatepost_token_check.py"), str(database), f"--resource={resource}"]
    finished = subprocess.run(
        [*pinned, *script], input="\n".join(tokens), capture_output=True, text=True, check=True, timeout=_CHECK_SECONDS
    )
    return float(finished.stdout.split()[0])


if __name__ == "__main__":
    from benchmarks.__main__ import main

    sys.exit(main(["--only", "codes", "tokens", *sys.argv[1:]]))

"""Servers that start at the same time over an empty store end with one key set, one schema and one set-up link."""

from __future__ import annotations

import re
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.end_to_end import local_http
from tests.end_to_end.conftest import TARGET
from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.scripted_client import Person

SERVERS = 4


@pytest.mark.parametrize("has_key_file", [True, False])
@pytest.mark.parametrize("round_", range(2))
def test_servers_that_start_at_once_over_an_empty_store_are_one(
    tmp_path: Path, storage: dict[str, str], round_: int, *, has_key_file: bool
) -> None:
    environment = {**storage, "OAUTH_ACCESS_TOKEN_FORMAT": "jwt"}
    if not has_key_file:
        environment["MCP_SEALING_KEYS"] = secrets.token_urlsafe(32)
    # Two of them have workers, whose later ones start over a store that others have just made.
    options = [("--workers", "2"), (), ("--workers", "2"), ()]
    data = tmp_path / f"data-{round_}"
    servers = [RunningServer(TARGET, data, *each, environment=environment) for each in options]
    try:
        with ThreadPoolExecutor(SERVERS) as pool:
            list(pool.map(RunningServer.start, servers))

        links = [server.setup_link for server in servers]
        (_token,) = {parse_qs(urlsplit(link or "").query)["token"][0] for link in links}
        (key_ids,) = {
            tuple(key["kid"] for key in local_http.get(f"{server.origin}/oauth/jwks").json()["keys"])
            for server in servers
            for _ in range(4)  # over a connection each, so that every worker is asked
        }
        assert len(key_ids) == 1
        assert len(list(data.glob("*.key"))) == has_key_file
        # What one of them sealed and wrote, all of them open and read: an account that is made at the first is made.
        person = Person(servers[0].origin)
        person.set_up(links[0] or "")
        for server in servers[1:]:
            page = local_http.get(server.setup_link or "")
            assert page.status_code != 200, page.text
        for server in servers:
            assert local_http.get(f"{server.origin}/healthz").json() == {"status": "ok", "checks": {"store": "ok"}}
    finally:
        for server in servers:
            server.stop()
    for server in servers:
        assert re.search(r"Traceback|ERROR", server.output) is None, server.output

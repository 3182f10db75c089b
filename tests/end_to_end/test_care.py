"""The steps of docs/store.md and of replacing a sealing key, with servers that run meanwhile, on each backend."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from gatepost.stores.care.state import KNOWN_VERSION
from gatepost.tokens.sealing import key_id
from tests.end_to_end import local_http
from tests.end_to_end.conftest import TARGET, owner_of
from tests.end_to_end.running_server import REPOSITORY, RunningServer
from tests.end_to_end.scripted_client import App
from tests.stores.care.conftest import NewPlace, new_place
from tests.stores.care.filled import NEW, OLD
from tests.stores.care.places import make_older, opened, rows_of
from tests.stores.test_resealing import BEFORE, fill_people

REPLICAS = 4
__all__ = ["new_place"]


def url_of(storage: Mapping[str, str], data: Path) -> str:
    """The URL of the store that a server with these settings uses."""
    return storage.get("MCP_STORAGE_URL", f"sqlite:///{data / 'gatepost.db'}")


def gatepost(settings: Mapping[str, str], *arguments: str) -> str:
    """Run a command to its end and return what it printed."""
    ended = subprocess.run(
        [sys.executable, "-m", "gatepost", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def test_a_server_goes_on_from_an_export_in_another_database(
    storage: dict[str, str], new_place: NewPlace, tmp_path: Path
) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    keys = {"MCP_SEALING_KEYS": OLD, "OAUTH_ACCESS_TOKEN_FORMAT": "jwt"}
    here = {**keys, **storage, "OAUTH_STORAGE_DIR": str(data)}
    there = {**keys, "OAUTH_STORAGE_DIR": str(elsewhere)}
    if not storage:  # from the file to PostgreSQL, else the other way
        there["MCP_STORAGE_URL"] = new_place("postgresql")
    with RunningServer(TARGET, data, environment=here) as server:
        app = App(server.origin).register()
        owner = owner_of(server)
        tokens = app.redeem(app.code_from(owner.decide(app.authorization_url()))).json()
        assert app.call(tokens["access_token"], "whoami", {}).status_code == 200
        # Beside the server that runs.
        gatepost(here, "store", "export", str(tmp_path / "export.jsonl"))

    said = gatepost(there, "store", "import", "--keep-access", str(tmp_path / "export.jsonl"))
    assert said.startswith("Imported ")
    assert json.loads(gatepost(there, "store", "check", "--json"))["problems"] == []

    with RunningServer(TARGET, elsewhere, port=server.port, environment=there):
        assert app.call(tokens["access_token"], "whoami", {}).status_code == 200
        renewed = app.refresh(tokens["refresh_token"]).json()
        assert app.call(renewed["access_token"], "whoami", {}).status_code == 200


def test_a_server_goes_on_while_all_is_sealed_anew_and_without_the_old_key_afterwards(
    storage: dict[str, str], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    common = {**storage, "OAUTH_STORAGE_DIR": str(data), "OAUTH_ACCESS_TOKEN_FORMAT": "jwt"}
    both = {**common, "MCP_SEALING_KEYS": f"{OLD} {NEW}"}
    with RunningServer(TARGET, data, environment=both) as server:
        app = App(server.origin).register()
        owner = owner_of(server)
        tokens = app.redeem(app.code_from(owner.decide(app.authorization_url()))).json()
        asyncio.run(fill_store(url_of(storage, data)))
        resealing = subprocess.Popen(
            [sys.executable, "-m", "gatepost", "keys", "reseal"],
            cwd=REPOSITORY,
            env={**os.environ, **common, "MCP_SEALING_KEYS": f"{NEW} {OLD}"},
            stdout=subprocess.PIPE,
            text=True,
        )
        calls = 0
        while resealing.poll() is None:
            assert app.call(tokens["access_token"], "whoami", {}).status_code == 200
            calls += 1
        assert calls > 0
        said, _ = resealing.communicate()
        assert resealing.returncode == 0
        assert said.splitlines()[-1] == f"Everything is sealed under {key_id(NEW)}."
        assert app.call(tokens["access_token"], "whoami", {}).status_code == 200
        renewed = app.refresh(tokens["refresh_token"]).json()

    report = json.loads(gatepost({**common, "MCP_SEALING_KEYS": NEW}, "store", "check", "--json"))
    assert report["problems"] == []
    assert list(report["sealed_under"]) == [key_id(NEW)]
    alone = {**common, "MCP_SEALING_KEYS": NEW}
    with RunningServer(TARGET, data, port=server.port, environment=alone):
        for token in (tokens["access_token"], renewed["access_token"]):
            assert app.call(token, "whoami", {}).status_code == 200


async def fill_store(url: str) -> None:
    """Put second steps and tokens of login providers beside what a server has."""
    async with opened(url) as store:
        await fill_people(store, BEFORE, 100)


@pytest.mark.parametrize("version", [0, 4])
def test_replicas_that_start_at_once_agree_on_schema_keys_and_set_up_link(
    storage: dict[str, str], tmp_path: Path, version: int
) -> None:
    data = tmp_path / "data"
    settings = {**storage, "OAUTH_ACCESS_TOKEN_FORMAT": "jwt"}
    if storage:  # a file has its key beside it, which replicas on one machine agree on as well
        settings["MCP_SEALING_KEYS"] = OLD
    url = url_of(storage, data)
    if version:
        data.mkdir()
        asyncio.run(make_older(url, version))
    replicas = [RunningServer(TARGET, data, environment=settings) for _ in range(REPLICAS)]
    with ExitStack() as running, ThreadPoolExecutor(REPLICAS) as threads:
        for replica in replicas:
            running.callback(replica.stop)
        list(threads.map(RunningServer.start, replicas))
        links = {(replica.setup_link or "").removeprefix(replica.origin) for replica in replicas}
        published = [local_http.get(f"{replica.origin}/oauth/jwks").json()["keys"] for replica in replicas]

    assert len(links) == 1
    assert links != {""}
    assert [len(keys) for keys in published] == [1] * REPLICAS
    assert published == [published[0]] * REPLICAS
    assert list(rows_of(url, "SELECT version FROM schema_version")) == [(KNOWN_VERSION,)]
    assert len(rows_of(url, "SELECT key_id FROM sealing_key")) == 1
    assert len(rows_of(url, "SELECT key_id FROM signing_keys")) == 1
    assert len(rows_of(url, "SELECT created_at FROM setup_link")) == 1

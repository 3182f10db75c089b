"""An app that is served without an ASGI lifespan opens at its first request."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from gatepost import Server
from gatepost.app import create_app
from gatepost.configuration.settings import load_settings
from gatepost.web.site.direct_app import DirectApp

OPEN = {"MCP_REQUIRE_AUTH": "false", "OAUTH_ENABLED": "false"}
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
HEADERS = {"Accept": "application/json, text/event-stream"}


@pytest.fixture
def banners() -> list[str]:
    return []


@pytest.fixture
def app(tmp_path: Path, banners: list[str]) -> DirectApp:
    settings = load_settings({**OPEN, "OAUTH_STORAGE_DIR": str(tmp_path / "data")}, env_file=None)
    made = create_app(Server("Notes"), settings=settings, announce=banners.append)
    assert isinstance(made, DirectApp)
    return made


def client(app: FastAPI) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://127.0.0.1:8000")


def life_task() -> asyncio.Task[object]:
    (task,) = (task for task in asyncio.all_tasks() if task.get_name() == "gatepost-life")
    return task


async def end_of_the_loop() -> None:
    """Do to the app what `asyncio.run` does at its end."""
    task = life_task()
    task.cancel()
    await asyncio.wait([task])


async def test_requests_that_come_together_open_it_once(app: DirectApp, banners: list[str]) -> None:
    async with client(app) as http:
        answers = await asyncio.gather(*(http.post("/mcp", json=PING, headers=HEADERS) for _ in range(5)))
        later = await http.get("/healthz")

    assert [answer.json()["result"] for answer in answers] == [{}] * 5
    assert later.json() == {"status": "ok", "checks": {"store": "ok"}}
    assert len(banners) == 1
    await end_of_the_loop()


async def test_an_app_that_is_mounted_in_another_one_is_served(app: DirectApp) -> None:
    outer = FastAPI()
    outer.add_api_route("/own", lambda: "own")
    outer.mount("/", app)

    async with outer.router.lifespan_context(outer), client(outer) as http:
        assert (await http.post("/mcp", json=PING, headers=HEADERS)).json()["result"] == {}
        assert (await http.get("/own")).json() == "own"
    await end_of_the_loop()


async def test_it_closes_with_the_event_loop_and_opens_again_in_another(app: DirectApp, banners: list[str]) -> None:
    for _ in range(2):
        async with client(app) as http:
            assert (await http.get("/healthz")).status_code == 200
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert {"gatepost-purge", "gatepost-audit"} <= names
        await end_of_the_loop()
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert not {"gatepost-purge", "gatepost-audit"} & names
    assert len(banners) == 2


async def test_what_keeps_it_from_opening_is_in_the_log_under_the_id_that_everybody_is_told(
    tmp_path: Path, app: DirectApp, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "data" / "gatepost.db"
    blocked.mkdir(parents=True)

    async with client(app) as http:
        answers = await asyncio.gather(*(http.get("/healthz") for _ in range(3)))
        answers.append(await http.post("/mcp", json=PING, headers=HEADERS))

        (record,) = (record for record in caplog.records if record.levelname == "ERROR")
        incident = vars(record)["incident"]
        assert vars(record)["reason"] == "not_started"
        for answer in answers:
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert incident in answer.json()["error_description"]


async def test_opening_is_tried_again_after_a_while(
    tmp_path: Path, app: DirectApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatepost.assembly.life.RETRY_AFTER", 0)
    blocked = tmp_path / "data" / "gatepost.db"
    blocked.mkdir(parents=True)
    async with client(app) as http:
        assert (await http.get("/healthz")).status_code == 503
        blocked.rmdir()
        while (await http.get("/healthz")).status_code != 200:
            pass
    await end_of_the_loop()

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx2
import pytest

from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.sql.sqlite import memory_store
from gatepost.web.site.client_address import ClientAddresses
from gatepost.web.site.health import Check, HealthChecks, HealthEndpoints
from gatepost.web.site.routing import described
from tests.web.served import Served


@asynccontextmanager
async def serving(checks: Mapping[str, Check]) -> AsyncIterator[httpx2.AsyncClient]:
    app = Served()
    app.add(HealthEndpoints(server_name="notes", checks=HealthChecks(checks)).routes())
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="https://mcp.example.com") as http:
        yield http


async def fails() -> None:
    raise StoreUnavailable("disk /secret/path is full, token gp_at_leaked")


async def test_an_answering_process_is_alive_whatever_its_store_says() -> None:
    async with serving({"store": fails}) as http:
        response = await http.get("/health")
    assert (response.status_code, response.json()) == (
        200,
        {"status": "ok", "server": "notes", "resources": []},
    )
    assert response.headers["cache-control"] == "no-store"


async def test_a_server_whose_store_works_is_ready() -> None:
    async with serving({"store": memory_store().check}) as http:
        response = await http.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok", "checks": {"store": "ok"}})
    assert response.headers["cache-control"] == "no-store"


async def test_a_failing_check_is_named_and_explained_to_the_log_only(caplog: pytest.LogCaptureFixture) -> None:
    async with serving({"store": fails, "other": memory_store().check}) as http:
        response = await http.get("/healthz")
    assert response.status_code == 503
    assert response.json() == {"status": "failing", "checks": {"store": "failing", "other": "ok"}}
    assert response.headers["cache-control"] == "no-store"
    [record] = caplog.records
    assert (record.levelno, record.__dict__["reason"]) == (logging.ERROR, "store_unavailable")
    assert "the health check store fails" in caplog.text
    assert "disk /secret/path is full" in caplog.text
    assert "leaked" not in caplog.text


async def test_a_setting_that_does_not_fit_is_named_and_takes_nobody_out_of_service() -> None:
    addresses = ClientAddresses(["127.0.0.1"])
    app = Served()
    checks = HealthChecks({"store": memory_store().check})
    app.add(HealthEndpoints(server_name="notes", checks=checks, warnings=addresses.warnings).routes())
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="https://mcp.example.com") as http:
        assert "warnings" not in (await http.get("/healthz")).json()
        addresses.of({"type": "http", "client": ("127.0.0.1", 1), "headers": []})
        response = await http.get("/healthz")

    assert (response.status_code, response.json()["status"]) == (200, "ok")
    [warning] = response.json()["warnings"]
    assert warning.startswith("MCP_FORWARDED_HEADER: ")
    assert "127.0.0.1" not in warning


@pytest.mark.parametrize(("check", "status", "said"), [(memory_store().check, 200, "ok"), (fails, 503, "failing")])
async def test_who_does_not_know_the_server_is_told_the_status_alone(check: Check, status: int, said: str) -> None:
    app = Served()
    health = HealthEndpoints(
        server_name="notes",
        checks=HealthChecks({"store": check}),
        issuer="https://mcp.example.com",
        resources=["https://mcp.example.com/mcp"],
        warnings=lambda: ["MCP_TRUSTED_PROXIES: name it"],
        is_known_to=lambda _scope: False,
    )
    app.add(health.routes())
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="https://192.0.2.1") as http:
        alive, ready = await http.get("/health"), await http.get("/healthz")

    assert (alive.status_code, alive.json()) == (200, {"status": "ok"})
    assert (ready.status_code, ready.json()) == (status, {"status": said})


async def test_a_balancer_may_ask_with_head() -> None:
    async with serving({"store": fails}) as http:
        assert (await http.head("/health")).status_code == 200
        assert (await http.head("/healthz")).status_code == 503


def test_both_probes_are_described() -> None:
    paths = described(HealthEndpoints(server_name="notes", checks=HealthChecks({})).routes())
    assert {path: set(operations) for path, operations in paths.items()} == {"/health": {"get"}, "/healthz": {"get"}}


async def test_a_flood_of_probes_costs_one_check_a_second() -> None:
    now, asked = [100.0], []

    async def check() -> None:
        asked.append(now[0])
        await asyncio.sleep(0)

    app = Served()
    checks = HealthChecks({"store": check}, monotonic=lambda: now[0])
    app.add(HealthEndpoints(server_name="notes", checks=checks).routes())
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="https://mcp.example.com") as http:
        for now[0] in (100.0, 100.99, 101.0):
            answers = await asyncio.gather(*(http.get("/healthz") for _ in range(20)))
            assert {answer.status_code for answer in answers} == {200}

    assert asked == [100.0, 101.0]

"""Any server of a cluster serves any request, and no client is lost when servers and the database fail."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import ResourceUpdated

from tests import postgresql_instance
from tests.cluster.cluster import Cluster, program
from tests.cluster.workers import PythonClient, Refreshing, TypeScriptClient, Worker, ignore, wait_for_more, working
from tests.conftest import RequireService
from tests.end_to_end import local_http
from tests.end_to_end.scripted_client import App, close_http, count_open_http
from tests.end_to_end.test_official_client import Memory, Visits, connected
from tests.end_to_end.test_official_client_streams import CuttingTransport
from tests.end_to_end.test_typescript_clients import PACKAGES, SOURCE, install
from tests.postgresql_instance import postgresql_instances

PIECES = 4
"""Answers of each client between two faults."""


@pytest.fixture(params=["nginx", "haproxy"])
def cluster(request: pytest.FixtureRequest, tmp_path: Path, require_service: RequireService) -> Iterator[Cluster]:
    require_service(request.param, available=program(request.param) is not None)
    require_service("PostgreSQL's programs", available=postgresql_instance.is_possible())
    before = count_open_http()
    with postgresql_instances() as instances, Cluster(request.param, tmp_path, instances) as running:
        yield running
    close_http(keep=before)


@pytest.fixture(scope="module")
def typescript(require_service: RequireService) -> Path:
    require_service("the official TypeScript client (npm)", available=install())
    return Path(shutil.copy(SOURCE / "cluster.mjs", PACKAGES / "cluster.mjs"))


def allowed(cluster: Cluster) -> tuple[App, dict[str, str]]:
    app = App(cluster.origin).register()
    return app, app.redeem(app.code_from(cluster.owner.decide(app.authorization_url()))).json()


def call_of(cluster: Cluster, app: App, token: str) -> list[int]:
    """Return what each server answers to a call with this token."""
    statuses = []
    for member in cluster.members:
        with local_http.client(
            base_url=member.origin, headers={"Host": cluster.origin.removeprefix("http://")}
        ) as http:
            direct = App(cluster.origin, client_id=app.client_id)
            direct.http = http
            statuses.append(direct.call(token, "count", {"run": "probe"}).status_code)
    return statuses


def hears_of_changes(cluster: Cluster, token: str) -> None:
    """Subscribe at one server, change at any, resume at another."""

    async def run() -> None:
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            asyncio.timeout(local_http.PATIENCE),
            local_http.async_client(headers=headers) as http,
            Client(streamable_http_client(cluster.mcp_url, http_client=http), mode="2026-07-28") as client,
            client.listen(resource_subscriptions=["watched://one"]) as changes,
        ):
            for _ in cluster.members:
                await client.call_tool("touch", {})
                assert await anext(changes) == ResourceUpdated(uri="watched://one")
        network = CuttingTransport()
        async with (
            asyncio.timeout(local_http.PATIENCE),
            local_http.async_client(headers=headers, transport=network) as http,
            Client(streamable_http_client(cluster.mcp_url, http_client=http), mode="legacy") as client,
        ):
            called = await client.call_tool("steps", {"run": "resumed"}, progress_callback=ignore)
        assert not called.is_error
        assert network.resumed

    asyncio.run(run())


def authorizes(cluster: Cluster) -> None:
    """Have the official client log its user in, each request at another server."""

    async def run() -> None:
        visits = Visits(cluster.owner)
        async with connected(cluster, Memory(), visits, mode="auto") as client:  # type: ignore[arg-type] # has the URL
            assert not (await client.call_tool("count", {"run": "authorized"})).is_error
        assert visits.count == 1

    asyncio.run(run())


def test_clients_live_through_the_death_of_every_server_and_of_the_database(cluster: Cluster, typescript: Path) -> None:
    authorizes(cluster)
    app, tokens = allowed(cluster)
    revoking, revoked = allowed(cluster)
    refreshing = Refreshing(cluster, *allowed(cluster))
    token = tokens["access_token"]
    hears_of_changes(cluster, token)
    workers: list[Worker] = [
        refreshing,
        *(PythonClient(cluster, token, mode) for mode in ("2026-07-28", "legacy")),
        *(TypeScriptClient(cluster, typescript, token, which) for which in ("v1", "v2-modern")),
    ]

    def go_on() -> None:
        wait_for_more(cluster, workers, PIECES)

    with working(workers):
        go_on()
        for member in cluster.members:
            cluster.replace(member, go_on)
            go_on()
        assert call_of(cluster, revoking, revoked["access_token"]) == [200, 200, 200]
        revocation = {"token": revoked["refresh_token"], "client_id": revoking.client_id}
        assert revoking.http.post("/oauth/revoke", data=revocation).status_code == 200
        cluster.wait_for(lambda: call_of(cluster, revoking, revoked["access_token"]) == [401, 401, 401])
        cluster.fail_over(go_on)
        go_on()

    assert [fault for worker in workers for fault in worker.record.faults] == []
    assert call_of(cluster, revoking, revoked["access_token"]) == [401, 401, 401]
    assert call_of(cluster, app, token) == [200, 200, 200]
    assert call_of(cluster, app, refreshing.tokens["access_token"]) == [200, 200, 200]
    runs = cluster.runs()
    del runs["probe"]
    assert {run for run, times in runs.items() if times > 1} == set(), "a tool ran twice"
    done = [run for worker in workers for run in worker.record.done if run]
    assert [run for run in done if run not in runs] == [], "a tool that was answered did not run"
    hears_of_changes(cluster, token)
    authorizes(cluster)

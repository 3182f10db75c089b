"""Behind PgBouncer in transaction mode, whether it keeps prepared statements or not."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from uuid import uuid4

import pytest

from gatepost import Server, create_app
from gatepost.configuration.settings import load_settings
from gatepost.stores.conformance.records import NOW, WINDOW, fp, redeem, tokens
from gatepost.stores.contract.errors import StoreMisconfigured
from gatepost.stores.contract.grants import RotateOutcome
from gatepost.stores.sql.postgresql import postgresql_store
from tests import pgbouncer_instance
from tests.conftest import RequireService
from tests.pgbouncer_instance import Pgbouncer
from tests.seeds.person import person_at
from tests.stores import postgresql_server

PASSWORD = "a long enough passphrase"


@pytest.fixture
def pooler(require_service: RequireService) -> Iterator[Pgbouncer]:
    """A pooler in front of an empty schema."""
    require_service("PostgreSQL", available=postgresql_server.is_there())
    require_service("PgBouncer", available=pgbouncer_instance.program() is not None)
    with postgresql_server.behind_pgbouncer(f"gatepost_test_{uuid4().hex}") as (_, opened):
        yield opened


async def test_a_person_logs_in_and_an_app_refreshes_and_calls_through_a_pooler(pooler: Pgbouncer) -> None:
    server = Server("notes")

    @server.tool
    def add(text: str) -> str:
        """Add a note."""
        return text

    settings = load_settings({"ADMIN_PASSWORD": PASSWORD, "MCP_STORAGE_URL": "memory:"}, env_file=None)
    app = create_app(server, settings=settings, store=postgresql_store(pooler.url), announce=lambda _: None)
    async with person_at(app) as person:
        await person.allow(await person.submit(await person.arrive(), password=PASSWORD))
        for _ in range(3):
            assert (await person.refresh()).status_code == 200
            assert await person.call(person.tokens["access_token"], "add", text="x") == "x"
        form = {"token": person.tokens["refresh_token"], "client_id": person.client_id}
        assert (await person.http.post("/oauth/revoke", data=form)).status_code == 200
        assert (await person.refresh()).json()["error"] == "invalid_grant"


async def test_a_pooler_that_loses_prepared_statements_is_noticed_once_and_no_answer_is_wrong(
    pooler: Pgbouncer, caplog: pytest.LogCaptureFixture
) -> None:
    store = postgresql_store(pooler.url)
    await store.open()
    with caplog.at_level(logging.WARNING):
        for number in range(10):
            await redeem(store, f"{number}")
            rotation = await store.grants.rotate_refresh_token(
                fp(f"refresh {number}"), tokens(f"{number} next", f"grant-{number}"), b"sealed", now=NOW, window=WINDOW
            )
            assert rotation.outcome is RotateOutcome.ROTATED
            found = await store.grants.find_refresh(fp(f"refresh {number}"))
            assert found is not None
            assert found.token.successor_fingerprint == fp(f"refresh {number} next")
    await store.close()
    warnings = [record for record in caplog.records if "loses prepared statements" in record.getMessage()]
    assert len(warnings) <= (0 if pooler.keeps_statements else 1)


async def test_settings_in_the_url_are_refused_with_what_to_do_instead(pooler: Pgbouncer) -> None:
    with pytest.raises(StoreMisconfigured, match="the pooler in front of it takes no settings in the URL"):
        await postgresql_store(f"{pooler.url}?search_path=notes").open()

"""An export of an older version is loaded into tables of its own version, and migrated with them."""

from __future__ import annotations

import io

import pytest

from gatepost.stores.care.checking import check_store
from gatepost.stores.care.export_format import ExportWriter, Header
from gatepost.stores.care.state import status_of
from gatepost.stores.conformance.records import NOW
from gatepost.stores.contract.errors import StoreMisconfigured
from gatepost.stores.sql.schema.catalogue import CARRIED
from gatepost.stores.urls import locate
from tests.stores.care.conftest import NewPlace
from tests.stores.care.filled import RING
from tests.stores.care.places import make_older, rows_of, run_in
from tests.stores.care.test_moving import bring_in, column_names


async def export_of_version_8(url: str) -> bytes:
    """Return what the Gatepost of version 8 would have exported: a person with a linked login that spoke last."""
    await make_older(url, 8)
    run_in(
        url,
        "INSERT INTO users (subject, issuer, external_subject, username, created_at, profile_issuer) "
        "VALUES ('user-1', 'local', 'user-1', 'ada', 1, 'https://id.example')",
        "INSERT INTO linked_logins (issuer, external_subject, subject, linked_at) "
        "VALUES ('https://id.example', '583231', 'user-1', 1)",
    )
    there = [table.name for table in CARRIED if column_names(url, table.name)]
    header = Header(
        schema_version=8,
        made_at=NOW,
        made_by="0.0.8",
        columns={name: column_names(url, name) for name in there},
        rows={name: len(rows_of(url, f"SELECT 1 FROM {name}")) for name in there},  # noqa: S608 - our own names
    )
    assert {table.name for table in CARRIED} - set(there) == {
        "api_keys",
        "served_endpoints",
        "device_authorizations",
        "pushed_requests",
        "exchanged_tokens",
        "task_runners",
        "tasks",
        "task_values",
        "task_requests",
    }
    file = io.BytesIO()
    writer = ExportWriter(file.write)
    writer.header(header)
    for name in there:
        columns = ", ".join(header.columns[name])
        writer.rows(name, rows_of(url, f"SELECT {columns} FROM {name}"))  # noqa: S608 - likewise
    writer.end(header)
    return file.getvalue()


@pytest.mark.parametrize("begun", [0, 4, 8])
async def test_an_export_of_an_older_version_is_migrated_with_its_rows(
    url: str, new_place: NewPlace, begun: int
) -> None:
    lines = await export_of_version_8(new_place("sqlite"))
    if begun:
        await make_older(url, begun)

    await bring_in(url, lines)

    assert (await status_of(locate(url))).state == "current"
    # What the migration to version 9 has worked out of rows that were there.
    assert list(rows_of(url, "SELECT subject, profile_subject FROM users")) == [("user-1", "583231")]
    assert (await check_store(locate(url), ring=RING, now=NOW)).problems == []


async def test_an_export_of_an_older_version_is_not_loaded_into_newer_tables(new_place: NewPlace) -> None:
    lines, url = await export_of_version_8(new_place("sqlite")), new_place("sqlite")
    await make_older(url, 9)

    with pytest.raises(StoreMisconfigured, match="has schema version 9 already and the export has 8: import it where"):
        await bring_in(url, lines)

    assert list(rows_of(url, "SELECT version FROM schema_version")) == [(9,)]

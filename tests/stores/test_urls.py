"""Store URLs: which backend, where, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gatepost.stores.contract.errors import StoreMisconfigured
from gatepost.stores.urls import locate


@pytest.mark.parametrize(
    ("url", "description", "key_file"),
    [
        ("sqlite:///data/a.db", str(Path("data/a.db").absolute()), "data/a.key"),
        ("sqlite:////data/a.db", "/data/a.db", "/data/a.key"),
        ("sqlite:////data/plain", "/data/plain", "/data/plain.key"),
        ("sqlite:///~/a.db", str(Path("~/a.db").expanduser()), str(Path("~/a.key").expanduser())),
    ],
)
def test_a_sqlite_url_is_relative_with_three_slashes_and_absolute_with_four(
    url: str, description: str, key_file: str
) -> None:
    location = locate(url)

    assert (location.is_lost_at_exit, location.key_file) == (False, Path(key_file))
    assert location.make_store().description == description


def test_a_postgresql_url_is_described_without_what_is_secret_in_it() -> None:
    location = locate("postgresql://ada:secret@one:5432,two:5433/notes?password=secret&sslmode=verify-full")

    assert (location.is_lost_at_exit, location.key_file, location.copying) == (False, None, None)
    assert location.make_store().description == "postgresql://one:5432,two:5433/notes"


@pytest.mark.parametrize("url", ["memory:", "memory://"])
def test_memory_is_in_no_file(url: str) -> None:
    location = locate(url)
    store = location.make_store()

    assert (location.is_lost_at_exit, location.key_file) == (True, None)
    assert (store.is_lost_at_exit, store.description) == (True, "memory (lost at exit)")


@pytest.mark.parametrize(
    "url",
    [
        *(
            "postgresql:",
            "postgresql:db/x",
            "postgresql://db",
            "postgresql://db/",
            "postgresql://db/x#y",
            "mysql://db/x",
        ),
        *("redis://x", "x", ""),
        *("sqlite:", "sqlite://", "sqlite:///", "sqlite:////", "sqlite:///dir/", "sqlite:data/a.db", "SQLITE:///a.db"),
        *("memory", "memory:x", "memory:///"),
    ],
)
def test_what_no_backend_serves_is_refused_with_those_there_are(url: str) -> None:
    with pytest.raises(StoreMisconfigured) as refusal:
        locate(url)

    assert str(refusal.value) == (
        "a store's URL is sqlite:///path/to/file.db (four slashes for an absolute path) or "
        "postgresql://user@host/database or memory:; this version knows no other store"
    )


def test_reading_a_url_imports_no_driver() -> None:
    """A start pays for the driver that it uses, and for no other."""
    urls = ["sqlite:///a.db", "memory:", "postgresql://db/x"]
    program = f"import sys; from gatepost.stores.urls import locate; [locate(url) for url in {urls}]; "
    # Its own package, not `sqlite3`: what measures the coverage of this process imports that before us.
    drivers = "{'gatepost.stores.sql.sqlite', 'gatepost.stores.sql.postgresql', 'asyncpg'}"
    asked = [sys.executable, "-c", f"{program}print(bool({drivers} & sys.modules.keys()))"]

    assert subprocess.run(asked, check=True, capture_output=True).stdout == b"False\n"

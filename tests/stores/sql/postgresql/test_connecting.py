"""What the URL of a PostgreSQL store says: TLS, the password, several hosts, and what cannot be honoured."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gatepost.stores.contract.errors import StoreBusy, StoreMisconfigured, StoreUnavailable
from gatepost.stores.sql.postgresql.database import PostgresqlDatabase
from tests import postgresql_instance
from tests.conftest import RequireService
from tests.outbound.certificates import issue
from tests.postgresql_instance import Instances, PostgresqlInstance, postgresql_instances

PASSWORD = "hush hush"


@pytest.fixture(scope="module")
def instances(require_service: RequireService) -> Iterator[Instances]:
    require_service("PostgreSQL's programs", available=postgresql_instance.is_possible())
    with postgresql_instances() as made:
        yield made


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate for localhost and the authority that issued it."""
    directory = tmp_path_factory.mktemp("authority")
    issue(directory, names=("localhost",))
    return directory


@pytest.fixture(scope="module")
def guarded(instances: Instances, authority: Path) -> PostgresqlInstance:
    """A server that speaks TLS, and asks `ada` for a password."""
    instance = instances.primary(is_durable=False)
    instance.put("server.pem", (authority / "server.pem").read_text())
    instance.execute(f"CREATE ROLE ada SUPERUSER LOGIN PASSWORD '{PASSWORD}'")
    instance.allow("host all postgres 127.0.0.1/32 trust", "host all ada 127.0.0.1/32 scram-sha-256")
    instance.settings |= {"ssl": "on", "ssl_cert_file": "server.pem", "ssl_key_file": "server.pem"}
    instance.restart()
    return instance


@asynccontextmanager
async def opened(url: str, **options: Any) -> Any:
    database = PostgresqlDatabase(url, busy_timeout=5, **options)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


async def value_of(database: PostgresqlDatabase, query: str) -> Any:
    row = await database.read(lambda transaction: transaction.one(f"SELECT ({query})::text AS value"))
    assert row is not None
    return row["value"]


ENCRYPTED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


def url_of(instance: PostgresqlInstance, *, user: str = "postgres", host: str = "localhost", **options: object) -> str:
    query = "&".join(f"{name}={value}" for name, value in options.items())
    return f"postgresql://{user}@{host}:{instance.port}/test" + (f"?{query}" if query else "")


async def test_a_server_with_the_certificate_that_is_meant_is_spoken_with_encrypted(
    guarded: PostgresqlInstance, authority: Path
) -> None:
    url = url_of(guarded, sslmode="verify-full", sslrootcert=authority / "ca.pem")
    async with opened(url) as database:
        assert await value_of(database, ENCRYPTED) == "true"


@pytest.mark.parametrize(
    ("host", "is_other_authority", "said"),
    [
        ("localhost", True, "its certificate does not show that it is the one that is meant"),
        ("127.0.0.1", False, "IP address mismatch"),
    ],
)
async def test_any_other_certificate_is_refused_with_the_reason(
    guarded: PostgresqlInstance, authority: Path, tmp_path: Path, host: str, *, is_other_authority: bool, said: str
) -> None:
    issue(tmp_path, names=("localhost",))
    trusted = tmp_path if is_other_authority else authority
    url = url_of(guarded, host=host, sslmode="verify-full", sslrootcert=trusted / "ca.pem")
    with pytest.raises(StoreMisconfigured, match=said):
        await PostgresqlDatabase(url, busy_timeout=5).open()


async def test_a_server_without_tls_is_refused_where_the_url_demands_it(instances: Instances) -> None:
    plain = instances.primary(is_durable=False)
    with pytest.raises(StoreMisconfigured, match="it speaks no TLS, which the URL's sslmode demands"):
        await PostgresqlDatabase(url_of(plain, sslmode="require"), busy_timeout=5).open()


async def test_the_password_is_read_from_a_file_for_each_connection(
    guarded: PostgresqlInstance, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    # Without TLS: the pool ends a connection that has expired in the background, and TLS takes its leave for seconds.
    url = url_of(guarded, user="ada", sslmode="disable")
    with pytest.raises(StoreMisconfigured, match=r"its password file .*password cannot be read: No such file"):
        await PostgresqlDatabase(url, busy_timeout=5, password_file=file).open()
    file.write_text("wrong\n")
    with pytest.raises(StoreMisconfigured, match="the password is wrong"):
        await PostgresqlDatabase(url, busy_timeout=5, password_file=file).open()
    file.write_text(f"{PASSWORD}\n")
    async with opened(url, password_file=file) as database:
        assert await value_of(database, "SELECT current_user") == "ada"
        guarded.execute("ALTER ROLE ada PASSWORD 'another'")
        try:
            await database._lent.expire()
            with pytest.raises(StoreBusy, match="the password is wrong"):
                await value_of(database, "SELECT 1")
            file.write_text("another")
            assert await value_of(database, "SELECT current_user") == "ada"
        finally:
            guarded.execute(f"ALTER ROLE ada PASSWORD '{PASSWORD}'")


async def test_a_password_file_as_libpq_has_it_is_read_as_well(guarded: PostgresqlInstance, tmp_path: Path) -> None:
    file = tmp_path / "pgpass"
    file.write_text(f"localhost:{guarded.port}:test:ada:{PASSWORD}\n")
    file.chmod(0o600)
    async with opened(url_of(guarded, user="ada", passfile=file)) as database:
        assert await value_of(database, "SELECT current_user") == "ada"


async def test_a_password_in_two_places_is_refused(tmp_path: Path) -> None:
    for url in ("postgresql://ada:x@db/notes", "postgresql://ada@db/notes?password=x"):
        with pytest.raises(StoreMisconfigured, match="leave out one of them"):
            await PostgresqlDatabase(url, busy_timeout=5, password_file=tmp_path / "password").open()


async def test_of_several_hosts_the_one_that_can_be_written_is_taken_past_one_that_is_silent(
    instances: Instances, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatepost.stores.sql.postgresql.connecting._CONNECT_SECONDS_OF_SEVERAL", 0.5)
    primary = instances.primary(is_durable=False)
    standby = instances.standby(primary)
    with socket.socket() as silent:  # it listens, and nobody takes what comes in
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        hosts = f"127.0.0.1:{silent.getsockname()[1]},127.0.0.1:{standby.port},127.0.0.1:{primary.port}"
        url = f"postgresql://postgres@{hosts}/test?target_session_attrs=read-write"
        async with opened(url) as database:
            assert await value_of(database, "SELECT inet_server_port()") == str(primary.port)
            primary.stop("immediate")
            standby.promote()
            deadline = time.monotonic() + 60
            while True:
                try:
                    assert await value_of(database, "SELECT inet_server_port()") == str(standby.port)
                    break
                except StoreBusy:
                    assert time.monotonic() < deadline


async def test_when_no_host_can_be_written_the_error_says_so(instances: Instances) -> None:
    primary = instances.primary(is_durable=False)
    standby = instances.standby(primary)
    with pytest.raises(StoreUnavailable, match="no host is what target_session_attrs asks for"):
        await PostgresqlDatabase(url_of(standby, target_session_attrs="read-write"), busy_timeout=5).open()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("channel_binding=require", "leave out channel_binding"),
        ("sslmode=perhaps", "sslmode, which takes disable, allow"),
        ("target_session_attrs=some", "target_session_attrs, which takes any"),
        ("sslrootcert=/nowhere/ca.pem", "sslrootcert=/nowhere/ca.pem, and there is no such file"),
        ("connect_timeout=soon", "connect_timeout, which takes whole seconds"),
        ("search_path", "the store's URL is malformed"),
    ],
)
async def test_an_option_that_cannot_be_honoured_is_refused_by_name(options: str, said: str) -> None:
    with pytest.raises(StoreMisconfigured, match=said):
        await PostgresqlDatabase(f"postgresql://ada:secret@127.0.0.1:1/notes?{options}", busy_timeout=5).open()


async def test_an_option_that_the_server_does_not_know_is_refused(guarded: PostgresqlInstance) -> None:
    with pytest.raises(StoreMisconfigured, match="the URL has an option that it does not know"):
        await PostgresqlDatabase(url_of(guarded, serch_path="notes"), busy_timeout=5).open()


async def test_the_url_says_for_how_long_a_host_is_tried(guarded: PostgresqlInstance) -> None:
    async with opened(url_of(guarded, connect_timeout=7, application_name="notes")) as database:
        assert await value_of(database, "SELECT current_setting('application_name')") == "notes"
        assert database._connections is not None
        assert database._connections._connector.seconds == 7

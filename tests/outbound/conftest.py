"""A TLS server on loopback with a certificate of a CA made for the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.outbound.tls_server import TlsServer


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `ca.pem`, and the certificate and key of `client.example` and `localhost`."""
    from tests.outbound.certificates import issue  # noqa: PLC0415 - cryptography only where it is used

    directory = tmp_path_factory.mktemp("authority")
    issue(directory, names=("client.example", "localhost"))
    return directory


@pytest.fixture
def server(authority: Path) -> Iterator[TlsServer]:
    """A running server that answers what the test says."""
    with TlsServer(authority) as running:
        yield running

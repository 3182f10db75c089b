"""The TLS server that client documents are fetched from."""

from tests.outbound.conftest import authority, server

__all__ = ["authority", "server"]

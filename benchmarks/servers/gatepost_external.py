"""Gatepost with an issuer elsewhere beside its own: arguments are a port, the issuer and the file of its public key."""

from __future__ import annotations

import sys

from gatepost import ExternalIssuer, Server, run

server = Server("benchmark")


@server.tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


if __name__ == "__main__":
    _, port, issuer, public_key = sys.argv
    run(server, port=int(port), external=ExternalIssuer(issuer, public_key=public_key))

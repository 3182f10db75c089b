"""Gatepost with an issuer elsewhere beside its own.

`serve PORT ISSUER FILE` serves, with the issuer's public key in the file. `mint RESOURCE ISSUER FILE` makes a key,
writes its public part there, and prints an access token of the issuer's for the resource (RFC 9068).
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from joserfc import jwt
from joserfc.jwk import ECKey

from gatepost import ExternalIssuer, Server, run

server = Server("benchmark")


@server.tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def mint(resource: str, issuer: str, public_key: Path) -> str:
    """Write the public key, and return a token that lives for an hour."""
    key = ECKey.generate_key("P-256", {"kid": "benchmark"})
    public_key.write_text(json.dumps(key.as_dict(private=False)))
    now = int(time.time())
    who = {"sub": "benchmark", "client_id": "benchmark", "scope": "tools", "jti": "benchmark"}
    claims = {"iss": issuer, "aud": resource, "iat": now, "exp": now + 3600, **who}
    return jwt.encode({"alg": "ES256", "kid": "benchmark", "typ": "at+jwt"}, claims, key)


if __name__ == "__main__":
    _, verb, what, issuer, public_key = sys.argv
    if verb == "mint":
        sys.stdout.write(mint(what, issuer, Path(public_key)))
    else:
        run(server, port=int(what), external=ExternalIssuer(issuer, public_key=public_key))

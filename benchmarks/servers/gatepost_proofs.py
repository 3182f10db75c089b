"""An access token that is bound to a key, and proofs of that key (RFC 9449).

`token DATABASE RESOURCE FILE` makes a key, keeps it in the file, adds a token that is bound to it to a store that no
server has open, and prints the token. `proofs RESOURCE FILE TOKEN NONCE COUNT` prints so many proofs, one a line, each
good for one request with the token.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import sys
import time
from pathlib import Path

from gatepost_store import CLIENT_ID, new_client, new_tokens
from joserfc import jwt
from joserfc.jwk import ECKey

from gatepost.stores.sql.sqlite import file_store


async def bound_token(database: str, resource: str, key: ECKey) -> str:
    """Add the token, and return it."""
    store = file_store(Path(database))
    await store.open()
    try:
        if await store.clients.find_client(CLIENT_ID) is None:
            await store.clients.register_client(new_client())
        return (await new_tokens(store, resource, 0, dpop_jkt=key.thumbprint())).access_token
    finally:
        await store.close()


def proof(key: ECKey, resource: str, token_hash: str, nonce: str) -> str:
    """Return a proof for a POST to the resource (RFC 9449 section 4.2)."""
    claims = {"jti": secrets.token_urlsafe(16), "htm": "POST", "htu": resource, "iat": int(time.time()), "nonce": nonce}
    header = {"alg": "ES256", "typ": "dpop+jwt", "jwk": key.as_dict(private=False)}
    return jwt.encode(header, {**claims, "ath": token_hash}, key)


if __name__ == "__main__":
    verb, *rest = sys.argv[1:]
    if verb == "token":
        database, resource, file = rest
        made = ECKey.generate_key("P-256")
        Path(file).write_text(json.dumps(made.as_dict(private=True)))
        sys.stdout.write(asyncio.run(bound_token(database, resource, made)))
    else:
        resource, file, token, nonce, count = rest
        kept = ECKey.import_key(json.loads(Path(file).read_text()))
        hashed = base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
        sys.stdout.writelines(f"{proof(kept, resource, hashed, nonce)}\n" for _ in range(int(count)))

"""Step 5: an issuer of tokens: a key pair, its public half as a JWK Set at a URL, and a command that signs tokens.

python examples/steps/step_5_keys.py
python examples/steps/step_5_keys.py token --username alice --scopes mcp:read,mcp:tools
"""

import argparse
import os
import secrets
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

ISSUER = os.environ.get("ISSUER", "http://127.0.0.1:8001")
AUDIENCE = os.environ.get("AUDIENCE", "http://127.0.0.1:8000/mcp")
KEY_FILE = Path(os.environ.get("ISSUER_KEY", ".gatepost/issuer-key.pem"))
JWKS_PATH = "/.well-known/jwks.json"
METADATA_PATH = "/.well-known/oauth-authorization-server"


def private_key(path: Path = KEY_FILE) -> RSAKey:
    """Return the key pair, made at the first use; only this user may read its file."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(RSAKey.generate_key(2048).as_pem(private=True))
    key = RSAKey.import_key(path.read_bytes())
    return RSAKey.import_key(key.as_dict(private=True), {"kid": key.thumbprint(), "alg": "RS256", "use": "sig"})


def key_set(key: RSAKey) -> dict[str, Any]:
    """Return the JWK Set (RFC 7517): the public halves of all keys that count, here one."""
    return {"keys": [key.as_dict(private=False)]}


def token(
    key: RSAKey, username: str, scopes: str, *, roles: str = "", audience: str = AUDIENCE, lifetime: int = 3600
) -> str:
    """Return a signed access token (RFC 9068) that counts for `lifetime` seconds."""
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "sub": username,
        "aud": audience,
        "client_id": "tutorial",
        "scope": scopes.replace(",", " "),
        "roles": roles.replace(",", " ").split(),
        "iat": now,
        "exp": now + lifetime,
        "jti": secrets.token_urlsafe(12),
    }
    return jwt.encode({"alg": "RS256", "typ": "at+jwt", "kid": key.kid}, claims, key)


def metadata() -> dict[str, Any]:
    """Return what this issuer says of itself (RFC 8414); step 7 needs it."""
    return {"issuer": ISSUER, "jwks_uri": ISSUER + JWKS_PATH, "response_types_supported": []}


def application(key: RSAKey) -> Starlette:
    """Return the issuer as an ASGI application: two documents, and no login."""

    def serve_keys(_: Request) -> Response:
        return JSONResponse(key_set(key))

    def serve_metadata(_: Request) -> Response:
        return JSONResponse(metadata())

    return Starlette(routes=[Route(JWKS_PATH, serve_keys), Route(METADATA_PATH, serve_metadata)])


def main() -> None:
    """Serve the documents, or print a token."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command")
    token_command = commands.add_parser("token", help="print a signed access token")
    token_command.add_argument("--username", required=True, help="whose token it is")
    token_command.add_argument("--scopes", default="", help='such as mcp:read,mcp:tools; "" for none')
    token_command.add_argument("--roles", default="", help="such as user")
    token_command.add_argument("--audience", default=AUDIENCE, help="the MCP endpoint that it is for")
    token_command.add_argument("--lifetime", type=int, default=3600, help="seconds; below 0 for one that has expired")
    given = parser.parse_args()
    key = private_key()
    if given.command == "token":
        options = {"roles": given.roles, "audience": given.audience, "lifetime": given.lifetime}
        print(token(key, given.username, given.scopes, **options))
    else:
        uvicorn.run(application(key), host="127.0.0.1", port=urlsplit(ISSUER).port or 8001, access_log=False)


if __name__ == "__main__":
    main()

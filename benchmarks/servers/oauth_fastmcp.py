"""FastMCP with its in-memory OAuth provider, filled with codes that wait to be redeemed."""

from __future__ import annotations

import json
import os
import sys
import time

import uvicorn
from fastmcp import FastMCP
from fastmcp.server.auth.auth import ClientRegistrationOptions
from fastmcp.server.auth.providers.in_memory import InMemoryOAuthProvider
from mcp.server.auth.provider import AuthorizationCode
from mcp.shared.auth import OAuthClientInformationFull
from pydantic import AnyUrl

port = int(sys.argv[1])
plan = json.loads(os.environ["BENCHMARK_CODES"])
redirect_uri = AnyUrl(plan["redirect_uri"])

provider = InMemoryOAuthProvider(
    base_url=f"http://127.0.0.1:{port}", client_registration_options=ClientRegistrationOptions(enabled=True)
)
provider.clients[plan["client_id"]] = OAuthClientInformationFull(
    client_id=plan["client_id"],
    redirect_uris=[redirect_uri],
    grant_types=["authorization_code", "refresh_token"],
    response_types=["code"],
    token_endpoint_auth_method="none",
)
for index in range(plan["count"]):
    code = f"code-{index:036d}"
    provider.auth_codes[code] = AuthorizationCode(
        code=code,
        client_id=plan["client_id"],
        scopes=[],
        expires_at=time.time() + 600,
        code_challenge=plan["challenge"],
        redirect_uri=redirect_uri,
        redirect_uri_provided_explicitly=True,
        subject=f"user_{index % 64}",
    )

if __name__ == "__main__":
    uvicorn.run(
        FastMCP("benchmark", auth=provider).http_app(),
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )

"""A tool that acts elsewhere as its caller: it says which token it would send, by its fingerprint, or who that is."""

import hashlib
import os

import httpx2

from gatepost import Context, Server

server = Server("upstream")
elsewhere = httpx2.AsyncClient(timeout=120, trust_env=False)


@server.tool
async def act(ctx: Context) -> str:
    """Wait until all are here, and use the token."""
    if "MEET_AT" in os.environ:
        await elsewhere.get(os.environ["MEET_AT"])
    token = await ctx.upstream_token("company")
    if "WHO_AT" in os.environ:
        answer = await elsewhere.get(os.environ["WHO_AT"], headers={"Authorization": f"Bearer {token}"})
        return f"{answer.status_code} {answer.json().get('sub')}"
    return hashlib.sha256(token.encode()).hexdigest()

"""GitHub as tools, for everybody in their own name: who they are there, their repositories and their stars."""

import sys
from pathlib import Path
from typing import Any

import httpx2

from gatepost import Context, Server, run
from gatepost.configuration.settings import variables

server = Server("github", title="GitHub")
api = httpx2.AsyncClient(base_url="https://api.github.com", headers={"Accept": "application/vnd.github+json"})


async def ask(ctx: Context, path: str, refused: str | None = None) -> Any:
    """Return what GitHub says to the caller."""
    token = await ctx.upstream_token("github", refused=refused)
    answer = await api.get(path, headers={"Authorization": f"Bearer {token}"}, params={"per_page": 100})
    if answer.status_code == httpx2.codes.UNAUTHORIZED and refused is None:  # its person has revoked it at GitHub
        return await ask(ctx, path, refused=token)
    return answer.raise_for_status().json()


@server.tool
async def whoami(ctx: Context) -> str:
    """Say who the caller is at GitHub."""
    return "{login} ({html_url})".format(**await ask(ctx, "/user"))


@server.tool
async def list_my_repos(ctx: Context) -> list[str]:
    """List the caller's repositories; the private ones take the scope `repo`."""
    return [repository["full_name"] for repository in await ask(ctx, "/user/repos")]


@server.tool
async def get_starred(ctx: Context) -> list[str]:
    """List the repositories that the caller has starred."""
    return [repository["full_name"] for repository in await ask(ctx, "/user/starred")]


if __name__ == "__main__":
    given = variables(Path(".env"))
    needed = ["GITHUB_CLIENT_ID", "GITHUB_CLIENT_SECRET", "GITHUB_KEEP_TOKENS", "OAUTH_ALLOWED_USERS"]
    missing = ", ".join(name for name in needed if name not in given)
    if missing and "OAUTH_UPSTREAM_GITHUB_KEEP_TOKENS" not in given:  # the other names of the same
        sys.exit(f"Set {missing}: id and secret of a GitHub app, true, and who may log in, such as login:octocat.")
    run(server)

"""A whole server with two MCP endpoints over one SQLite file, in process, that can be stopped and started again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
from starlette.requests import Request

from gatepost import Server, get_current_sub
from gatepost.assembly.installation import Installation, install
from gatepost.assembly.site import app_for
from gatepost.configuration.settings import load_settings
from gatepost.identity.local_accounts import LocalAccounts
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.users import User
from gatepost.stores.purging import purge_everything, purges_of
from gatepost.stores.sql.sqlite import file_store
from tests.attacks.installed import CHALLENGE, ORIGIN, VERIFIER
from tests.identity.second_step_world import second_steps
from tests.web.mcp.mcp_harness import MODERN_META
from tests.web.pages.pages_world import Form

NOTES, MAIL = f"{ORIGIN}/notes/mcp", f"{ORIGIN}/mail/mcp"
SCOPES = frozenset({"read", "write"})
REDIRECT_URI = "https://app.example/cb"
MONITOR_ID, MONITOR_SECRET = "client_monitor", "a secret of the resource server that asks about all tokens"
AUDIT_DAYS = 90


class AtTheBrowser(LocalAccounts):
    """Local accounts that know without a password who is at the browser."""

    def __init__(self, store: Store, *, username: Callable[[], str]) -> None:
        super().__init__(users=store.users, second_steps=second_steps(store))
        self._username = username

    async def authenticate(self, request: Request, credentials: Mapping[str, str]) -> User | None:
        """Return the account of whoever is at the browser, unless it is disabled."""
        del request, credentials
        user = await self._users.find_user(self._username())
        return None if user is None or user.disabled_at is not None else user


def served() -> dict[str, Server]:
    """Return two servers whose one tool says whose token it was called with."""
    servers = {}
    for name in ("notes", "mail"):
        server = Server(name)
        server.tool(scopes=["read"])(whoami)
        server.tool(name="write", scopes=["write"])(whoami)
        servers[f"/{name}/mcp"] = server
    return servers


async def whoami() -> str:
    """Say whose token this is."""
    return get_current_sub()


class RestartableServer:
    """Started and stopped by `start` and `stop`, in one task of its own."""

    def __init__(self, directory: Path, *, now: Callable[[], int], **variables: str) -> None:
        self._database = directory / "gatepost.db"
        settings = {
            "MCP_STORAGE_URL": f"sqlite:///{self._database}",
            "OAUTH_STORAGE_DIR": str(directory),
            "OAUTH_AUTO_APPROVE": "true",
            "OAUTH_LIMIT_FACTOR": "0",
            "OAUTH_SUPPORTED_SCOPES": "more",  # which nobody is ever granted
            "OAUTH_INTROSPECTION_CLIENTS": MONITOR_ID,
            **variables,
        }
        self._settings = load_settings(settings, env_file=None)
        self._now = now
        self._at_the_browser = ""
        self.store: Store
        self._installation: Installation
        self.http: httpx2.AsyncClient
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Install anew, on the same file with the same keys."""
        store = file_store(self._database)
        provider = AtTheBrowser(store, username=lambda: self._at_the_browser)
        self.store = store
        self._installation = install(served(), self._settings, provider=provider, store=store, now=self._now)
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stopping = asyncio.Event()
        self._task = asyncio.create_task(self._serve(started))
        await asyncio.wait([started, self._task], return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            await self._task

    async def stop(self) -> None:
        """Close everything down."""
        if self._task is not None:
            self._stopping.set()
            await self._task
            self._task = None

    async def _serve(self, started: asyncio.Future[None]) -> None:
        app = app_for(self._installation, announce=lambda _: None)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=ORIGIN) as self.http,
        ):
            started.set_result(None)
            await self._stopping.wait()

    async def authorize(
        self, client_id: str, *, username: str, resource: str, scope: str, pause: Callable[[], None] | None
    ) -> str | None:
        """Walk a fresh browser through an authorization request, by way of the pages or at once.

        `pause` is called while the person looks at the login; without it there is none to look at.

        Returns the code, or None when the browser is not sent back to the client.
        """
        self._at_the_browser = username
        self.http.cookies.clear()
        query = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": REDIRECT_URI,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "resource": resource,
            "scope": scope,
        }
        if pause is None:
            answer = await self.http.get("/oauth/authorize", params=query)
        else:
            answer = await self.http.get("/oauth/authorize", params={**query, "prompt": "login"})
            pause()
        while answer.status_code == 303 and answer.headers["location"].startswith("/"):
            answer = await self.http.get(answer.headers["location"])
        if answer.status_code == HTTPStatus.OK:
            # Whoever asked for the page is asked there, whatever the operator decided.
            form = Form(answer.text)
            answer = await self.http.post(form.action or "", data={**form.fields, "decision": "approve"})
        if answer.status_code != 303:
            return None
        location = urlsplit(answer.headers["location"])
        assert location._replace(query="").geturl() == REDIRECT_URI
        return parse_qs(location.query)["code"][0]

    async def redeem(self, client_id: str, code: str, **changes: str) -> httpx2.Response:
        """Redeem a code; `changes` are parameters."""
        parameters = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT_URI,
            "code_verifier": VERIFIER,
            "client_id": client_id,
        }
        return await self.http.post("/oauth/token", data={**parameters, **changes})

    async def refresh(self, client_id: str, token: str, **changes: str) -> httpx2.Response:
        """Use a refresh token; `changes` are parameters."""
        parameters = {"grant_type": "refresh_token", "refresh_token": token, "client_id": client_id}
        return await self.http.post("/oauth/token", data={**parameters, **changes})

    async def revoke(self, client_id: str, token: str) -> httpx2.Response:
        """Give a token back."""
        return await self.http.post("/oauth/revoke", data={"token": token, "client_id": client_id})

    async def introspect(self, token: str) -> dict[str, Any]:
        """Return what the resource server is told about a token."""
        form = {"token": token, "client_id": MONITOR_ID, "client_secret": MONITOR_SECRET}
        response = await self.http.post("/oauth/introspect", data=form)
        assert response.status_code == 200
        answer: dict[str, Any] = response.json()
        return answer

    async def call(self, resource: str, token: str, tool: str = "whoami") -> tuple[int, str | None]:
        """Call the tool that says whose token it is; return the status and what it said."""
        message = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": tool, "arguments": {}, "_meta": MODERN_META},
        }
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": "tools/call",
            "Mcp-Name": tool,
        }
        response = await self.http.post(urlsplit(resource).path, json=message, headers=headers)
        said = response.json()["result"]["content"][0]["text"] if response.status_code == 200 else None
        return response.status_code, said

    async def purge(self) -> None:
        """Delete all that is over, as the server does in the background."""
        store = self.store
        await purge_everything(purges_of(store, audit_days=AUDIT_DAYS), now=self._now, may_go_on=_yes)

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        """Stop, whatever went wrong before."""
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(self.stop())


async def _yes() -> bool:
    return True

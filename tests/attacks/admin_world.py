"""A whole installation with two administrators and two other people, and what is done at its admin pages."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import httpx2

from gatepost.identity.local_accounts import new_user
from gatepost.oauth.audit import AuditQuery, AuditRecord
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.users import User
from gatepost.stores.sql.sqlite import memory_store
from tests.attacks.installed import ORIGIN, Installed, installed
from tests.web.pages.pages_world import PASSWORD, Form

ADMIN = "/oauth/admin"
PEOPLE, PERSON, CLIENTS, CLIENT = (f"{ADMIN}/{name}" for name in ("people", "person", "clients", "client"))
GRANTS, AUDIT, KEYS = (f"{ADMIN}/{name}" for name in ("grants", "audit", "keys"))
API_KEYS, SECRET, NEW_CLIENT, UPSTREAM = (
    f"{ADMIN}/{name}" for name in ("api-keys", "secret", "new-client", "upstream")
)
NAMES = {"ada": ("admin",), "eve": ("admin",), "bob": (), "carl": ()}


@asynccontextmanager
async def administered(store: Store | None = None, **arguments: Any) -> AsyncIterator[Installed]:
    """Serve, with ada logged in, who is an administrator as eve is; bob and carl are not."""
    kept = store or memory_store()
    await kept.open()
    for number, (name, roles) in enumerate(NAMES.items()):
        made = new_user(name, PASSWORD, now=1, random_bytes=bytes([number]).__mul__)
        await kept.users.add_user(replace(made, roles=roles))
    async with installed(store=kept, **arguments) as running:
        await log_in(running.http, "ada")
        yield running


async def log_in(browser: httpx2.AsyncClient, name: str, path: str = "/oauth/login") -> httpx2.Response:
    """Log in at a login page."""
    form = Form((await browser.get(path)).text)
    return await browser.post(form.action or "", data={**form.fields, "username": name, "password": PASSWORD})


@asynccontextmanager
async def browser_of(gatepost: Installed, name: str) -> AsyncIterator[httpx2.AsyncClient]:
    """Give a browser in which somebody is logged in."""
    async with httpx2.AsyncClient(transport=gatepost.http._transport, base_url=ORIGIN) as browser:
        await log_in(browser, name)
        yield browser


async def person(gatepost: Installed, name: str) -> User:
    """Return somebody as they are now."""
    found = await gatepost.store.users.find_user(name)
    assert found is not None
    return found


def of(page: str, **parameters: str) -> str:
    """Return the path of a page with parameters."""
    return f"{page}?{urlencode(parameters)}"


async def token(browser: httpx2.AsyncClient) -> str:
    """Return the CSRF token of the admin pages in this browser."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', (await browser.get(PEOPLE)).text)
    return "" if found is None else found[1]


async def act(browser: httpx2.AsyncClient, page: str, /, **fields: str) -> httpx2.Response:
    """Send a form of an admin page."""
    return await browser.post(page, data={"csrf_token": await token(browser), **fields})


async def events(gatepost: Installed, **query: Any) -> list[AuditRecord]:
    """Return what the audit trail says, the newest first."""
    await gatepost.installation.core.audit_trail.write_queue()
    return await gatepost.store.audit.list_events(AuditQuery(**query), before=None, limit=100)

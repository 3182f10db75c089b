"""What answers at each admin page, by its name in `table`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gatepost.web.pages.admin.api_keys import change_keys as change_api_keys
from gatepost.web.pages.admin.api_keys import show_keys as show_api_keys
from gatepost.web.pages.admin.audit import show_trail
from gatepost.web.pages.admin.clients import change_client, show_client, show_clients
from gatepost.web.pages.admin.grants import revoke, show_grants
from gatepost.web.pages.admin.keys import change_keys, show_keys
from gatepost.web.pages.admin.links import invite
from gatepost.web.pages.admin.new_client import add_client, show_new_client
from gatepost.web.pages.admin.people import show_people, show_start
from gatepost.web.pages.admin.person import change_person, show_person
from gatepost.web.pages.admin.shown_once import show_link, show_secret
from gatepost.web.pages.admin.table import AdminPages
from gatepost.web.pages.admin.upstream import change_tokens, show_tokens

HANDLERS: Final[Mapping[str, Callable[[AdminPages, Request], Awaitable[Response]]]] = {
    "start": show_start,
    "people": show_people,
    "invite": invite,
    "person": show_person,
    "change_person": change_person,
    "link": show_link,
    "secret": show_secret,
    "api_keys": show_api_keys,
    "change_api_keys": change_api_keys,
    "clients": show_clients,
    "client": show_client,
    "change_client": change_client,
    "grants": show_grants,
    "revoke": revoke,
    "audit": show_trail,
    "keys": show_keys,
    "change_keys": change_keys,
    "new_client": show_new_client,
    "add_client": add_client,
    "upstream": show_tokens,
    "change_upstream": change_tokens,
}

"""Every page and form that the admin pages have, by name: `GET people`, `POST person do=disable`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from gatepost.web.pages.admin import api_keys, clients, keys, person, upstream
from gatepost.web.pages.admin.table import _TABLE
from gatepost.web.pages.pending_request import ADMIN
from gatepost.web.site.api_description import Operation

_ACTS: Final[Mapping[str, Collection[str]]] = {
    "change_person": person.ACTS,
    "change_client": clients.ACTS,
    "change_api_keys": api_keys.ACTS,
    "change_keys": keys.ACTS,
    "change_upstream": upstream.ACTS,
}


def admin_pages() -> set[str]:
    """Return the pages; not what leads on, or shows what a form has made."""
    return {f"GET {_name(path)}" for method, path, name, _ in _TABLE if method == "GET"} - {
        "GET ",
        "GET link",
        "GET secret",
    }


def admin_forms() -> set[str]:
    """Return the forms, each of its buttons for itself where there are several."""
    forms: set[str] = set()
    for method, path, name, operation in _TABLE:
        if method == "POST":
            # A form with buttons says so to programs, too.
            assert (name in _ACTS) is ("do" in _fields(operation)), name
            forms |= {f"POST {_name(path)} do={do}" for do in _ACTS[name]} if name in _ACTS else {f"POST {_name(path)}"}
    return forms


def named(path: str, fields: Mapping[str, str]) -> str:
    """Return the name of a form by what is sent."""
    do = fields.get("do")
    return f"POST {_name(path)}" + (f" do={do}" if do else "")


def _name(path: str) -> str:
    return path.removeprefix(ADMIN).removeprefix("/")


def _fields(operation: Operation) -> Collection[str]:
    assert operation.request_body is not None
    fields: Mapping[str, object] = operation.request_body["content"]["application/x-www-form-urlencoded"]["schema"][
        "properties"
    ]
    return fields

"""One list of several: the entries of each server's page, in its own spelling but for their names."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from gatepost.fronts.raw_json import entries_of, members_of, object_of
from gatepost.late_dataclass import dataclass
from gatepost.protocol.errors import InvalidParams
from gatepost.protocol.modern import SERVER_INFO

Change = Callable[[Any, str], str | None]
"""Returns how an entry is spelled here, given what it says and how its server spells it; None to leave it out."""

_LONGEST_CURSOR: Final = 64 * 1024
_NAME: Final = '"name"'
_NAME_FIRST: Final = re.compile(r'\{[ \t]*"name"[ \t]*:[ \t]*')
_REFUSAL: Final = '"params.cursor" is none of this list, or of another time; begin with the first page.'


@dataclass(slots=True)
class Page:
    """A page of one server's list."""

    entries: list[str]
    rest: dict[str, str]
    """The other members of the result, each in its own spelling."""
    cursor: str | None
    """Of the server's next page."""


def read_page(raw: bytes, member: str, change: Change) -> Page:
    """Return a page of a server's list; raises ValueError: it is none."""
    try:
        members = members_of(raw.decode())
        entries = [change(entry, spelled) for entry, spelled in entries_of(members.pop(member, "[]"))]
        cursor = json.loads(members.pop("nextCursor", "null"))
    except RecursionError:
        raise ValueError("it nests too deep") from None
    if cursor is not None and type(cursor) is not str:
        raise ValueError("its nextCursor is no text")
    return Page([entry for entry in entries if entry is not None], members, cursor)


def merged_page(member: str, pages: Mapping[str, Page], *, is_whole: bool, is_private: bool) -> bytes:
    """Return the result that a client gets for one page of each server.

    Args:
        member: the list.
        pages: by the server's prefix, in order.
        is_whole: whether every server has answered, so that the result may count for a while.
        is_private: whether the next caller may see other entries (2026-07-28 server/utilities/caching).
    """
    members: dict[str, str] = {}
    meta: dict[str, str] = {}
    for page in pages.values():
        for name, value in page.rest.items():
            if name == "_meta" and value.startswith("{"):
                meta = {**members_of(value), **meta}
            else:
                members.setdefault(name, value)
    # Who answered is for each to say, and for all of them together none.
    meta.pop(SERVER_INFO, None)
    if meta:
        members["_meta"] = object_of(meta)
    if any("ttlMs" in page.rest for page in pages.values()):
        times = [_milliseconds(page.rest.get("ttlMs")) for page in pages.values()]
        members["ttlMs"] = str(min(times) if is_whole else 0)
    is_public = is_whole and not is_private
    is_public = is_public and all(page.rest.get("cacheScope") == '"public"' for page in pages.values())
    if "cacheScope" in members:
        members["cacheScope"] = '"public"' if is_public else '"private"'
    members[member] = f"[{','.join(entry for page in pages.values() for entry in page.entries)}]"
    cursors = {prefix: page.cursor for prefix, page in pages.items() if page.cursor is not None}
    if cursors:
        members["nextCursor"] = json.dumps(cursor_of(cursors, is_private=not is_public))
    return object_of(members).encode()


def with_name(spelled: str, old: str, name: str) -> str:
    """Return an entry under another name; raises ValueError: it is no object, or names a member twice.

    Args:
        spelled: the entry.
        old: its name.
        name: the other one.
    """
    # Nearly every server writes the name first, and nothing else is called so. What is first is a member of the entry
    # itself; an escape might hide another one.
    first = _NAME_FIRST.match(spelled)
    if first is not None and "\\u" not in spelled and spelled.count(_NAME) == 1:
        value = spelled[first.end() : first.end() + len(old) + 2]
        if value == f'"{old}"':
            return f"{spelled[: first.end()]}{json.dumps(name)}{spelled[first.end() + len(value) :]}"
    return object_of({**members_of(spelled), "name": json.dumps(name)})


def cursor_of(cursors: Mapping[str, str], *, is_private: bool) -> str:
    """Return a cursor that stands for one of each server that has more.

    It says as well for whom the pages before were, which has to be so for all pages of a list (2026-07-28
    server/utilities/caching, "Interaction with Pagination").
    """
    return base64.urlsafe_b64encode(json.dumps([int(is_private), *cursors.items()]).encode()).decode()


def cursors_in(cursor: Any, prefixes: Sequence[str]) -> tuple[dict[str, str], bool]:
    """Return the servers' cursors for which one stands, by their prefixes, and whether the page is private.

    Raises InvalidParams: it stands for none.
    """
    try:
        text = cursor if type(cursor) is str and len(cursor) <= _LONGEST_CURSOR else ""
        is_private, *pairs = json.loads(base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True))
        cursors = {prefix: each for prefix, each in pairs if type(each) is str}
    except (ValueError, TypeError, RecursionError, binascii.Error):
        raise InvalidParams(_REFUSAL) from None
    if not cursors or len(cursors) != len(pairs) or not cursors.keys() <= set(prefixes):
        raise InvalidParams(_REFUSAL)
    return cursors, is_private != 0


def _milliseconds(spelled: str | None) -> int:
    try:
        value = json.loads(spelled or "0")
    except ValueError:
        return 0
    return value if type(value) is int and value > 0 else 0

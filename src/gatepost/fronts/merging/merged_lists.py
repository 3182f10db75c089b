"""The lists of several servers as one: which pages are asked for, and what of them a caller sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from gatepost.fronts.merging.asking import Answers, code_of, first_error
from gatepost.fronts.merging.lists import Change, Page, cursors_in, merged_page, read_page, with_name
from gatepost.fronts.merging.names import Names
from gatepost.fronts.merging.part import Part
from gatepost.fronts.merging.uris import Uris
from gatepost.late_dataclass import dataclass
from gatepost.protocol.errors import InternalError, MethodNotFound
from gatepost.protocol.json_encoding import encode
from gatepost.protocol.messages import Request
from gatepost.resource.scope_map import LISTS, ScopeMap
from gatepost.server.calls.callers import user_of
from gatepost.server.calls.exchange import Exchange
from gatepost.server.target import Result

LONGEST_NAME: Final = 64
"""Characters of a name that all clients and models take (record 0068)."""
_LONGEST_SHOWN: Final = 128
_TASKS: Final = "tasks"
_LOCATED: Final = ("resources", "resourceTemplates")
_NO_METHOD: Final = MethodNotFound.code


@dataclass(slots=True)
class ListRequest:
    """What is asked for one page of a list, of each server that has one."""

    request: Request
    member: str
    cursors: dict[Part, str | None]
    is_private: bool = False
    """Whether a page before was."""

    @property
    def parts(self) -> list[Part]:
        """The servers."""
        return list(self.cursors)

    @property
    def is_first(self) -> bool:
        """Whether it is the first one."""
        return "cursor" not in self.request.params

    def request_for(self, part: Part) -> Request:
        """Return the request for a server's page."""
        params = {name: value for name, value in self.request.params.items() if name != "cursor"}
        meta = params.get("_meta")
        if type(meta) is dict and len(self.cursors) > 1:
            # Reports of several servers on one token would go up and down.
            params["_meta"] = {name: value for name, value in meta.items() if name != "progressToken"}
        cursor = self.cursors[part]
        return Request(self.request.id, self.request.method, params if cursor is None else {**params, "cursor": cursor})


class MergedLists:
    """Makes one list of several.

    Args:
        names: whose a name is.
        scope_map: what needs which scopes, by the names here.
    """

    def __init__(self, names: Names[Part], scope_map: ScopeMap | None) -> None:
        self.names, self.scope_map = names, scope_map
        self.uris: Uris[Part] = Uris()
        """Whose URIs are, as far as lists have said."""

    def begin(self, request: Request, parts: Sequence[Part]) -> ListRequest:
        """Return which pages a request is for; raises InvalidParams: its cursor is none."""
        method, params = request.method, request.params
        member = LISTS.get(method, _TASKS)
        if params.get("cursor") is None:
            params = {name: value for name, value in params.items() if name != "cursor"}
            capability = "resources" if member == "resourceTemplates" else member
            asked = dict.fromkeys(part for part in parts if part.may_offer(capability))
            return ListRequest(Request(request.id, method, params), member, asked)
        cursors, is_private = cursors_in(params["cursor"], [part.prefix for part in parts])
        asked = {part: cursors[part.prefix] for part in parts if part.prefix in cursors}
        return ListRequest(request, member, asked, is_private)

    def merged(self, pages: ListRequest, answers: Answers[Result], exchange: Exchange) -> bytes:
        """Return the result that the client gets.

        Raises ProtocolError: no server has given its list.
        """
        member = pages.member
        if pages.is_first and member in _LOCATED:
            whose, are_templates = user_of(exchange.principal), member == "resourceTemplates"
            self.uris.forget(whose, answers.found, are_templates=are_templates)
        found: dict[str, Page] = {}
        for part, result in answers.found.items():
            try:
                found[part.prefix] = read_page(encode(result), member, self._change(part, member, exchange))
            except ValueError:
                # What it says instead may be anybody's secret.
                answers.refused[part] = InternalError(f"{part.label} behind answered with no list.")
                part.note(f"it answered {pages.request.method} with no list")
        for part, refusal in answers.refused.items():
            code = code_of(refusal)
            if code != _NO_METHOD and part.incident is None:
                part.note(f"it refused {pages.request.method} with {code}")
        if not found:
            raise first_error(answers.refused.values()) if answers.refused else MethodNotFound("Method not found")
        is_whole = all(code_of(refusal) == _NO_METHOD for refusal in answers.refused.values())
        return merged_page(member, found, is_whole=is_whole, is_private=pages.is_private or bool(self.scope_map))

    def _change(self, part: Part, member: str, exchange: Exchange) -> Change:
        entries = _Entries(self, part, member, exchange)
        changes: dict[str, Change] = {"tools": entries.named, "prompts": entries.named, _TASKS: entries.kept}
        return changes.get(member, entries.located)


class _Entries:
    """The entries of one server's page, as a caller sees them."""

    def __init__(self, lists: MergedLists, part: Part, member: str, exchange: Exchange) -> None:
        self._lists, self._part, self._member, self._exchange = lists, part, member, exchange
        self._scope_map = None if part.is_own else lists.scope_map

    def named(self, entry: Any, spelled: str) -> str | None:
        """Return a tool or a prompt under the name that it has here."""
        part, name = self._part, entry.get("name") if type(entry) is dict else None
        if type(name) is not str:
            return None
        here = name if part.is_own or not part.prefix else f"{part.prefix}_{name}"
        found = self._lists.names.find(here)
        if found is None or found.part is not part:
            taken = "" if found is None else f", and names that begin so are those of {found.part.label}"
            part.note(f"{_shown(name)} would be called {_shown(here)} here{taken}: it is left out")
            return None
        if len(here) > LONGEST_NAME:
            part.note(f"{_shown(here)} has {len(here)} characters; several clients take {LONGEST_NAME} at most")
        if not self._shows({**entry, "name": here}):
            return None
        # Also where it stays what it is: an entry with two names would be another one's to who takes the other.
        return spelled if part.is_own else with_name(spelled, name, here)

    def located(self, entry: Any, spelled: str) -> str | None:
        """Return a resource or a template, unless another server has it."""
        part, is_resource = self._part, self._member == "resources"
        uri = entry.get("uri" if is_resource else "uriTemplate") if type(entry) is dict else None
        if type(uri) is not str or not self._shows(entry):
            return None
        uris, whose = self._lists.uris, user_of(self._exchange.principal)
        owner = uris.claim(whose, uri, part) if is_resource else uris.claim_template(whose, uri, part)
        if owner is not part:
            part.note(f"a resource of it has a URI that {owner.label} has as well: it is left out")
            return None
        return spelled

    def kept(self, entry: Any, spelled: str) -> str:
        """Return an entry as it is."""
        del entry
        return spelled

    def _shows(self, entry: Any) -> bool:
        return self._scope_map is None or self._scope_map.shows(self._member, entry, self._exchange.shown)


def _shown(name: str) -> str:
    """Return a name for the log: it may be any text."""
    return repr(name[:_LONGEST_SHOWN])

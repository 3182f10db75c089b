"""Whose a URI is, of several servers behind one endpoint.

URIs have no prefix (record 0071), so it is known from lists that went through, and from what was read. What one user's
lists said counts for that user alone.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Collection, Hashable
from dataclasses import field
from typing import Final, Generic, TypeVar

from gatepost.late_dataclass import dataclass
from gatepost.protocol.uris import normal_form

P = TypeVar("P")

MOST_OF_USER: Final = 5_000
"""How many URIs and templates are known of one user's lists."""
MOST: Final = 20_000
"""How many of everybody's; the user who asked longest ago is forgotten first."""
LONGEST: Final = 2_048
"""Characters of one."""
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_EXPRESSION: Final = re.compile(r"\{[^{}]*\}")


@dataclass(slots=True)
class _Known(Generic[P]):
    uris: dict[str, P] = field(default_factory=dict[str, P])
    templates: dict[str, P] = field(default_factory=dict[str, P])

    def __len__(self) -> int:
        return len(self.uris) + len(self.templates)


@dataclass(slots=True, eq=False)
class Uris(Generic[P]):
    """What is known of URIs."""

    _known: OrderedDict[Hashable, _Known[P]] = field(default_factory=OrderedDict[Hashable, _Known[P]], init=False)
    _count: int = field(default=0, init=False)

    def claim(self, whose: Hashable, uri: str, part: P) -> P:
        """Note that a server has a URI, unless another one has it already; return whose it is.

        Args:
            whose: the user whose list or request it was.
            uri: in any spelling.
            part: the server.
        """
        known = self._of(whose)
        return self._add(known, known.uris, _key(uri), part)

    def claim_template(self, whose: Hashable, template: str, part: P) -> P:
        """Do what `claim` does, for the text of a template; one without a fixed scheme says of no URI whose it is."""
        if _SCHEME.match(template) is None:
            return part
        known = self._of(whose)
        return self._add(known, known.templates, template, part)

    def learn(self, whose: Hashable, uri: str, part: P) -> None:
        """Note that a server has answered for a URI, whatever was known of it."""
        known = self._of(whose)
        if known.uris.pop(_key(uri), None) is not None:
            self._count -= 1
        self._add(known, known.uris, _key(uri), part)

    def forget(self, whose: Hashable, parts: Collection[P], *, are_templates: bool) -> None:
        """Forget what a user's lists have said of some servers: they have given another one.

        What others have stays theirs, whether they answer now or not.
        """
        known = self._known.get(whose)
        if known is None:
            return
        entries = known.templates if are_templates else known.uris
        for key in [key for key, part in entries.items() if part in parts]:
            del entries[key]
            self._count -= 1

    def owner(self, whose: Hashable, uri: str) -> P | None:
        """Return whose a URI or the text of a template is; None where that is unknown."""
        known = self._known.get(whose)
        if known is None:
            return None
        found = known.uris.get(_key(uri), known.templates.get(uri))
        if found is not None:
            return found
        # The one that says most of it, as a fixed text; the first of several.
        fitting = [(template, part) for template, part in known.templates.items() if fits(template, uri)]
        best = max(fitting, key=lambda each: len(_EXPRESSION.sub("", each[0])), default=None)
        return None if best is None else best[1]

    def _of(self, whose: Hashable) -> _Known[P]:
        known = self._known.setdefault(whose, _Known())
        self._known.move_to_end(whose)
        return known

    def _add(self, known: _Known[P], entries: dict[str, P], key: str, part: P) -> P:
        if key not in entries and len(known) < MOST_OF_USER and len(key) <= LONGEST:
            entries[key] = part
            self._count += 1
            while self._count > MOST or len(self._known) > MOST:
                self._count -= len(self._known.popitem(last=False)[1])
        return entries.get(key, part)


def fits(template: str, uri: str) -> bool:
    """Say whether a URI may be one of a template's (RFC 6570): whether the fixed texts stand in it, in their order."""
    first, *rest = _EXPRESSION.split(template)
    if not rest:
        return template == uri
    *between, last = rest
    at, end = len(first), len(uri) - len(last)
    if end < at or not uri.startswith(first) or not uri.endswith(last):
        return False
    # Each text is taken where it first occurs, which is never wrong, and linear in what a client sends.
    for text in between:
        found = uri.find(text, at, end)
        if found < 0:
            return False
        at = found + len(text)
    return True


def _key(uri: str) -> str:
    return normal_form(uri) or uri

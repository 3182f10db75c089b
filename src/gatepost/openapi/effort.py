"""How much work it is to check a value by a schema, before any value is there.

A schema may have the same part of a value looked at by many of its parts: `oneOf` with two branches that lead to the
same recursive schema takes twice the time with each level, and a caller chooses how many levels there are. So for each
schema it is known down to which depth the work per part of a value stays bounded, and nothing deeper is checked at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from typing import Any, Final

from gatepost.late_dataclass import dataclass

DEEPEST: Final = 32
"""Levels of a value, whatever its schema."""
_MOST: Final = 200_000
"""Schemas that one part of a value may be looked at by, on all ways together."""
_PREFIX: Final = "#/$defs/"
_HERE: Final = ("allOf", "anyOf", "oneOf")
_ALSO_HERE: Final = ("if", "then", "else", "not")
_OF_ANY_PART: Final = (
    "additionalProperties",
    "contains",
    "items",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
)


@dataclass(slots=True, eq=False)
class Effort:
    """That of the definitions of one description."""

    definition: Callable[[str], Any]
    """Returns one by its name."""
    _known: dict[tuple[str, int], int] = field(default_factory=dict)

    def deepest(self, schema: Any) -> int:
        """Return how many levels a value may have that is checked by a schema; none if it takes too long anyway."""
        low, high = 0, DEEPEST
        if self._is_bounded(schema, high):
            return high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._is_bounded(schema, middle) else (low, middle)
        return low

    def _is_bounded(self, schema: Any, levels: int) -> bool:
        try:
            return self._work(schema, levels) <= _MOST
        except RecursionError:
            return False

    def _work(self, schema: Any, levels: int) -> int:
        """Return how many schemas look at that part of a value with so many levels at which most do; or `_MOST` + 1."""
        if not isinstance(schema, dict):
            return 1
        work = 1 + sum(self._work(one, levels) for one in _in_place(schema))
        reference = schema.get("$ref")
        if reference is not None and work <= _MOST:
            work += self._of_definition(reference.removeprefix(_PREFIX), levels)
        if levels and work <= _MOST:
            everywhere, named = _parts(schema)
            work += sum(self._work(one, levels - 1) for one in everywhere)
            work += max((self._work(one, levels - 1) for one in named), default=0)
        return min(work, _MOST + 1)

    def _of_definition(self, name: str, levels: int) -> int:
        key = name, levels
        if key not in self._known:
            self._known[key] = self._work(self.definition(name), levels)
        return self._known[key]


def _in_place(schema: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the schemas that look at the same value."""
    for keyword in _HERE:
        yield from schema.get(keyword, ())
    for keyword in _ALSO_HERE:
        if keyword in schema:
            yield schema[keyword]
    yield from schema.get("dependentSchemas", {}).values()


def _parts(schema: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
    """Return the schemas that look at any part of a value, and those of which each looks at one."""
    everywhere = [schema[keyword] for keyword in _OF_ANY_PART if keyword in schema]
    everywhere += schema.get("patternProperties", {}).values()
    return everywhere, [*schema.get("properties", {}).values(), *schema.get("prefixItems", ())]


def is_deeper(value: Any, levels: int) -> bool:
    """Say whether a JSON value nests deeper than so many levels; a text or number has none."""
    row = [value]
    for _ in range(levels + 1):
        row = [
            inner
            for one in row
            for inner in (one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())
        ]
        if not row:
            return False
    return True

"""Schemas of a description as JSON Schema 2020-12, which MCP clients read and arguments are checked by.

OpenAPI 3.1 has that dialect with a few keywords more; 3.0 has one of its own, whose `nullable` and boolean
`exclusiveMinimum` are said otherwise here. What is only for people who browse (examples, XML, links) is left out, texts
are bounded, and each `$ref` leads to `$defs`, so that a schema which contains itself stays one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from functools import partial
from typing import Any, Final
from urllib.parse import unquote

from gatepost.late_dataclass import dataclass
from gatepost.openapi.documents import Documents
from gatepost.openapi.effort import Effort
from gatepost.openapi.errors import UnusableSchema
from gatepost.openapi.file_values import FILE, FILE_NAME, is_binary
from gatepost.openapi.naming import plain, unique
from gatepost.openapi.patterns import is_checkable
from gatepost.openapi.reading import size_of
from gatepost.openapi.texts import LONGEST_DETAIL, LONGEST_TITLE, bounded

Schema = dict[str, Any] | bool

_ONE: Final = frozenset(
    {
        "additionalProperties",
        "contains",
        "contentSchema",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
_LIST: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_MAP: Final = frozenset({"dependentSchemas", "patternProperties", "properties"})
_VALUES: Final = frozenset(
    {
        "const",
        "contentEncoding",
        "contentMediaType",
        "dependentRequired",
        "deprecated",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "maxContains",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minContains",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "multipleOf",
        "readOnly",
        "required",
        "type",
        "uniqueItems",
        "writeOnly",
    }
)
_IN_PLACE: Final = frozenset({"allOf", "anyOf", "dependentSchemas", "else", "if", "not", "oneOf", "then"})
"""Keywords whose schemas are about the same value."""
_REFUSED: Final = frozenset({"$anchor", "$dynamicAnchor", "$dynamicRef", "$id"})
"""They change what a `$ref` means."""
_DIALECTS: Final = frozenset(
    {"https://json-schema.org/draft/2020-12/schema", "https://spec.openapis.org/oas/3.1/dialect/base"}
)
FORM: Final = 3
"""Where files may be: in fields of a form, and in items of a field (3.1.1, "Considerations for File Uploads")."""
_FIELD: Final = 2
_ITEM: Final = 1
_BELOW: Final = {(FORM, "properties"): _FIELD, (_FIELD, "items"): _ITEM}
_DEEPEST: Final = 100
_SHALLOWEST: Final = 4
"""Levels that arguments have to be allowed: a body, a list in it, and objects in that."""
_MOST_NODES: Final = 100_000
"""Schemas within one, written out; aliases of YAML can repeat a schema without end."""
_LARGEST_DEFAULT: Final = 1024
_PREFIX: Final = "#/$defs/"


@dataclass(slots=True)
class _Converted:
    """A definition."""

    schema: Schema
    refers_to: frozenset[str]
    repeats: frozenset[str]
    """The definitions among them that are about the same value."""
    size: int = 0


@dataclass(slots=True)
class _Walk:
    """What is found out on the way through one schema."""

    refers_to: set[str] = field(default_factory=set)
    repeats: set[str] = field(default_factory=set)
    nodes: int = 0


@dataclass(slots=True, eq=False)
class SchemaReader:
    """Converts the schemas of one description, for one direction; what they refer to is converted once."""

    documents: Documents
    is_30: bool
    for_requests: bool
    """Whether for values that are sent, which have no `readOnly` fields; those that come need no `writeOnly` ones."""
    _names: dict[str, str] = field(default_factory=dict)
    _uris: dict[str, str] = field(default_factory=dict)
    _definitions: dict[str, _Converted] = field(default_factory=dict)
    _effort: Effort = field(init=False)

    def __post_init__(self) -> None:
        """Know its definitions by name."""
        self._effort = Effort(lambda name: self._definition(name).schema)

    def convert(self, schema: Any, base: str, *, files: int = 0) -> tuple[Schema, set[str]]:
        """Return a schema, and the names of the definitions that it refers to.

        Args:
            schema: as the description has it.
            base: the document in which it stands.
            files: `FORM` if it is of a form with files; what is binary in its fields becomes `FILE`.

        Raises:
            UnusableSchema, UnusableDescription: it cannot be.
        """
        walk = _Walk()
        return self._convert(schema, base, walk, 0, in_place=True, files=files), walk.refers_to

    def definitions(self, names: Iterable[str]) -> dict[str, Schema]:
        """Return these definitions with all that they refer to; raises UnusableSchema if one is nothing but itself."""
        found: dict[str, Schema] = {}
        waiting = sorted(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                converted = self._definition(name)
                found[name] = converted.schema
                waiting += converted.refers_to
        self._check_ends(found)
        return dict(sorted(found.items()))

    def size(self, names: Iterable[str]) -> int:
        """Return how many bytes these definitions have, with all that they refer to."""
        seen: set[str] = set()
        waiting = list(names)
        while waiting:
            if (name := waiting.pop()) not in seen:
                seen.add(name)
                waiting += self._definition(name).refers_to
        return sum(self._definition(name).size for name in seen)

    def deepest(self, schema: Schema) -> int:
        """Return how many levels a value may have that is checked by a schema, whose definitions are known here.

        Raises UnusableSchema if that takes too long at any depth.
        """
        if (levels := self._effort.deepest(schema)) < _SHALLOWEST:
            raise UnusableSchema("its schemas refer to each other so often that no value can be checked in time")
        return levels

    def _definition(self, name: str) -> _Converted:
        if name == FILE_NAME:
            return _Converted(FILE, frozenset(), frozenset(), size_of(FILE))
        if name not in self._definitions:
            uri = self._uris[name]
            walk = _Walk()
            schema = self._convert(self.documents.at(uri), uri.partition("#")[0], walk, 0, in_place=True, files=0)
            self._definitions[name] = _Converted(
                schema, frozenset(walk.refers_to), frozenset(walk.repeats), size_of(schema)
            )
        return self._definitions[name]

    def _name_of(self, uri: str) -> str:
        if uri not in self._names:
            wanted = plain(unquote(uri.rpartition("/")[2].rpartition("#")[2]).replace("~1", "/").replace("~0", "~"))
            name = unique(wanted or "schema", {*self._uris, FILE_NAME})
            self._names[uri], self._uris[name] = name, uri
        return self._names[uri]

    def _check_ends(self, names: Iterable[str]) -> None:
        """Raise UnusableSchema if what a definition says of a value leads to itself before it comes to a part of it."""
        ended: set[str] = set()
        for first in names:
            path: list[tuple[str, list[str]]] = [(first, sorted(self._definition(first).repeats))]
            while path:
                left = path[-1][1]
                if not left:
                    ended.add(path.pop()[0])
                elif (following := left.pop()) in {step for step, _ in path}:
                    raise UnusableSchema(f"the schema {following} refers to itself without end")
                elif following not in ended:
                    path.append((following, sorted(self._definition(following).repeats)))

    def _convert(self, node: Any, base: str, walk: _Walk, depth: int, *, in_place: bool, files: int) -> Schema:
        if isinstance(node, bool):
            return node
        if not isinstance(node, dict):
            raise UnusableSchema(f"a schema is an object, and not {_kind(node)}")
        walk.nodes += 1
        if depth > _DEEPEST or walk.nodes > _MOST_NODES:
            raise UnusableSchema("a schema is too large, or nests too deep")
        if files in {_FIELD, _ITEM} and is_binary(node, is_30=self.is_30):
            walk.refers_to.add(FILE_NAME)
            described = bounded(node.get("description"), LONGEST_DETAIL)
            return {"$ref": _PREFIX + FILE_NAME, **({} if described is None else {"description": described})}
        if "$ref" in node and (self.is_30 or len(node) == 1):
            return self._refer(node["$ref"], base, walk, depth, in_place=in_place, files=files)
        return self._members(node, base, walk, depth, in_place=in_place, files=files)

    def _refer(self, reference: Any, base: str, walk: _Walk, depth: int, *, in_place: bool, files: int) -> Schema:
        uri = self.documents.absolute(reference, base)
        if files:
            # Written out, because elsewhere the same schema is of a text.
            target = self.documents.at(uri)
            return self._convert(target, uri.partition("#")[0], walk, depth + 1, in_place=in_place, files=files)
        self.documents.at(uri)
        name = self._name_of(uri)
        walk.refers_to.add(name)
        if in_place:
            walk.repeats.add(name)
        return {"$ref": _PREFIX + name}

    def _members(
        self, node: dict[str, Any], base: str, walk: _Walk, depth: int, *, in_place: bool, files: int
    ) -> dict[str, Any]:
        converted: dict[str, Any] = {}
        for keyword, value in node.items():
            if keyword in _REFUSED:
                raise UnusableSchema(f"a schema has {keyword}, which is not read; write a $ref to its place instead")
            if keyword == "$schema" and value not in _DIALECTS:
                raise UnusableSchema("a schema is of another dialect than JSON Schema 2020-12")
            is_here = keyword in _IN_PLACE
            left = files if is_here else _BELOW.get((files, keyword), 0)
            inner = partial(
                self._convert, base=base, walk=walk, depth=depth + 1, in_place=in_place and is_here, files=left
            )
            if keyword == "$ref":
                refer = self._refer(value, base, walk, depth, in_place=in_place, files=files)
                converted |= refer if isinstance(refer, dict) else {"allOf": [refer]}
            elif keyword in _ONE:
                converted[keyword] = inner(value)
            elif keyword in _LIST:
                converted[keyword] = [inner(one) for one in _checked(value, list, keyword)]
            elif keyword in _MAP:
                converted[keyword] = {name: inner(one) for name, one in _checked(value, dict, keyword).items()}
            elif keyword in _VALUES:
                converted[keyword] = value
        self._settle(node, converted)
        return converted

    def _settle(self, node: dict[str, Any], converted: dict[str, Any]) -> None:
        """Say in the words of 2020-12 what is said otherwise, with texts and patterns that have passed."""
        for keyword, longest in (("title", LONGEST_TITLE), ("description", LONGEST_DETAIL)):
            if (text := bounded(node.get(keyword), longest)) is not None:
                converted[keyword] = text
        if "default" in node and size_of(node["default"]) <= _LARGEST_DEFAULT:
            converted["default"] = node["default"]
        _settle_bounds(converted)
        # 3.0.4, Schema Object, "nullable": it says something beside a type alone.
        if self.is_30 and node.get("nullable") is True and isinstance(node.get("type"), str):
            converted["type"] = [node["type"], "null"]
        if isinstance(required := converted.get("required"), list):
            converted["required"] = [name for at, name in enumerate(required) if name not in required[:at]]
        elif required is not None:
            del converted["required"]  # a boolean, as draft 3 had it; in OpenAPI it says nothing
        self._settle_direction(converted)
        _settle_patterns(node, converted)

    def _settle_direction(self, converted: dict[str, Any]) -> None:
        """Leave out fields that only the other side writes (3.0.4, "readOnly"; 2020-12 validation, section 9.4)."""
        marked = "readOnly" if self.for_requests else "writeOnly"
        properties: dict[str, Any] = converted.get("properties", {})
        names = {name for name, one in properties.items() if isinstance(one, dict) and one.get(marked) is True}
        if not names:
            return
        if self.for_requests:
            converted["properties"] = {name: one for name, one in properties.items() if name not in names}
        if "required" in converted:
            converted["required"] = [name for name in converted["required"] if name not in names]


def _settle_bounds(converted: dict[str, Any]) -> None:
    """Make numbers of the boolean `exclusiveMinimum` and `exclusiveMaximum` of 3.0."""
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(said := converted.get(exclusive), bool):
            del converted[exclusive]
            if said and bound in converted:
                converted[exclusive] = converted.pop(bound)


def _settle_patterns(node: dict[str, Any], converted: dict[str, Any]) -> None:
    """Keep the patterns that are checked here; of others the reader is told, and the API checks them."""
    pattern = node.get("pattern")
    if isinstance(pattern, str) and is_checkable(pattern):
        converted["pattern"] = pattern
    elif isinstance(pattern, str):
        told = bounded(f"{converted.get('description', '')}\nPattern: {pattern}", LONGEST_DETAIL)
        converted["description"] = told
    if (patterns := converted.get("patternProperties")) and not all(map(is_checkable, patterns)):
        # What they let pass would be refused for being unknown.
        for keyword in ("patternProperties", "additionalProperties", "unevaluatedProperties"):
            converted.pop(keyword, None)


def _checked(value: Any, kind: type, keyword: str) -> Any:
    if not isinstance(value, kind):
        raise UnusableSchema(f"{keyword} of a schema is {_kind(value)}")
    return value


def _kind(value: Any) -> str:
    if isinstance(value, list):
        return "an array"
    return "an object" if isinstance(value, dict) else type(value).__name__

"""What an operation answers: the schema of its results, where they are JSON objects.

Clients of MCP refuse a result that lacks structured content, or has other than its tool's output schema says. APIs do
answer otherwise than they are described, with 204 now and then or with a field that is null. So each output schema has
one more alternative, `NOT_DESCRIBED`, and no call fails for what it describes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any, Final

import jsonschema_rs

from gatepost.late_dataclass import dataclass
from gatepost.openapi.description import Found
from gatepost.openapi.documents import Documents
from gatepost.openapi.effort import is_deeper
from gatepost.openapi.media_types import essence, is_json, is_media_type
from gatepost.openapi.patterns import LINEAR
from gatepost.openapi.reading import size_of
from gatepost.openapi.schemas import Schema, SchemaReader

LARGEST_OUTPUT_SCHEMA: Final = 16 * 1024
"""Bytes. A larger one is not listed: every client fetches all of them, and models are not shown them."""
NOT_DESCRIBED: Final[dict[str, Any]] = {
    "title": "An answer that is not as the API describes it",
    "type": "object",
    "properties": {"status": {"type": "integer"}, "undescribed": {}},
    "required": ["status", "undescribed"],
    "additionalProperties": False,
}
_LONGEST_CHAIN: Final = 8
_SUCCESS: Final = range(200, 300)
_NO_CONTENT: Final = frozenset({"204", "205"})


@dataclass(slots=True, eq=False)
class Outputs:
    """The JSON objects that an operation answers with."""

    by_status: Mapping[str, Schema]
    """By status as the description has it: `200`, `2XX` or `default`."""
    definitions: Mapping[str, Schema]
    deepest: int
    """Levels of an answer that is looked at (`effort`)."""
    _validators: dict[str, jsonschema_rs.Validator] = field(default_factory=dict, init=False)

    @property
    def schema(self) -> dict[str, Any]:
        """The output schema of the tool."""
        alternatives: list[Schema] = []
        for one in self.by_status.values():
            if one not in alternatives:
                alternatives.append(one)
        schema: dict[str, Any] = {"type": "object", "anyOf": [*alternatives, NOT_DESCRIBED]}
        return {**schema, "$defs": dict(self.definitions)} if self.definitions else schema

    def are_met(self, status: int, value: Any) -> bool:
        """Say whether an answer is as the description has it for its status."""
        if is_deeper(value, self.deepest):
            return False
        for key in (str(status), f"{status // 100}XX", "default"):
            if key in self.by_status:
                return self._validator(key).is_valid(value)
        return False

    def _validator(self, key: str) -> jsonschema_rs.Validator:
        if key not in self._validators:
            schema = {"allOf": [self.by_status[key]], "$defs": dict(self.definitions)}
            self._validators[key] = jsonschema_rs.Draft202012Validator(schema, offline=True, pattern_options=LINEAR)
        return self._validators[key]


def read_outputs(found: Found, documents: Documents, schemas: SchemaReader) -> Outputs | None:
    """Return the objects that an operation answers with; None if it may succeed with anything else, or does not say.

    Raises:
        UnusableSchema, UnusableDescription: A schema cannot be read.
    """
    responses = found.raw.get("responses")
    by_status: dict[str, Schema] = {}
    refers_to: set[str] = set()
    for status, raw, base in _successes(responses if isinstance(responses, dict) else {}, found.base, documents):
        content = raw.get("content")
        if status in _NO_CONTENT or not content:
            continue
        described = next((one for kind, one in content.items() if is_json(kind)), None)
        if described is None or not all(map(_is_json_or_any, content)) or not isinstance(described, dict):
            return None
        schema = described.get("schema")
        if schema is None or not _is_object(schema, base, documents):
            return None
        by_status[status], further = schemas.convert(schema, base)
        refers_to |= further
    if not by_status:
        return None
    size = schemas.size(refers_to) + sum(size_of(one) for one in by_status.values())
    if size > LARGEST_OUTPUT_SCHEMA:
        return None
    definitions = schemas.definitions(refers_to)
    return Outputs(by_status, definitions, min(map(schemas.deepest, by_status.values())))


def accepted_types(found: Found, documents: Documents) -> str:
    """Return the value of `Accept`: what the API says it answers with, and anything else after that."""
    responses = found.raw.get("responses")
    types: dict[str, None] = {}
    for _, raw, _ in _successes(responses if isinstance(responses, dict) else {}, found.base, documents):
        for media_type in raw.get("content") or ():
            if is_media_type(media_type) and not set(",*") & set(media_type):
                types[media_type] = None
    ordered = sorted(types, key=lambda one: not is_json(one))[:10]
    return ", ".join([*ordered, "*/*;q=0.5" if ordered else "application/json, */*;q=0.5"])


def _successes(
    responses: Mapping[str, Any], base: str, documents: Documents
) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    for status, one in responses.items():
        key = status.upper() if status != "default" else status
        is_success = key == "2XX" or (key.isdecimal() and len(key) == 3 and int(key) in _SUCCESS)  # noqa: PLR2004 - digits
        # "default" is what errors are described by, unless it is all there is.
        if not is_success and not (key == "default" and len(responses) == 1):
            continue
        raw, where = documents.resolved(one, base)
        if isinstance(raw, dict) and isinstance(raw.get("content", {}), dict):
            yield key, raw, where


def _is_json_or_any(media_type: str) -> bool:
    return is_json(media_type) or essence(media_type) == "*/*"


def _is_object(schema: Any, base: str, documents: Documents, left: int = _LONGEST_CHAIN) -> bool:
    """Say whether all that fits a schema is a JSON object."""
    if not isinstance(schema, dict) or not left or schema.get("nullable") is True:
        return False
    if "type" in schema:
        return bool(schema["type"] == "object")
    if "$ref" in schema:
        resolved, where = documents.resolved(schema, base)
        return _is_object(resolved, where, documents, left - 1)
    for keyword, enough in (("allOf", any), ("anyOf", all), ("oneOf", all)):
        if isinstance(branches := schema.get(keyword), list) and branches:
            return enough(_is_object(branch, base, documents, left - 1) for branch in branches)
    return False

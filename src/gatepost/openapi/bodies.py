"""The body of a request: which media type it is sent in, its schema as an argument, and its bytes.

Of several media types JSON is sent if the API takes it, then a form with files, a plain form, text, and bytes.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote_plus

import orjson
from openapi_pydantic.v3.v3_1 import Encoding, RequestBody
from pydantic import ValidationError

from gatepost.late_dataclass import dataclass
from gatepost.openapi.description import Found
from gatepost.openapi.documents import Documents
from gatepost.openapi.errors import UnusableSchema
from gatepost.openapi.file_values import FILE, FILE_NAME, read_file_value
from gatepost.openapi.media_types import essence, is_json, is_media_type, is_text
from gatepost.openapi.schemas import FORM, Schema, SchemaReader
from gatepost.openapi.styles import QUERY_STYLES, query_parts, scalar
from gatepost.openapi.texts import LONGEST_DETAIL, bounded

_FORM_DATA: Final = "multipart/form-data"
_URL_ENCODED: Final = "application/x-www-form-urlencoded"
_ANY: Final = frozenset({"*/*", "application/*"})
_OCTETS: Final = "application/octet-stream"
_FILE_KEYS: Final = (frozenset({"text"}), frozenset({"base64"}))


class BodyKind(enum.Enum):
    """How a body is written; the first that an API takes is used."""

    JSON = enum.auto()
    MULTIPART = enum.auto()
    URL_ENCODED = enum.auto()
    TEXT = enum.auto()
    FILE = enum.auto()


_KINDS: Final = list(BodyKind)


@dataclass(frozen=True, slots=True)
class FieldEncoding:
    """How one field of a form is written (3.1.1, "Encoding Object")."""

    content_type: str | None
    style: str | None
    """None where the content type decides."""
    explode: bool
    allow_reserved: bool


@dataclass(frozen=True, slots=True)
class Body:
    """The body that an operation takes."""

    kind: BodyKind
    media_type: str
    schema: Schema
    is_required: bool
    encodings: Mapping[str, FieldEncoding]


Part = tuple[str, tuple[str | None, bytes, str]]
"""Of a form with files: the field, and a file's name, bytes and media type. A text has no name."""


@dataclass(frozen=True, slots=True)
class Written:
    """A body as it is sent."""

    content: bytes | None
    parts: tuple[Part, ...]
    """Of a form with files, whose bytes the HTTP client writes."""
    media_type: str | None


def read_body(found: Found, documents: Documents, schemas: SchemaReader) -> tuple[Body | None, set[str]]:
    """Return the body that an operation takes, and the definitions that its schema refers to.

    Raises:
        UnusableSchema, UnusableDescription: It cannot be sent as it is described.
    """
    raw, base = documents.resolved(found.raw.get("requestBody"), found.base)
    if raw is None:
        return None, set()
    if not isinstance(raw, dict) or not isinstance(raw.get("content"), dict) or not raw["content"]:
        raise UnusableSchema("its request body has no content")
    if wrong := [one for one in raw["content"] if not is_media_type(one)]:
        raise UnusableSchema(f"its request body has {wrong[0]!r} for a media type")
    media_type, kind = min(((one, kind_of(one)) for one in raw["content"]), key=lambda item: _KINDS.index(item[1]))
    described = raw["content"][media_type]
    described = described if isinstance(described, dict) else {}
    try:
        model = RequestBody.model_validate({"content": {}, "required": raw.get("required", False)})
        encodings = _encodings(described.get("encoding"))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise UnusableSchema(f"its request body is not valid: {first['msg']}") from None
    schema, refers_to = _schema(kind, described, base, schemas)
    text = bounded(raw.get("description"), LONGEST_DETAIL)
    if text is not None and isinstance(schema, dict):
        schema = {**schema, "description": text}
    return Body(kind, _sent_as(kind, media_type), schema, model.required, encodings), refers_to


def kind_of(media_type: str) -> BodyKind:
    """Return how what is of a media type, or of a range of them, is written."""
    kind = essence(media_type)
    if is_json(kind) or kind in _ANY:
        return BodyKind.JSON
    if kind.startswith("multipart/"):
        return BodyKind.MULTIPART
    if kind == _URL_ENCODED:
        return BodyKind.URL_ENCODED
    return BodyKind.TEXT if is_text(kind) else BodyKind.FILE


def _sent_as(kind: BodyKind, media_type: str) -> str:
    if "*" not in media_type:
        return media_type
    return {BodyKind.JSON: "application/json", BodyKind.TEXT: "text/plain"}.get(kind, _OCTETS)


def _encodings(given: Any) -> dict[str, FieldEncoding]:
    encodings: dict[str, FieldEncoding] = {}
    for name, raw in (given or {}).items() if isinstance(given, dict | None) else ():
        members = raw if isinstance(raw, dict) else {}
        model = Encoding.model_validate({key: value for key, value in members.items() if key != "headers"})
        is_styled = not {"style", "explode", "allowReserved"}.isdisjoint(members)
        style = (model.style or "form") if is_styled else None
        if style is not None and style not in QUERY_STYLES:
            raise UnusableSchema(f"the field {name!r} of its form has the style {style!r}")
        explode = style == "form" if model.explode is None else model.explode
        # A list of types, or a range, says what is taken, and not what is sent.
        said = model.contentType
        content_type = said if said is not None and is_media_type(said) and not set(",*") & set(said) else None
        encodings[name] = FieldEncoding(content_type, style, explode, model.allowReserved)
    return encodings


def _schema(kind: BodyKind, described: Mapping[str, Any], base: str, schemas: SchemaReader) -> tuple[Schema, set[str]]:
    if kind is BodyKind.FILE:
        return {"$ref": f"#/$defs/{FILE_NAME}"}, {FILE_NAME}
    raw = described.get("schema", {})
    if kind is BodyKind.TEXT:
        converted, refers_to = schemas.convert(raw, base)
        is_said = isinstance(converted, dict) and converted.get("type") == "string"
        return (converted, refers_to) if is_said else ({"type": "string"}, set())
    return schemas.convert(raw, base, files=FORM if kind is BodyKind.MULTIPART else 0)


def write_body(body: Body, value: Any) -> Written:
    """Return the bytes of a body, for a value that fits its schema."""
    if body.kind is BodyKind.MULTIPART:
        return Written(None, tuple(_parts(body, value if isinstance(value, dict) else {})), None)
    if body.kind is BodyKind.FILE:
        default = None if body.media_type == _OCTETS else body.media_type
        file = read_file_value(value, default)
        return Written(file.content, (), file.media_type)
    if body.kind is BodyKind.URL_ENCODED:
        return Written("&".join(_pairs(body, value)).encode(), (), body.media_type)
    if body.kind is BodyKind.TEXT:
        content = scalar(value).encode(errors="replace")
        has_charset = "charset" in body.media_type.lower()
        media_type = body.media_type if has_charset else f"{body.media_type}; charset=utf-8"
        return Written(content, (), media_type)
    return Written(orjson.dumps(value), (), body.media_type)


def _parts(body: Body, value: Mapping[str, Any]) -> Iterator[Part]:
    for name, one in value.items():
        encoding = body.encodings.get(name)
        content_type = None if encoding is None else encoding.content_type
        # RFC 7578 section 4.3: several files of one field have its name each.
        is_whole = content_type is not None and is_json(content_type)
        for item in one if isinstance(one, list) and not is_whole else [one]:
            if item is not None:
                yield name, _part(item, content_type)


def _part(value: Any, content_type: str | None) -> tuple[str | None, bytes, str]:
    if _is_file(value):
        file = read_file_value(value, content_type)
        # Without a name, servers take a part for a plain field.
        return file.filename or "file", file.content, file.media_type
    if isinstance(value, (dict, list)) or (content_type is not None and is_json(content_type)):
        return None, orjson.dumps(value), content_type or "application/json"
    return None, scalar(value).encode(errors="replace"), content_type or "text/plain; charset=utf-8"


def _is_file(value: Any) -> bool:
    """Say whether a value that fits its schema is a `FILE`, which has one of two members and no strange ones."""
    if not isinstance(value, dict):
        return False
    return any(keys <= value.keys() for keys in _FILE_KEYS) and value.keys() <= FILE["properties"].keys()


def _pairs(body: Body, value: Any) -> Iterator[str]:
    """Yield what an URL-encoded form consists of (3.1.1, "Encoding the x-www-form-urlencoded Media Type")."""
    for name, one in value.items() if isinstance(value, dict) else ():
        encoding = body.encodings.get(name)
        if encoding is not None and encoding.style is not None:
            parts = query_parts(
                name, one, encoding.style, explode=encoding.explode, allow_reserved=encoding.allow_reserved
            )
            # RFC 1866 section 8.2.1 writes a space as a plus sign.
            yield from (part.replace("%20", "+") for part in parts)
            continue
        for item in one if isinstance(one, list) else [one]:
            if item is not None:
                yield f"{quote_plus(name, errors='replace')}={quote_plus(scalar(item), errors='replace')}"

"""Parameters of an operation as arguments of a tool (OpenAPI 3.1.1, "Parameter Object")."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from openapi_pydantic.v3.v3_1 import Parameter
from pydantic import ValidationError

from gatepost.late_dataclass import dataclass
from gatepost.openapi.description import Found
from gatepost.openapi.documents import Documents
from gatepost.openapi.errors import UnusableSchema
from gatepost.openapi.media_types import is_json
from gatepost.openapi.naming import plain, unique
from gatepost.openapi.schemas import Schema, SchemaReader
from gatepost.openapi.styles import DEFAULT_STYLES, STYLES
from gatepost.openapi.texts import LONGEST_DETAIL, bounded

_IGNORED_HEADERS: Final = frozenset({"accept", "authorization", "content-type"})
"""3.1.1, Parameter Object, "name": such a definition SHALL be ignored."""
_OURS: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers of the connection and of the message, which are no caller's to set."""
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")  # RFC 9110 section 5.6.2
_VARIABLE: Final = re.compile(r"\{([^{}]+)\}")
_ORDER: Final = ("path", "query", "header", "cookie")
_LEFT_OUT: Final = frozenset({"schema", "content", "example", "examples"})
"""What is read from the description itself, or not at all."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a tool that is sent outside of the body."""

    name: str
    """Of the argument."""
    wire_name: str
    location: str
    """`path`, `query`, `header` or `cookie`."""
    is_required: bool
    schema: Schema
    style: str
    explode: bool
    allow_reserved: bool
    is_json: bool
    """Whether the value is sent as JSON, whatever it is."""


def read_parameters(
    found: Found, documents: Documents, schemas: SchemaReader, taken: Mapping[str, Collection[str]]
) -> tuple[list[Argument], set[str]]:
    """Return the arguments for an operation's parameters, and the definitions that their schemas refer to.

    Args:
        found: The operation.
        documents: Of its description.
        schemas: Converts what is sent.
        taken: Names by location that the server fills in itself; they are no arguments.

    Raises:
        UnusableSchema, UnusableDescription: One cannot be sent as it is described.
    """
    by_key: dict[tuple[str, str], tuple[Parameter, dict[str, Any], str]] = {}
    for given, base in ((found.shared_parameters, found.path_base), (found.raw.get("parameters"), found.base)):
        for parameter, raw, where in _read(given, base, documents):
            by_key[parameter.param_in.value, parameter.name] = (parameter, raw, where)
    variables = _variables(found.operation.path.partition("?")[0], by_key)
    arguments: list[Argument] = []
    refers_to: set[str] = set()
    for (location, name), (parameter, raw, base) in sorted(by_key.items(), key=lambda item: _ORDER.index(item[0][0])):
        # A path parameter that is not in the path has no place to stand.
        if _is_filled_in(location, name, taken) or (location == "path" and name not in variables):
            continue
        names = {argument.name for argument in arguments}
        argument, further = _argument(parameter, raw, base, schemas, names)
        arguments.append(argument)
        refers_to |= further
    return arguments, refers_to


def _read(given: Any, base: str, documents: Documents) -> Iterable[tuple[Parameter, dict[str, Any], str]]:
    if given is not None and not isinstance(given, list):
        raise UnusableSchema("its parameters are no array")
    for one in given or ():
        raw, where = documents.resolved(one, base)
        if not isinstance(raw, dict):
            raise UnusableSchema("a parameter is no object")
        try:
            kept = {member: value for member, value in raw.items() if member not in _LEFT_OUT}
            yield Parameter.model_validate(kept), raw, where
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise UnusableSchema(f"the parameter {raw.get('name')!r} is not valid, {place}: {first['msg']}") from None


def _is_filled_in(location: str, name: str, taken: Mapping[str, Collection[str]]) -> bool:
    if location != "header":
        return name in taken.get(location, ())
    lower = name.lower()
    return lower in _IGNORED_HEADERS | _OURS or lower in taken.get("header", ())


def _variables(path: str, declared: Iterable[tuple[str, str]]) -> set[str]:
    """Return the variables of a path, each of which is declared."""
    variables = set(_VARIABLE.findall(path))
    if missing := variables - {name for location, name in declared if location == "path"}:
        raise UnusableSchema(f"its path has {{{min(missing)}}}, which no parameter describes")
    return variables


def _argument(
    parameter: Parameter, raw: Mapping[str, Any], base: str, schemas: SchemaReader, names: Collection[str]
) -> tuple[Argument, set[str]]:
    location, wire_name = parameter.param_in.value, parameter.name
    what = f"the {location} parameter {wire_name!r}"
    if location in {"header", "cookie"} and not _TOKEN.fullmatch(wire_name):
        raise UnusableSchema(f"{what} has a name that cannot be sent")
    schema, media_type = _schema_of(raw, what)
    try:
        converted, refers_to = schemas.convert(schema, base)
    except UnusableSchema as error:
        raise UnusableSchema(f"{what}: {error}") from None
    style = parameter.style or DEFAULT_STYLES[location]
    if style not in STYLES[location]:
        known = ", ".join(sorted(STYLES[location]))
        raise UnusableSchema(f"{what} has the style {style!r}; there are {known}")
    own = plain(wire_name) or location
    name = own if own not in names else unique(f"{own[:50]}_{location}", names)
    argument = Argument(
        name=name,
        wire_name=wire_name,
        location=location,
        is_required=location == "path" or parameter.required,
        schema=_described(converted, parameter),
        style=style,
        explode=style == "form" if parameter.explode is None else parameter.explode,
        allow_reserved=raw.get("allowReserved") is True and location == "query",
        is_json=media_type is not None and is_json(media_type),
    )
    return argument, refers_to


def _schema_of(raw: Mapping[str, Any], what: str) -> tuple[Any, str | None]:
    """Return the schema of a parameter, and the media type it is sent as, if any."""
    content = raw.get("content")
    if content is None:
        return raw.get("schema", {}), None
    if not isinstance(content, dict) or len(content) != 1:
        raise UnusableSchema(f"{what} has a content of one media type")
    ((media_type, described),) = content.items()
    return described.get("schema", {}) if isinstance(described, dict) else {}, media_type


def _described(schema: Schema, parameter: Parameter) -> Schema:
    """Return a schema with what is said of the parameter, which is nearer to what it is for."""
    text = bounded(parameter.description, LONGEST_DETAIL)
    added: dict[str, Any] = {} if text is None else {"description": text}
    if parameter.deprecated:
        added["deprecated"] = True
    if not added:
        return schema
    return {**schema, **added} if isinstance(schema, dict) else {"allOf": [schema], **added}

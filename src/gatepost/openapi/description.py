"""A description as a whole: its version, its titles and its operations (OpenAPI 3.0.4 and 3.1.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gatepost.late_dataclass import dataclass
from gatepost.openapi.documents import Documents
from gatepost.openapi.errors import UnreadableDescription, UnsupportedVersion, UnusableDescription
from gatepost.openapi.texts import LONGEST_TITLE, bounded

METHODS: Final = ("get", "put", "post", "delete", "patch")
"""Those whose operations become tools. HEAD, OPTIONS and TRACE give a model nothing to read."""
_READ: Final = re.compile(r"3\.[01]\.[0-9]+(?:-[0-9A-Za-z.-]+)?")
_LONGEST_SENTENCE: Final = 300
_SENTENCE: Final = re.compile(r".+?[.!?](?=\s|$)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class DescribedOperation:
    """An operation of a description, as `include`, `exclude` and `tool_scopes` see it."""

    method: str
    """In capitals, such as `GET`."""
    path: str
    """As the description has it, such as `/pets/{petId}`."""
    id: str | None
    """Its `operationId`."""
    tags: tuple[str, ...]
    summary: str | None
    is_deprecated: bool

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Found:
    """An operation with what the description says of it."""

    operation: DescribedOperation
    raw: Mapping[str, Any]
    base: str
    """The document in which it stands; `path_base` is that of its path item."""
    shared_parameters: Any
    """Of its path item."""
    path_base: str
    servers: Any
    """Its own, or those of its path item; None where it has none."""


@dataclass(frozen=True, slots=True, eq=False)
class Description:
    """An OpenAPI description."""

    documents: Documents
    contents: Mapping[str, Any]

    @property
    def is_30(self) -> bool:
        """Whether it is of version 3.0, whose schemas are a dialect of their own."""
        return str(self.contents["openapi"]).startswith("3.0")

    @property
    def title(self) -> str | None:
        """What people call the API."""
        return bounded(self._info.get("title"), LONGEST_TITLE)

    @property
    def version(self) -> str | None:
        """Of the API."""
        return bounded(self._info.get("version"), LONGEST_TITLE)

    @property
    def summary(self) -> str | None:
        """What the API does, in a sentence."""
        text = bounded(self._info.get("summary"), _LONGEST_SENTENCE)
        if text is None and (text := bounded(self._info.get("description"), 8 * _LONGEST_SENTENCE)) is not None:
            first = _SENTENCE.match(text.partition("\n\n")[0])
            text = bounded(text if first is None else first[0], _LONGEST_SENTENCE)
        return text

    @property
    def servers(self) -> Any:
        """The Server Objects of the API as a whole."""
        return self.contents.get("servers")

    def operations(self) -> Iterator[Found]:
        """Yield what can become a tool, in the description's order."""
        paths = self.contents.get("paths", {})
        if not isinstance(paths, dict):
            raise UnusableDescription("the paths of the description are no object")
        for path, item in paths.items():
            if not path.startswith("/"):
                continue  # an extension: x-…
            resolved, base = self._path_item(item)
            for method in METHODS:
                # By the specification a reference has no place here; descriptions of many files have them all the same.
                raw, where = self.documents.resolved(resolved.get(method), base)
                if raw is not None:
                    yield _found(path, method, (raw, where), (resolved, base))

    @property
    def _info(self) -> Mapping[str, Any]:
        info = self.contents.get("info")
        return info if isinstance(info, dict) else {}

    def _path_item(self, item: Any) -> tuple[Mapping[str, Any], str]:
        """Return a path item with what its `$ref` leads to; what stands beside the reference counts (3.1.1)."""
        base = self.documents.uri
        if not isinstance(item, dict):
            raise UnusableDescription("a path of the description is no object")
        if "$ref" not in item:
            return item, base
        target, where = self.documents.resolved({"$ref": item["$ref"]}, base)
        if not isinstance(target, dict):
            raise UnusableDescription(f"{item['$ref']!r} is no path item")
        return target, where


def read_description(documents: Documents, contents: Any) -> Description:
    """Return a description; raises UnusableDescription if it is none that is read here."""
    if not isinstance(contents, dict):
        raise UnreadableDescription("an OpenAPI description is an object with openapi, info and paths")
    if "swagger" in contents:
        raise UnsupportedVersion(
            "this is a description of Swagger 2.0, and OpenAPI 3.0 and 3.1 are read here. Convert it once, with "
            "`npx swagger2openapi swagger.json -o openapi.json` or in editor.swagger.io (Edit, Convert to OpenAPI 3)"
        )
    version = contents.get("openapi")
    if not isinstance(version, str):
        raise UnsupportedVersion(
            'this is no OpenAPI description: it does not begin with something like openapi: "3.1.1"'
        )
    if not _READ.fullmatch(version):
        raise UnsupportedVersion(f"this is a description of OpenAPI {version[:20]!r}, and 3.0 and 3.1 are read here")
    return Description(documents, contents)


def _found(path: str, method: str, given: tuple[Any, str], within: tuple[Mapping[str, Any], str]) -> Found:
    """Return an operation, given with the document it stands in, and so its path item."""
    (raw, base), (item, path_base) = given, within
    if not isinstance(raw, dict):
        raise UnusableDescription(f"{method.upper()} {path} is no object")
    tags, identifier = raw.get("tags"), raw.get("operationId")
    operation = DescribedOperation(
        method=method.upper(),
        path=path,
        id=identifier if isinstance(identifier, str) else None,
        tags=tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
        summary=bounded(raw.get("summary"), LONGEST_TITLE),
        is_deprecated=raw.get("deprecated") is True,
    )
    return Found(
        operation=operation,
        raw=raw,
        base=base,
        shared_parameters=item.get("parameters"),
        path_base=path_base,
        servers=raw.get("servers") or item.get("servers"),
    )

"""The documents of a description, and what a `$ref` in them may reach.

A reference stays in its document, or in the folder or at the origin that the description came from: a description from
a URL reads no file, one from a file fetches nothing, and neither leads a server into its own network. `referencing`
resolves them; it is given documents and retrieves none.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urldefrag, urljoin, urlsplit

import referencing
from referencing.exceptions import Unresolvable

from gatepost.late_dataclass import dataclass
from gatepost.openapi.errors import ForbiddenReference, UnreadableDescription, UnresolvableReference
from gatepost.openapi.reading import LARGEST_DOCUMENT, Read, as_json, fetch, parse, path_of, read_file

MOST_FILES: Final = 5000
"""DigitalOcean's description, the one of most files, has 2,900."""
MOST_FETCHED: Final = 100
_LONGEST_CHAIN: Final = 32
_WEB: Final = frozenset({"http", "https"})
_LONGEST_REFERENCE: Final = 2000


@dataclass(slots=True, eq=False)
class Documents:
    """What has been read of a description."""

    uri: str
    """Of the description itself; empty where it was given as Python values."""
    read: Read | None
    _registry: referencing.Registry[Any] = field(default_factory=referencing.Registry)
    _known: set[str] = field(default_factory=set)
    _bytes: int = 0

    @property
    def is_from_web(self) -> bool:
        """Whether the description was fetched."""
        return urlsplit(self.uri).scheme in _WEB

    def add(self, uri: str, contents: Any) -> None:
        """Have a document."""
        self._known.add(uri)
        resource: referencing.Resource[Any] = referencing.Resource.opaque(contents)
        self._registry = self._registry.with_resource(uri, resource)

    def absolute(self, reference: object, base: str) -> str:
        """Return the URI that a `$ref` in the document `base` is of; raises ForbiddenReference."""
        if not isinstance(reference, str) or len(reference) > _LONGEST_REFERENCE:
            raise UnresolvableReference("a $ref is no URI")
        if reference.startswith("#"):
            return base + reference
        try:
            uri = urljoin(base, reference)
            document = urldefrag(uri)[0]
        except ValueError:
            raise UnresolvableReference(f"{reference!r} is no URI") from None
        if document not in self._known and not self._may_be_read(document):
            allowed = self._realm()
            raise ForbiddenReference(f"$ref {reference!r} leads out of {allowed}, and no further is read")
        return uri

    def at(self, uri: str) -> Any:
        """Return what is at an absolute URI, which `absolute` gave; raises UnusableDescription."""
        document, fragment = urldefrag(uri)
        if document not in self._known:
            self._load(document)
        try:
            return self._registry.resolver(document).lookup(f"#{fragment}").contents
        except (Unresolvable, ValueError, TypeError):
            raise UnresolvableReference(f"$ref {uri!r} leads to nothing") from None

    def resolved(self, node: Any, base: str) -> tuple[Any, str]:
        """Return what an object stands for that may be a `$ref`, and in which document that is."""
        for _ in range(_LONGEST_CHAIN):
            if not isinstance(node, dict) or "$ref" not in node:
                return node, base
            uri = self.absolute(node["$ref"], base)
            node, base = self.at(uri), urldefrag(uri)[0]
        raise UnresolvableReference(f"a $ref in {base or 'the description'} leads in a circle")

    def _load(self, document: str) -> None:
        most = MOST_FETCHED if self.is_from_web else MOST_FILES
        if len(self._known) >= most:
            raise UnreadableDescription(f"the description is spread over more than {most} documents")
        if self.read is None:
            raise UnresolvableReference(f"{document!r} is no part of the description")
        content = self.read(document)
        self._bytes += len(content)
        if self._bytes > 2 * LARGEST_DOCUMENT:
            raise UnreadableDescription(f"the description has more than {2 * LARGEST_DOCUMENT} bytes")
        self.add(document, parse(content, document))

    def _may_be_read(self, document: str) -> bool:
        if not self.uri:
            return False
        if self.is_from_web:
            return origin_of(document) == origin_of(self.uri)
        if urlsplit(document).scheme != "file" or urlsplit(document).netloc:
            return False
        return path_of(document).is_relative_to(path_of(self.uri).parent)

    def _realm(self) -> str:
        if not self.uri:
            return "the description, which was given without an address"
        if self.is_from_web:
            scheme, netloc, *_ = urlsplit(self.uri)
            return f"{scheme}://{netloc}"
        return f"the folder {path_of(self.uri).parent}"


def origin_of(url: str) -> tuple[str, str | None, int | None]:
    """Return scheme, host and port of an address; the host is None where it is none."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        return parts.scheme, None, None
    return parts.scheme, parts.hostname, port or {"http": 80, "https": 443}.get(parts.scheme)


def open_documents(source: str | os.PathLike[str] | Mapping[str, Any]) -> tuple[Documents, Any]:
    """Return the documents of a description, and the description; raises UnreadableDescription.

    Args:
        source: an address of http or https, the path of a file, or what such a document holds.
    """
    if isinstance(source, Mapping):
        documents, contents = Documents("", None), as_json(dict(source))
    elif isinstance(source, str) and urlsplit(source).scheme in _WEB:
        uri = urldefrag(source)[0]
        if urlsplit(uri).username is not None or origin_of(uri)[1] is None:
            raise UnreadableDescription("the address of the description has a host, and no name or password")
        documents = Documents(uri, fetch)
        contents = parse(fetch(uri), uri)
    else:
        uri = Path(source).resolve().as_uri()
        documents = Documents(uri, read_file)
        contents = parse(read_file(uri), os.fspath(source))
    documents.add(documents.uri, contents)
    return documents, contents

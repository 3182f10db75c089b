"""One answer of a server, bounded and harmless to read and to print."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from gatepost.late_dataclass import dataclass
from gatepost.oauth.display_text import display_text

MAX_BODY: Final = 256 * 1024
"""Bytes of an answer that are read. Metadata of real servers has a few thousand."""
_LONGEST: Final = 160
"""Characters that are printed of what a server said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeAnswer:
    """What came back for one request; `status` is 0 where nothing came, and `problem` then says why."""

    method: str
    url: str
    status: int = 0
    headers: Sequence[tuple[str, str]] = ()
    """Names in lower case."""
    body: bytes = b""
    seconds: float = 0.0
    problem: str = ""

    def header(self, name: str) -> str | None:
        """Return the values of a header, joined as RFC 9110 section 5.3 says, or None."""
        values = [value for known, value in self.headers if known == name]
        return ", ".join(values) if values else None

    @property
    def media_type(self) -> str:
        """The type of the body, without parameters and in lower case; empty if it has none."""
        return (self.header("content-type") or "").partition(";")[0].strip().lower()

    @property
    def is_redirect(self) -> bool:
        """Whether it sends the client elsewhere (RFC 9110 section 15.4)."""
        return self.status in {301, 302, 303, 307, 308}

    @property
    def is_server_error(self) -> bool:
        """Whether it is a 5xx."""
        return self.status >= HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def document(self) -> Mapping[str, Any] | None:
        """The JSON object that it is, of whatever media type, or None."""
        value = _value_of(self.body)
        return value if isinstance(value, dict) else None

    @property
    def message(self) -> Mapping[str, Any] | None:
        """The JSON-RPC message that it is, or the last one of its event stream (Streamable HTTP), or None."""
        if self.media_type != "text/event-stream":
            return self.document
        found: Mapping[str, Any] | None = None
        for event in self.body.replace(b"\r\n", b"\n").split(b"\n\n"):
            lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
            value = _value_of(b"\n".join(lines))
            if isinstance(value, dict) and ("result" in value or "error" in value):
                found = value
        return found

    @property
    def seen(self) -> str:
        """What it was, for a report: `GET /mcp: 404 text/html`. Nothing of its body, no value that may be a secret."""
        parts = split(self.url)
        asked = f"{self.method} {printable(parts.path or '/')}"
        if not self.status:
            return f"{asked}: {self.problem}"
        said = [str(self.status), self.media_type]
        if self.is_redirect:
            said.append(f"to {without_query(self.header('location') or '')}")
        return f"{asked}: " + " ".join(printable(part) for part in said if part)

    @property
    def error(self) -> str:
        """The OAuth error code and description that it names, for a report; empty if it names none."""
        document = self.document or {}
        said = [document.get(name) for name in ("error", "error_description")]
        return printable(": ".join(text for text in said if isinstance(text, str)))


NOT_ASKED: Final = ProbeAnswer(method="", url="", problem="not asked")


def split(url: str) -> SplitResult:
    """Return the parts of a URL that a server named; of what is no URL, empty ones."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # read late, and then wrong as well
    except ValueError:
        return urlsplit("")
    return parts


def printable(text: str) -> str:
    """Return what a server said on one line, cut, without anything that a terminal would obey."""
    return display_text(text, longest=_LONGEST)


def without_query(url: str) -> str:
    """Return a URL for a report: its query may hold a code or a state."""
    head, mark, _ = url.partition("?")
    return printable(head + ("?…" if mark else ""))


def _value_of(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None

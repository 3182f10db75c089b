"""From what an API answers to the result of a tool: JSON, text, pictures, sound, or bytes."""

from __future__ import annotations

import base64
from typing import Any, Final

import orjson
from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    TextContent,
)

from gatepost.late_dataclass import dataclass
from gatepost.openapi.media_types import essence, is_json, is_text
from gatepost.openapi.outputs import Outputs
from gatepost.openapi.texts import bounded, shown
from gatepost.protocol.json_encoding import encode
from gatepost.server.errors import ToolError

_OCTETS: Final = "application/octet-stream"
_LONGEST_ERROR: Final = 2000
"""Characters of what an API says of its error."""
_LONGEST_WAIT: Final = 24 * 3600


@dataclass(frozen=True, slots=True)
class APIAnswer:
    """What an API answered."""

    status: int
    reason: str
    media_type: str
    """With its parameters, as in `Content-Type`; empty where the API said none."""
    charset: str
    content: bytes
    retry_after: str | None
    """As in the header."""

    @property
    def status_line(self) -> str:
        """Status and reason, such as `404 Not Found`."""
        return f"{self.status} {bounded(self.reason, 60) or ''}".strip()

    def text(self) -> str:
        """Return the content as a text."""
        try:
            return self.content.decode(self.charset, "replace")
        except LookupError:
            return self.content.decode("utf-8", "replace")


class APIError(ToolError):
    """An API answered that it did not do what it was asked for."""

    def __init__(self, answer: APIAnswer) -> None:
        said = _said_of_error(answer)
        wait = _wait(answer.retry_after)
        super().__init__(f"The API answered {answer.status_line}{'.' if said is None else f': {said}'}{wait}")
        self.status = answer.status
        """Of HTTP."""


def to_tool_result(answer: APIAnswer, outputs: Outputs | None, name: str) -> CallToolResult:
    """Return the result of a call of the tool `name` that an API answered; raises APIError."""
    if not 200 <= answer.status < 300:  # noqa: PLR2004 - success, in HTTP
        raise APIError(answer)
    value, is_value = _json_of(answer)
    content: list[ContentBlock]
    if not answer.content:
        content = [TextContent(type="text", text=f"The API answered {answer.status_line}, without content.")]
    elif is_value:
        content = [TextContent(type="text", text=encode(value).decode())]
    else:
        content = [_block(answer, name)]
    structured: Any = None
    if outputs is not None:
        if is_value and isinstance(value, dict) and outputs.are_met(answer.status, value):
            structured = value
        else:
            is_said = bool(answer.content) and _is_readable(answer)
            undescribed = value if is_value else answer.text() if is_said else None
            structured = {"status": answer.status, "undescribed": undescribed}
    return CallToolResult(content=content, structured_content=structured, is_error=False)


def _json_of(answer: APIAnswer) -> tuple[Any, bool]:
    """Return the value of JSON, and whether there is one."""
    if not answer.content or not is_json(answer.media_type):
        return None, False
    try:
        return orjson.loads(answer.content), True
    except orjson.JSONDecodeError:
        return None, False


def _block(answer: APIAnswer, name: str) -> ContentBlock:
    """Return what was answered as one block of content."""
    kind = essence(answer.media_type)
    if _is_readable(answer):
        return TextContent(type="text", text=answer.text())
    data = base64.b64encode(answer.content).decode()
    if kind.startswith("image/"):
        return ImageContent(type="image", data=data, mime_type=kind)
    if kind.startswith("audio/"):
        return AudioContent(type="audio", data=data, mime_type=kind)
    # The address may hold what only this server knows.
    contents = BlobResourceContents(uri=f"answer://{name}", mime_type=kind or _OCTETS, blob=data)
    return EmbeddedResource(type="resource", resource=contents)


def _is_readable(answer: APIAnswer) -> bool:
    if answer.media_type:
        return is_text(answer.media_type)
    try:
        return "\x00" not in answer.content.decode()
    except UnicodeDecodeError:
        return False


def _said_of_error(answer: APIAnswer) -> str | None:
    """Return what an API says of its error; a page for people says nothing to a model."""
    if essence(answer.media_type) == "text/html" or not _is_readable(answer):
        return None
    value, is_value = _json_of(answer)
    return bounded(shown(encode(value).decode() if is_value else answer.text()), _LONGEST_ERROR)


def _wait(retry_after: str | None) -> str:
    if retry_after is None or not retry_after.isdecimal() or len(retry_after) > len(str(_LONGEST_WAIT)):
        return ""
    return f" Try again in {int(retry_after)} seconds."

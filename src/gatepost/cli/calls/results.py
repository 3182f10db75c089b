"""What a tool, a prompt or a resource gave: text plain, structured content as JSON, other things in files or named."""

from __future__ import annotations

import base64
import binascii
import json
import mimetypes
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gatepost.cli.terminal import CommandRefused, printable
from gatepost.late_dataclass import dataclass

if TYPE_CHECKING:
    from mcp_types import CallToolResult

_OTHERS: Final = re.compile(r"[^A-Za-z0-9._-]+")
_MOST_NAMES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Shown:
    """Turns parts of a result into lines."""

    name: str
    """Of the tool, for files."""
    folder: Path | None
    """Where what is no text is kept; None where it is only named."""

    def result(self, result: CallToolResult) -> list[str]:
        """Return the lines of a tool's result."""
        structured = result.structured_content
        wrapped = structured.get("result") if isinstance(structured, dict) and len(structured) == 1 else None
        if wrapped is not None and any(_repeats(block, wrapped) for block in result.content):
            structured = None  # FastMCP and others wrap what is no object as {"result": …}; the text says it plainly
        blocks = [block for block in result.content if not _repeats(block, structured)]
        lines = self.blocks(blocks)
        return lines if structured is None else [*lines, json.dumps(structured, indent=2)]

    def blocks(self, blocks: Iterable[Any]) -> list[str]:
        """Return the lines of content blocks (2025-11-25 server/tools, "Tool Result")."""
        return [line for block in blocks for line in self._block(block)]

    def contents(self, contents: Iterable[Any]) -> list[str]:
        """Return the lines of a resource's contents."""
        return [line for each in contents for line in self._resource(each)]

    def _block(self, block: Any) -> list[str]:
        match block.type:
            case "text":
                return [printable(block.text, lines=True)]
            case "image" | "audio":
                return [self._data(block.type, block.data, block.mime_type)]
            case "resource_link":
                return [f"[link: {printable(block.name)} {printable(str(block.uri))}]"]
            case "resource":
                return self._resource(block.resource)
            case other:
                return [f"[{printable(str(other))}]"]

    def _resource(self, contents: Any) -> list[str]:
        if getattr(contents, "text", None) is not None:
            return [printable(contents.text, lines=True)]
        return [self._data(printable(str(contents.uri)), contents.blob, contents.mime_type)]

    def _data(self, what: str, text: str, media_type: str | None) -> str:
        kind = printable(media_type or "application/octet-stream")
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            return f"[{what}: {kind}, which is not base64]"
        if self.folder is None:
            return f"[{what}: {kind}, {len(data)} bytes; --save FOLDER keeps it]"
        return f"[{what}: {kind}, {len(data)} bytes, saved as {self._save(data, kind)}]"

    def _save(self, data: bytes, kind: str) -> Path:
        """Write a new file, whose name the server has no say in beyond its kind; nothing is replaced."""
        assert self.folder is not None  # noqa: S101 - asked above; tells mypy
        end = mimetypes.guess_extension(kind.partition(";")[0]) or ".bin"
        stem = _OTHERS.sub("-", self.name).strip("-.")[:60] or "result"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for number in range(1, _MOST_NAMES):
                path = self.folder / f"{stem}-{number}{end}"
                with suppress(FileExistsError):
                    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
                    with os.fdopen(descriptor, "wb") as file:
                        file.write(data)
                    return path
        except OSError as error:
            raise CommandRefused(f"Nothing can be saved in {self.folder}: {error.strerror}.") from None
        raise CommandRefused(f"{self.folder} is full of files called {stem}: name another folder.")


def _repeats(block: Any, structured: object) -> bool:
    """Say whether a text is the structured content once more, which servers add for older clients."""
    if structured is None or block.type != "text":
        return False
    try:
        said = json.loads(block.text)
    except (ValueError, RecursionError):
        said = block.text
    return bool(said == structured)

"""Media types of files, by the endings of their names: the same on every machine, whatever its own tables say."""

from __future__ import annotations

from typing import Final

MARKDOWN: Final = "text/markdown"
DIRECTORY: Final = "inode/directory"
"""Of directory resources (SEP-2640, "Directory Resources")."""
_TEXT: Final = "text/plain"
_BYTES: Final = "application/octet-stream"
_BY_ENDING: Final = {
    "css": "text/css",
    "csv": "text/csv",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "gif": "image/gif",
    "htm": "text/html",
    "html": "text/html",
    "ico": "image/vnd.microsoft.icon",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "js": "text/javascript",
    "json": "application/json",
    "md": MARKDOWN,
    "mjs": "text/javascript",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "otf": "font/otf",
    "pdf": "application/pdf",
    "png": "image/png",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "py": "text/x-python",
    "sh": "application/x-sh",
    "sql": "application/sql",
    "svg": "image/svg+xml",
    "toml": "application/toml",
    "ts": "text/x-typescript",
    "tsv": "text/tab-separated-values",
    "ttf": "font/ttf",
    "txt": _TEXT,
    "wav": "audio/wav",
    "webp": "image/webp",
    "woff2": "font/woff2",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xml": "application/xml",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "zip": "application/zip",
}
_TEXTS: Final = frozenset({"application/json", "application/sql", "application/toml", "application/x-sh"})
_MORE_TEXTS: Final = frozenset({"application/xml", "application/yaml", "image/svg+xml"})


def described(name: str, content: bytes) -> tuple[str, str | None]:
    """Return the media type of a file, and its text; None in place of the text for what is sent as a blob.

    A text has exactly the file's bytes in UTF-8, so that a client which encodes it again gets the same digest.
    """
    known = _BY_ENDING.get(name.rpartition(".")[2].lower() if "." in name else "")
    if known is not None and not (known.startswith("text/") or known in _TEXTS | _MORE_TEXTS):
        return known, None
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return known or _BYTES, None
    if "\0" in text:
        return known or _BYTES, None
    return known or _TEXT, text

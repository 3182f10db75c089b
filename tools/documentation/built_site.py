"""What must hold of the built pages: links and anchors lead somewhere, and nothing comes from another host."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

_LOADED: Final = {
    "audio": "src",
    "embed": "src",
    "iframe": "src",
    "img": "src",
    "link": "href",
    "object": "data",
    "script": "src",
    "source": "src",
    "use": "href",
    "video": "src",
}
"""The attribute by which an element makes the browser load something."""
_IN_STYLE: Final = re.compile(r"(?:url\(\s*|@import\s+)[\"']?((?:https?:)?//[^\"')\s]+)")
_IN_SCRIPT: Final = re.compile(
    r"(?:fetch|import|importScripts|sendBeacon|WebSocket|EventSource)\(\s*[\"'`]((?:https?:|wss?:)?//[^\"'`]+)"
)


class _Reader(HTMLParser):
    """The links, anchors and loaded things of one page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.pictures_without_words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what this element links to, loads and is called."""
        named = {name: value or "" for name, value in attrs}
        self.anchors.update(named[name] for name in ("id", "name") if name in named)
        if tag == "a" and "href" in named:
            self.links.append(named["href"])
        is_loaded = tag in _LOADED and not (tag == "link" and named.get("rel") in {"next", "prev", "index", "search"})
        if is_loaded and _LOADED[tag] in named:
            self.loaded.append(named[_LOADED[tag]])
        if tag == "img" and not named.get("alt"):
            self.pictures_without_words.append(named.get("src", ""))


def _read(page: Path) -> _Reader:
    reader = _Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    return reader


def objections(site: Path) -> list[str]:
    """Return what is wrong with a built site: a sentence each, in the order of its files."""
    files = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    pages = {name: _read(site / name) for name in sorted(files) if name.endswith(".html")}
    found = [f"{name}: {words}" for name, page in pages.items() for words in _of_page(name, page, pages, files)]
    return found + list(_of_files(site))


def _of_page(name: str, page: _Reader, pages: dict[str, _Reader], files: set[str]) -> Iterator[str]:
    for target in page.loaded:
        if _is_elsewhere(target):
            yield f"loads {target} from another host"
        elif not target.startswith(("data:", "#")) and _file_of(name, target) not in files:
            yield f"loads {target}, which does not exist"
    for target in dict.fromkeys(page.links):
        if ":" in target.partition("#")[0] or target.startswith("//"):
            continue
        file, anchor = _file_of(name, target), unquote(target.partition("#")[2])
        if file not in files:
            yield f"links to {target}, which does not exist"
        elif anchor and file in pages and anchor not in pages[file].anchors:
            yield f"links to {target}, and there is no such anchor"
    for picture in page.pictures_without_words:
        yield f"shows {picture} without a text in its place"


def _of_files(site: Path) -> Iterator[str]:
    for pattern, suffix in ((_IN_STYLE, "css"), (_IN_STYLE, "svg"), (_IN_SCRIPT, "js")):
        for path in sorted(site.rglob(f"*.{suffix}")):
            for target in pattern.findall(path.read_text(encoding="utf-8")):
                yield f"{path.relative_to(site)}: loads {target} from another host"


def _is_elsewhere(target: str) -> bool:
    return target.startswith("//") or urlsplit(target).scheme in {"http", "https", "ws", "wss"}


def _file_of(page: str, target: str) -> str:
    """Return the file that a link of a page leads to, relative to the site."""
    path = unquote(re.split(r"[?#]", target, maxsplit=1)[0])
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else page

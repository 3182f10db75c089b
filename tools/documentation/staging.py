"""From the repository to what Sphinx reads: pages with their links, pictures, source files and generated parts.

Nothing here needs Sphinx, so that the tests of the repository hold the links, the contents and the generated parts.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from tools.documentation import contents, markdown, places

ROOT: Final = Path(__file__).resolve().parents[2]
BESIDE_DOCS: Final = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "findings/README.md")
"""Pages of the site that lie outside of docs; others become pages when one links to them."""
_GENERATED: Final = re.compile(r"^<!-- make docs: ([a-z ]+) -->$", re.MULTILINE)
_DIAGRAM: Final = re.compile(r"^!\[(?P<words>[^\]]+)\]\((?P<path>[^)]+\.svg)\)$", re.MULTILINE)
_STYLE: Final = re.compile(r"<style>.*?</style>\s*", re.DOTALL)
_LANGUAGES: Final = {
    ".conf": "nginx",
    ".example": "bash",
    ".json": "json",
    ".lua": "lua",
    ".mjs": "javascript",
    ".py": "python",
    ".service": "ini",
    ".sh": "bash",
    ".socket": "ini",
    ".toml": "toml",
    ".yaml": "yaml",
    ".yml": "yaml",
}


class BrokenLinkError(LookupError):
    """A page links to what does not exist; the message names both."""


class Staging:
    """The pages of a site, gathered from a repository.

    `generated` maps the name in a comment such as `<!-- make docs: commands -->` to what makes its Markdown.
    """

    def __init__(self, root: Path, generated: Mapping[str, Callable[[], str]]) -> None:
        self.pages: dict[PurePosixPath, str] = {}
        self.pictures: set[PurePosixPath] = set()
        self._root = root
        self._generated = generated
        self._files: set[PurePosixPath] = set()
        self._waiting = [PurePosixPath(path.relative_to(root)) for path in sorted((root / "docs").rglob("*.md"))]
        self._waiting += [PurePosixPath(name) for name in BESIDE_DOCS if (root / name).is_file()]

    def gather(self) -> dict[PurePosixPath, str]:
        """Return every page of the site by its place, with links and contents as Sphinx needs them.

        Raises:
            BrokenLinkError: A link leads nowhere.
            LookupError: No index leads to a page.
        """
        while self._waiting:
            path = self._waiting.pop(0)
            if places.place_of(path) not in self.pages:
                self.pages[places.place_of(path)] = self._page(path)
        self.pages[contents.FILES] = self._index_of_files()
        return contents.with_contents(self.pages)

    def write(self, folder: Path) -> None:
        """Write pages and pictures into a folder, which is emptied before."""
        shutil.rmtree(folder, ignore_errors=True)
        for place, text in self.gather().items():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).write_text(text, encoding="utf-8")
        for picture in self.pictures:
            there = folder / places.place_of(picture)
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._root / picture, there)

    def _page(self, path: PurePosixPath) -> str:
        if path.suffix != ".md":
            return self._source_page(path)
        text = (self._root / path).read_text(encoding="utf-8")
        text = _GENERATED.sub(lambda match: self._generated[match[1]](), text)
        text = _DIAGRAM.sub(lambda match: self._diagram(path, match), text)
        return markdown.fenced(markdown.relink(text, lambda target: self._link(path, target)))

    def _link(self, page: PurePosixPath, target: str) -> str:
        named = places.resolved(page, target)
        path = places.file_of(self._root, named)
        if path is None:
            raise BrokenLinkError(f"{page} links to {named}, which is no file and no folder with a README.")
        if path.suffix in places.PICTURES:
            self.pictures.add(path)
        else:
            self._waiting.append(path)
        _, hash_sign, anchor = target.partition("#")
        return places.relative(places.place_of(page), places.place_of(path)) + hash_sign + anchor

    def _diagram(self, page: PurePosixPath, match: re.Match[str]) -> str:
        """Return a diagram in the page itself, where it takes on the colour of the text, in the dark as well."""
        svg = (self._root / places.resolved(page, match["path"])).read_text(encoding="utf-8")
        if "currentColor" not in svg:
            return match[0]
        words = match["words"].replace('"', "&quot;")
        svg = _STYLE.sub("", svg).replace("<svg ", f'<svg role="img" aria-label="{words}" ', 1)
        return f'```{{raw}} html\n<div class="diagram" tabindex="0">\n{svg.strip()}\n</div>\n```'

    def _source_page(self, path: PurePosixPath) -> str:
        self._files.add(path)
        text = (self._root / path).read_text(encoding="utf-8").rstrip("\n")
        fence = markdown.fence_for(text)
        return (
            f"# {path}\n\nA file of the repository.\n\n{fence}{_LANGUAGES.get(path.suffix, 'text')}\n{text}\n{fence}\n"
        )

    def _index_of_files(self) -> str:
        """Return the page that lists what these pages show of the repository."""
        others = sorted(place for place in self.pages if place.parts[0] == "repository")
        lines = [
            f"- [{place.relative_to('repository').with_suffix('')}]({places.relative(contents.FILES, place)})"
            for place in others
        ]
        return "\n".join(["# Files of the repository", "", "What the pages of this site link to.", "", *lines, ""])

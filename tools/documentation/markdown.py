"""Markdown as lines: which of them are code, and where each link on the others leads."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from markdown_it import MarkdownIt

# A code span comes first, so that what looks like a link inside of one is passed over.
_LINK: Final = re.compile(
    r'(?P<code>(`+)(?!`).+?(?<!`)\2(?!`))|(?P<open>\]\(|<img src=")(?P<target>[^)"\s]+)(?P<rest>[)"\s])'
)
_ELSEWHERE: Final = re.compile(r"[a-z][a-z0-9+.-]*:|//|#")
_HEADING: Final = re.compile(r"(#{1,6}) +(.*?)(?: +#+)?$")
_PYTHON: Final = re.compile(r"(?:from \w|import \w|@\w|(?:async )?def |class |\w+ = \w+\()", re.MULTILINE)
_FIRST_WORDS: Final = re.compile(
    r"(?:claude|codex|copilot|curl|docker|export|gatepost|gemini|git"
    r"|kill|make|npx|pip|pipx|psql|python3?|sudo|systemctl|uvx?)\b"
)


@dataclass(frozen=True)
class Code:
    """A block of code in a page: its lines (first, behind the last), what stands behind the fence, and the code."""

    first: int
    end: int
    info: str
    fenced: bool
    text: str


def code_blocks(text: str) -> list[Code]:
    """Return the blocks of code of a page, indented ones too, in order."""
    found = []
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type in {"fence", "code_block"} and token.map is not None:
            first, end = token.map
            found.append(Code(first, end, token.info.strip(), token.type == "fence", token.content))
    return found


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Yield the number (from 0) and the text of each line that is no code."""
    code = {number for block in code_blocks(text) for number in range(block.first, block.end)}
    for number, line in enumerate(text.splitlines()):
        if number not in code:
            yield number, line


def links(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line (from 0) and the target of each link and picture that leads to a file."""
    for number, line in prose(text):
        for match in _LINK.finditer(line):
            if match["target"] and not _ELSEWHERE.match(match["target"]):
                yield number, match["target"]


def relink(text: str, there: Callable[[str], str]) -> str:
    """Return the page with the target of each link to a file replaced; no line moves."""

    def replaced(match: re.Match[str]) -> str:
        if match["code"] or _ELSEWHERE.match(match["target"]):
            return match[0]
        return match["open"] + there(match["target"]) + match["rest"]

    lines = text.splitlines()
    for number, line in prose(text):
        lines[number] = _LINK.sub(replaced, line)
    return "\n".join(lines) + "\n"


def fenced(text: str) -> str:
    """Return the page with indented code in fences that name its language, where it can be told."""
    lines = text.splitlines()
    for block in reversed(code_blocks(text)):
        if block.fenced:
            continue
        code = block.text.rstrip("\n").splitlines()
        margin = " " * (len(lines[block.first]) - len(lines[block.first].lstrip()) - _own_margin(code[0]) - 4)
        fence = fence_for(block.text)
        end = block.first + len(code)
        body = [f"{margin}{line}".rstrip() for line in code]
        lines[block.first : end] = [f"{margin}{fence}{language_of(block.text)}", *body, margin + fence]
    return "\n".join(lines) + "\n"


def _own_margin(line: str) -> int:
    return len(line) - len(line.lstrip())


def fence_for(code: str) -> str:
    """Return a fence that is longer than any in the code."""
    return "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", code)), default=0))


def language_of(code: str) -> str:
    """Guess the language of code that has no fence: what Pygments calls it, or `text`."""
    first = code.lstrip().split("\n", 1)[0]
    if re.search(r"^\$ ", code, re.MULTILINE):
        return "console"
    if _FIRST_WORDS.match(first) or re.match(r"[A-Z][A-Z_]+=\S* ", first):
        return "bash"
    if re.match(r"\[\[?[\w.-]+\]\]?$", first):
        return "toml" if _is_toml(code) else "ini"
    return _by_parsing(code)


def _is_toml(code: str) -> bool:
    try:
        tomllib.loads(code)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _by_parsing(code: str) -> str:
    try:
        json.loads(code)
    except ValueError:
        pass
    else:
        return "json"
    if not _PYTHON.search(code):
        return "text"
    try:
        compile(code, "page", "exec", flags=0x2000)  # top-level await is allowed
    except SyntaxError:
        return "text"
    return "python"


def headings(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield line (from 0), depth and words of each heading."""
    for number, line in prose(text):
        if match := _HEADING.match(line):
            yield number, len(match[1]), match[2]


def title_of(text: str) -> str:
    """Return the words of a page's first heading."""
    return next((words for _, _, words in headings(text)), "")

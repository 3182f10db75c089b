"""Diagrams as SVG in one colour, that of the text: sequences of messages, and boxes with arrows between them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

_SIZE: Final = 13  # pixels, of the text
_LINE: Final = 17  # pixels, from one line of text to the next
_MARGIN: Final = 12
# Alone, such as on a code host, a picture has to find its colour by itself; in a page of the site it has the page's.
_ALONE: Final = "<style>svg{color:#1f2328}@media(prefers-color-scheme:dark){svg{color:#e6edf3}}</style>"


@dataclass
class Drawing:
    """Marks on a canvas of a fixed size, in pixels."""

    width: float
    height: float
    _marks: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, words: str, *, anchor: str = "middle", bold: bool = False) -> None:
        """Write words on the baseline `y`."""
        weight = ' font-weight="bold"' if bold else ""
        self._marks.append(f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{weight}>{escape(words)}</text>')

    def box(self, x: float, y: float, width: float, height: float, *, dashed: bool = False) -> None:
        """Draw a box with round corners."""
        size = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6"'
        self._marks.append(f"<rect {size} {_stroke(dashed=dashed)}/>")

    def line(self, x1: float, y1: float, x2: float, y2: float, *, dashed: bool = False) -> None:
        """Draw a line."""
        self._marks.append(f'<path d="M{x1:g} {y1:g}L{x2:g} {y2:g}" {_stroke(dashed=dashed)}/>')

    def arrow(self, x1: float, y1: float, x2: float, y2: float, *, dashed: bool = False) -> None:
        """Draw a line with a head at its end."""
        self.line(x1, y1, x2, y2, dashed=dashed)
        angle = math.atan2(y2 - y1, x2 - x1)
        ends = [(x2 - 9 * math.cos(angle + turn), y2 - 9 * math.sin(angle + turn)) for turn in (-0.4, 0.4)]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in [(x2, y2), *ends])
        self._marks.append(f'<polygon points="{points}" fill="currentColor"/>')

    def svg(self) -> str:
        """Return the picture."""
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} {self.height:g}"'
        fonts = f'font-family="system-ui, sans-serif" font-size="{_SIZE}" fill="currentColor"'
        return "\n".join([f"{head} {fonts}>", _ALONE, *self._marks, "</svg>", ""])


def _stroke(*, dashed: bool) -> str:
    return 'fill="none" stroke="currentColor" stroke-width="1.3"' + (' stroke-dasharray="5 4"' if dashed else "")


@dataclass(frozen=True)
class Says:
    """A message from one to another, or to itself; an answer is dashed."""

    sender: str
    receiver: str
    words: str
    answer: bool = False


@dataclass(frozen=True)
class Then:
    """A heading across the picture."""

    words: str


def sequence(actors: Sequence[str], steps: Iterable[Says | Then], *, width: float = 760) -> str:
    """Return who says what to whom, from the top down."""
    steps = list(steps)
    column = width / len(actors)
    at = {actor: column * (number + 0.5) for number, actor in enumerate(actors)}
    rows = [len(step.words.split("\n")) * _LINE + (20 if isinstance(step, Then) else 14) for step in steps]
    drawing = Drawing(width, 52 + sum(rows) + 14)
    for actor, x in at.items():
        drawing.box(x - column * 0.42, _MARGIN, column * 0.84, 26)
        drawing.text(x, _MARGIN + 18, actor, bold=True)
        drawing.line(x, _MARGIN + 26, x, 52)
    y = 52.0
    for step, height in zip(steps, rows, strict=True):
        lines = step.words.split("\n")
        for x in at.values():
            if not _covers(step, x, at):
                drawing.line(x, y, x, y + height)
        if isinstance(step, Then):
            drawing.text(_MARGIN, y + 20, step.words, anchor="start", bold=True)
            drawing.line(_MARGIN, y + 26, width - _MARGIN, y + 26)
        else:
            _message(drawing, at[step.sender], at[step.receiver], y, lines, dashed=step.answer)
        y += height
    return drawing.svg()


def _covers(step: Says | Then, x: float, at: Mapping[str, float]) -> bool:
    """Say whether the words of a step lie across the line at `x`, which is then left out beside them."""
    if isinstance(step, Then):
        return True
    first, last = sorted((at[step.sender], at[step.receiver]))
    return first < x < last


def _message(drawing: Drawing, start: float, end: float, y: float, lines: list[str], *, dashed: bool) -> None:
    bottom = y + len(lines) * _LINE + 4
    if start == end:
        for number, words in enumerate(lines):
            drawing.text(start + 10, y + _LINE * (number + 1), words, anchor="start")
        drawing.box(start - 4, y + 4, 8, bottom - y)
        return
    for number, words in enumerate(lines):
        drawing.text((start + end) / 2, y + _LINE * (number + 1) - 2, words)
    drawing.arrow(start, bottom, end, bottom, dashed=dashed)


@dataclass(frozen=True)
class Box:
    """A box at a column and a row, from 0, halves too; the first line of its words is a title."""

    column: float
    row: float
    words: str
    width: float = 1.0
    dashed: bool = False


@dataclass(frozen=True)
class Arrow:
    """From one box to another, with words beside it."""

    start: str
    end: str
    words: str = ""
    dashed: bool = False


def boxes(
    named: Mapping[str, Box], arrows: Iterable[Arrow], *, columns: int = 3, row: float = 110, width: float = 760
) -> str:
    """Return boxes with straight arrows between their nearest sides; `row` is the height of a row in pixels."""
    column = width / columns
    places = {name: _place(box, column, row) for name, box in named.items()}
    drawing = Drawing(width, max(y + height for _, y, _, height in places.values()) + _MARGIN)
    for name, box in named.items():
        x, y, box_width, height = places[name]
        drawing.box(x, y, box_width, height, dashed=box.dashed)
        for number, words in enumerate(box.words.split("\n")):
            drawing.text(x + box_width / 2, y + 19 + number * _LINE, words, bold=number == 0)
    for arrow in arrows:
        x1, y1, x2, y2 = _between(places[arrow.start], places[arrow.end])
        drawing.arrow(x1, y1, x2, y2, dashed=arrow.dashed)
        _beside(drawing, (x1, y1, x2, y2), arrow.words)
    return drawing.svg()


_Place = tuple[float, float, float, float]


def _place(box: Box, column: float, row: float) -> _Place:
    width = column * box.width - 2 * _MARGIN
    return box.column * column + _MARGIN, box.row * row + _MARGIN, width, 12 + _LINE * len(box.words.split("\n"))


def _between(first: _Place, second: _Place) -> _Place:
    """Return from where to where an arrow goes: down or up where the rows differ and the boxes overlap, else across."""
    (x1, y1, w1, h1), (x2, y2, w2, h2) = first, second
    left, right = max(x1, x2), min(x1 + w1, x2 + w2)
    if left < right:
        middle = (left + right) / 2
        return (middle, y1 + h1, middle, y2) if y1 < y2 else (middle, y1, middle, y2 + h2)
    top, bottom = max(y1, y2), min(y1 + h1, y2 + h2)
    level1 = level2 = (top + bottom) / 2
    if top >= bottom:
        level1, level2 = y1 + h1 / 2, y2 + h2 / 2
    return (x1 + w1, level1, x2, level2) if x1 < x2 else (x1, level1, x2 + w2, level2)


def _beside(drawing: Drawing, ends: _Place, words: str) -> None:
    x1, y1, x2, y2 = ends
    lines = words.split("\n") if words else []
    steep = abs(y2 - y1) > abs(x2 - x1)
    for number, line in enumerate(lines):
        if steep:
            y = (y1 + y2) / 2 + 5 + (number - (len(lines) - 1) / 2) * _LINE
            drawing.text((x1 + x2) / 2 + 8, y, line, anchor="start")
        else:
            above = 6 if abs(y2 - y1) < _LINE else 2 * _LINE  # an arrow that slants would cross the words
            drawing.text((x1 + x2) / 2, (y1 + y2) / 2 - above - (len(lines) - 1 - number) * _LINE, line)

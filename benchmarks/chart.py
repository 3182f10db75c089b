"""The chart: panels of horizontal bars as plain SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from benchmarks.run import Spread

_WIDTH: Final = 860
_LABELS: Final = 230
_FIGURES: Final = 150
_BAR: Final = 18
_ROW: Final = 26
_HEAD: Final = 44
_MARGIN: Final = 24
_OURS: Final = "#0b6e4f"
_THEIRS: Final = "#9aa5b1"
_BOUND: Final = "#d5dbe1"
_INK: Final = "#1f2933"
_FAINT: Final = "#52606d"


@dataclass(frozen=True, slots=True)
class Bar:
    """One server's figure."""

    label: str
    figure: Spread
    text: str
    kind: str = "theirs"
    """"ours", "theirs" or "bound" (the ceiling)."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Bars that can be compared."""

    title: str
    bars: Sequence[Bar]


def draw(panels: Sequence[Panel], *, caption: str) -> str:
    """Return the SVG. The background is drawn, so that it reads the same on light and dark pages."""
    height = _MARGIN * 2 + sum(_HEAD + _ROW * len(panel.bars) for panel in panels) + _HEAD // 2
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="system-ui, sans-serif" role="img">',
        f"<title>{escape(caption)}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    top = _MARGIN
    for panel in panels:
        lines += _panel(panel, top)
        top += _HEAD + _ROW * len(panel.bars)
    lines += [_words(_MARGIN, top + _HEAD // 2, caption, ink=_FAINT, size=11), "</svg>"]
    return "\n".join(lines) + "\n"


def _panel(panel: Panel, top: int) -> list[str]:
    lines = [_words(_MARGIN, top + 24, panel.title, weight="600", size=14)]
    room = _WIDTH - 2 * _MARGIN - _LABELS - _FIGURES
    scale = room / max(bar.figure.high for bar in panel.bars)
    left = _MARGIN + _LABELS
    for index, bar in enumerate(panel.bars):
        y = top + _HEAD - 10 + index * _ROW
        middle = y + _BAR / 2
        colour = {"ours": _OURS, "bound": _BOUND}.get(bar.kind, _THEIRS)
        low, width, high = (left + value * scale for value in (bar.figure.low, bar.figure.median, bar.figure.high))
        weight = "600" if bar.kind == "ours" else "400"
        lines += [
            _words(_MARGIN, middle + 4.5, bar.label, weight=weight),
            f'<rect x="{left}" y="{y}" width="{max(1.0, width - left):.1f}" height="{_BAR}" rx="2" fill="{colour}"/>',
            # From the lowest to the highest round.
            f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="{_INK}" stroke-width="1.5"/>',
            _words(max(width, high) + 8, middle + 4.5, bar.text, weight=weight),
        ]
    return lines


def _words(x: float, y: float, text: str, *, ink: str = _INK, weight: str = "400", size: int = 13) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{ink}" font-size="{size}" font-weight="{weight}">{escape(text)}</text>'

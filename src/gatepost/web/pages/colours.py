"""Colours that can be read on each other (WCAG 2.2, success criterion 1.4.3 and its definition of contrast)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

READABLE: Final = 4.5
"""The least contrast between text and what is behind it."""
BLACK: Final = "#000000"
WHITE: Final = "#ffffff"
_COLOUR: Final = re.compile("#[0-9a-f]{6}", re.IGNORECASE | re.ASCII)
_STEPS: Final = 50
_CHANNELS: Final = (1, 3, 5)
_LINEAR_BELOW: Final = 0.04045


def is_colour(text: str) -> bool:
    """Say whether `text` is a colour as it is written here: `#rrggbb`."""
    return _COLOUR.fullmatch(text) is not None


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours: from 1, for the same, to 21, for black and white."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def text_on(background: str) -> str:
    """Return black or white, whichever can be read better on a colour; its contrast is never below 4.5."""
    return max((WHITE, BLACK), key=lambda text: contrast(text, background))


def mixed(colour: str, other: str, share: float) -> str:
    """Return a colour with a share, from 0 to 1, of another."""
    pairs = zip(_channels(colour), _channels(other), strict=True)
    return "#" + "".join(f"{round(one + (another - one) * share):02x}" for one, another in pairs)


def readable_on(backgrounds: Sequence[str], colour: str) -> str:
    """Return the colour, moved as little as it takes towards black or white to be read on all of the backgrounds.

    They are all light or all dark.
    """
    towards = text_on(backgrounds[0])
    steps = (mixed(colour, towards, step / _STEPS) for step in range(_STEPS + 1))
    return next(
        (step for step in steps if all(contrast(step, background) >= READABLE for background in backgrounds)), towards
    )


def _channels(colour: str) -> list[int]:
    return [int(colour[start : start + 2], 16) for start in _CHANNELS]


def _luminance(colour: str) -> float:
    shares = [channel / 255 for channel in _channels(colour)]
    red, green, blue = (
        share / 12.92 if share <= _LINEAR_BELOW else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue

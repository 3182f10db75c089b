from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.web import dev as dev_page
from gatepost.web.pages import branding
from gatepost.web.pages.branding import DARK, LIGHT, Branding
from gatepost.web.pages.colours import READABLE, contrast, is_colour, mixed, readable_on, text_on

COLOURS = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")
STYLE = (Path(branding.__file__).parent / "static" / "gatepost.css").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#777777", "#ffffff", 4.48),
        ("#767676", "#ffffff", 4.54),
        ("#ff0000", "#ff0000", 1.0),
    ],
)
def test_contrast_is_that_of_the_guidelines(one: str, other: str, expected: float) -> None:
    assert round(contrast(one, other), 2) == round(contrast(other, one), 2) == expected


def test_the_dark_differs_from_the_light_by_colours_alone() -> None:
    """So accessibility is looked at in the dark by the rules of colours only."""
    dev = Path(dev_page.__file__).parent / "static" / "dev.css"
    for style in (STYLE, dev.read_text(encoding="utf-8")):
        dark = re.findall(r"@media \(prefers-color-scheme: dark\) \{\n  :root \{\n(.*?)  \}\n\}\n", style, re.DOTALL)
        assert len(dark) == style.count("prefers-color-scheme")
        assert all(re.fullmatch(r" +--[a-z-]+: (#[0-9a-f]{6}|none);", line) for line in "".join(dark).splitlines())


@pytest.mark.parametrize(("text", "is_one"), [("#0b57d0", True), ("#0B57D0", True), ("#fff", False), ("red", False)])
def test_a_colour_has_six_digits(text: str, is_one: bool) -> None:
    assert is_colour(text) is is_one


@pytest.mark.parametrize(("background", "text"), [("#ffee00", "#000000"), ("#0b57d0", "#ffffff")])
def test_text_is_black_or_white(background: str, text: str) -> None:
    assert text_on(background) == text


def test_mixing_goes_from_one_colour_to_the_other() -> None:
    assert [mixed("#000000", "#ff8000", share) for share in (0, 0.5, 1)] == ["#000000", "#804000", "#ff8000"]


def test_a_colour_that_can_be_read_stays_as_it_is() -> None:
    assert readable_on(LIGHT, "#0b57d0") == "#0b57d0"
    assert readable_on(DARK, "#6fc4a5") == "#6fc4a5"


@given(COLOURS)
def test_any_colour_becomes_one_that_can_be_read(colour: str) -> None:
    assert contrast(text_on(colour), colour) >= READABLE
    for backgrounds in (LIGHT, DARK):
        assert min(contrast(readable_on(backgrounds, colour), background) for background in backgrounds) >= READABLE


def variables(style: str) -> list[dict[str, str]]:
    """Return the variables of the light and of the dark colour scheme."""
    return [
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", scheme)) for scheme in style.split("@media (prefers-color")[:2]
    ]


@pytest.mark.parametrize(("scheme", "backgrounds"), [(0, LIGHT), (1, DARK)])
def test_the_backgrounds_are_those_of_the_style_sheet(scheme: int, backgrounds: tuple[str, ...]) -> None:
    ours = variables(STYLE)[scheme]
    assert tuple(ours[name] for name in ("card", "page", "tint")) == backgrounds
    for text in ("text", "quiet", "link", "bad-line"):
        assert min(contrast(ours[text], ours[name]) for name in ("card", "page", "tint")) >= READABLE, text
    for background in ("bad-tint", "warn-tint"):
        assert contrast(ours["text"], ours[background]) >= READABLE
    for background in ("accent", "accent-strong"):
        assert contrast(ours["on-accent"], ours[background]) >= READABLE
    # Success criterion 1.4.11: what shows that there is a field.
    assert contrast(ours["field-line"], ours["card"]) >= 3


@given(COLOURS)
def test_the_operators_colour_can_be_read_wherever_it_is_used(colour: str) -> None:
    style = Branding(accent=colour).static_files()["brand.css"].content.decode()
    for ours, backgrounds in zip(variables(style), (LIGHT, DARK), strict=True):
        assert contrast(ours["on-accent"], ours["accent"]) >= READABLE
        assert contrast(ours["on-accent"], ours["accent-strong"]) >= READABLE
        assert min(contrast(ours["link"], background) for background in backgrounds) >= READABLE
    assert variables(style)[0]["accent"] == colour

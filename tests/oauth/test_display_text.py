from __future__ import annotations

import unicodedata
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.oauth.display_text import LONGEST, display_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Claude", "Claude"),
        ("  Reading \t\r\n list\u00a0\u2028x ", "Reading list x"),
        ("Zoe\u0308", "Zo\u00eb"),
        ("\u202egnp.exe", "gnp.exe"),
        ("a\u2066b\u2069c\u200bd\u200de\ufefff", "abcdef"),
        ("a\x00b\x1bc\x7fd\x85e", "abcde"),
        ("tag\U000e0041s, private \ue000, lone \ud800", "tags, private , lone"),
        ("\u115f\u1160\u3164\uffa0\u2800\u034f\ufe0f\U000e0100", ""),
        ("Z\u0316\u0317\u0318\u0319a", "Z\u0316\u0317a"),
        ("नमस्ते", "नमस्ते"),
        ("שלום", "שלום"),
        ("<b>&amp;", "<b>&amp;"),
        ("", ""),
        ("   ", ""),
    ],
)
def test_what_hides_or_misleads_is_left_out(text: str, shown: str) -> None:
    assert display_text(text) == shown


def test_a_long_text_is_cut_where_it_shows() -> None:
    assert display_text("a" * 60) == "a" * 60
    assert display_text("a" * 61) == "a" * 59 + "…"
    assert display_text("ab cd", longest=4) == "ab…"
    assert display_text("x" * 10_000_000) == "x" * 59 + "…"


def test_nobody_looks_for_what_shows_behind_a_heap_of_what_does_not() -> None:
    assert display_text("\u200b" * 479 + "a") == "a"
    assert display_text("\u200b" * 480 + "a") == ""


@given(st.text(st.characters()))
def test_whatever_comes_is_one_short_visible_line(text: str) -> None:
    shown = display_text(text)
    assert len(shown) <= LONGEST
    assert shown == shown.strip()
    assert all(unicodedata.category(character) == "Zs" or character.isprintable() for character in shown)
    assert not any(unicodedata.category(character)[0] == "C" for character in shown)


# A letter under marks whose order composing has to sort: the time grows with the square of their number.
HEAP = "a" + "\u0315" * 15_950 + "\u0300" * 7_975 + "\u0323" * 7_975


@pytest.fixture
def only_short_texts_are_composed(monkeypatch: pytest.MonkeyPatch) -> None:
    compose = unicodedata.normalize

    def normalize(form: Literal["NFC", "NFD", "NFKC", "NFKD"], text: str) -> str:
        assert len(text) <= 2_000
        return compose(form, text)

    monkeypatch.setattr("unicodedata.normalize", normalize)


@pytest.mark.usefixtures("only_short_texts_are_composed")
def test_a_heap_of_marks_is_cut_before_it_is_composed() -> None:
    assert display_text(HEAP) == "a\u0315\u0315"

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.web.pages.accept_language import preferred_language

THERE = ("en", "de", "pt-BR", "zh-Hant")


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        ("", "en"),
        ("de", "de"),
        ("DE", "de"),
        ("de-AT", "de"),
        ("de-CH-1996,fr;q=0.9", "de"),
        ("fr,es;q=0.8", "en"),
        ("fr,de;q=0.1", "de"),
        ("en;q=0.5,de;q=0.8", "de"),
        ("de;q=0.5, en;q=0.8", "en"),
        ("de,en", "de"),
        ("en,de", "en"),
        ("de ; q=0.9 , en\t;\tq=0.8", "de"),
        ("de;Q=1.000,en", "de"),
        # RFC 4647 section 3.3.1: a more general range takes the more special language.
        ("pt", "pt-BR"),
        ("pt-PT,fr", "en"),
        ("pt-br", "pt-BR"),
        ("zh-Hant-TW", "zh-Hant"),
        # Section 3.4: what a single letter introduces goes with it.
        ("de-x-private", "de"),
        ("fr-a-b,de;q=0.5", "de"),
        ("*", "en"),
        ("fr,*;q=0.1", "en"),
        ("en;q=0,*", "de"),
        ("en;q=0.0,de;q=0.000", "en"),
        ("de;q=0,de-AT", "en"),
        ("*;q=0", "en"),
        ("de;q=0,fr", "en"),
    ],
)
def test_the_language_is_the_one_the_browser_likes_best(header: str, chosen: str) -> None:
    assert preferred_language(header, THERE) == chosen


@pytest.mark.parametrize(
    "header",
    [
        "de;q=2",
        "de;q=-1",
        "de;q=0.1234",
        "de;q=.5",
        "de;level=1",
        "de;q=1;q=1",
        "de_DE",
        "deutschland",
        "d\u00eb",
        "\u0664de",
        "de;q=\u0661",
        "-de",
        "de-",
        "**",
        "; , ;q=1, ,",
        ",".join(["fr"] * 32 + ["de"]),
        "x" * 100_000,
    ],
)
def test_what_is_malformed_or_far_down_is_passed_over(header: str) -> None:
    assert preferred_language(header, THERE) == "en"


def test_the_first_language_is_for_everybody_else() -> None:
    assert preferred_language("fr", ("de", "en")) == "de"
    assert preferred_language("en;q=0,*;q=0.5", ("en",)) == "en"


@given(st.text())
def test_any_header_gives_a_language_that_there_is(header: str) -> None:
    assert preferred_language(header, THERE) in THERE

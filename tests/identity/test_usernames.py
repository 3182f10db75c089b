from __future__ import annotations

import unicodedata
from typing import Literal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gatepost.identity.usernames import LONGEST, UsernameRefused, canonical_username

EMPTY = "Type a username."
TOO_LONG = "A username has at most 64 characters."
CHARACTERS = "A username has letters, digits and . _ - @ + only, without spaces."
BEGINNING = "A username begins with a letter or a digit."
HEAPED = "A username has no heaps of accents on one letter."


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        ("ada", "ada"),
        ("  Ada\t", "ada"),
        ("ADA.Lovelace+x_1-2@example.com", "ada.lovelace+x_1-2@example.com"),
        ("\uff21\uff44\uff41", "ada"),
        ("Zoe\u0308", "zo\u00eb"),
        ("Stra\u00dfe", "strasse"),
        ("\ufb01n", "fin"),
        ("7", "7"),
        ("\u0967", "\u0967"),
        ("\u039f\u03b4\u03c5\u03c3\u03c3\u03b5\u03c5\u03c2", "\u03bf\u03b4\u03c5\u03c3\u03c3\u03b5\u03c5\u03c3"),
        ("\u0928\u092e\u0938\u094d\u0924\u0947", "\u0928\u092e\u0938\u094d\u0924\u0947"),
        ("a" * 64, "a" * 64),
        ("a" + "\u0316" * 8, "a" + "\u0316" * 8),
    ],
)
def test_spellings_of_one_name_meet(typed: str, canonical: str) -> None:
    assert canonical_username(typed) == canonical


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", EMPTY),
        (" \t\n", EMPTY),
        ("a" * 65, TOO_LONG),
        ("\ufb03" * 30, TOO_LONG),
        ("a b", CHARACTERS),
        ("a\u00a0b", CHARACTERS),
        ("a/b", CHARACTERS),
        ("<script>", CHARACTERS),
        ("a\x00b", CHARACTERS),
        ("a\u200bb", CHARACTERS),
        ("a\u202eb", CHARACTERS),
        ("a\u3164", CHARACTERS),
        ("a\ufe0f", CHARACTERS),
        ("a\U000e0100", CHARACTERS),
        ("a\ud800", CHARACTERS),
        ("a\U0001f600", CHARACTERS),
        ("a" + "\u0316" * 9, HEAPED),
        (".ada", BEGINNING),
        ("-ada", BEGINNING),
        ("@", BEGINNING),
        ("\u0301a", BEGINNING),
    ],
)
def test_what_cannot_be_a_username_is_told_why(typed: str, sentence: str) -> None:
    with pytest.raises(UsernameRefused) as refused:
        canonical_username(typed)
    assert str(refused.value) == sentence


@given(st.text(st.characters(exclude_categories=["C", "Z", "P", "S"]), min_size=1, max_size=LONGEST))
def test_the_canonical_form_of_a_canonical_form_is_itself(typed: str) -> None:
    try:
        canonical = canonical_username(typed)
    except UsernameRefused:
        assume(False)
        raise
    assert canonical_username(canonical) == canonical
    assert 1 <= len(canonical) <= LONGEST


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
def test_a_heap_of_marks_is_refused_before_it_is_composed() -> None:
    with pytest.raises(UsernameRefused, match="at most 64"):
        canonical_username(HEAP)

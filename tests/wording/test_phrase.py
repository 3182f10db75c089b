from __future__ import annotations

import gettext

import pytest
from markupsafe import escape

from gatepost.wording.phrase import CountedPhrase, Phrase, words_of


class Backwards(gettext.NullTranslations):
    """A catalogue with a translation for one text."""

    def gettext(self, message: str) -> str:
        return "%(host)s, nicht" if message == "not %(host)s" else message

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return f"{n % 2} von {msgid1} und {msgid2}"


def test_a_phrase_is_english_until_a_page_says_it_in_another_language() -> None:
    phrase = Phrase("not %(host)s", host="id.example.com")
    assert str(phrase) == "not id.example.com"
    assert phrase.said(Backwards(), str) == "id.example.com, nicht"


@pytest.mark.parametrize(("count", "english"), [(1, "a day"), (0, "0 days"), (2, "2 days"), (-1, "-1 days")])
def test_a_number_chooses_its_form(count: int, english: str) -> None:
    assert str(CountedPhrase("a day", "%(count)s days", count)) == english


def test_each_language_has_forms_of_its_own_for_numbers() -> None:
    phrase = CountedPhrase("%(count)s a", "%(count)s b", 7)
    assert phrase.said(Backwards(), str) == "1 von 7 a und 7 b"


def test_a_value_can_be_a_phrase() -> None:
    inner = CountedPhrase("a minute", "%(count)s minutes", 3)
    assert str(Phrase("Wait %(time)s, %(name)s.", time=inner, name="Ada")) == "Wait 3 minutes, Ada."


def test_what_was_chosen_elsewhere_is_no_pattern() -> None:
    assert str(Phrase("by %(name)s", name="%(name)s %d %")) == "by %(name)s %d %"


def test_phrases_are_compared_by_what_they_say() -> None:
    assert Phrase("a %(b)s", b="c") == Phrase("a %(b)s", b="c")
    assert Phrase("a %(b)s", b="c") != Phrase("a %(b)s", b="d")
    assert CountedPhrase("a", "b", 1) != CountedPhrase("a", "b", 2)
    assert Phrase("a") != CountedPhrase("a", "b", 1)
    assert len({Phrase("a"), Phrase("a"), CountedPhrase("a", "b", 1)}) == 2


def test_a_phrase_does_not_get_into_markup_unsaid() -> None:

    with pytest.raises(TypeError, match="a phrase has no language"):
        escape(Phrase("English"))


def test_an_error_says_the_phrase_that_it_was_raised_with() -> None:
    assert words_of(ValueError(Phrase("Type a username."))) == Phrase("Type a username.")
    assert words_of(ValueError("plain")) == "plain"
    assert words_of(ValueError()) == ""
    assert str(ValueError(Phrase("Type a %(what)s.", what="name"))) == "Type a name."

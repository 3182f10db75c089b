"""Phrases: English sentences with named values, for whoever says them to know the language.

The English text is the name of the phrase in the catalogues (gettext's message id), so it stands at the phrase as it
is, never put together; what varies is a value:

    Phrase("%(host)s did not let you in.", host=host)
    CountedPhrase("a day", "%(count)s days", days)

A per cent sign is written twice, as in every gettext text of this kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

from gatepost.late_dataclass import dataclass


@dataclass(frozen=True, slots=True, init=False)
class Phrase:
    """One text for people. `str()` of it is English, for logs and terminals.

    Args:
        message: the English text, with a place `%(name)s` for each value.
        values: by name; a value can be a phrase, too. What somebody else chose stays as it is.
    """

    message: str
    values: tuple[tuple[str, Value], ...]

    def __init__(self, message: str, /, **values: Value) -> None:
        object.__setattr__(self, "message", message)
        object.__setattr__(self, "values", tuple(values.items()))

    def __str__(self) -> str:
        return self.said(_English(), str)

    def __html__(self) -> str:
        raise TypeError("a phrase has no language: give it to the page as a value of its own, or of another phrase")

    def said(self, catalogue: Catalogue, say: Callable[[Value], str]) -> str:
        """Return the text as a catalogue has it; `say` makes texts of the values."""
        return catalogue.gettext(self.message) % self._said(say)

    def _said(self, say: Callable[[Value], str]) -> Mapping[str, str]:
        return {name: say(value) for name, value in self.values}


@dataclass(frozen=True, slots=True, init=False)
class CountedPhrase(Phrase):
    """A text about a number of things, which is the value `count`.

    Languages have up to six forms for that; English has two, of which `message` is the one for one.
    """

    plural: str
    count: int

    def __init__(self, message: str, plural: str, count: int, /, **values: Value) -> None:
        # Without arguments, super() would look for the class that `slots` has replaced.
        Phrase.__init__(self, message, count=count, **values)
        object.__setattr__(self, "plural", plural)
        object.__setattr__(self, "count", count)

    def said(self, catalogue: Catalogue, say: Callable[[Value], str]) -> str:
        """Return the text as a catalogue has it for the number."""
        return catalogue.ngettext(self.message, self.plural, self.count) % self._said(say)


Value: TypeAlias = str | int | Phrase
Words: TypeAlias = str | Phrase
"""What people are told: a phrase of ours, or somebody's own words, which stay as they are."""


class Catalogue(Protocol):
    """What phrases need of gettext's translations."""

    def gettext(self, message: str, /) -> str:
        """Return the translation, or the message where there is none."""

    def ngettext(self, message: str, plural: str, count: int, /) -> str:
        """Return the translation for a number."""


class _English:
    def gettext(self, message: str, /) -> str:
        return message

    def ngettext(self, message: str, plural: str, count: int, /) -> str:
        return message if count == 1 else plural


def words_of(error: Exception) -> Words:
    """Return what an error says to people: the phrase that it was raised with, or its text."""
    return error.args[0] if error.args and isinstance(error.args[0], Phrase) else str(error)

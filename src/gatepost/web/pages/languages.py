"""The languages of the pages: catalogues of gettext, which way one writes, and how phrases are said.

`catalogue/<tag>.po` is what translators write, `<tag>.mo` is made of it (`make translations`) and read here, at the
first page in that language. English stands in the templates and phrases themselves.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

from gatepost.late_dataclass import dataclass
from gatepost.wording.phrase import Catalogue, Phrase, Value

ENGLISH: Final = "en"
FOLDER: Final = Path(__file__).parent / "catalogue"
_RIGHT_TO_LEFT: Final = re.compile(
    r"(?:ar|arc|ckb|dv|fa|he|iw|ks|nqo|pnb|ps|sd|syr|ug|ur|yi)(?:-(?!latn|cyrl|deva).*)?|"
    r"[a-z]+-(?:adlm|arab|hebr|mand|nkoo|rohg|syrc|thaa)(?:-.*)?",
    re.IGNORECASE,
)
_ISOLATE, _END = "\u2068", "\u2069"
"""First strong isolate and its end (Unicode Standard Annex 9): what `<bdi>` is where there can be no element."""


@dataclass(frozen=True, slots=True)
class Language:
    """One language of the pages."""

    tag: str
    """Such as `de` (BCP 47), for `lang` and `Content-Language`."""
    catalogue: Catalogue

    @property
    def direction(self) -> Literal["ltr", "rtl"]:
        """Which way it is written, for `dir`."""
        return "rtl" if _RIGHT_TO_LEFT.fullmatch(self.tag) else "ltr"

    def say(self, words: Any) -> Any:
        """Return a phrase as text in this language; anything else as it is."""
        return words.said(self.catalogue, self._say_value) if isinstance(words, Phrase) else words

    def _say_value(self, value: Value) -> str:
        return str(self.say(value)) if isinstance(value, int | Phrase) else self.isolated(value)

    def isolated(self, text: str) -> str:
        """Return somebody else's words so that their direction stays theirs, inside a sentence of ours."""
        is_foreign = self.direction == "rtl" or any(map(_is_right_to_left, text))
        return f"{_ISOLATE}{text}{_END}" if is_foreign else text


def languages(own: Mapping[str, Path] = MappingProxyType({})) -> Mapping[str, Sequence[Path]]:
    """Return the languages that there are, English first, each with its compiled catalogues.

    `own` are catalogues of the operator's, by language; what they have counts before ours.
    """
    ours = {path.stem: path for path in sorted(FOLDER.glob("*.mo"))}
    return {tag: [each[tag] for each in (own, ours) if tag in each] for tag in (ENGLISH, *ours, *own)}


def load_language(tag: str, paths: Sequence[Path]) -> Language:
    """Return a language with its catalogues, of which the first that has a text counts."""
    import gettext  # noqa: PLC0415 - off the start-up path

    catalogue = gettext.NullTranslations()
    for path in reversed(paths):
        with path.open("rb") as file:
            further = gettext.GNUTranslations(file)
        further.add_fallback(catalogue)
        catalogue = further
    return Language(tag, catalogue)


def _is_right_to_left(character: str) -> bool:
    return unicodedata.bidirectional(character) in {"R", "AL"}

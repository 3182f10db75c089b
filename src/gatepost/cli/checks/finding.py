"""What a check has found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

from gatepost.late_dataclass import dataclass

Mark: TypeAlias = Literal["ok", "note", "wrong", "skipped"]
"""`wrong` keeps the server from serving, or from being reached; `note` does not; `skipped` was not looked at."""

REFUSED: Final = 1
USAGE: Final = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One line."""

    item: str
    """What was looked at, in a word or two."""
    mark: Mark
    says: str
    """A sentence: what is so, and what to do where something is to be done. Without secrets."""
    exit_code: int = REFUSED
    """Of the command, where it is wrong: 2 for what a setting or argument says, as `serve` would end."""


def wrong(item: str, sentences: Iterable[str], *, exit_code: int = USAGE) -> list[Finding]:
    """Return a finding for each sentence of a refusal, each once."""
    return [Finding(item, "wrong", sentence, exit_code) for sentence in dict.fromkeys(sentences)]


def exit_code_of(findings: Iterable[Finding]) -> int:
    """Return 0 where nothing is wrong, 2 where a setting or argument is, and else 1."""
    return max((finding.exit_code for finding in findings if finding.mark == "wrong"), default=0)

"""The parser of each command: what it does not know is told with what was probably meant."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any, Final

_PAGES: Final = (
    "Pages in docs/ are part of the source distribution:\n  pip download --no-deps --no-binary gatepost gatepost\n"
)


class Parser(argparse.ArgumentParser):
    """Refuses options itself that it does not know, so that usage and options are those of the command typed.

    A parser of the standard library leaves them to the parser above, which knows none of the options. The parsers of
    subcommands are of the class of the parser that they belong to.
    """

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Return what the arguments say, as declared by the standard library; there is nothing else beside it."""
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(_unknown(unknown, self._option_string_actions))
        return known, unknown

    def format_help(self) -> str:
        """Return the help; where it names a page of the documentation, which no wheel has, it says where that is."""
        text = super().format_help()
        return f"{text}\n{_PAGES}" if "docs/" in text else text


def near_match(word: str, words: Iterable[str]) -> str | None:
    """Return which of `words` is most like `word`, if one is."""
    import difflib  # noqa: PLC0415 - only for a mistake

    return next(iter(difflib.get_close_matches(word, list(words), n=1)), None)


def _unknown(arguments: list[str], options: Iterable[str]) -> str:
    """Return the sentence about arguments that nothing takes."""
    typed = [argument.partition("=")[0] for argument in arguments if argument.startswith("--")]
    near = [option for name in typed if (option := near_match(name, options)) is not None]
    meant = f"; did you mean {' and '.join(dict.fromkeys(near))}?" if near else ""
    return f"unrecognized arguments: {' '.join(arguments)}{meant}"

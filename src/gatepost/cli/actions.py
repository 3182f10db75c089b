"""The actions of a command, such as `add` in `gatepost users add`."""

from __future__ import annotations

import argparse
from collections.abc import Callable


class Actions:
    """Adds actions to the parser of a command."""

    def __init__(self, command: argparse.ArgumentParser) -> None:
        self._parsers = command.add_subparsers(title="actions", metavar="ACTION", required=True)

    def add(
        self, name: str, run: Callable[[argparse.Namespace], None], words: str, *, description: str | None = None
    ) -> argparse.ArgumentParser:
        """Return the parser of a new action; `words` describe it in the list, and on its page if nothing else does."""
        parser = self._parsers.add_parser(
            name, help=words, description=description or f"{words[0].upper()}{words[1:]}."
        )
        parser.set_defaults(run=run)
        return parser

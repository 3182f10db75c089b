"""The page that the walk writes: what is done, what is typed, and what is on the screen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tools.walk.screen import Command, settled


@dataclass
class Page:
    """Markdown that grows with the walk."""

    places: dict[str, str]
    """What stands on this machine, and what the page says instead."""
    blocks: list[str] = field(default_factory=list)

    def step(self, title: str, *sentences: str) -> None:
        """Begin a step."""
        self.blocks += [f"## {title}", *sentences]

    def tell(self, sentence: str) -> None:
        """Add a sentence."""
        self.blocks.append(sentence)

    def show(self, command: Command, *, after: str = "") -> None:
        """Add a command with all that is on its screen, or what came after some words."""
        said = command.screen.partition(after)[2] if after else _typed(command.line) + command.screen
        self.blocks.append(_block(settled(said, self.places)))

    def render(self) -> str:
        """Return the text."""
        return "\n\n".join(self.blocks)


def _typed(line: str) -> str:
    return "".join(f"$ {part}\n" for part in line.split("; "))


def _block(text: str) -> str:
    return f"```console\n{text}\n```"


def without_ours(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment as somebody has it who begins: no settings of ours, and nothing of the make that runs."""
    ours = ("GATEPOST_", "MCP_", "OAUTH_", "JWT_", "MAKE", "MFLAGS", "ARGS", "VIRTUAL_ENV", "COVERAGE_")
    return {name: value for name, value in environment.items() if not name.upper().startswith(ours)}

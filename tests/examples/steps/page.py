"""A page of the tutorial as a session at a terminal: which commands it shows, and what they print there."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.documentation.markdown import code_blocks

ROOT: Final = Path(__file__).resolve().parents[3]
PAGES: Final = ROOT / "docs" / "tutorial"
STEPS: Final = {int(path.name.split("_")[1]): path for path in sorted((ROOT / "examples" / "steps").glob("step_*.py"))}
ORIGIN: Final = "http://127.0.0.1:8000"
"""Where the server is in the pages."""
ISSUER: Final = "http://127.0.0.1:8001"
"""Where the issuer is in the pages."""
TYPED_BY_HAND: Final = re.compile(
    r"\$ (?:python examples/steps/step_\w+\.py(?: &)?$|gatepost (?:serve|users add|call) )", re.MULTILINE
)
"""Commands that serve until they are stopped, or ask something: a test stands in for whoever types them."""
_BETWEEN: Final = "--- the next block ---"
_CHANGING: Final = {
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)": "TIME",
    r"(?m)^(date: ).*$": r"\1…",
    r"\r": "",
}


@dataclass(frozen=True)
class Block:
    """A block of a page: commands, and all that they print together."""

    commands: str
    printed: str


def page_of(step: int) -> str:
    """Return the text of the page of a step."""
    (page,) = PAGES.glob(f"{step}-*.md")
    return page.read_text(encoding="utf-8")


def blocks_of(page: str) -> list[Block]:
    """Return the blocks of a page whose commands end by themselves."""
    found = [code.text for code in code_blocks(page) if code.info == "console"]
    return [_read(text) for text in found if not TYPED_BY_HAND.search(text)]


def _read(text: str) -> Block:
    commands, printed, goes_on = [], [], False
    for line in text.splitlines():
        if line.startswith("$ ") or goes_on:
            commands.append(line.removeprefix("$ "))
            goes_on = line.endswith("\\")
        else:
            printed.append(line)
    return Block("\n".join(commands), "\n".join(printed))


def run(blocks: list[Block], addresses: Mapping[str, str], environment: Mapping[str, str], cwd: Path) -> list[str]:
    """Return what the blocks print in one shell, one after the other.

    Args:
        blocks: the blocks.
        addresses: from an address in the page to the one where that server is now.
        environment: of the shell.
        cwd: where it runs.
    """
    script = f"\necho '{_BETWEEN}'\n".join(block.commands for block in blocks)
    begin = 'python() { "$PYTHON" "$@"; }\ngatepost() { "$PYTHON" -m gatepost "$@"; }\n'
    ran = subprocess.run(
        ["bash", "-c", begin + _replaced(script, addresses)],
        cwd=cwd,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    back = {there: here for here, there in addresses.items()}
    return [part.strip("\n") for part in _replaced(ran.stdout, back).split(f"{_BETWEEN}\n")]


def _replaced(text: str, addresses: Mapping[str, str]) -> str:
    for here, there in addresses.items():
        text = text.replace(here, there)
    return text


def is_as_printed(shown: str, printed: str) -> bool:
    """Say whether a page shows what was printed; `…` in the page stands for any text on a line, times for any time."""
    for changing, instead in _CHANGING.items():
        shown, printed = re.sub(changing, instead, shown), re.sub(changing, instead, printed)
    pattern = ".*".join(re.escape(part) for part in shown.split("…"))
    return re.fullmatch(pattern, printed) is not None

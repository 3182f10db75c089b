"""A Dockerfile as data: the stages, and in each the instructions with their flags and arguments.

It reads what the files in `deploy/docker` are written in, and refuses the rest (here-documents, ARG, other directives),
so that nothing of a file is passed over in silence.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

KNOWN = frozenset(
    "FROM RUN COPY ENV WORKDIR VOLUME EXPOSE USER STOPSIGNAL HEALTHCHECK ENTRYPOINT CMD".split()  # noqa: SIM905 - as they are written
)
_FLAG = re.compile(r"--(?P<name>[a-z-]+)=(?P<value>\S+)\s+")
_HERE_DOCUMENT = re.compile(r"<<-?[\"']?\w")


class UnreadableError(Exception):
    """The file has something that is not read here."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its name in capitals, its flags (`--from=build`) by name, and the text behind them."""

    name: str
    text: str
    flags: dict[str, str] = field(default_factory=dict)

    @property
    def words(self) -> list[str]:
        """The arguments: of the exec form (JSON), or else separated by blanks."""
        if self.text.startswith("["):
            words: list[str] = json.loads(self.text)
            return words
        return self.text.split()

    @property
    def is_exec_form(self) -> bool:
        """Whether the arguments are a JSON list, so that no shell stands in between and signals arrive."""
        return self.text.startswith("[")


@dataclass(frozen=True, slots=True)
class Stage:
    """What begins with FROM: the image or stage that it is built on, its own name, and its instructions in order."""

    base: str
    name: str | None
    instructions: tuple[Instruction, ...]

    def all(self, name: str) -> list[Instruction]:
        """Return its instructions of this name."""
        return [instruction for instruction in self.instructions if instruction.name == name]

    def one(self, name: str) -> Instruction:
        """Return the only instruction of this name.

        Raises:
            UnreadableError: there is none, or several.
        """
        found = self.all(name)
        if len(found) != 1:
            raise UnreadableError(f"{name} stands there {len(found)} times")
        return found[0]

    @property
    def environment(self) -> dict[str, str]:
        """What its ENV instructions set."""
        pairs = (word for instruction in self.all("ENV") for word in shlex.split(instruction.text))
        return dict(pair.split("=", 1) for pair in pairs)

    @property
    def health_command(self) -> list[str]:
        """What HEALTHCHECK runs, without a shell."""
        before, _, command = self.one("HEALTHCHECK").text.partition("CMD ")
        check = Instruction("CMD", command.strip())
        if before.strip() or not check.is_exec_form:
            raise UnreadableError("HEALTHCHECK: CMD with a JSON list is read here")
        return check.words

    @property
    def command(self) -> list[str]:
        """What a container runs that is given no command."""
        return [*self.one("ENTRYPOINT").words, *self.one("CMD").words]


def read(text: str) -> list[Stage]:
    """Return the stages of a Dockerfile in order.

    Raises:
        UnreadableError: an instruction is not known here, or stands in front of the first FROM.
    """
    stages: list[Stage] = []
    for instruction in _instructions(text):
        if instruction.name == "FROM":
            base, *rest = instruction.words
            name = rest[1] if len(rest) == 2 and rest[0].upper() == "AS" else None  # noqa: PLR2004 - AS and the name
            stages.append(Stage(base, name, ()))
        elif not stages:
            raise UnreadableError(f"{instruction.name} stands in front of FROM")
        else:
            last = stages[-1]
            stages[-1] = Stage(last.base, last.name, (*last.instructions, instruction))
    return stages


def _instructions(text: str) -> Iterator[Instruction]:
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    logical = re.sub(r"\\\n", " ", "\n".join(lines))
    for line in filter(str.strip, logical.splitlines()):
        name, _, rest = line.strip().partition(" ")
        rest, flags = rest.strip(), dict[str, str]()
        while flag := _FLAG.match(rest):
            flags[flag["name"]] = flag["value"]
            rest = rest[flag.end() :].lstrip()
        if name.upper() not in KNOWN or _HERE_DOCUMENT.search(rest):
            raise UnreadableError(line)
        yield Instruction(name.upper(), rest, flags)

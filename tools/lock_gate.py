"""Gate: `requirements/*.txt` say what `pyproject.toml` says. Needs no network.

For each file: the requirements that it was compiled from are the ones that `pyproject.toml` names now, each pinned to a
version inside its range; everything has a hash; nothing names an address; files agree with each other. `lowest.txt`
alone stands for itself: the lowest versions that the package takes, its extras included, with which a test installs it.

    python tools/lock_gate.py [FOLDER]
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

_BLOCK = re.compile(r"^(?=[A-Za-z0-9])", re.MULTILINE)
_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)")
_DIRECT = re.compile(r"^    #.*\bgatepost \(pyproject\.toml", re.MULTILINE)
"""uv's note that a pin is there because `pyproject.toml` itself asks for it."""
_ADDRESS = re.compile(r"://|\bfile:|^--?(?!hash)[a-z]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pin:
    """One pinned package."""

    version: str
    is_direct: bool
    has_hash: bool


def main(arguments: list[str]) -> int:
    """Print one line for each disagreement in the project folder; return 1 if there is any, else 0."""
    project = Path(arguments[0]) if arguments else Path()
    problems = list(disagreements(project))
    for problem in problems:
        print(problem)
    print("Run `make lock`." if problems else "requirements/*.txt are in step with pyproject.toml")
    return 1 if problems else 0


def disagreements(project: Path) -> Iterator[str]:
    """Yield a sentence for each thing that `make lock` would change or that should not be in a lock file."""
    pyproject = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    runtime = requirements(pyproject["project"]["dependencies"])
    groups, extras = pyproject["dependency-groups"], pyproject["project"]["optional-dependencies"]
    expected = {
        "build.txt": group(groups, "build"),
        "runtime.txt": runtime,
        "development.txt": [*runtime, *group(groups, "development")],
        "documentation.txt": [*runtime, *group(groups, "documentation")],
        "image.txt": [*runtime, *requirements([*extras["postgres"], *extras["otel"]])],
        "lowest.txt": [*runtime, *requirements(chain.from_iterable(extras.values()))],
    }
    versions: dict[str, str] = {}
    names_in_runtime: set[str] = set()
    for file_name, wanted in expected.items():
        text = (project / "requirements" / file_name).read_text(encoding="utf-8")
        pins = read_pins(text)
        if file_name == "runtime.txt":
            names_in_runtime.update(pins)
        # The documentation has an environment of its own: only what both of them run has to be the same there.
        compared = {"documentation.txt": names_in_runtime, "lowest.txt": set[str]()}.get(file_name, set(pins))
        if _ADDRESS.search(text):
            yield f"{file_name}: names an address or an option"
        yield from (f"{file_name}: {name} has no hash" for name, pin in pins.items() if not pin.has_hash)
        yield from (f"{file_name}: {problem}" for problem in compare(pins, wanted))
        if file_name == "lowest.txt":
            yield from (f"{file_name}: {problem}" for problem in not_the_lowest(pins, wanted))
        yield from (
            f"{file_name}: {name} is {pin.version}, elsewhere {versions[name]}"
            for name, pin in pins.items()
            if name in compared and versions.setdefault(name, pin.version) != pin.version
        )


def requirements(lines: Iterable[str]) -> list[Requirement]:
    """Parse requirement strings."""
    return [Requirement(line) for line in lines]


def group(groups: dict[str, list[Any]], name: str) -> list[Requirement]:
    """Return a dependency group's requirements, with those of the groups it includes (PEP 735)."""
    found: list[Requirement] = []
    for entry in groups[name]:
        found += group(groups, entry["include-group"]) if isinstance(entry, dict) else [Requirement(entry)]
    return found


def read_pins(text: str) -> dict[str, Pin]:
    """Return the pins of a compiled file by canonical name."""
    pins: dict[str, Pin] = {}
    for block in _BLOCK.split(text):
        if pin := _PIN.match(block):
            pins[canonicalize_name(pin["name"])] = Pin(
                version=pin["version"],
                is_direct=_DIRECT.search(block) is not None,
                has_hash="--hash=sha256:" in block,
            )
    return pins


def compare(pins: dict[str, Pin], wanted: list[Requirement]) -> Iterator[str]:
    """Yield a sentence for each requirement that is missing, outside its range, or no longer asked for."""
    names = set()
    for requirement in wanted:
        name = canonicalize_name(requirement.name)
        names.add(name)
        if name not in pins or not pins[name].is_direct:
            yield f"{name} is not pinned, though pyproject.toml asks for it"
        elif not requirement.specifier.contains(pins[name].version, prereleases=True):
            yield f"{name}=={pins[name].version} is outside {requirement.specifier}"
    yield from (f"{name} is no longer asked for" for name, pin in pins.items() if pin.is_direct and name not in names)


def not_the_lowest(pins: dict[str, Pin], wanted: list[Requirement]) -> Iterator[str]:
    """Yield a sentence for each lower bound below which a requirement of a requirement keeps the version anyway."""
    for requirement in wanted:
        name = canonicalize_name(requirement.name)
        bounds = [Version(one.version) for one in requirement.specifier if one.operator in {">=", "==", "~="}]
        if not bounds:
            yield f"{name} has no lower bound"
        elif name in pins and Version(pins[name].version) > max(bounds):
            yield f"{name}=={pins[name].version} is not the lowest that {requirement.specifier} takes"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Change the code where a test should notice, and see whether one does; `make mutants` calls this.

    python -m tools.mutants.run [--seed 1] [--sample 25] [--only tokens/signing]

Of each module of `modules.toml` a sample of the mutants is drawn, the same for the same seed and source. What survives
is either listed in `equivalent.toml`, with the reason why no test can tell it from the original, or a test is missing.
It fails when a module's tests notice less than 96 % of the others, and when an entry of the list fits no mutant.
"""

from __future__ import annotations

import argparse
import importlib
import random
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tools.mutants.mutations import Mutant, mutants_of
from tools.mutants.trials import OPTIONS, CollectedTests, Reached, in_fork, passes_from_the_start

HERE = Path(__file__).parent
PACKAGE = Path("src/gatepost")
WANTED = 0.96
LOADED_ONCE = (
    "argon2",
    "cryptography",
    "fastapi.testclient",
    "httpx2",
    "hypothesis",
    "jinja2",
    "joserfc.jwt",
    "mcp_types",
    "schemathesis.pytest.plugin",
)
"""What nearly every test needs and no mutant is in: forks have it from the start."""

Chosen: TypeAlias = dict[Path, list[Mutant]]
Equivalents: TypeAlias = Mapping[str, Sequence[Mapping[str, Any]]]


def main(arguments: list[str]) -> int:
    """Try the mutants; return 1 if too many survive or the list of equivalents is out of date, else 0."""
    parser = argparse.ArgumentParser(description="Mutation testing.")
    parser.add_argument("--seed", default="1", help="which sample (any text)")
    parser.add_argument("--sample", type=int, default=25, help="mutants of each module; 0: all of them")
    parser.add_argument("--only", nargs="*", default=[], metavar="MODULE", help="such as tokens/signing, or tokens/")
    options = parser.parse_args(arguments)
    equivalents = listed_equivalents()
    groups = tomllib.loads((HERE / "modules.toml").read_text())["group"]
    poor = False
    for group in groups:
        paths = [path for pattern in group["modules"] for path in sorted(PACKAGE.glob(pattern))]
        chosen = choose(paths, options.only, options.sample, options.seed, equivalents)
        if any(chosen.values()):
            wide = group.get("wide", {})
            tests = {path: [*group["tests"], *wide.get(module_name(path), ())] for path in chosen}
            for path, survivors in survivors_of(chosen, tests):
                poor |= report(path, len(chosen[path]), survivors)
    unknown = stale(equivalents)
    for name, entry in unknown:
        print(f"equivalent.toml: no mutant of {name} is {entry}")
    return 1 if poor or unknown else 0


def listed_equivalents() -> Equivalents:
    """Return the mutants of each module that are known to be no different."""
    return tomllib.loads((HERE / "equivalent.toml").read_text())


def module_name(path: Path) -> str:
    """Return the name of a module as `--only` and the list of equivalents have it: tokens/signing."""
    return path.relative_to(PACKAGE).with_suffix("").as_posix()


def choose(paths: Sequence[Path], only: Sequence[str], sample: int, seed: str, equivalents: Equivalents) -> Chosen:
    """Draw the sample of each module from its mutants that are not known to be equivalent."""
    chosen: Chosen = {}
    for path in paths:
        name = module_name(path)
        if only and not any(name.startswith(part) for part in only):
            continue
        listed = equivalents.get(name, ())
        mutants = [mutant for mutant in mutants_of(path.read_text()) if not any(is_listed(mutant, e) for e in listed)]
        drawn = sample if 0 < sample < len(mutants) else len(mutants)
        chosen[path] = random.Random(f"{seed} {name}").sample(mutants, drawn)  # noqa: S311 - no secret
    return chosen


def is_listed(mutant: Mutant, entry: Mapping[str, Any]) -> bool:
    """Say whether an entry of the list means this mutant, wherever its lines have moved to."""
    return entry["before"] == mutant.before and mutant.after in entry["after"]


def stale(equivalents: Equivalents) -> list[tuple[str, str]]:
    """Return the module and text of each entry that fits no mutant of today."""
    found: list[tuple[str, str]] = []
    for name, entries in equivalents.items():
        path = PACKAGE / f"{name}.py"
        known = {(mutant.before, mutant.after) for mutant in mutants_of(path.read_text())} if path.exists() else set()
        found += [(name, text) for entry in entries for text in entry["after"] if (entry["before"], text) not in known]
    return found


def survivors_of(chosen: Chosen, tests: Mapping[Path, Sequence[str]]) -> Iterator[tuple[Path, Sequence[Mutant]]]:
    """Yield each module with the mutants that none of its tests notices.

    Raises:
        SystemExit: the tests fail as they are.
    """
    for name in LOADED_ONCE:
        importlib.import_module(name)
    tried = in_fork(partial(_try_in_place, chosen, tests))
    if tried is None or tried[0].failed:
        raise SystemExit(f"the tests fail without a mutant: {tried and tried[0].failed}")
    reached, killed = tried
    for path, mutants in chosen.items():
        files = reached.files(path, tests[path])
        rest = [mutant for mutant in mutants if (path, mutant) not in killed]
        tell(f"{path}: {len(rest)} to try from the start")
        yield path, [mutant for mutant in rest if passes_from_the_start(mutant, path, files)]


def _try_in_place(chosen: Chosen, tests: Mapping[Path, Sequence[str]]) -> tuple[Reached, set[tuple[Path, Mutant]]]:
    plugin = CollectedTests(chosen, tests, tell)
    places = dict.fromkeys(place for places in tests.values() for place in places)
    pytest.main([*OPTIONS, "-s", *places], plugins=[plugin])
    return plugin.reached, plugin.killed


def tell(text: str) -> None:
    """Say how far it is."""
    print(text, file=sys.stderr, flush=True)


def report(path: Path, tried: int, survivors: Sequence[Mutant]) -> bool:
    """Print the score of a module and its survivors; say whether it is below what is wanted."""
    if not tried:
        return False
    killed = tried - len(survivors)
    print(f"{module_name(path):40}{killed:5} of {tried:4}{killed / tried:8.1%}")
    for mutant in survivors:
        print(f"    {path}:{mutant.lines.start}\n      - {mutant.before}\n      + {mutant.after}")
    sys.stdout.flush()
    return killed < WANTED * tried


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

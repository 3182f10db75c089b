"""Mutation testing: what is changed, and how it is found again."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tools.mutants.mutations import mutants_of
from tools.mutants.run import PACKAGE, choose, is_listed, listed_equivalents, stale
from tools.mutants.trials import in_fork

SOURCE = '''"""Prose."""
LIMIT = 5
NAMES = {"a", "b"}


class Rule:
    size: int = field(repr=False)

    def check(self, value: int = 3) -> bool:
        """Prose."""
        if value > LIMIT and self.ok:
            raise ValueError("The value is too large.")
        note(value)
        return True
'''


def changes(source: str, function: str | None = None) -> set[tuple[str, str]]:
    return {
        (mutant.before, mutant.after)
        for mutant in mutants_of(source)
        if function is None or mutant.function == function
    }


def test_checks_limits_members_and_calls_are_changed() -> None:
    check = "if value > LIMIT and self.ok:"
    assert changes(SOURCE, "Rule.check") == {
        (check, "if value >= LIMIT and self.ok:"),
        (check, "if value > LIMIT or self.ok:"),
        (check, "if (value > LIMIT):"),
        (check, "if (self.ok):"),
        (check, "if (False):"),
        (check, "if (True):"),
        ("note(value)", "pass"),
        ("note(value)", "note(None)"),
        ("return True", "return False"),
    }
    made_at_import = changes(SOURCE, "")
    assert ("size: int = field(repr=False)", "size: int = field(repr=True)") in made_at_import
    assert ('NAMES = {"a", "b"}', 'NAMES = {"a"}') in made_at_import
    assert {("LIMIT = 5", "LIMIT = 4"), ("LIMIT = 5", "LIMIT = 6")} <= made_at_import
    default = "def check(self, value: int = 3) -> bool:"
    assert (default, "def check(self, value: int = 4) -> bool:") in made_at_import


def test_prose_annotations_decorators_and_imports_are_left_alone() -> None:
    refusal = "raise G(Reason.H, f'more prose of {self.e}') from None"
    assert changes(
        "from a import b\nif TYPE_CHECKING:\n    C = 1\n@dataclass(frozen=True)\nclass D:\n    e: Literal[1, 2]\n"
        f"    def f(self):\n        'Some prose.'\n        {refusal}\n"
    ) == {
        (refusal, refusal.replace("Reason.H", "None")),
        (refusal, refusal.replace("Reason.H, ", "")),
    }


def test_a_mutant_is_found_again_where_its_line_has_moved_to() -> None:
    entry = {"before": "LIMIT = 5", "after": ["LIMIT = 6"], "reason": "made up"}
    moved = "\n\n\n" + SOURCE
    assert [mutant.lines for mutant in mutants_of(moved) if is_listed(mutant, entry)] == [range(5, 6)]


def test_a_seed_draws_the_same_sample_again() -> None:
    path = PACKAGE / "oauth" / "pkce.py"
    drawn = [choose([path], [], 5, seed, {}) for seed in ("1", "1", "2")]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(drawn[0][path]) == 5


def test_what_is_listed_as_equivalent_is_not_drawn() -> None:
    path = PACKAGE / "oauth" / "pkce.py"
    (everything,) = choose([path], [], 0, "1", {}).values()
    entry = {"before": everything[0].before, "after": [everything[0].after], "reason": "made up"}
    (rest,) = choose([path], [], 0, "1", {"oauth/pkce": [entry]}).values()
    assert everything[0] not in rest
    assert len(rest) == len(everything) - 1


def test_every_equivalent_has_a_reason_and_is_a_mutant_of_today() -> None:
    equivalents = listed_equivalents()
    assert all(entry["reason"] for entries in equivalents.values() for entry in entries)
    assert stale(equivalents) == []
    assert stale({"oauth/gone": [{"before": "a", "after": ["b"]}]}) == [("oauth/gone", "b")]


def test_a_fork_answers_and_one_that_dies_or_loops_does_not() -> None:
    def loop() -> None:
        while True:
            pass

    assert in_fork(os.getpid) != os.getpid()
    assert in_fork(lambda: os._exit(0)) is None
    assert in_fork(loop, seconds=0.05) is None
    assert in_fork(lambda: Path(sys.executable).exists(), seconds=60) is True

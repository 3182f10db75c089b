"""Whether the tests notice a mutant: each is tried in a fork of its own, by the tests that reach its lines.

Two ways. A function is exchanged where the tests were collected already: its code object takes the mutant's place, and
no module is imported again. A mutant that changes what happens at import, or that survived, gets a fork from before our
first import, and the files that reach its module from the start. So a survivor has survived all there is.
"""

from __future__ import annotations

import gc
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import pickle
import signal
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import TypeVar

import pytest
from coverage import Coverage

from tools.mutants.mutations import Mutant

Result = TypeVar("Result")

SECONDS = 20
"""How long a mutant may compute beside what its tests take; one that loops is noticed by that."""
_WAITING = 5
"""How many times as long it may take altogether; one that waits for ever is noticed by that, on a busy machine too."""


@dataclass
class Reached:
    """Which tests run which lines, measured once on the code as it is."""

    tests: dict[Path, dict[int, set[str]]] = field(default_factory=dict)
    """By source file and line, the node ids."""
    seconds: dict[str, float] = field(default_factory=dict)
    """How long each test took."""
    failed: list[str] = field(default_factory=list)

    def at(self, path: Path, lines: Iterable[int]) -> list[str]:
        """Return the tests that run one of the lines, the quickest first."""
        found = set[str]().union(*(self.tests.get(path, {}).get(line, ()) for line in lines))
        return sorted(found, key=self.seconds.__getitem__)

    def files(self, path: Path, places: Sequence[str]) -> list[str]:
        """Return the test files in some places that are for a module: its own first, then the quickest.

        They run something of it, or have its name, or are themselves among the places: who uses what a module makes
        when it is imported runs no line of it.
        """
        seconds: defaultdict[str, float] = defaultdict(float)
        for test, taken in self.seconds.items():
            seconds[_file_of(test)] += taken
        own = f"test_{path.stem}.py"
        named = {file for file in seconds if file in places or (Path(file).name == own and _is_in(file, places))}
        reaching = {_file_of(test) for tests in self.tests.get(path, {}).values() for test in tests}
        return sorted(named | reaching, key=lambda file: (Path(file).name != own, seconds[file]))


def _file_of(test: str) -> str:
    return test.partition("::")[0]


def in_fork(work: Callable[[], Result], *, seconds: float = 0) -> Result | None:
    """Return what `work` returns in a fork; None if it dies, raises or computes longer than `seconds` (0: for ever)."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.setitimer(signal.ITIMER_REAL, _WAITING * seconds)
        try:
            result = pickle.dumps(work())
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(result)
        except BaseException:  # noqa: BLE001 - a fork must not go on as a second one of us
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return pickle.loads(answer) if answer else None  # noqa: S301 - our own fork wrote it


OPTIONS = ["-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
"""Of pytest. Its plugins are loaded before it is started, which it warns of."""


class CollectedTests:
    """A pytest plugin that runs no test but in forks: once all of them, then for each mutant those that reach it."""

    def __init__(
        self,
        chosen: Mapping[Path, Sequence[Mutant]],
        tests: Mapping[Path, Sequence[str]],
        tell: Callable[[str], None],
    ) -> None:
        """Prepare for the chosen mutants of each module, and the files and folders of tests that try them."""
        self.reached = Reached()
        self.killed: set[tuple[Path, Mutant]] = set()
        self._chosen = chosen
        self._tests = tests
        self._tell = tell

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run forks in place of the tests."""
        session.config.pluginmanager.unregister(name="terminalreporter")
        items = {item.nodeid: item for item in session.items}
        for path in self._chosen:
            importlib.import_module(_module_of(path))  # also what the tests import late
        self._tell(f"{len(items)} tests: which lines each of them runs")
        reached = in_fork(lambda: _measure(session, self._tests))
        if reached is None:
            raise pytest.UsageError("the tests did not run to their end")
        self.reached = reached
        for path, mutants in self._chosen.items():
            functions = _functions_of(path)
            for mutant in mutants if not reached.failed else ():
                # What is done at import has been done.
                tests = [items[name] for name in reached.at(path, mutant.lines)] if mutant.function else []
                limit = SECONDS + 5 * sum(reached.seconds[test.nodeid] for test in tests)
                if tests and not in_fork(partial(_passes, session, tests, functions, mutant), seconds=limit):
                    self.killed.add((path, mutant))
            self._tell(f"{path}: {len(mutants)} tried in place")
        return True


def _measure(session: pytest.Session, tests: Mapping[Path, Sequence[str]]) -> Reached:
    reached = Reached()
    coverage = Coverage(data_file=None, include=[str(path.resolve()) for path in tests], config_file=False)
    coverage.start()
    for item, after in zip(session.items, [*session.items[1:], None], strict=True):
        coverage.switch_context(item.nodeid)
        begin, failures = time.monotonic(), session.testsfailed
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
        reached.seconds[item.nodeid] = time.monotonic() - begin
        if session.testsfailed > failures:
            reached.failed.append(item.nodeid)
    coverage.stop()
    data = coverage.get_data()
    for path, places in tests.items():
        lines = data.contexts_by_lineno(str(path.resolve()))
        reached.tests[path] = {
            line: {name for name in names if _is_in(_file_of(name), places)} for line, names in lines.items()
        }
    return reached


def _is_in(file: str, places: Sequence[str]) -> bool:
    """Say whether a test file is one of some files, or lies below one of some folders."""
    return any(file == place or file.startswith(f"{place}/") for place in places)


def _functions_of(path: Path) -> list[FunctionType]:
    """Return every function object that a file has made, wrapped or not."""
    source = str(path.resolve())
    return [found for found in gc.get_objects() if type(found) is FunctionType and found.__code__.co_filename == source]


def _passes(
    session: pytest.Session, tests: Sequence[pytest.Item], functions: Sequence[FunctionType], mutant: Mutant
) -> bool:
    code = _function_code(compile(mutant.source, "mutant", "exec"), mutant.function)
    for function in functions:
        if (function.__qualname__, function.__code__.co_name) == (mutant.function, code.co_name):
            if function.__code__.co_freevars != code.co_freevars:
                return True  # it cannot take that place; the other way will tell
            function.__code__ = code
    for test, after in zip(tests, [*tests[1:], None], strict=True):
        test.config.hook.pytest_runtest_protocol(item=test, nextitem=after)
        if session.testsfailed:
            return False
    return True


def _function_code(module: CodeType, name: str) -> CodeType:
    code = module
    for part in name.split("."):
        code = next(inner for inner in code.co_consts if isinstance(inner, CodeType) and inner.co_name == part)
    return code


def passes_from_the_start(mutant: Mutant, path: Path, files: Sequence[str]) -> bool:
    """Say whether the tests of `files` pass, our package being imported with the mutant in it."""
    for some in (files[:1], files[1:]):
        limit = SECONDS * (1 + len(some))
        if some and in_fork(partial(_imported_and_run, mutant, path, some), seconds=limit) != pytest.ExitCode.OK:
            return False
    return True


def _imported_and_run(mutant: Mutant, path: Path, files: Sequence[str]) -> int:
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    sys.meta_path.insert(0, _Finder(path, mutant.source))
    return int(pytest.main([*OPTIONS, "-x", *files]))


def _module_of(path: Path) -> str:
    return ".".join(path.with_suffix("").parts[1:])


class _Finder(importlib.abc.MetaPathFinder):
    """Finds one module, and gives it another source."""

    def __init__(self, path: Path, source: str) -> None:
        self._name = _module_of(path)
        self._path = path.resolve()
        self._source = source

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of the mutant's module only."""
        del path, target
        if fullname != self._name:
            return None
        loader = _Loader(fullname, str(self._path))
        loader.source = self._source
        return importlib.util.spec_from_file_location(fullname, self._path, loader=loader)


class _Loader(importlib.machinery.SourceFileLoader):
    source: str

    def get_code(self, fullname: str) -> CodeType:
        del fullname
        return compile(self.source, self.path, "exec", dont_inherit=True)

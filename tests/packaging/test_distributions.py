"""What is in the wheel and in the source distribution, and what they say of themselves."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import HeaderParser
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from readme_renderer.markdown import render

from gatepost import __version__
from tests.conftest import RequireService
from tests.packaging.conftest import ROOT, Distributions

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
INDEX_README = (ROOT / PROJECT["readme"]).read_text(encoding="utf-8")
PACKAGE = ROOT / "src" / "gatepost"
BROUGHT_BY_OTHERS = {
    "anyio": "starlette",
    "httptools": "uvicorn[standard]",
    "markupsafe": "jinja2",
    "prometheus-client": "opentelemetry-exporter-prometheus",
    "pydantic-core": "pydantic",
    "typing-extensions": "pydantic",
    "watchfiles": "uvicorn[standard]",
}
"""What we import of the requirements of our requirements: parts of these, whose versions they choose."""


@pytest.fixture(scope="module")
def in_wheel(distributions: Distributions) -> set[str]:
    with zipfile.ZipFile(distributions.wheel) as wheel:
        return set(wheel.namelist())


@pytest.fixture(scope="module")
def metadata(distributions: Distributions) -> Message:
    with zipfile.ZipFile(distributions.wheel) as wheel:
        return HeaderParser().parsestr(wheel.read(f"gatepost-{__version__}.dist-info/METADATA").decode())


@pytest.fixture(scope="module")
def tracked(require_service: RequireService) -> list[str]:
    require_service("a git checkout, which tells what is tracked,", available=(ROOT / ".git").exists())
    asked = ["git", "ls-files", "-z"]
    said = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30).stdout
    return [name for name in said.split("\0") if (ROOT / name).is_file()]


def test_the_wheel_holds_the_package_as_it_is_tracked_and_nothing_else(in_wheel: set[str], tracked: list[str]) -> None:
    """Templates, static files, compiled translations, `py.typed` and the suite of the store contract are among it."""
    described = {name for name in in_wheel if name.startswith(f"gatepost-{__version__}.dist-info/")}
    package = {name.removeprefix("src/") for name in tracked if name.startswith("src/")}

    assert in_wheel - described == package
    assert {name.partition("/")[2] for name in described} == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
    }


def test_the_source_distribution_holds_what_is_tracked_and_nothing_else(
    distributions: Distributions, tracked: list[str]
) -> None:
    """So it builds, runs the tests and makes the documentation; what else lies in a checkout does not leave it.

    What is new beside `pyproject.toml` goes into the list there.
    """
    with tarfile.open(distributions.source) as archive:
        held = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}

    assert held == {*tracked, "PKG-INFO"}
    assert distributions.source.stat().st_size < 5_000_000


def test_what_an_index_checks_at_an_upload_passes(distributions: Distributions) -> None:
    """Twine renders the text as the index does; check-wheel-contents looks for files in wrong places."""
    wheel, source = str(distributions.wheel), str(distributions.source)
    for command in (["twine", "check", "--strict", wheel, source], ["check_wheel_contents", wheel]):
        called = [sys.executable, "-m", *command]
        done = subprocess.run(called, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_text_for_an_index_is_shown_as_a_page_and_not_as_what_was_typed() -> None:
    """Where there is no renderer for Markdown, twine finds no fault with any text."""
    page = render(INDEX_README)

    assert page is not None
    assert re.findall(r"<h[12][^>]*>(.*?)</h", re.sub(r"<a.*?</a>", "", page)) == [
        "Gatepost",
        "Begin",
        "What a server looks like",
        "What there is",
    ]


def test_the_metadata_say_what_pyproject_says(metadata: Message) -> None:
    assert {name: metadata[name] for name in ("Name", "Version", "License-Expression", "Requires-Python")} == {
        "Name": "gatepost",
        "Version": __version__,
        "License-Expression": "MIT",
        "Requires-Python": ">=3.11",
    }
    assert metadata.get_all("Provides-Extra") == ["dev", "openapi", "otel", "postgres"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload() == INDEX_README


def test_the_text_for_an_index_has_no_links_that_lead_nowhere_there() -> None:
    """An index shows the text alone, without the files beside it."""
    assert re.findall(r"\]\((?!https://)|<img|\bsrc=", INDEX_README) == []


def test_the_text_for_an_index_shows_the_server_that_the_readme_shows() -> None:
    shown = re.compile(r"^    # notes\.py\n(?:    .*\n|\n)+", re.MULTILINE)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert shown.findall(INDEX_README)[0].partition("    $ ")[0] == shown.findall(readme)[0].partition("    $ ")[0]


def test_every_package_that_is_imported_is_asked_for() -> None:
    """In the dependencies or an extra; what a requirement brings may change with it."""
    asked_for = {
        canonicalize_name(Requirement(line).name)
        for lines in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
        for line in lines
    }
    distributions_of = packages_distributions()
    imported = {
        canonicalize_name(name)
        for path in PACKAGE.rglob("*.py")
        for module in imported_modules(path)
        for name in distributions_of.get(module, [module])[:1]
    }

    assert sorted(imported - asked_for) == sorted(BROUGHT_BY_OTHERS)
    for name, bringer in BROUGHT_BY_OTHERS.items():
        bringing = Requirement(bringer).name
        brought = {canonicalize_name(Requirement(line).name) for line in requires(bringing) or ()}
        assert (bringing in asked_for, name in brought) == (True, True), name


def imported_modules(path: Path) -> set[str]:
    """The packages of others that a file imports, but for the type checker's own."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
            modules.add(node.module.partition(".")[0])
    return modules - sys.stdlib_module_names - {"gatepost", "_typeshed"}


def test_classifiers_name_the_versions_on_which_the_installation_is_tested(metadata: Message) -> None:
    from tests.packaging.test_installed import VERSIONS  # noqa: PLC0415 - what this test compares with

    said = [line.rpartition(" ")[2] for line in metadata.get_all("Classifier", []) if ":: Python :: 3." in line]

    assert said == list(VERSIONS)

"""What is committed can be used anywhere: it names no download host and no path of somebody's machine."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import RequireService

ROOT = Path(__file__).resolve().parents[2]

# Written so that this file does not find itself.
_REGISTRIES = (
    r"pypi\.(?:org|python\.org)",
    r"pythonhosted\.org",
    r"(?:npmjs|yarnpkg)\.(?:org|com)",
    r"(?:static\.)?crates\.io",
    r"(?:deb|security|ftp)\.debian\.org",
    r"proxy\.golang\.org",
    r"(?:docker|ghcr|quay)\.io/",
)
_HOMES = (r"/(?:home|Users)/[a-z]", r"/(?:root)/", r"/(?:work)/[a-z]", r"[A-Z]:\\Users\\")


@pytest.fixture(scope="module")
def tracked_texts(require_service: RequireService) -> dict[str, str]:
    """Every tracked text file by its path from the root."""
    require_service("a git checkout, which tells what is tracked,", available=(ROOT / ".git").exists())
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    ).stdout.split("\0")
    texts = {}
    for name in filter(None, names):
        path = ROOT / name
        content = path.read_bytes() if path.is_file() else b""
        if b"\0" not in content:
            texts[name] = content.decode("utf-8")
    return texts


def lines_with(texts: dict[str, str], pattern: str) -> Iterator[str]:
    """Yield `path:line` for each line in which the pattern is found."""
    compiled = re.compile(pattern)
    for name, text in texts.items():
        for number, line in enumerate(text.splitlines(), start=1):
            if compiled.search(line):
                yield f"{name}:{number}"


def test_no_tracked_file_names_a_package_registry(tracked_texts: dict[str, str]) -> None:
    assert list(lines_with(tracked_texts, "|".join(_REGISTRIES))) == []


def test_no_tracked_file_names_a_path_of_a_checkout_or_a_home(tracked_texts: dict[str, str]) -> None:
    assert list(lines_with(tracked_texts, "|".join((*_HOMES, re.escape(f"{ROOT}/"))))) == []


def test_no_tracked_file_has_a_conflict_in_it(tracked_texts: dict[str, str]) -> None:
    assert list(lines_with(tracked_texts, r"^(?:<{7} |={7}$|>{7} )")) == []

"""The page about a store of one's own shows a store and a test file that work, and what a broken promise looks like."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[3]
PAGE: Final = (ROOT / "docs" / "own-store.md").read_text(encoding="utf-8")
BLOCKS: Final = re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
PARTS: Final = "audit or codes or processes or kills"
"""Of the suite, which is run whole on the stores that are ours."""

ENVIRONMENT: Final = {
    name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE_", "PYTEST_"))
}


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A directory with the files of the page."""
    for name, text in BLOCKS:
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def run_suite(directory: Path, parts: str) -> tuple[int, str]:
    """Run the test file of the page as its reader does, and return the exit status and what it prints."""
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", parts, "test_my_store.py"],
        cwd=directory,
        env=ENVIRONMENT | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    return finished.returncode, finished.stdout + finished.stderr


def test_the_test_file_of_the_page_has_at_most_twenty_lines_and_finds_the_store_of_the_page_good(page: Path) -> None:
    assert [name for name, _ in BLOCKS] == ["my_store.py", "test_my_store.py"]
    assert len(dict(BLOCKS)["test_my_store.py"].splitlines()) <= 20

    status, output = run_suite(page, PARTS)

    assert status == 0, output
    assert re.search(r"^[1-9]\d+ passed", output, re.MULTILINE), output
    assert "skipped" not in output


def test_a_failure_names_the_promise_the_calls_and_what_the_contract_says(page: Path) -> None:
    store = page / "my_store.py"
    text = store.read_text(encoding="utf-8")
    broken = text.replace("await self.kept.append_events(records)\n", "await self.kept.append_events(records[1:])\n")
    assert broken != text
    store.write_text(broken, encoding="utf-8")

    status, output = run_suite(page, "audit")

    assert status == 1, output
    shown = re.sub(r"(?m)^E? +", "", output)
    assert "The store does not keep its contract: events are found as they were the newest first" in shown
    assert re.search(r"^audit\.append_events\(.*\) -> None$", shown, re.MULTILINE)
    assert re.search(r"^AuditStore\.append_events: Keep all of them\.", shown, re.MULTILINE)

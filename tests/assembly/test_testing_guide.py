"""The page about testing a server shows a test that passes, with what `gatepost[dev]` brings."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "testing.md").read_text(encoding="utf-8")
(PROGRAM,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


async def test_the_test_of_the_page_passes() -> None:
    names: dict[str, Any] = {}
    exec(compile(PROGRAM, "testing.md", "exec"), names)  # noqa: S102 - the page's own code

    await names["test_notes_are_kept"]()


def test_the_extra_brings_what_the_test_of_the_page_needs() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extra = {Requirement(one).name for one in project["optional-dependencies"]["dev"]}
    runtime = {Requirement(one).name for one in project["dependencies"]}
    imported = set(re.findall(r"^(?:import|from) (\w+)", PROGRAM, re.MULTILINE))

    assert imported <= extra | runtime | {"gatepost"}
    assert "pytest-asyncio" in extra

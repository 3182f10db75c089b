"""Each block of Python in the pages runs: here, in a namespace of its own, or in the test that its page has."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any, Final

import pytest

from tools.documentation.markdown import Code, code_blocks

ROOT: Final = Path(__file__).resolve().parents[2]
RUN_BY: Final = {
    "external-tokens.md": "tests/assembly/test_external_tokens_guide.py",
    "larger-servers.md": "tests/server/test_larger_guide.py",
    "mounting.md": "tests/end_to_end/test_mounting.py",
    "openapi.md": "tests/openapi/test_documentation.py",
    "other-servers.md": "tests/examples/test_fastmcp_server.py",
    "own-store.md": "tests/stores/conformance/test_own_store_guide.py",
    "protected-applications.md": "tests/web/resource/test_guide.py",
    "talking-to-clients.md": "tests/server/test_talking_guide.py",
    "testing.md": "tests/assembly/test_testing_guide.py",
    "tools-resources-prompts.md": "tests/server/test_guide.py",
}
"""Pages whose blocks belong together, or need something beside them, and the test that runs them."""
NOT_RUN: Final = re.compile(r"<!-- not run: (?P<reason>\S.{10,}) -->")
"""What stands above a block that cannot be run: the reason, as a sentence."""


def python_blocks(page: Path) -> list[tuple[Code, str]]:
    """Return the blocks of a page that say that they are Python, each with the line above it."""
    text = page.read_text(encoding="utf-8")
    lines = ["", *text.splitlines()]
    return [(block, lines[block.first]) for block in code_blocks(text) if block.info.split(" ")[0] in {"python", "py"}]


PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
BLOCKS = [
    pytest.param(block, page, id=f"{page.relative_to(ROOT).as_posix()}-{block.first + 1}")
    for page in PAGES
    if page.name not in RUN_BY
    for block, above in python_blocks(page)
    if not NOT_RUN.fullmatch(above.strip())
]


async def run(code: str, name: str) -> dict[str, Any]:
    """Run a block as a module of its own, in which `await` may stand outside of functions; return its names."""
    names: dict[str, Any] = {"__name__": name}
    result = eval(compile(code, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)  # noqa: S307 - our own pages
    if inspect.iscoroutine(result):
        await result
    return names


@pytest.mark.parametrize(("block", "page"), BLOCKS)
async def test_a_block_of_python_runs(block: Code, page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MCP_STORAGE_URL", "memory:")
    for name in re.findall(r'os\.environ\["(\w+)"\]', block.text):
        monkeypatch.setenv(name, "a value for this test")

    await run(block.text, page.stem)


def test_a_page_whose_blocks_run_elsewhere_is_read_by_that_test() -> None:
    wrong = [
        page
        for page, test in RUN_BY.items()
        if f'"{page}"' not in (text := (ROOT / test).read_text(encoding="utf-8"))
        or not re.search(r"exec\(|write_text\(", text)
    ]

    assert wrong == []


async def test_a_block_that_names_what_it_does_not_have_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nx = 1\n```\n\n<!-- not run: it would end the tests -->\n```python\nexit()\n```\n")
    (first, _), (_, above) = python_blocks(page)

    assert (await run(first.text, "page"))["x"] == 1
    assert NOT_RUN.fullmatch(above)
    with pytest.raises(NameError, match="y"):
        await run("y", "page")

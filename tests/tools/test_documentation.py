"""The reference pages list exactly what the code has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import PydanticUndefined

from gatepost.configuration import settings
from gatepost.configuration.sections import Section
from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.reasons import Reason

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = [
    section
    for section in vars(settings).values()
    if isinstance(section, type) and issubclass(section, Section) and section is not Section
]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")))
ROW = re.compile(r"^\| `(?P<name>\w+)` \|(?P<cells>.*)\|$", re.MULTILINE)


def read(path: str) -> str:
    """The text of a file of this repository."""
    return (ROOT / path).read_text(encoding="utf-8")


def table_rows(page: str) -> list[tuple[str, list[str]]]:
    """The rows of a page's tables whose first cell is a name: that name and the other cells."""
    return [
        (row["name"], [cell.strip() for cell in re.split(r"(?<!\\)\|", row["cells"])])
        for row in ROW.finditer(read(page))
    ]


def written(value: Any) -> str:
    """A default as an operator would write it."""
    if value is None or value is PydanticUndefined:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(value) if isinstance(value, tuple) else str(value)


@pytest.fixture(scope="module")
def defaults() -> dict[str, str]:
    """Every setting that can be set, in order, with its default as an operator would write it."""
    fields = (field for section in SECTIONS for field in section.model_fields.values())
    return {str(field.alias): written(field.default) for field in fields}


def test_the_settings_page_lists_every_variable_once() -> None:
    assert sorted(name for name, _ in table_rows("docs/settings.md")) == sorted(settings.known_names())


def test_the_settings_page_gives_the_true_defaults(defaults: dict[str, str]) -> None:
    stated = {name: cells[1].strip("`") for name, cells in table_rows("docs/settings.md") if name in defaults}

    assert stated == defaults


def test_the_example_file_gives_every_setting_with_its_default(defaults: dict[str, str]) -> None:
    lines = re.findall(r"^# ([A-Z][A-Z_]+)=(.*)$", read(".env.example"), re.MULTILINE)

    assert sorted(lines) == sorted(defaults.items())


def test_the_example_file_changes_nothing_when_copied(tmp_path: Path) -> None:
    copy = tmp_path / ".env"
    copy.write_text(read(".env.example"), encoding="utf-8")

    assert settings.load_settings(env_file=copy) == settings.load_settings(env_file=None)


def test_the_reasons_page_gives_each_reason_a_cause_and_a_cure() -> None:
    rows = table_rows("docs/reasons.md")

    assert sorted(name for name, _ in rows) == sorted(Reason)
    assert [name for name, cells in rows if len(cells) != 2 or not all(cells)] == []


def test_the_audit_page_lists_every_event_once() -> None:
    cells = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", read("docs/audit.md"), re.MULTILINE)

    assert sorted(re.findall(r"\w+", " ".join(cells))) == sorted(AuditEvent)


def test_decision_records_are_listed_in_the_index() -> None:
    records = {path.name for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md")}

    assert sorted(re.findall(r"\]\((\d{4}-[a-z0-9-]+\.md)\)", read("docs/decisions/README.md"))) == sorted(records)
    assert sorted({name[:4] for name in records}) == sorted(name[:4] for name in records)


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_lead_somewhere(page: str) -> None:
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", read(page))

    assert [target for target in targets if not (ROOT / page).parent.joinpath(target).exists()] == []


def test_pages_that_the_code_points_to_exist() -> None:
    folders = ("src", "tests", "tools", "examples")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    pointers = {page for path in files for page in re.findall(r"docs/[\w./-]+\.md", path.read_text(encoding="utf-8"))}

    assert sorted(page for page in pointers if not (ROOT / page).exists()) == []

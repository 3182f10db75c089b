"""Tables and sections that are made of what lies elsewhere in the repository: attacks and findings."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from tools.documentation.staging import ROOT


def attacks(path: Path = ROOT / "tests" / "attacks" / "rows.toml") -> str:
    """Return the table of what must never happen, and the test files that try it."""
    rows: list[dict[str, Any]] = tomllib.loads(path.read_text(encoding="utf-8"))["row"]
    lines = ["| | What holds | Tried by |", "|---|---|---|"]
    for row in rows:
        files = dict.fromkeys(test.split("::")[0] for test in row.get("tests", []))
        shown = [f"`{file}`" for file in files] + ([row["elsewhere"]] if "elsewhere" in row else [])
        lines.append(f"| {row['id']} | {_in_cell(row['rule'])} | {_in_cell('; '.join(shown))} |")
    return "\n".join(lines)


def findings(folder: Path = ROOT / "findings") -> str:
    """Return what each script in `findings` says at its top, a section each."""
    sections = ["## What each one shows", ""]
    for script in sorted(folder.glob("*.sh")):
        fields = header(script)
        sections += [
            f"### {script.stem}",
            "",
            f"{fields['Package']}, version {fields['Version']}, seen {fields['Seen']}.",
        ]
        sections += [f"- **{name}**: {fields[name]}" for name in ("Guess", "Happens", "Matters")]
        sections += [""]
    return "\n".join(sections)


def header(script: Path) -> dict[str, str]:
    """Return the fields of the comment at the top of a finding; a value may go on over several lines."""
    comment = re.match(r"#!/usr/bin/env bash\n((?:#.*\n)+)", script.read_text(encoding="utf-8"))
    joined = re.sub(r"\n# {5,}", " ", comment[1]) if comment else ""
    return dict(re.findall(r"^# (\w+): +(\S.*)$", joined, re.MULTILINE))


def _in_cell(words: str) -> str:
    return words.replace("|", "\\|").replace("\n", " ").strip()

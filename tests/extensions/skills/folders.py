"""Folders with skills, written for a test."""

from __future__ import annotations

from pathlib import Path

GUIDE = "# Guide\n"
PICTURE = b"\x89PNG\r\n\x1a\n\x00\xff"


def main_file(name: str, description: str = "What it does", more: str = "") -> str:
    """The text of a `SKILL.md`."""
    return f"---\nname: {name}\ndescription: {description}\n{more}---\n# {name}\n"


def write(root: Path, files: dict[str, str | bytes]) -> Path:
    """Write files below a folder, by path, and return the folder."""
    for path, content in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def a_skill(root: Path) -> Path:
    """A folder with the skill `git-workflow`, of three files and an empty folder."""
    write(
        root,
        {
            "git-workflow/SKILL.md": main_file("git-workflow", "How branches are named"),
            "git-workflow/references/GUIDE.md": GUIDE,
            "git-workflow/assets/flow.png": PICTURE,
        },
    )
    (root / "git-workflow" / "empty").mkdir()
    return root

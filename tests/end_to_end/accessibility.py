"""axe-core (npm, pinned by hash), and what else is looked at on each page."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page

from tests.end_to_end.running_server import REPOSITORY
from tools import npm_packages

SOURCE: Final = REPOSITORY / "tools" / "accessibility"
PACKAGES: Final = REPOSITORY / ".venv" / "accessibility"
PICTURES: Final = REPOSITORY / "test-artifacts" / "pages"
WIDTHS: Final = {1280: 800, 360: 740}
_COLOURS: Final = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
"""Of the rules that axe-core looks at by default, those about colours."""
_DEADLINE: Final = 300  # seconds; only ever reached when something is broken


def install() -> bool:
    """Install what `tools/accessibility/package-lock.json` pins; return whether it is there now."""
    try:
        npm_packages.install(SOURCE, PACKAGES, timeout=_DEADLINE)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


@functools.cache
def _axe() -> str:
    return (PACKAGES / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def objections(page: Page, *, of_colours: bool = False) -> list[str]:
    """Return what axe-core has against a page as it is shown now, by all its rules, or by those `of_colours` alone."""
    if not page.evaluate("() => 'axe' in window"):
        # Not by a script element, which the page's own policy forbids.
        page.evaluate(f"() => {{ {_axe()} }}")
    options = {"resultTypes": ["violations"], **({"runOnly": _COLOURS} if of_colours else {})}
    result: dict[str, Any] = page.evaluate("(options) => axe.run(document, options)", options)
    assert result["passes"], "axe-core has looked at nothing"
    return [
        f"{rule['id']}: {rule['help']}: {node['html']} {node['failureSummary']}"
        for rule in result["violations"]
        for node in rule["nodes"]
    ]


def look_at_all_sizes(page: Page, name: str, *, with_axe: bool = True) -> None:
    """Look at a page wide and narrow, light and dark, and take a picture of each.

    What is dark differs by colours alone (tests/web/pages/test_colours.py), and is looked at by the rules of these.
    """
    folder = PICTURES / Path(name).parent
    folder.mkdir(parents=True, exist_ok=True)
    for width, height in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
            page.screenshot(path=PICTURES / f"{name}-{width}-{scheme}.png", full_page=True)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name}: wider than {width}"
            found = objections(page, of_colours=scheme == "dark") if with_axe else []
            assert not found, "\n".join([f"{name}, {width} pixels, {scheme}", *found])

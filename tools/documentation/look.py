"""Look at the built site in Chromium: pictures of its kinds of pages, axe-core, the search; `make docs-look`.

    python -m tools.documentation.look

The site is opened as files and the browser is offline, as for a reader without a network: a page that asks another
host for anything fails. Pictures are in `test-artifacts/documentation/pictures`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Final

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tools import npm_packages
from tools.documentation.staging import ROOT

SITE: Final = ROOT / "test-artifacts" / "documentation" / "site"
PICTURES: Final = SITE.with_name("pictures")
PAGES: Final = (
    "index.html",
    "start.html",
    "concepts/flow.html",
    "clients/index.html",
    "pages.html",
    "settings.html",
    "security-model.html",
    "reference/command-line.html",
    "reference/python.html",
    "repository/benchmarks/RESULTS.html",
    "repository/examples/notes.py.html",
)
_SIZES: Final = {"wide": (1280, 900), "phone": (360, 740)}
_LOOKS: Final = (("light", "wide"), ("dark", "wide"), ("light", "phone"), ("dark", "phone"))
_AXE: Final = ROOT / ".venv" / "accessibility"
_PATIENCE: Final = 30  # seconds; only ever reached when something is broken


def main() -> int:
    """Look at all of `PAGES`; return 1 if anything is wrong, which is printed."""
    if not SITE.is_dir() or not (chromium := shutil.which("chromium")):
        print("Run make docs first, and install chromium.")
        return 1
    try:
        npm_packages.install(ROOT / "tools" / "accessibility", _AXE, timeout=300)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"axe-core could not be installed: {error}")
        return 1
    PICTURES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        wrong = [*_in_all_sizes(browser), *_search(browser)]
    print("\n".join(wrong) if wrong else f"{len(PAGES)} pages in light and dark, wide and narrow: nothing is wrong")
    return 1 if wrong else 0


def _in_all_sizes(browser: Browser) -> Iterator[str]:
    axe = (_AXE / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    for scheme, size in _LOOKS:
        width, height = _SIZES[size]
        context = browser.new_context(
            color_scheme="dark" if scheme == "dark" else "light",
            viewport={"width": width, "height": height},
            reduced_motion="reduce",
            offline=True,
        )
        for name in PAGES:
            page = context.new_page()
            yield from (f"{name}, {size}, {scheme}: {words}" for words in _objections(page, name, axe, width))
            picture = f"{name.removesuffix('.html').replace('/', '-')}-{size}-{scheme}.png"
            page.screenshot(path=PICTURES / picture)
            page.close()
        context.close()


def _objections(page: Page, name: str, axe: str, width: int) -> Iterator[str]:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((SITE / name).as_uri())
    yield from (f"asks for {url}" for url in asked if not url.startswith(("file:", "data:")))
    if page.evaluate("document.documentElement.scrollWidth") > width:
        yield "is wider than the window"
    page.evaluate(f"() => {{ {axe} }}")
    result: dict[str, Any] = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    for rule in result["violations"]:
        nodes = rule["nodes"]
        yield f"{rule['id']}, {len(nodes)} times: {rule['help']}: {nodes[0]['html'][:200]}"


def _search(browser: Browser) -> Iterator[str]:
    page = browser.new_context(offline=True).new_page()
    page.goto(f"{(SITE / 'search.html').as_uri()}?q=refresh")
    try:
        expect(page.locator("#search-results li").first).to_be_visible(timeout=_PATIENCE * 1000)
    except AssertionError:
        yield "search.html finds nothing for: refresh"
    page.screenshot(path=PICTURES / "search-wide-light.png")


if __name__ == "__main__":
    sys.exit(main())

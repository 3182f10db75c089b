"""Every page with JavaScript off and in a made-up language that is written from right to left.

What it says stands between brackets, so that any text that no catalogue has sticks out, and all is where it belongs in
a language that begins at the right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from babel.messages.catalog import Catalog
from playwright.sync_api import Browser, Page, expect

from tests.end_to_end import accessibility
from tests.end_to_end.conftest import TARGET
from tests.end_to_end.local_http import PATIENCE
from tests.end_to_end.page_walk import Walk
from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.test_browser import Callback
from tests.end_to_end.test_browser import callback as callback  # noqa: PLC0414 - a fixture
from tools.translations import compiled, extracted

OPEN, CLOSE = "⟦", "⟧"
LETTERS: Final = re.compile(r"[^\W\d_]{2,}")
SAID_BY_OTHERS: Final = "code, bdi, svg, [lang=en], [translate=no]"
"""What is not the page's own word: addresses, names, technical details, the operator's words for scopes."""
PLAIN_TEXTS: Final = f"""() => {{
    const texts = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {{
        const parent = walker.currentNode.parentElement;
        if (!parent.closest('{SAID_BY_OTHERS}')) texts.push([walker.currentNode.data, true]);
    }}
    for (const element of document.querySelectorAll('[aria-label]')) texts.push([element.ariaLabel, false]);
    texts.push([document.title.split(' · ')[0], false]);
    return texts;
}}"""


def made_up(text: str) -> str:
    """Return a text in the made-up language: in brackets, and with a mark that is written from right to left."""
    return f"{OPEN}\u200f{text}{CLOSE}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the catalogue of that language, which goes by the tag of Arabic."""
    folder, catalogue = tmp_path_factory.mktemp("pages"), Catalog(locale="ar")
    for message in extracted():
        if isinstance(message.id, str):
            catalogue.add(message.id, made_up(message.id))
        else:
            catalogue.add(message.id, tuple(made_up(message.id[number != 1]) for number in range(6)))
    (folder / "ar.mo").write_bytes(compiled(catalogue))
    return folder


@pytest.fixture
def server(tmp_path: Path, folder: Path) -> Iterator[RunningServer]:
    with RunningServer(TARGET, tmp_path / "data", environment={"OAUTH_PAGES_DIR": str(folder)}) as running:
        yield running


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    expect.set_options(timeout=PATIENCE * 1000)
    with chromium.new_context(locale="ar-EG", java_script_enabled=False) as context:
        context.set_default_timeout(PATIENCE * 1000)
        yield context.new_page()


def unsaid(page: Page) -> list[str]:
    """Return the texts of a page that come from no catalogue."""
    found: list[list[Any]] = page.evaluate(PLAIN_TEXTS)
    # Elements inside of a text of the catalogue part it, so brackets are counted over all of them.
    left, depth = [], 0
    for text, is_in_flow in found:
        outside = "" if depth and is_in_flow else re.sub(f"{OPEN}.*{CLOSE}", "", text, flags=re.DOTALL)
        outside = re.sub(f"{OPEN}.*|^[^{OPEN}]*{CLOSE}", "", outside, flags=re.DOTALL)
        if LETTERS.search(outside):
            left.append(text)
        depth += (text.count(OPEN) - text.count(CLOSE)) if is_in_flow else 0
    return left


def test_every_flow_works_without_javascript_and_says_nothing_past_the_catalogue(
    page: Page, callback: Callback, server: RunningServer
) -> None:
    seen = []

    def look(name: str) -> None:
        seen.append(name)
        assert page.locator("html").get_attribute("dir") == "rtl"
        assert unsaid(page) == [], name
        accessibility.look_at_all_sizes(page, f"right-to-left/{len(seen):02}-{name}", with_axe=False)
        # The first column of a page that begins at the right is at the right.
        heading = page.locator("h1").first
        assert heading.evaluate("element => getComputedStyle(element).direction") == "rtl"

    Walk(server, page, look, callback.uri).whole()
    assert len(seen) > 25


def test_a_page_is_mirrored_but_for_addresses(page: Page, server: RunningServer) -> None:
    page.goto(server.origin)
    page.set_viewport_size({"width": 360, "height": 740})
    logo, name = page.locator("header svg").bounding_box(), page.locator("header bdi").bounding_box()
    assert logo is not None
    assert name is not None
    assert logo["x"] > name["x"]
    address = page.locator(".address code").first
    assert address.evaluate("element => getComputedStyle(element).direction") == "ltr"


def test_a_text_that_no_catalogue_has_is_found(page: Page) -> None:
    page.set_content(
        f'<title>{OPEN}x{CLOSE} · sample</title><p aria-label="Plain">{OPEN}said <b>in</b> parts{CLOSE}</p>'
        f"<p>Plain text</p><p>{OPEN}said{CLOSE} and not</p><code>foreign</code>"
    )
    assert unsaid(page) == ["Plain text", f"{OPEN}said{CLOSE} and not", "Plain"]

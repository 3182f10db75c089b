"""A real Chromium at the dev page: it edits code, sees it, fills forms, calls, is asked, cancels, and is refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.conftest import RequireService
from tests.end_to_end import accessibility
from tests.end_to_end.dev_server import DevServer
from tests.end_to_end.local_http import PATIENCE
from tests.end_to_end.test_browser import _is_problem

TOOLS = '''
from datetime import date
from typing import Annotated, Literal
from mcp_types import AudioContent, ImageContent, ResourceLink
from pydantic import BaseModel, Field

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
SILENCE = "UklGRigAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQQAAACAgICA"


class Pot(BaseModel):
    name: str
    litres: float = 1.5
    clay: bool = False


@server.tool(scopes=["plants:write"], annotations={"destructiveHint": True})
async def plant(
    kind: Annotated[str, Field(description="what to plant")],
    day: date,
    pots: list[Pot],
    light: Literal["sun", "shade"] = "shade",
    number: int = 2,
    watered: bool | None = None,
) -> dict:
    """Plant something."""
    pots = [pot.model_dump() for pot in pots]
    return {"kind": kind, "day": day.isoformat(), "pots": pots, "light": light, "number": number, "watered": watered}


@server.tool(scopes=["plants:read"])
async def grow(until: int, ctx: Context) -> str:
    """Grow, and tell how far it is."""
    try:
        for leaf in range(until):
            await ctx.progress(leaf + 1, until, f"leaf {leaf + 1}")
            ctx.log.info("leaf %s is there", leaf + 1)
            while os.path.exists("winter"):
                await asyncio.sleep(0.02)
    except asyncio.CancelledError:
        open("cut", "w").close()
        raise
    return f"{until} leaves"


@server.tool
async def look(ctx: Context) -> list[ImageContent | AudioContent | ResourceLink | str]:
    """See and hear."""
    return [
        ImageContent(data=PIXEL, mime_type="image/png"),
        AudioContent(data=SILENCE, mime_type="audio/wav"),
        ResourceLink(uri="garden://rose", name="rose"),
        "<img src=x onerror=alert(1)><b>not bold</b>",
    ]


@server.tool
async def ask(ctx: Context) -> str:
    """Ask the user, then the model."""
    answer = await ctx.elicit("Which pot?", Pot)
    if answer.data is None:
        return answer.action
    return f"{answer.data.name} for {ctx.user.subject}, {(await ctx.sample('How green?')).text}"


@server.resource("garden://rose", mime_type="text/plain")
async def rose() -> str:
    """A rose."""
    return "A rose is a rose."


@server.resource("garden://{bed}/{row}", mime_type="text/plain")
async def bed(bed: str, row: str) -> str:
    """What grows there."""
    return f"{bed} in {row}"


@server.prompt
async def praise(plant: str, mood: str = "glad") -> str:
    """Praise a plant."""
    return f"Praise {plant}, {mood}."
'''


RECURSIVE_TOOL = '''

class Branch(BaseModel):
    name: str
    beside: "Branch | None" = None
    twigs: list["Branch"] = [{"name": "twig"}]


@server.tool
async def graft(branch: Branch) -> str:
    """Say which branches are beside each other."""
    names, next_one = [], branch
    while next_one is not None:
        names.append(next_one.name)
        next_one = next_one.beside
    return ", ".join(names)
'''


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[DevServer]:
    server = DevServer(tmp_path)
    server.write_version("first", TOOLS)
    with server:
        yield server


@pytest.fixture
def page(chromium: Browser, dev: DevServer) -> Iterator[Page]:
    """A page of a browser that knows nothing, and is closed before the server ends."""
    assert dev.link
    expect.set_options(timeout=PATIENCE * 1000)
    problems: list[str] = []
    with chromium.new_context(viewport={"width": 1100, "height": 900}, locale="en-GB") as context:
        context.set_default_timeout(PATIENCE * 1000)
        tab = context.new_page()
        tab.on("console", lambda message: problems.append(message.text) if _is_problem(message) else None)
        tab.on("pageerror", lambda error: problems.append(str(error)))
        yield tab
    assert problems == [], "the browser complained (a policy violation, a missing file, a script error)"


class Bench:
    """The page as a person uses it."""

    def __init__(self, page: Page, dev: DevServer) -> None:
        self.page, self.dev = page, dev

    def open(self) -> None:
        self.page.goto(self.dev.link)
        expect(self.page.get_by_role("button", name="version")).to_be_visible()

    def choose(self, name: str) -> None:
        self.page.locator("#offers").get_by_role("button", name=name).first.click()
        expect(self.page.locator("#about h2")).to_have_text(name)

    def fill(self, **fields: str) -> None:
        for name, text in fields.items():
            self.form.get_by_label(re.compile(f"^{name}\\b")).first.fill(text)

    def send(self) -> None:
        self.form.locator("button[type=submit]").click()

    def caller(self) -> Locator:
        self.page.evaluate("document.getElementById('caller').open = true")
        return self.page.locator("#caller")

    @property
    def form(self) -> Locator:
        return self.page.locator("#form")

    @property
    def status(self) -> Locator:
        return self.page.locator("#outcome [role=status]")

    @property
    def result(self) -> Locator:
        return self.page.locator("#outcome .result")


@pytest.fixture
def bench(page: Page, dev: DevServer) -> Bench:
    made = Bench(page, dev)
    made.open()
    return made


def test_the_key_leaves_the_address_and_a_browser_without_it_sees_nothing(
    bench: Bench, chromium: Browser, dev: DevServer
) -> None:
    assert bench.page.url == f"{dev.origin}/dev"
    bench.page.reload()
    expect(bench.page.get_by_role("button", name="version")).to_be_visible()
    with chromium.new_context(locale="en-GB") as other:
        stranger = other.new_page()
        stranger.goto(f"{dev.origin}/dev")
        expect(stranger.get_by_role("heading", name="Open the link of the terminal")).to_be_visible()
        expect(stranger.locator("#bench")).to_be_hidden()


def test_the_link_opens_a_page_that_is_there_already(page: Page, dev: DevServer) -> None:
    """As after a new start: whoever pastes the link into the tab changes its fragment alone."""
    page.goto(f"{dev.origin}/dev")
    expect(page.get_by_role("heading", name="Open the link of the terminal")).to_be_visible()
    page.goto(dev.link)
    expect(page.get_by_role("button", name="version")).to_be_visible()
    assert page.url == f"{dev.origin}/dev"


def test_a_tool_that_is_written_appears_and_what_was_typed_stays(bench: Bench, dev: DevServer) -> None:
    bench.choose("plant")
    bench.fill(kind="rose")
    dev.write_version(
        "second", TOOLS + '\n\n@server.tool\nasync def prune() -> str:\n    """Prune."""\n    return "cut"\n'
    )
    expect(bench.page.get_by_role("button", name="prune")).to_be_visible()
    expect(bench.page.locator("#status")).to_have_text(re.compile(r"^Reloaded at \d\d:\d\d:\d\d: garden\.py$"))
    expect(bench.form.get_by_label("kind")).to_have_value("rose")
    bench.choose("prune")
    bench.send()
    expect(bench.result).to_have_text("cut")


def test_code_that_does_not_load_is_shown_with_its_traceback_until_it_is_mended(bench: Bench, dev: DevServer) -> None:
    dev.write_version("second", "\n\n1 / 0\n")
    failure = bench.page.locator("#failure")
    expect(failure).to_contain_text("ZeroDivisionError: division by zero")
    expect(failure).to_contain_text("The code before is served meanwhile.")
    bench.choose("version")
    bench.send()
    expect(bench.result).to_contain_text("first")
    dev.write_version("third", TOOLS)
    expect(bench.page.locator("#status")).to_contain_text("Reloaded at")
    expect(failure).to_be_hidden()
    bench.send()
    expect(bench.result).to_contain_text("third")


def test_the_form_of_a_tool_is_filled_and_its_result_read(bench: Bench) -> None:
    bench.choose("plant")
    expect(bench.form.get_by_label("number")).to_have_value("2")
    marks = bench.form.locator(".required:visible")
    expect(marks).to_have_count(2)
    for name, mark in zip(("kind", "day"), marks.all(), strict=True):
        expect(mark).to_be_visible()
        expect(bench.form.get_by_role("textbox", name=re.compile(f"^{name}\\b"))).to_have_attribute(
            "aria-required", "true"
        )
    bench.fill(kind="rose", day="2026-12-24", number="3")
    bench.form.get_by_role("button", name="Add to pots").click()
    bench.fill(name="red")
    bench.form.get_by_label("clay").check()
    bench.form.get_by_role("button", name="Add to pots").click()
    bench.form.get_by_role("button", name="Remove from pots").last.click()
    bench.form.get_by_label("light").select_option("sun")
    bench.send()
    expect(bench.status).to_contain_text("Done")
    bench.result.get_by_text("Structured content").click()
    assert json.loads(bench.result.locator("pre").inner_text()) == {
        "kind": "rose",
        "day": "2026-12-24",
        "pots": [{"name": "red", "litres": 1.5, "clay": True}],
        "light": "sun",
        "number": 3,
        "watered": None,
    }
    bench.form.get_by_label("Write JSON").check()
    raw = json.loads(bench.form.get_by_label("arguments").input_value())
    assert "watered" not in raw
    bench.form.get_by_label("arguments").fill(json.dumps({**raw, "watered": True, "light": "moon"}))
    bench.send()
    expect(bench.status).to_contain_text("The tool reports an error")
    expect(bench.result).to_contain_text("light")


def test_a_schema_that_holds_itself_is_a_form_that_ends_in_json(bench: Bench, dev: DevServer) -> None:
    dev.write_version("second", TOOLS + RECURSIVE_TOOL)
    expect(bench.page.get_by_role("button", name="graft")).to_be_visible()
    bench.choose("graft")
    # Two branches have a field each for what is beside them, of which the inner one is JSON, and a list of twigs.
    expect(bench.form.get_by_role("button", name="Remove from twigs")).to_have_count(2)
    bench.form.get_by_label("name").nth(0).fill("bough")
    bench.form.get_by_label("name").nth(1).fill("crook")
    bench.form.get_by_label("Branch").first.fill('{"name": "fork", "beside": {"name": "fork of the fork"}}')
    bench.send()
    expect(bench.status).to_contain_text("Done")
    expect(bench.result).to_have_text("bough, crook, fork, fork of the fork")


def test_a_scope_that_is_taken_away_hides_the_tool_and_a_call_is_the_403_that_clients_get(
    bench: Bench, require_service: RequireService
) -> None:
    bench.choose("plant")
    bench.fill(kind="rose", day="2026-12-24")
    bench.caller().get_by_label("plants:write").uncheck()
    expect(bench.page.locator("#about .badges")).to_contain_text("hidden from this caller")
    bench.send()
    expect(bench.status).to_contain_text("Refused, HTTP 403")
    expect(bench.result).to_contain_text('scope="plants:write"')
    bench.page.get_by_text("Request and answer").click()
    shown = bench.page.locator("#outcome .exchange")
    expect(shown).to_contain_text("HTTP 403")
    expect(shown).to_contain_text("Authorization: Bearer …")
    expect(shown).not_to_contain_text("gp_at_")
    command = bench.page.locator("#outcome pre", has_text="curl")
    expect(command).to_contain_text("Authorization: Bearer $TOKEN")
    without_token = command.inner_text()
    bench.page.get_by_label("with the token").check()
    expect(command).to_contain_text("gp_at_")
    given, _, arguments = command.inner_text().partition("|")
    (token,) = re.findall(r"gp_at_[\w-]+", given)
    assert token not in arguments, "every user of the machine can see the arguments of a process"
    require_service("curl", available=shutil.which("curl") is not None)
    for script in (without_token, command.inner_text()):
        ran = subprocess.run(
            ["sh", "-c", script], env={**os.environ, "TOKEN": token}, capture_output=True, text=True, check=True
        )
        assert "plants:write" in ran.stdout
    bench.caller().get_by_label("plants:write").check()
    expect(bench.page.locator("#about .badges")).not_to_contain_text("hidden")
    bench.send()
    expect(bench.status).to_contain_text("Done")


@pytest.mark.parametrize("era", ["2026-07-28", "2025-11-25"])
def test_a_call_tells_how_far_it_is_and_ends_when_it_is_cancelled(bench: Bench, dev: DevServer, era: str) -> None:
    bench.caller().get_by_label("Revision").select_option(era)
    (dev.folder / "winter").touch()
    bench.choose("grow")
    bench.fill(until="3")
    bench.send()
    expect(bench.page.locator("#outcome")).to_contain_text("1 of 3 leaf 1")
    expect(bench.page.locator("#outcome .log")).to_contain_text("leaf 1 is there")
    assert bench.page.locator("#outcome progress").evaluate("bar => bar.value / bar.max") == pytest.approx(1 / 3)
    bench.form.get_by_role("button", name="Cancel").click()
    expect(bench.status).to_contain_text("Cancelled")
    bench.page.wait_for_function("() => document.getElementById('cancel').disabled")
    (dev.folder / "winter").unlink()
    bench.send()
    expect(bench.status).to_contain_text("Done")
    expect(bench.result).to_have_text("3 leaves")
    expect(bench.page.locator("#history li")).to_have_count(2)
    bench.page.get_by_role("button", name="Show grow").last.click()
    expect(bench.status).to_contain_text("Cancelled")
    bench.page.get_by_role("button", name="Repeat grow").first.click()
    expect(bench.status).to_contain_text("Done")
    expect(bench.page.locator("#history li")).to_have_count(3)
    assert (dev.folder / "cut").exists(), "the tool was not told"


@pytest.mark.parametrize("era", ["2026-07-28", "2025-11-25"])
def test_what_a_tool_asks_is_a_form(bench: Bench, era: str) -> None:
    bench.caller().get_by_label("User").fill("grace")
    bench.caller().get_by_label("Revision").select_option(era)
    bench.choose("ask")
    bench.send()
    question = bench.page.locator(".question")
    expect(question).to_contain_text("Which pot?")
    question.get_by_label("Name").fill("blue")
    question.get_by_role("button", name="Accept").click()
    expect(question).to_contain_text("How green?")
    question.get_by_label("Answer of the model").fill("very")
    question.get_by_role("button", name="Send").click()
    expect(bench.result).to_have_text("blue for grace, very")
    bench.send()
    question.get_by_role("button", name="Decline").click()
    expect(bench.result).to_have_text("decline")


def test_a_call_made_while_its_session_begins_waits_for_it(bench: Bench) -> None:
    held: list[Route] = []
    is_open = False

    def hold_initialize(route: Route) -> None:
        if (route.request.post_data_json or {}).get("method") == "initialize" and not is_open:
            held.append(route)
        else:
            route.continue_()

    bench.page.route("**/mcp", hold_initialize)
    bench.caller().get_by_label("Revision").select_option("2025-11-25")
    bench.choose("ask")
    bench.send()
    expect(bench.page.locator("#cancel")).to_be_enabled()
    is_open = True
    while held:
        held.pop().continue_()
    expect(bench.page.locator(".question")).to_contain_text("Which pot?")


def test_pictures_sound_and_links_are_shown_and_text_is_never_markup(bench: Bench) -> None:
    bench.choose("look")
    bench.send()
    expect(bench.status).to_contain_text("Done")
    assert bench.result.locator("img").evaluate_all("all => all.map(each => each.naturalWidth)") == [1]
    expect(bench.result.locator("audio")).to_have_count(1)
    expect(bench.result).to_contain_text("<img src=x onerror=alert(1)><b>not bold</b>")
    bench.result.get_by_role("button", name="Read garden://rose").click()
    expect(bench.result).to_contain_text("A rose is a rose.")


def test_resources_templates_and_prompts_are_read(bench: Bench) -> None:
    bench.choose("garden://{bed}/{row}")
    bench.fill(bed="roses & lilies", row="2")
    bench.send()
    expect(bench.result).to_contain_text("roses & lilies in 2")
    bench.choose("praise")
    bench.fill(plant="the oak")
    bench.send()
    expect(bench.result).to_contain_text("Praise the oak, glad.")
    bench.page.get_by_label("Filter").fill("plant some")
    expect(bench.page.locator("#offers button")).to_have_count(1)


def test_axe_finds_nothing_on_the_dev_page(bench: Bench, dev: DevServer, require_service: RequireService) -> None:
    require_service("axe-core (npm)", available=accessibility.install())
    accessibility.look_at_all_sizes(bench.page, "dev/1-lists")
    bench.caller()
    bench.choose("plant")
    bench.form.get_by_role("button", name="Add to pots").click()
    bench.send()
    expect(bench.page.locator("#problem")).to_be_visible()
    accessibility.look_at_all_sizes(bench.page, "dev/2-form")
    bench.choose("ask")
    bench.send()
    expect(bench.page.locator(".question")).to_be_visible()
    accessibility.look_at_all_sizes(bench.page, "dev/3-question")
    bench.page.locator(".question").get_by_role("button", name="Decline").click()
    bench.page.get_by_text("Request and answer").click()
    accessibility.look_at_all_sizes(bench.page, "dev/4-result")
    dev.write_version("second", "\n\n1 / 0\n")
    expect(bench.page.locator("#failure")).to_be_visible()
    accessibility.look_at_all_sizes(bench.page, "dev/5-failure")


def test_the_keyboard_is_enough_to_call_a_tool(bench: Bench) -> None:
    bench.page.get_by_label("Filter").focus()
    bench.page.keyboard.type("version")
    bench.page.keyboard.press("Tab")
    bench.page.keyboard.press("Enter")
    expect(bench.page.locator("#about h2")).to_have_text("version")
    bench.form.get_by_role("button", name="Call").focus()
    bench.page.keyboard.press("Enter")
    expect(bench.status).to_contain_text("Done")

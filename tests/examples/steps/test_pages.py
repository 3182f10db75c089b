"""The pages of the tutorial show the programs as they are, and what their commands print."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from gatepost.configuration.loading import load_target
from tests.conftest import RequireService
from tests.end_to_end.running_server import PASSWORD, free_port
from tests.examples.steps.page import (
    ISSUER,
    ORIGIN,
    PAGES,
    ROOT,
    STEPS,
    TYPED_BY_HAND,
    Block,
    blocks_of,
    is_as_printed,
    page_of,
    run,
)
from tools.documentation.markdown import code_blocks

SERVERS = sorted(STEPS.keys() - {5})
TRY_STEP = "examples/steps/try_step.py"


@contextmanager
def program(step: int, says: str, environment: dict[str, str], cwd: Path) -> Iterator[None]:
    """Run the program of a step until the block ends; it has started when it says so."""
    command = [sys.executable, str(STEPS[step])]
    process = subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    said = ""
    with process:
        try:
            while says not in said and (line := process.stdout.readline()):
                said += line
            assert says in said, said
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.stdout.read()


@contextmanager
def running(step: int, folder: Path) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """Start what a page has the reader start; yield the addresses of the page, and the environment of its terminal."""
    addresses = {ORIGIN: f"http://127.0.0.1:{free_port()}", ISSUER: f"http://127.0.0.1:{free_port()}"}
    environment = {
        **os.environ,
        "PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT / "src"),
        "OAUTH_STORAGE_DIR": str(folder / "data"),
        "MCP_PORT": addresses[ORIGIN].rpartition(":")[2],
        "SERVER": addresses[ORIGIN],
        "ISSUER": addresses[ISSUER],
        "AUDIENCE": f"{addresses[ORIGIN]}/mcp",
        "ISSUER_KEY": str(folder / "issuer-key.pem"),
        "no_proxy": "127.0.0.1",
    }
    with ExitStack() as started:
        if step in range(5, 9):
            started.enter_context(program(5, "Uvicorn running", environment, ROOT))
        if step != 5:
            started.enter_context(program(step, "Docs ", environment, ROOT))
        yield addresses, environment


def add_accounts(page: str, environment: dict[str, str]) -> None:
    """Make the accounts that a page has the reader make, whose password is asked for there."""
    for arguments in re.findall(r"^\$ gatepost users add (.+)$", page, re.MULTILINE):
        subprocess.run(
            [sys.executable, "-m", "gatepost", "users", "add", *arguments.split(), "--password-stdin"],
            env=environment,
            input=PASSWORD,
            text=True,
            check=True,
            capture_output=True,
            timeout=120,
        )


@pytest.mark.parametrize("step", STEPS)
def test_commands_of_a_page_of_the_tutorial_print_what_it_shows(
    step: int, tmp_path: Path, require_service: RequireService
) -> None:
    require_service("curl", available=shutil.which("curl") is not None)
    page = page_of(step)
    blocks = blocks_of(page)

    with running(step, tmp_path) as (addresses, environment):
        add_accounts(page, environment)
        printed = run(blocks, addresses, environment, ROOT)

    assert len(printed) == len(blocks)
    assert [
        (block.commands, block.printed, said)
        for block, said in zip(blocks, printed, strict=True)
        if not is_as_printed(block.printed, said)
    ] == []


@pytest.mark.parametrize("step", STEPS)
def test_a_page_of_the_tutorial_shows_the_whole_program_and_has_the_reader_try_it(step: int) -> None:
    page = page_of(step)
    name = STEPS[step].relative_to(ROOT).as_posix()
    shown = [code.text for code in code_blocks(page) if code.info == "python"]

    assert STEPS[step].read_text(encoding="utf-8") in shown
    assert f"$ python {name}\n" in page
    assert f"$ python {TRY_STEP} {step}" in [
        line for block in blocks_of(page) for line in f"$ {block.commands}".split("\n")
    ]
    assert f"](../../{name})" in page
    assert f"]({step + 1}-" in page or step == max(STEPS)


def test_the_index_of_the_tutorial_links_to_each_page_in_order() -> None:
    pages = sorted(path.name for path in PAGES.glob("[1-9]-*.md"))

    linked = re.findall(r"\]\(([1-9]-[\w-]+\.md)\)", (PAGES / "index.md").read_text(encoding="utf-8"))
    assert (list(dict.fromkeys(linked)), len(pages)) == (pages, 9)


@pytest.mark.parametrize("step", SERVERS)
def test_a_step_of_the_tutorial_can_be_served_by_its_name(step: int) -> None:
    target = load_target(f"{STEPS[step]}:server")

    assert getattr(target, "name", target.__name__ if callable(target) else None) in {"server", f"step-{step}"}


def test_trying_a_step_that_is_not_served_says_what_to_start() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "no_proxy": "127.0.0.1"}
    ran = subprocess.run(
        [sys.executable, TRY_STEP, "3", f"http://127.0.0.1:{free_port()}"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert (ran.returncode, ran.stdout, ran.stderr.splitlines()) == (
        1,
        "",
        ["Nothing answers; start the server of step 3 first, as its page says."],
    )


def test_output_that_a_page_does_not_show_is_noticed() -> None:
    (block,) = blocks_of("```console\n$ date \\\n    -u\n$ id\n2026-12-01T09:00:00Z\nyou … here\n```\n")

    assert block == Block("date \\\n    -u\nid", "2026-12-01T09:00:00Z\nyou … here")
    assert is_as_printed(block.printed, "2027-01-01T10:11:12Z\nyou are here")
    assert not is_as_printed(block.printed, "2027-01-01T10:11:12Z\nyou are there")
    assert not is_as_printed(block.printed, "2027-01-01T10:11:12Z\nyou are here\nand there")
    assert TYPED_BY_HAND.search("$ python examples/steps/step_1_health.py\n")
    assert not TYPED_BY_HAND.search("$ python examples/steps/step_5_keys.py token --username alice\n")

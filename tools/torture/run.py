"""Break servers and databases under load, and compare what clients were told with what the store holds; `make torture`.

    python -m tools.torture.run [--operations 10000] [--seconds 600] [--only sqlite] [--seed 1] [--no-page]

Each round has apps work for a moment, breaks one thing, waits until all is back, and looks at everything that was
acknowledged; at the end `gatepost store check` looks at the store. The page is docs/reliability.md.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gatepost.stores.conformance.records import user
from gatepost.stores.contract.store import Store
from tests.attacks.tokens import seeding
from tests.end_to_end.running_server import REPOSITORY
from tests.faults.requests import approve, with_store
from tools.torture.load import App, Told, differences
from tools.torture.report import Outcome, Report, write_page
from tools.torture.stages import STAGES, Stage

WORKERS = 4
CODES = 400
"""At hand at the beginning of a round."""
_LIFE = (0.1, 4.0)
"""Seconds of work before something breaks, at least and at most."""


async def codes_for(store: Store, resource: str, count: int) -> list[str]:
    """Keep approved authorization requests; return their codes."""
    if await store.clients.find_client(seeding.CLIENT.client_id) is None:
        await store.clients.register_client(seeding.CLIENT)
        await store.users.add_user(user())
    return [await approve(store, resource) for _ in range(count)]


def round_of(stage: Stage, name: str, codes: deque[str], *, life: float, outcome: Outcome, total: Told) -> None:
    """Have apps work for so many seconds, break something, and compare."""
    missing = CODES - len(codes)
    codes.extend(with_store(stage.place, lambda store: codes_for(store, stage.server.mcp_url, missing)))
    over = threading.Event()
    with ThreadPoolExecutor(WORKERS) as pool:
        working = [pool.submit(App(stage.server.origin, codes, over).work) for _ in range(WORKERS)]
        try:
            threading.Event().wait(life)
            stage.faults[name]()
            outcome.recoveries.append(stage.seconds_until_ready())
        finally:
            over.set()
        told = Told()
        for one in working:
            told.add(one.result())
    total.add(told)
    outcome.times += 1
    outcome.acknowledged += told.acknowledged.total()
    outcome.sent_again += told.sent_again
    outcome.spent += told.spent
    outcome.faults += [*told.faults, *differences(stage.place, stage.server.origin, told, total.revoked)]


def check(stage: Stage) -> tuple[bool, str]:
    """Run `gatepost store check`; return whether the store is sound, and what was said."""
    ended = subprocess.run(
        [sys.executable, "-m", "gatepost", "store", "check"],
        cwd=REPOSITORY,
        env={**os.environ, "MCP_STORAGE_URL": stage.place, "OAUTH_STORAGE_DIR": str(stage.server.data)},
        capture_output=True,
        text=True,
        check=False,
    )
    said = (ended.stdout + ended.stderr).strip()
    return ended.returncode == 0, said


def torture(backend: str, *, operations: int, seconds: float, seed: int) -> Report:
    """Go through all kinds of faults, one after the other, until there were enough operations or the time is over."""
    report, began = Report(backend), time.monotonic()
    chance = random.Random(seed)  # noqa: S311 - moments, no secrets
    with tempfile.TemporaryDirectory() as folder, STAGES[backend](Path(folder), chance) as stage:
        codes: deque[str] = deque()
        names, number = list(stage.faults), 0
        while report.total.acknowledged.total() < operations and time.monotonic() - began < seconds:
            name = names[number % len(names)]
            outcome = report.outcomes.setdefault(name, Outcome())
            life = chance.uniform(*_LIFE)
            round_of(stage, name, codes, life=life, outcome=outcome, total=report.total)
            for fault in outcome.faults:
                print(f"{backend}, {name}: {fault}", flush=True)
            number += 1
            if not number % 10:
                done = report.total.acknowledged.total()
                print(f"{backend}: {number} faults, {done} operations, {time.monotonic() - began:.0f} s", flush=True)
        report.is_sound, report.checked = check(stage)
    report.seconds = time.monotonic() - began
    return report


def main(arguments: list[str]) -> int:
    """Torture; return 1 if anything that was acknowledged is not so, else 0."""
    parser = argparse.ArgumentParser(description="Break servers and databases under load, and see what is lost.")
    parser.add_argument("--operations", type=int, default=10_000, help="acknowledged, at each backend (default 10000)")
    parser.add_argument("--seconds", type=float, default=900, help="at most, at each backend (default 900)")
    parser.add_argument("--only", choices=sorted(STAGES), help="one backend")
    parser.add_argument("--seed", type=int, default=1, help="of the moments at which things break")
    parser.add_argument("--no-page", action="store_true", help="leave docs/reliability.md as it is")
    options = parser.parse_args(arguments)
    backends = [options.only] if options.only else list(STAGES)
    reports = [
        torture(backend, operations=options.operations, seconds=options.seconds, seed=options.seed)
        for backend in backends
    ]
    if not options.no_page:
        write_page(reports)
    for report in reports:
        print(f"{report.backend}: {report.checked}")
    is_well = all(report.is_sound and not outcome.faults for report in reports for outcome in report.outcomes.values())
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

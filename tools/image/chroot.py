"""A clean root of Debian, made with debootstrap, and commands in it; Linux, as root."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

MAKE_SECONDS = 900
RUN_SECONDS = 1800

# Mounted in a mount namespace of its own, so nothing of it stays. $0 is the root; then a number of pairs of what is
# mounted and where, then the command.
_ENTER = """
set -eu
pairs=$1; shift
mount -t proc proc "$0/proc"
while [ "$pairs" -gt 0 ]; do
    mount --bind "$1" "$0$2"
    shift 2
    pairs=$((pairs - 1))
done
exec chroot "$0" "$@"
"""


class StepFailedError(Exception):
    """A command in the root did not end with 0; what it printed is in the message."""


def missing_tools() -> list[str]:
    """Return what has to be installed before a root can be made, `root` for the right to."""
    tools = [tool for tool in ("debootstrap", "unshare", "ip", "setpriv") if shutil.which(tool) is None]
    return tools if os.geteuid() == 0 else [*tools, "root"]


def debootstrap(suite: str, root: Path, *, include: Sequence[str] = ()) -> None:
    """Make a minimal root; the package mirror is debootstrap's own, or $DEBIAN_MIRROR."""
    options = ["--variant=minbase", *([f"--include={','.join(include)}"] if include else [])]
    mirror = [os.environ["DEBIAN_MIRROR"]] if "DEBIAN_MIRROR" in os.environ else []
    _finish(["debootstrap", *options, suite, str(root), *mirror], seconds=MAKE_SECONDS)


def copy_root(source: Path, target: Path) -> None:
    """Copy a root as it is: owners, modes, links."""
    _finish(["cp", "--archive", "--reflink=auto", str(source), str(target)], seconds=MAKE_SECONDS)


def remove_root(root: Path) -> None:
    """Remove a root, whatever is in it; nothing is mounted there."""
    _finish(["rm", "--recursive", "--force", "--one-file-system", str(root)], seconds=MAKE_SECONDS)


def run(
    root: Path,
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    workdir: str = "/",
    mounts: Mapping[str, Path] | None = None,
) -> str:
    """Run a command in the root, with the network of this machine; return what it printed.

    Args:
        root: the folder that is `/` for the command.
        command: its arguments, the program first.
        environment: all that it sees of an environment.
        workdir: where it begins, as it is called in the root.
        mounts: files and folders that are there meanwhile, by their path in the root, and leave nothing behind.

    Raises:
        StepFailedError: it did not end with 0.
    """
    given = {**(mounts or {}), "/etc/resolv.conf": Path("/etc/resolv.conf")}
    with mount_points(root, given):
        inner = with_environment(command, environment, workdir)
        return _finish(entering(root, inner, given), seconds=RUN_SECONDS)


def entering(root: Path, command: Sequence[str], mounts: Mapping[str, Path]) -> list[str]:
    """Return the command line that runs a command in the root; what it leaves behind ends with it."""
    pairs = [word for name, source in mounts.items() for word in (str(source), name)]
    enter = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _ENTER, str(root)]
    return [*enter, str(len(mounts)), *pairs, *command]


def with_environment(command: Sequence[str], environment: Mapping[str, str], workdir: str) -> list[str]:
    """Return the command line that runs a command there, with this environment and no other."""
    variables = [f"{name}={value}" for name, value in environment.items()]
    return ["env", "--ignore-environment", f"--chdir={workdir}", *variables, *command]


@contextmanager
def mount_points(root: Path, mounts: Mapping[str, Path]) -> Iterator[None]:
    """Make what is mounted upon, and remove it again unless it was there."""
    points = {root / name.lstrip("/"): source for name, source in mounts.items()}
    made = [point for point in points if not point.exists()]
    for point in made:
        if points[point].is_dir():
            point.mkdir()
        else:
            point.touch()
    try:
        yield
    finally:
        for point in made:
            if point.is_dir():
                point.rmdir()
            else:
                point.unlink()


def _finish(command: Sequence[str], *, seconds: float) -> str:
    done = subprocess.run(  # noqa: S603 - our own command lines, and those of the file that is tried
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=seconds,
        check=False,
    )
    if done.returncode:
        raise StepFailedError(f"{' '.join(command[:4])} … ended with {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout

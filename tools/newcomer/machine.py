"""A machine on which nothing was ever installed for Gatepost: Debian, Python, make and git, and somebody new to it."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tools.image import chroot
from tools.walk.screen import Command

SUITE = "bookworm"
PACKAGES = ("ca-certificates", "git", "make", "python3", "python3-venv")
HOME = "/newcomer"
_UID = 1000
_AUTHORITIES = "/run/package-mirror.crt"
_FROM_THE_MACHINE = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX")
"""What says where packages come from, if they do not come from where they come from by default."""


@dataclass
class Machine:
    """A root by debootstrap, in which commands are typed by a user without rights; its network is this machine's.

    Args:
        root: its files.
        files: further files and folders that are there, by their path.
        variables: what is set beyond what a fresh login has.
    """

    root: Path
    files: Mapping[str, Path]
    variables: Mapping[str, str]
    lines: list[tuple[str, str, float]] = field(default_factory=list)
    """What was done: in words, as it was typed, and how many seconds it took."""
    began: float = field(default_factory=time.monotonic)

    def type(self, line: str, *, folder: str = "") -> Command:
        """Type a line at a terminal, in the home or in a folder there."""
        given = {
            "HOME": HOME,
            "LANG": "C.UTF-8",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "TERM": "dumb",
            "NO_COLOR": "1",
        }
        shell = chroot.with_environment(["/bin/bash", "-c", line], {**given, **self.variables}, f"{HOME}/{folder}")
        user = ["setpriv", f"--reuid={_UID}", f"--regid={_UID}", "--clear-groups", "--no-new-privs"]
        entering = chroot.entering(self.root, [*user, *shell], self.files)
        return Command(shlex.join(entering), cwd=Path("/"), environment={"PATH": os.environ["PATH"]})

    def note(self, what: str, typed: str, since: float) -> None:
        """Add a step that began at `since`."""
        self.lines.append((what, typed, time.monotonic() - since))

    def table(self) -> str:
        """Return the steps as a table, with the time from the first of them to the end of each."""
        rows, total = ["| Step | Typed | Seconds | Since the start |", "|---|---|---|---|"], 0.0
        for what, typed, seconds in self.lines:
            total += seconds
            rows.append(f"| {what} | {f'`{typed}`' if typed else ''} | {seconds:.0f} | {clock(total)} |")
        return "\n".join(rows)


def clock(seconds: float) -> str:
    """Return minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


@contextmanager
def machine(folder: Path, base: Path, files: Mapping[str, Path]) -> Iterator[Machine]:
    """Yield a machine that is a copy of the base, and remove it."""
    root = folder / "machine"
    chroot.copy_root(base, root)
    home = root / HOME.lstrip("/")
    home.mkdir(mode=0o700)
    os.chown(home, _UID, _UID)
    with (root / "etc" / "passwd").open("a", encoding="utf-8") as users:
        users.write(f"newcomer:x:{_UID}:{_UID}::{HOME}:/bin/bash\n")
    given = {**files, "/etc/resolv.conf": Path("/etc/resolv.conf")}
    variables = {name: os.environ[name] for name in _FROM_THE_MACHINE if name in os.environ}
    if "PIP_CERT" in os.environ:
        given[_AUTHORITIES] = Path(os.environ["PIP_CERT"])
        variables |= {"PIP_CERT": _AUTHORITIES, "SSL_CERT_FILE": _AUTHORITIES}
    with chroot.mount_points(root, given):
        yield Machine(root, given, variables)
    chroot.remove_root(root)

"""A network namespace without a way out: the process is started again in one, with loopback alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

_INSIDE = "GATEPOST_WITHOUT_A_WAY_OUT"


def enter(module: str, arguments: list[str]) -> bool:
    """Replace this process by the same module in a network namespace of its own; return in that one.

    Args:
        module: what `python -m` is given.
        arguments: its arguments.

    Returns:
        Whether the process is in such a namespace now; False where the machine has none (no `unshare`, no right to).
    """
    if os.environ.get(_INSIDE):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=10)  # noqa: S607 - iproute2's
        return True
    command = ["unshare", "--net", "--map-root-user"] if os.geteuid() else ["unshare", "--net"]
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return False
    if subprocess.run([*command, "true"], check=False, timeout=10, capture_output=True).returncode:  # noqa: S603 - a constant
        return False
    sys.stdout.flush()
    again = [*command, sys.executable, "-m", module, *arguments]
    return os.execvpe(again[0], again, {**os.environ, _INSIDE: "1"})  # noqa: S606 - ourselves

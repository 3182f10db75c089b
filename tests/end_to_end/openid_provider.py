"""A certified OpenID provider that others wrote (npm's `oidc-provider`), in a process of its own."""

import shutil
import signal
import subprocess
from typing import Self

from tests.end_to_end.running_server import REPOSITORY, free_port
from tools import npm_packages
from tools.npm_packages import NODE, node_environment

SOURCE = REPOSITORY / "tools" / "oidc_provider"
PACKAGES = REPOSITORY / ".venv" / "oidc_provider"
DEADLINE = 300  # seconds; only ever reached when something is broken
SECRET = "of a test: 50%"


def install() -> bool:
    """Install what `tools/oidc_provider/package-lock.json` pins; return whether it is there now."""
    try:
        npm_packages.install(SOURCE, PACKAGES, timeout=DEADLINE)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


class OpenIDProvider:
    """The provider in a process of its own, with new keys at each start."""

    def __init__(self, redirect_uri: str, *, tokens: str = "jwt") -> None:
        port, program = free_port(), shutil.copy(SOURCE / "provider.mjs", PACKAGES / "provider.mjs")
        self.issuer = f"http://127.0.0.1:{port}"
        self._command = [str(NODE), str(program), str(port), "gatepost", SECRET, redirect_uri]
        self._environment = node_environment() | {"TOKENS": tokens}
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> Self:
        """Start it and wait until it says so."""
        self._process = subprocess.Popen(
            self._command,
            cwd=PACKAGES,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._says("listening")
        return self

    def rotate(self) -> None:
        """Have it sign with a new key, and withdraw the old one."""
        self._signal(signal.SIGHUP)
        self._says("rotated")

    def fail(self) -> None:
        """Have its token endpoint answer 500."""
        self._signal(signal.SIGUSR2)
        self._says("failing")

    def mend(self) -> None:
        """End that."""
        self._signal(signal.SIGUSR2)
        self._says("mended")

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _says(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        assert f"{line}\n" in iter(self._process.stdout.readline, ""), "it ended"  # notices of its own come between

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.communicate(timeout=DEADLINE)
            self._process = None

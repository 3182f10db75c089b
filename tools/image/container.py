"""A built root as a container has it: read-only, without a network, without capabilities, as the image's user.

This runs inside the namespaces that `run` entered: mounts, process ids and network are those of the container alone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tools.image.dockerfile import Stage

START_SECONDS = 90
STOP_SECONDS = 10
"""How long engines wait after SIGTERM unless they are told otherwise."""


class NotAsPromisedError(Exception):
    """The image does not do what the page says of it."""


@dataclass
class Container:
    """What an engine makes of an image.

    Args:
        root: its files.
        image: its last stage.
        environment: what the image sets, and what is set for this container.
        volume: the folder that is mounted at the image's volume.
        files: further files, by their path in the container; read-only.
    """

    root: Path
    image: Stage
    environment: dict[str, str]
    volume: Path
    files: Mapping[str, Path]
    process: subprocess.Popen[str] | None = field(default=None, init=False)

    def mount(self) -> None:
        """Mount what a container has, then make the root read-only."""
        place = self.image.one("VOLUME").text
        owner = (self.root / place.lstrip("/")).stat()
        # A new volume begins with owner and mode of the folder that the image has there.
        os.chown(self.volume, owner.st_uid, owner.st_gid)
        self.volume.chmod(owner.st_mode & 0o7777)
        for name in self.files:
            point = self.root / name.lstrip("/")
            point.parent.mkdir(parents=True, exist_ok=True)
            point.touch()
        _mount("--bind", str(self.root), str(self.root))
        _mount("-t", "proc", "proc", f"{self.root}/proc")
        _mount("--bind", str(self.volume), str(self.root) + place)
        for name, source in self.files.items():
            _mount("--bind", str(source), str(self.root) + name)
            _mount("-o", "remount,bind,ro", str(self.root) + name)
        _mount("-o", "remount,bind,ro", str(self.root))

    def arguments(self, command: Sequence[str], *, user: str | None = None, **more: str) -> list[str]:
        """Return the command line that runs a command in the container."""
        uid, gid = (user or self.image.one("USER").text).split(":")
        directory = self.image.all("WORKDIR")[-1].text
        variables = [f"{name}={value}" for name, value in {**self.environment, **more}.items()]
        rights = ["--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "--clear-groups"]
        return [
            *("chroot", str(self.root), "setpriv", f"--reuid={uid}", f"--regid={gid}", *rights),
            *("env", "--ignore-environment", f"--chdir={directory}", *variables, *command),
        ]

    def run(self, command: Sequence[str], **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command beside the server, as `docker exec` does; wait for its end."""
        return subprocess.run(  # noqa: S603 - commands of the image that is tried
            self.arguments(command, **more), capture_output=True, text=True, timeout=START_SECONDS, check=False
        )

    def start(self) -> float:
        """Start the image's own command and return after how many seconds it was healthy.

        Raises:
            NotAsPromisedError: it ended, or did not become healthy in time.
        """
        began = time.monotonic()
        log = self.volume.with_suffix(".log")
        with log.open("a", encoding="utf-8") as output:
            self.process = subprocess.Popen(  # noqa: S603 - likewise
                self.arguments(self.image.command), stdin=subprocess.DEVNULL, stdout=output, stderr=output, text=True
            )
        while not self.is_healthy():
            if self.process.poll() is not None or time.monotonic() - began > START_SECONDS:
                raise NotAsPromisedError(f"The server did not become healthy:\n{log.read_text(encoding='utf-8')}")
            time.sleep(0.2)
        return time.monotonic() - began

    def is_healthy(self) -> bool:
        """Ask as the engine does: with the image's own command."""
        return self.run(self.image.health_command).returncode == 0

    def stop(self) -> tuple[int, float]:
        """Send the image's stop signal; return the exit code and the seconds that it took.

        Raises:
            NotAsPromisedError: an engine would have killed it.
        """
        assert self.process is not None  # noqa: S101 - it was started
        began = time.monotonic()
        self.process.send_signal(signal.Signals[self.image.one("STOPSIGNAL").text])
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise NotAsPromisedError(f"It did not end within {STOP_SECONDS} seconds.") from None
        return code, time.monotonic() - began


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, timeout=30)  # noqa: S603, S607 - util-linux's

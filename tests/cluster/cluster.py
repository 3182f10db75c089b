"""Three servers over one database with a standby, behind one proxy, in which one thing after the other breaks."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import httpx2

from tests.end_to_end import local_http
from tests.end_to_end.running_server import REPOSITORY, RunningServer, free_port
from tests.end_to_end.scripted_client import Person
from tests.postgresql_instance import Instances

TARGET = "tests/cluster/target.py:server"
_PATHS = f"{os.environ.get('PATH', '')}:/usr/sbin"


def program(name: str) -> str | None:
    """Return where nginx or HAProxy is, or None."""
    return shutil.which(name, path=_PATHS)


def configuration(proxy: str, *, port: int, members: list[int]) -> str:
    """Return what `docs/proxies.md` says about several servers, in the file of `deploy/proxies`, with these ports."""
    page = (REPOSITORY / "docs" / "proxies.md").read_text(encoding="utf-8")
    _, _, section = page.partition("## Several servers behind one address")
    blocks = [block.partition("\n```")[0] for block in section.split("```\n")[1:]]
    several = next(block for block in blocks if block.startswith("upstream" if proxy == "nginx" else "backend"))
    for number, member in enumerate(members, start=1):
        several = several.replace(f"127.0.0.1:800{number}", f"127.0.0.1:{member}")
    site = (REPOSITORY / "deploy" / "proxies" / f"{proxy}.conf").read_text(encoding="utf-8")
    if proxy == "nginx":
        site = several + "\n" + site.replace("proxy_pass http://127.0.0.1:8000;", "proxy_pass http://gatepost;")
    else:
        site = site.partition("\nbackend gatepost")[0] + "\n" + several + "\n"
    assert "8000" not in site
    return site.replace("127.0.0.1:8080", f"127.0.0.1:{port}")


class Cluster:
    """The whole of it, reached at `origin`.

    Attributes:
        origin: of the proxy, by which all servers are known.
        mcp_url: the MCP endpoint there.
        members: the servers.
        owner: somebody with an account, logged in.
        breaks: how many things have begun to break so far.
        is_broken: whether something is broken now.
    """

    def __init__(self, proxy: str, folder: Path, instances: Instances) -> None:
        self._proxy, self._folder, self._stack = proxy, folder, ExitStack()
        self._port = free_port()
        self.origin = f"http://127.0.0.1:{self._port}"
        self.mcp_url = f"{self.origin}/mcp"
        self.primary = instances.primary()
        self.standby = instances.standby(self.primary)
        self.primary.configure(synchronous_standby_names=f"standby_{self.standby.port}")
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in (self.primary, self.standby))
        self.place = f"postgresql://postgres@{hosts}/test?target_session_attrs=read-write"
        self._runs = folder / "runs"
        environment = {
            "MCP_STORAGE_URL": self.place,
            "MCP_PUBLIC_URL": self.origin,
            "MCP_TRUSTED_PROXIES": "127.0.0.1",
            "OAUTH_LIMIT_FACTOR": "0",
            "RUNS": str(self._runs),
        }
        self.members = [
            RunningServer(TARGET, folder / "data", environment=environment, is_measured=False) for _ in range(3)
        ]
        self.breaks, self.is_broken = 0, False

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            proxy = self._start_proxy()
            stack.callback(self._end(proxy))
            first, *others = self.members
            stack.enter_context(first)
            assert first.setup_link is not None
            self.owner = Person(self.origin)
            self.wait_for(lambda: proxy.poll() is not None or self.status("/health") == 200)
            assert proxy.poll() is None, (self._folder / "proxy" / "log").read_text(encoding="utf-8")
            self.owner.set_up(first.setup_link)
            for other in others:
                stack.enter_context(other)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def status(self, path: str) -> int:
        """Return the status of a GET through the proxy; 0 where nobody listens."""
        try:
            return local_http.get(self.origin + path).status_code
        except httpx2.TransportError:
            return 0

    @contextmanager
    def broken(self) -> Iterator[None]:
        """Say that something is broken: requests that overlap with the block may fail."""
        self.breaks, self.is_broken = self.breaks + 1, True
        yield
        self.is_broken = False

    @property
    def state(self) -> tuple[int, bool]:
        """How many things have begun to break, and whether one is broken now."""
        return self.breaks, self.is_broken

    def runs(self) -> Counter[str]:
        """Return how often each run was run."""
        return Counter(self._runs.read_text(encoding="utf-8").splitlines())

    @staticmethod
    def wait_for(condition: Callable[[], bool]) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + local_http.PATIENCE
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def replace(self, member: RunningServer, meanwhile: Callable[[], None]) -> None:
        """Kill a server with -9, do something, start another one in its place, and wait until it takes requests."""
        with self.broken():
            member.kill()
            meanwhile()
            member.start()
            self._wait_until_ready(member)

    def fail_over(self, meanwhile: Callable[[], None]) -> None:
        """End the primary as a power cut would, have the standby take over, and do something."""
        with self.broken():
            self.primary.crash()
            self.standby.promote()
            meanwhile()
            for member in self.members:
                self._wait_until_ready(member)

    def _wait_until_ready(self, member: RunningServer) -> None:
        self.wait_for(lambda: local_http.get(f"{member.origin}/healthz").status_code == 200)

    def _start_proxy(self) -> subprocess.Popen[bytes]:
        folder = self._folder / "proxy"
        folder.mkdir()
        site = folder / "site.conf"
        ports = [member.port for member in self.members]
        site.write_text(configuration(self._proxy, port=self._port, members=ports), encoding="utf-8")
        found = program(self._proxy)
        assert found is not None
        command = [found, "-db", "-f", str(site)]
        if self._proxy == "nginx":
            kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            folders = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
            main = folder / "main.conf"
            main.write_text(
                f"daemon off; master_process off; pid {folder}/pid; error_log stderr; events {{}}\n"
                f"http {{ access_log off; {folders} include {site}; }}",
                encoding="utf-8",
            )
            command = [found, "-p", str(folder), "-e", "stderr", "-c", str(main)]
        with (folder / "log").open("wb") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @staticmethod
    def _end(proxy: subprocess.Popen[bytes]) -> Callable[[], None]:
        def end() -> None:
            proxy.terminate()
            proxy.wait(local_http.PATIENCE)

        return end

"""The proxies as processes: the files of `deploy/proxies` with ports of ours, and what else each needs to start."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tools.clients.gatepost_server import ROOT

CONFIGURATIONS = ROOT / "deploy" / "proxies"
PROXY_PORT, SERVER_PORT = "8080", "8000"
"""The ports that the files name, the proxy's and the server's; here others stand in their place."""
_MODULES = Path("/usr/lib/apache2/modules")
_APACHE = {
    "mpm_event": "mpm_event",
    "authz_core": "authz_core",
    "proxy": "proxy",
    "proxy_http": "proxy_http",
    "headers": "headers",
}


@dataclass(frozen=True)
class Proxy:
    """One proxy: its name, its program, what prints its version, and how it is started in the foreground."""

    name: str
    title: str
    program: str
    version: tuple[str, ...]
    command: Callable[[Path, Path, int], list[str]]
    """Takes the configuration, a folder to write to, and the port; returns the command."""

    @property
    def configuration(self) -> Path:
        """The file that operators copy."""
        return CONFIGURATIONS / f"{self.name}.conf"

    def found(self) -> str | None:
        """Return where its program is, or None."""
        return shutil.which(self.program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def render(proxy: Proxy, *, proxy_port: int, server_port: int) -> str:
    """Return the proxy's configuration with these ports."""
    text = proxy.configuration.read_text(encoding="utf-8")
    return text.replace(PROXY_PORT, str(proxy_port)).replace(SERVER_PORT, str(server_port))


def start(
    proxy: Proxy, folder: Path, *, proxy_port: int, server_port: int, adapt: Callable[[str], str] = str
) -> subprocess.Popen[bytes]:
    """Start a proxy as the leader of a process group; what it prints goes to `proxy.log` in the folder.

    `adapt` is given the configuration and returns what the proxy reads.
    """
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / proxy.configuration.name
    text = adapt(render(proxy, proxy_port=proxy_port, server_port=server_port))
    configuration.write_text(text, encoding="utf-8")
    program, *arguments = proxy.command(configuration, folder, proxy_port)
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    environment = {**os.environ, "PATH": path, "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    with (folder / "proxy.log").open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - the system's own programs
            [proxy.found() or program, *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def version_of(proxy: Proxy) -> str:
    """Return the version that the program tells, as far as it is a number."""
    done = subprocess.run(  # noqa: S603 - the system's own programs
        [proxy.found() or proxy.program, *proxy.version], capture_output=True, text=True, check=False, timeout=20
    )
    words = (done.stdout + done.stderr).replace("/", " ").replace("-", " ").split()
    return next((word.strip("v,") for word in words if word.strip("v,")[:1].isdigit() and "." in word), "")


def _write(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def _nginx(configuration: Path, folder: Path, _port: int) -> list[str]:
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""  # its folders are ours
    http = f"http {{ access_log off; {temporary} include {configuration}; }}"
    main = f"{user} pid {folder}/pid; worker_processes 1; events {{}} {http}"
    return ["nginx", "-p", str(folder), "-e", "stderr", "-g", "daemon off;", "-c", _write(folder, "main.conf", main)]


def _haproxy(configuration: Path, _folder: Path, _port: int) -> list[str]:
    return ["haproxy", "-db", "-f", str(configuration)]


def _apache(configuration: Path, folder: Path, _port: int) -> list[str]:
    modules = "\n".join(f"LoadModule {name}_module {_MODULES}/mod_{file}.so" for name, file in _APACHE.items())
    main = (
        f"ServerRoot {folder}\nServerName localhost\nPidFile {folder}/pid\nDefaultRuntimeDir {folder}\n"
        f"ErrorLog {folder}/error.log\nUser www-data\nGroup www-data\n{modules}\nInclude {configuration}\n"
    )
    return ["apache2", "-f", _write(folder, "main.conf", main), "-DFOREGROUND"]


def _caddy(configuration: Path, folder: Path, _port: int) -> list[str]:
    main = f"{{\n\tadmin off\n}}\nimport {configuration}\n"
    return ["caddy", "run", "--config", _write(folder, "main.conf", main), "--adapter", "caddyfile"]


def _varnish(configuration: Path, folder: Path, port: int) -> list[str]:
    memory = ["-s", "malloc,32m", "-T", "none"]
    return ["varnishd", "-F", "-a", f"127.0.0.1:{port}", "-f", str(configuration), "-n", str(folder / "work"), *memory]


def _squid(configuration: Path, folder: Path, port: int) -> list[str]:
    # It gives up the rights of root, and may then write nowhere below the folder.
    main = (
        f"include {configuration}\npid_filename none\naccess_log none\ncache_log /dev/null\n"
        "cache_mem 8 MB\nmemory_pools off\nvisible_hostname localhost\n"
        "pinger_enable off\nnetdb_filename none\nshutdown_lifetime 1 second\n"
    )
    # A name of its own, as its shared memory is called by it.
    return ["squid", "-N", "-n", f"gatepost{port}", "-d", "1", "-f", _write(folder, "main.conf", main)]


PROXIES = (
    Proxy("nginx", "nginx", "nginx", ("-v",), _nginx),
    Proxy("haproxy", "HAProxy", "haproxy", ("-v",), _haproxy),
    Proxy("apache", "Apache", "apache2", ("-v",), _apache),
    Proxy("caddy", "Caddy", "caddy", ("version",), _caddy),
    Proxy("varnish", "Varnish", "varnishd", ("-V",), _varnish),
    Proxy("squid", "Squid", "squid", ("-v",), _squid),
)

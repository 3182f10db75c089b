"""Sockets to listen on: of one's own, or given by the process that started this one (sd_listen_fds(3)).

A listener that another process holds too is never closed by the end of this one: who connects during a restart waits in
its queue, or is taken by the successor (docs/restarts.md).
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Final, TypeAlias

from gatepost.configuration.settings import SettingsError
from gatepost.late_dataclass import dataclass

Address: TypeAlias = tuple[str, int] | str
"""Host and port, or the path of a Unix socket."""

_BACKLOG: Final = 2048
_FIRST_GIVEN: Final = 3
"""`SD_LISTEN_FDS_START`."""
_LONGEST_PATH: Final = 103
"""Bytes that fit `sun_path` on macOS and the BSDs; Linux takes four more."""
_UNIX_MODE: Final = 0o660
"""Whoever is in the socket's group may connect, as a proxy of another user has to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Where to listen, unless sockets are given."""

    host: str
    port: int
    """0 means any free one."""
    uds: Path | None = None
    """A Unix socket instead of host and port."""
    fd: int | None = None
    """A file descriptor that is listened on already instead."""
    reuse_port: bool = False
    """Whether to listen beside a server that listens there already, or take its path over."""

    @property
    def address(self) -> Address:
        """What is asked for."""
        return (self.host, self.port) if self.uds is None else str(self.uds)


def given_listeners(where: Where, environment: MutableMapping[str, str]) -> list[socket.socket]:
    """Return the sockets that this process was given by file descriptor; none where it is to listen itself.

    The variables are removed, so that no child takes them for its own.

    Raises:
        SettingsError: a descriptor is no listening stream socket.
    """
    names = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")
    pid, count, *_ = (environment.pop(name, "") for name in names)
    if where.fd is not None:
        return [_given(where.fd, "MCP_FD")]
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    return [_given(fd, "LISTEN_FDS") for fd in range(_FIRST_GIVEN, _FIRST_GIVEN + int(count))]


def _given(fd: int, name: str) -> socket.socket:
    with contextlib.suppress(OSError):
        listener = socket.socket(fileno=fd)
        if listener.type == socket.SOCK_STREAM and listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            listener.set_inheritable(False)
            return listener
    raise SettingsError(
        f"{name} names the file descriptor {fd}, which is no stream socket that is listened on: in a systemd socket "
        "unit, write ListenStream= and leave Accept= out."
    )


def bound_address(listeners: list[socket.socket]) -> Address:
    """Return the address of the listeners that says most about who can connect: one that is not this machine's own."""
    names = [listener.getsockname() for listener in listeners]
    hosts: list[Address] = [(name[0], name[1]) for name in names if isinstance(name, tuple)]
    hosts.sort(key=lambda name: name[0].startswith("127.") or name[0] == "::1")
    return hosts[0] if hosts else os.fsdecode(names[0])


def refuse_taken(where: Where) -> None:
    """See whether an address can be listened on, and listen to nobody. Another server may take it a moment later.

    Raises:
        SettingsError: as `own_listener`.
    """
    if where.uds is not None:
        _refuse_path(where.uds, takes_over=where.reuse_port)
        if not os.access(where.uds.parent, os.W_OK | os.X_OK):
            raise SettingsError(_unwritable(where.uds, "its directory is missing or not writable"))
        return
    with socket.socket(_family(where.host)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if where.reuse_port:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            probe.bind((where.host, where.port))
        except OSError as error:
            raise _unusable(where, error) from None


@contextlib.contextmanager
def own_listener(where: Where) -> Iterator[socket.socket]:
    """Listen for as long as the context lasts.

    Raises:
        SettingsError: the address cannot be listened on; it says what to set.
    """
    if where.uds is not None:
        with _unix_listener(where.uds, takes_over=where.reuse_port) as listener:
            yield listener
        return
    try:
        listener = socket.create_server(
            (where.host, where.port), family=_family(where.host), backlog=_BACKLOG, reuse_port=where.reuse_port
        )
    except OSError as error:
        raise _unusable(where, error) from None
    with listener:
        yield listener


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _unusable(where: Where, error: OSError) -> SettingsError:
    # What `socket.create_server` adds, says the address once more.
    why = str(error.strerror or error).partition(" (while attempting ")[0]
    return SettingsError(f"MCP_HOST={where.host} MCP_PORT={where.port} cannot be listened on ({why}). {_advice(error)}")


def _unwritable(path: Path, why: object) -> str:
    return f"MCP_UDS={path} cannot be listened on ({why}). Set it to a path in a directory that this user may write."


def _refuse_path(path: Path, *, takes_over: bool) -> None:
    """Raise SettingsError where a path is none for a Unix socket, or another server's."""
    if len(os.fsencode(path)) > _LONGEST_PATH:  # a socket can be renamed to it, and nobody could connect
        raise SettingsError(f"MCP_UDS takes a path of at most {_LONGEST_PATH} bytes.")
    if _is_listened_on(path) and not takes_over:
        raise SettingsError(
            f"MCP_UDS={path} is another server's, which listens there. Stop that one, or set MCP_REUSE_PORT=true "
            "(--reuse-port) to take its place."
        )


@contextlib.contextmanager
def _unix_listener(path: Path, *, takes_over: bool) -> Iterator[socket.socket]:
    _refuse_path(path, takes_over=takes_over)
    # Whoever opens the path finds a socket that is listened on, the old one's or ours, and never none.
    new = path.with_name(f".{os.getpid()}")
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            listener.bind(os.fspath(new))
            try:
                new.chmod(_UNIX_MODE)
                listener.listen(_BACKLOG)
                identity = _identity(new)
                new.rename(path)
            except OSError:
                new.unlink()
                raise
        except OSError as error:
            raise SettingsError(_unwritable(path, error.strerror or error)) from None
        try:
            yield listener
        finally:
            if _identity(path) == identity:  # otherwise the path is the successor's
                path.unlink()


def _is_listened_on(path: Path) -> bool:
    """Say whether a server listens at a path. Raises SettingsError when something else is there."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise SettingsError(f"MCP_UDS={path} is there and no socket: remove it, or set another path.")
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(0)
            probe.connect(os.fspath(path))
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    except OSError:
        return True  # its queue is full, or it is somebody's whom we may not disturb
    return True


def tell_service_manager(environment: Mapping[str, str], state: bytes = b"READY=1") -> None:
    """Say that requests are taken, or another state, to whoever asked to be told (sd_notify(3))."""
    name = environment.get("NOTIFY_SOCKET", "")
    if name.startswith(("/", "@")):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as teller:
            teller.settimeout(0)
            teller.sendto(state, "\0" + name[1:] if name[0] == "@" else name)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _advice(error: OSError) -> str:
    """Return which setting to change, and to what."""
    match error.errno:
        case errno.EADDRINUSE:
            return (
                "Another server may be running there: set MCP_PORT, or --port, to another port, or to 0 for any free "
                "one."
            )
        case errno.EACCES | errno.EPERM:
            return "This user may not listen on that port: set MCP_PORT, or --port, to one above 1023."
        case _:
            return "Set MCP_HOST to an address of this machine: 127.0.0.1, or 0.0.0.0 for all it has."

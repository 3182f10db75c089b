"""Connecting to PostgreSQL: the hosts of a URL in turn, within bounds, and the password from where it is kept."""

from __future__ import annotations

import asyncio
import secrets
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from gatepost.stores.contract.errors import StoreMisconfigured

if TYPE_CHECKING:
    from asyncpg import Connection

_CONNECT_SECONDS: Final = 5.0
"""For one host, until it has answered all that a connection begins with; where there are others, they wait for it."""
_CONNECT_SECONDS_OF_SEVERAL: Final = 2.0
_KEPT_STATEMENTS: Final = 250
"""Prepared statements of one connection; all that there are."""
_TLS_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_TARGETS: Final = ("any", "primary", "standby", "read-write", "read-only", "prefer-standby")
_TRIED_NEXT: Final = frozenset({"57P03", "53300"})
"""After these another host may be of use: it is starting or stopping, or has too many connections."""

# What libpq knows and asyncpg would hand on to the server as a setting, which refuses the connection.
_NOT_TAKEN: Final = frozenset(
    [
        "channel_binding",
        "fallback_application_name",
        "gssdelegation",
        "gssencmode",
        "hostaddr",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "load_balance_hosts",
        "max_protocol_version",
        "min_protocol_version",
        "replication",
        "require_auth",
        "requirepeer",
        "scram_client_key",
        "scram_server_key",
        "sslcertmode",
        "sslcompression",
        "sslsni",
        "tcp_user_timeout",
    ]
)


class PasswordUnreadable(OSError):
    """The file that holds the password cannot be read."""


class Connector:
    """Makes connections to one database.

    Args:
        url: as libpq takes it.
        password_file: a file that holds the password and nothing else, read anew for each connection; None leaves it
            to the URL.

    Raises:
        StoreMisconfigured: the URL says what cannot be.
    """

    def __init__(self, url: str, *, password_file: Path | None = None) -> None:
        if password_file is not None and _has_password(url):
            raise StoreMisconfigured("the store's password is in its URL and in a file: leave out one of them")
        self._password_file = password_file
        self._urls, seconds = _hosts_of(url)
        self.seconds = seconds or (_CONNECT_SECONDS if len(self._urls) == 1 else _CONNECT_SECONDS_OF_SEVERAL)
        """For how long each host is tried."""
        self.prepares = True
        """Whether statements are prepared once for a connection and kept there."""
        self._begun: list[asyncio.Future[Connection]] = []
        """Connections that somebody asked for who did not wait so long; the next who ask get them."""

    async def connect(self, **options: Any) -> Connection:
        """Return a connection to the first host that takes it, beginning with the one that did last.

        `options` are asyncpg's. Raises what asyncpg does, of the last host; `TimeoutError` when it has not answered.
        """
        import asyncpg  # noqa: PLC0415 - the driver is an extra, and imported by those alone who use it

        failure: Exception = StoreMisconfigured("the store's URL names no host")
        for url in tuple(self._urls):
            try:
                connection = await asyncpg.connect(
                    url,
                    **{
                        "password": None if self._password_file is None else self._password,
                        "timeout": self.seconds,
                        "statement_cache_size": _KEPT_STATEMENTS if self.prepares else 0,
                        "max_cached_statement_lifetime": 0,
                        "connection_class": connection_class(),
                        **options,
                    },
                )
            except (OSError, asyncpg.PostgresError, asyncpg.InternalClientError) as error:
                failure = error
                if isinstance(error, PasswordUnreadable) or not _is_of_host(error):
                    raise
            else:
                self._urls.sort(key=lambda other: other != url)
                return connection
        raise failure

    async def connect_for_pool(self, *_: Any, **__: Any) -> Connection:
        """Return a connection, as a pool asks for one.

        A host that does not answer takes longer to be passed over than an operation waits, so connecting goes on when
        the one who asked gives up, and the next one gets what came of it.
        """
        task = self._taken() or asyncio.create_task(self.connect(), name="gatepost-connect")
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._begun.append(task)
            raise

    def offer(self, connection: Connection) -> None:
        """Have the pool lend a connection that was made for something else."""
        made = asyncio.get_running_loop().create_future()
        made.set_result(connection)
        self._begun.append(made)

    def _taken(self) -> asyncio.Future[Connection] | None:
        """Return what was begun for somebody else and has not failed meanwhile."""
        while self._begun:
            task = self._begun.pop(0)
            if not task.done():
                return task
            if not task.cancelled() and task.exception() is None and not task.result().is_closed():
                return task
        return None

    async def forget(self, *, only_made: bool = False) -> None:
        """End what was begun and nobody has taken; `only_made` leaves what is still being made."""
        begun = [task for task in self._begun if task.done() or not only_made]
        self._begun = [task for task in self._begun if task not in begun]
        for task in begun:
            task.cancel()
        for made in await asyncio.gather(*begun, return_exceptions=True):
            if not isinstance(made, BaseException):
                made.terminate()
        await asyncio.sleep(0)  # what was ended closes its socket in the next round of the loop

    def _password(self) -> str:
        assert self._password_file is not None  # noqa: S101 - asked for only where there is one; tells mypy
        try:
            return self._password_file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
            raise PasswordUnreadable(f"its password file {self._password_file} cannot be read: {reason}") from error


@cache
def connection_class() -> type[Connection]:
    """Return the class of connections; made late, because the driver is imported late."""
    from asyncpg import Connection  # noqa: PLC0415 - see above

    class GatepostConnection(Connection):  # type: ignore[misc] # it is typed as Any
        """A connection that knows when it last answered, and whose statements have names that no other's have.

        PgBouncer before 1.21 hands a server's connection, and the statements that somebody else prepared there, from
        one client to the next: by a name that two processes count alike, one would run the other's statement.
        """

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self._statement_prefix, self._statements = secrets.token_hex(8), 0
            self.answered_at = time.monotonic()

        def _get_unique_id(self, prefix: str) -> str:
            self._statements += 1
            return f"gatepost_{prefix}_{self._statement_prefix}_{self._statements:x}"

        def note_answer(self) -> None:
            """Note that it has answered now."""
            self.answered_at = time.monotonic()

    return GatepostConnection


def description_of(url: str) -> str:
    """Return where a database lies, without user, password and options."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _hosts_of(url: str) -> tuple[list[str], float | None]:
    """Return a URL for each host of one, and for how many seconds it says that each is tried."""
    try:
        parts = urlsplit(url)
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise StoreMisconfigured("the store's URL is malformed") from None
    given = dict(options)
    seconds = _check_options(given)
    auth, at, hosts = parts.netloc.rpartition("@")
    query = urlencode([(name, value) for name, value in options if name != "connect_timeout"], quote_via=quote)
    return [
        f"{parts.scheme}://{auth}{at}{host}{parts.path}" + (f"?{query}" if query else "") for host in hosts.split(",")
    ], seconds


def _has_password(url: str) -> bool:
    parts = urlsplit(url)
    return ":" in parts.netloc.rpartition("@")[0] or "password" in dict(parse_qsl(parts.query))


def _check_options(options: dict[str, str]) -> float | None:
    """Return `connect_timeout`, seconds, or None.

    Raises:
        StoreMisconfigured: an option is none that can be honoured.
    """
    if refused := sorted(_NOT_TAKEN.intersection(options)):
        raise StoreMisconfigured(f"the store's URL has an option that cannot be honoured here: leave out {refused[0]}")
    for name, known in (("sslmode", _TLS_MODES), ("target_session_attrs", _TARGETS)):
        if name in options and options[name] not in known:
            raise StoreMisconfigured(f"the store's URL has {name}, which takes {', '.join(known)}")
    root = options.get("sslrootcert")
    if root is not None and not Path(root).is_file():
        raise StoreMisconfigured(
            f"the store's URL names the certificates sslrootcert={root}, and there is no such file"
        )
    seconds = options.get("connect_timeout")
    if seconds is None:
        return None
    if not seconds.isdecimal():
        raise StoreMisconfigured("the store's URL has connect_timeout, which takes whole seconds")
    return float(seconds) or None


def _is_of_host(error: Exception) -> bool:
    """Say whether another host may do better: this one cannot be reached, or is no such server as the URL asks for."""
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        return state in _TRIED_NEXT
    return isinstance(error, OSError) or type(error).__name__ == "TargetServerAttributeNotMatched"

"""The process of `gatepost dev` that serves: with the author's code, or with what is wrong with it."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import sysconfig
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from starlette.middleware import Middleware
from starlette.types import ASGIApp

import gatepost
from gatepost.app import serve_target, this_worker
from gatepost.assembly.dev import NothingServed, dev_page_alone, with_dev_page
from gatepost.cli.dev import dev_settings
from gatepost.configuration.loading import TargetError, load_target
from gatepost.configuration.settings import Settings, SettingsError
from gatepost.listening.listeners import Address, Where
from gatepost.listening.reload_folder import LoadFailure, LoadReport, ReloadedProcess, ReloadFolder
from gatepost.listening.serving import serve
from gatepost.observability.logs import configure_logging
from gatepost.stores.contract.errors import StoreError

if TYPE_CHECKING:
    from gatepost.assembly.installation import Installation
    from gatepost.listening.worker import Worker

_OURS = Path(gatepost.__file__).parent
_STANDARD_LIBRARY = tuple(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib"))
_INSTALLED = frozenset({"site-packages", "dist-packages"})


def serve_as(process: ReloadedProcess, options: argparse.Namespace) -> None:
    """Serve until the parent says otherwise, or leave a report of why not and end with exit code 1."""
    # First of all: it is not to outlive its parent while code is loaded.
    worker = this_worker()
    assert worker is not None  # noqa: S101 - both variables are set together; tells mypy
    folder, parent = ReloadFolder(Path(process.folder)), os.getppid()
    try:
        _serve(process, options, worker, folder)
    finally:
        if os.getppid() != parent:  # which was killed, and has left the folder behind
            shutil.rmtree(folder.path, ignore_errors=True)


def _serve(process: ReloadedProcess, options: argparse.Namespace, worker: Worker, folder: ReloadFolder) -> None:
    if process.shows_failure:
        _show_failure(process.number, worker, folder)
        return

    def note_loaded(settings: Settings) -> None:
        folder.write_report(process.number, LoadReport(paths=[*_loaded_folders(), *_files_of(settings)]))

    try:
        _serve_code(options, process.number, worker, folder, note_loaded)
    except (Exception, SystemExit) as error:
        if worker.has_begun:
            raise
        failure = failure_of(error)
        folder.write_report(process.number, LoadReport(paths=_loaded_folders(), failure=failure))
        if failure.traceback:
            print(f"\n{failure.traceback}", file=sys.stderr, flush=True)  # noqa: T201 - a command line talks to its user
        sys.exit(1)


def _serve_code(
    options: argparse.Namespace,
    number: int,
    worker: Worker,
    folder: ReloadFolder,
    note_loaded: Callable[[Settings], None],
) -> None:
    said = dev_settings()
    # At every name of this machine; and the store, which the environment names, asks for no password.
    own = {"public_url": None, "storage_password_file": None}
    settings = replace(said, server=said.server.model_copy(update=own))
    target = load_target(options.target or settings.server.handler or "")

    def around(app: ASGIApp, installation: Installation) -> ASGIApp:
        note_loaded(settings)
        return with_dev_page(app, installation, key=folder.key, status=folder.status, process=number)

    provider = None
    if options.single_user:
        from gatepost.identity.single_user import SingleUserProvider  # noqa: PLC0415 - only in this mode

        provider = SingleUserProvider()
    serve_target(
        target,
        settings=settings,
        worker=worker,
        provider=provider,
        title=options.title,
        middleware=[Middleware(load_target(name)) for name in options.middleware],
        around=around,
    )


def _show_failure(number: int, worker: Worker, folder: ReloadFolder) -> None:
    def build(_address: Address) -> tuple[ASGIApp, NothingServed]:
        return dev_page_alone(key=folder.key, status=folder.status, process=number), NothingServed()

    configure_logging("warning")
    serve(build, Where(host="", port=0), shutdown_seconds=1, worker=worker)


def failure_of(error: BaseException) -> LoadFailure:
    """Return what is shown of why code could not be served."""
    if isinstance(error, (SettingsError, StoreError)):
        return LoadFailure(" ".join(str(error).splitlines()))
    if isinstance(error, TargetError):
        cause = error.__cause__
        return LoadFailure(str(error), "" if cause is None else _traceback(cause))
    if isinstance(error, SystemExit):
        return LoadFailure(
            f"The code ended the process while it was loaded: sys.exit({error.code!r}).", _traceback(error)
        )
    return LoadFailure(f"The code cannot be served: {type(error).__name__}: {error}", _traceback(error))


def _traceback(error: BaseException) -> str:
    """Return the traceback of an error from where the author's code begins."""
    first: TracebackType | None = error.__traceback__
    while first is not None and _is_ours(first.tb_frame.f_code.co_filename):
        first = first.tb_next
    if first is None:
        return "".join(traceback.format_exception_only(error)).rstrip()
    return "".join(traceback.format_exception(type(error), error, first)).rstrip()


def _is_ours(filename: str) -> bool:
    """Say whether a file is Gatepost's, or Python's own import."""
    return filename.startswith("<") or Path(filename).is_relative_to(_OURS) or "importlib" in Path(filename).parts


def _loaded_folders() -> list[str]:
    """Return the folders of the modules that were loaded, but for those of Python and of installed packages."""
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    folders = {Path(file).absolute().parent for file in files if file}
    return sorted(os.fspath(folder) for folder in folders if _is_the_authors(folder))


def _is_the_authors(folder: Path) -> bool:
    is_installed = not _INSTALLED.isdisjoint(folder.parts)
    return not (is_installed or any(map(folder.is_relative_to, (_OURS, *_STANDARD_LIBRARY))))


def _files_of(settings: Settings) -> list[str]:
    """Return the files and folders that settings name, of what is read at the start."""
    named = (settings.server.scopes_file, settings.registration.clients_file, settings.pages.folder)
    return [os.fspath(path.expanduser().absolute()) for path in named if path is not None]

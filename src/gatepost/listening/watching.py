"""Which files a server that is being written is made of, and when one of them changes.

Folders are watched one by one and not with all below them: beside the code lie environments and packages of other
languages, with more folders than a system watches.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from watchfiles import Change, watch

_SUFFIXES: Final = frozenset({".py", ".toml", ".html", ".htm", ".jinja", ".jinja2", ".j2", ".css", ".po"})
"""Of code, settings, templates, and what lies beside these."""
_PASSED_BY: Final = frozenset({"__pycache__", "node_modules", "site-packages", "venv", "env", "build", "dist"})
MOST_FOLDERS: Final = 1000
_GROUPED_MS: Final = 200
"""Editors and version control write several files for one change."""
_QUIET_MS: Final = 30
_LOOK_MS: Final = 500
"""So often the thread looks whether it is to end."""


class FileWatch:
    """Says which files have changed.

    Args:
        roots: folders that are watched with all below them, but for what is no code of the target's.
        chosen: files and folders of which every change counts, whatever the file is called.
    """

    def __init__(self, roots: Iterable[Path], chosen: Iterable[Path] = ()) -> None:
        self._roots = [root.resolve() for root in roots]
        self._chosen = [path.resolve() for path in chosen]
        self._further: frozenset[Path] = frozenset()
        self.socket, self._writing = socket.socketpair()
        """Readable when files have changed."""
        self.socket.settimeout(0)
        self._writing.settimeout(0)
        self._changed: deque[Path] = deque()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._watched: frozenset[Path] = frozenset()

    @property
    def folders(self) -> list[Path]:
        """What is watched, at most `MOST_FOLDERS` folders, the nearest to the roots first."""
        below = [path for path in self._chosen if path.is_dir()]
        near = [path if path.is_dir() else path.parent for path in (*self._chosen, *self._further)]
        named = [folder for folder in near if folder.is_dir()]
        return [*dict.fromkeys((*self._roots, *named, *_folders_below([*self._roots, *below])))][:MOST_FOLDERS]

    def add(self, paths: Iterable[Path]) -> None:
        """Watch further folders, each by itself, and begin to watch if that has not begun."""
        self._further |= {path.resolve() for path in paths}
        if self._watched != frozenset(self.folders):
            self._begin()

    def changes(self) -> list[Path]:
        """Return the files that have changed since the last call, each once."""
        with contextlib.suppress(BlockingIOError):
            while self.socket.recv(4096):
                pass
        changed: dict[Path, None] = {}
        while self._changed:
            changed[self._changed.popleft()] = None
        return [*changed]

    def close(self) -> None:
        """Watch nothing any more."""
        self._end()
        self.socket.close()
        self._writing.close()

    def counts(self, path: Path) -> bool:
        """Say whether the server may be made of a file."""
        if any(path == chosen or chosen in path.parents for chosen in self._chosen):
            return True
        if path.name == ".env" or path.name.startswith(".env."):
            return True
        # A dot in front: what an editor keeps beside the file.
        return path.suffix in _SUFFIXES and not path.name.startswith(".")

    def _begin(self) -> None:
        self._end()
        self._stop = threading.Event()
        self._watched = frozenset(self.folders)
        arguments = (self._stop, sorted(self._watched))
        self._thread = threading.Thread(target=self._run, args=arguments, name="gatepost-watch", daemon=True)
        self._thread.start()

    def _end(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self, stop: threading.Event, folders: Sequence[Path]) -> None:
        while folders and not stop.is_set():
            found = watch(
                *folders,
                watch_filter=lambda change, text: self._is_of_interest(change, Path(text)),
                debounce=_GROUPED_MS,
                step=_QUIET_MS,
                rust_timeout=_LOOK_MS,
                stop_event=stop,
                raise_interrupt=False,
                recursive=False,
                ignore_permission_denied=True,
            )
            for changes in found:
                paths = [Path(text) for _, text in changes]
                self._note([path for path in paths if not path.is_dir()])
                if any(path.is_dir() for path in paths):
                    break
            before = set(folders)
            folders = self.folders
            self._watched = frozenset(folders)
            # What was written into a new folder before it was watched.
            fresh = [folder for folder in folders if folder not in before]
            self._note([path for folder in fresh for path in _files_in(folder) if self.counts(path)])

    def _is_of_interest(self, change: Change, path: Path) -> bool:
        if change is Change.added and path.is_dir():
            return _is_entered(path.name)
        return self.counts(path)

    def _note(self, paths: list[Path]) -> None:
        if paths:
            self._changed.extend(sorted(paths))
            with contextlib.suppress(OSError):  # it is readable already, or nobody reads any more
                self._writing.send(b"c")


def _folders_below(roots: Iterable[Path]) -> Iterator[Path]:
    """Yield folders below some, level by level; no more than are watched."""
    waiting, count = deque(roots), 0
    while waiting and count < MOST_FOLDERS:
        folder = waiting.popleft()
        count += 1
        yield folder
        try:
            with os.scandir(folder) as entries:
                inner = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        except OSError:
            continue
        waiting.extend(folder / name for name in inner if _is_entered(name))


def _is_entered(name: str) -> bool:
    return not name.startswith(".") and name not in _PASSED_BY


def _files_in(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_file()]
    except OSError:
        return []

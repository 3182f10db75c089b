"""A folder with skills, read into memory: what clients are given is exactly what was digested.

    skills/
      git-workflow/SKILL.md            skill://git-workflow/SKILL.md
      billing/refunds/SKILL.md         skill://billing/refunds/SKILL.md
      billing/refunds/examples/a.md    skill://billing/refunds/examples/a.md

Names that begin with a dot are left out. Symbolic links are refused, and whatever else is neither a file nor a folder:
nothing outside of the folder is ever read, also when somebody puts a link in the place of what was looked at.
"""

from __future__ import annotations

import os
import re
import stat
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from gatepost.extensions.skills.frontmatter import Frontmatter, InvalidFrontmatter, read_frontmatter
from gatepost.extensions.skills.media_types import MARKDOWN, described
from gatepost.late_dataclass import dataclass

MAIN: Final = "SKILL.md"
MOST_FILES: Final = 512  # SEP-2640, "Limits"
MOST_BYTES: Final = 16 * 1024 * 1024  # likewise
MOST_SKILLS: Final = 1000
"""Of one folder."""
MOST_BYTES_IN_ALL: Final = 64 * 1024 * 1024
"""Of one folder: it is kept in memory."""
DEEPEST: Final = 16
"""Levels of folders below the one that was given."""
_MOST_ENTRIES: Final = 20_000
_PREFIX: Final = re.compile(r"[a-z0-9][a-z0-9._-]*(?:/[a-z0-9][a-z0-9._-]*)*")
_BAD_NAME: Final = re.compile(r"[\x00-\x1f\x7f\\]")
_PATH_CHARACTERS: Final = "/!$&'()*+,;=:@~"  # RFC 3986 section 3.3, beside what is never escaped
_FILE: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""Without waiting: a pipe in the place of the file would be waited for."""
_FOLDER: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_DIRECTORY", 0)
_DESCENDS: Final = os.open in os.supports_dir_fd
_AFTER_SLASH: Final = "0"  # what comes behind "/" in the order of texts


class InvalidSkill(ValueError):
    """A folder cannot be offered as it is; the message names the file and says what to change."""


@dataclass(frozen=True, slots=True)
class SkillFile:
    """One file of a skill."""

    path: str
    """Below the skill's own folder, with slashes."""
    uri: str
    content: bytes
    digest: str
    """Of the content, as `sha256:` and 64 hexadecimal digits."""
    mime_type: str
    text: str | None
    """The content, where it goes as a text."""

    @property
    def name(self) -> str:
        """What it is called in its folder."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class Skill:
    """One skill: its `SKILL.md` and what lies beside and below it."""

    path: str
    """Where it is among the server's skills; its last segment is its name."""
    frontmatter: Frontmatter
    files: tuple[SkillFile, ...]
    """`SKILL.md` first, the others by path."""
    folders: frozenset[str]
    """Those below its own, empty ones among them, by path."""

    @property
    def uri(self) -> str:
        """The URI of its folder; that of a file goes on with a slash."""
        return uri_of(self.path)

    @cached_property
    def by_path(self) -> dict[str, SkillFile]:
        """The files, by path."""
        return {file.path: file for file in self.files}

    @cached_property
    def entry(self) -> dict[str, Any]:
        """The `Skill` object of the wire (SEP-2640, "Skill Entries"). Shared: copy before you change it."""
        files = [{"uri": file.uri, "digest": file.digest, "size": len(file.content)} for file in self.files]
        return {"uri": self.files[0].uri, "frontmatter": self.frontmatter.fields, "resources": files}


@dataclass(frozen=True, slots=True)
class Survey:
    """What lies in a folder, without the contents: as long as it is equal, nobody has changed anything."""

    files: tuple[tuple[str, int, int, int], ...]
    """By path: the size in bytes, when it was changed in nanoseconds, and which file it is."""
    folders: frozenset[str]


def check_prefix(prefix: str) -> None:
    """Raise InvalidSkill unless skills may be offered below this path."""
    if prefix and not _PREFIX.fullmatch(prefix):
        raise InvalidSkill(
            f"{prefix!r} is no prefix of skills: write words of a-z, 0-9, ., _ and -, with / between them"
        )


def uri_of(path: str) -> str:
    """Return the URI of a path among a server's skills."""
    return f"skill://{quote(path, safe=_PATH_CHARACTERS)}"


def survey(root: Path) -> Survey:
    """Look at everything in a folder, and read nothing.

    Raises:
        InvalidSkill: there is something that is not offered, or too much.
        OSError: it cannot be looked at.
    """
    files: list[tuple[str, int, int, int]] = []
    folders: set[str] = set()
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        for entry in _entries(root, folder):
            path = f"{folder}/{entry.name}" if folder else entry.name
            found = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                folders.add(path)
                waiting.append(path)
            elif stat.S_ISREG(found.st_mode):
                files.append((path, found.st_size, found.st_mtime_ns, found.st_ino))
            else:
                kind = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "neither a file nor a folder"
                raise InvalidSkill(f"{root / path} is {kind}, and nothing of that kind is offered; put the file there")
            if len(files) + len(folders) > _MOST_ENTRIES:
                raise InvalidSkill(f"{root} has more than {_MOST_ENTRIES} files and folders")
    return Survey(tuple(sorted(files)), frozenset(folders))


def _entries(root: Path, folder: str) -> Iterator[os.DirEntry[str]]:
    if folder.count("/") >= DEEPEST:
        raise InvalidSkill(f"{root / folder} is more than {DEEPEST} levels deep")
    with os.scandir(root / folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            try:
                entry.name.encode()
            except UnicodeEncodeError:
                raise InvalidSkill(f"{root / folder} has a name that is not UTF-8: {entry.name!r}") from None
            if _BAD_NAME.search(entry.name):
                raise InvalidSkill(f"{root / folder} has a name that cannot stand in a URI: {entry.name!r}")
            yield entry


def read_skills(root: Path, found: Survey, prefix: str = "") -> tuple[Skill, ...]:
    """Read the skills of a folder that was looked at, by path.

    Args:
        root: it is one skill, or there are skills below it.
        found: what was seen in it.
        prefix: what their paths begin with.

    Raises:
        InvalidSkill: one of them is not as the specifications have it, or there is none.
        OSError: a file cannot be read.
    """
    homes = sorted(path.removesuffix(MAIN) for path, *_ in found.files if f"/{path}".endswith(f"/{MAIN}"))
    if not homes:
        raise InvalidSkill(f"{root} has no {MAIN}, neither itself nor in a folder below it")
    if len(homes) > MOST_SKILLS:
        raise InvalidSkill(f"{root} has more than {MOST_SKILLS} skills")
    contents = _contents(root, found, homes)
    # A folder that is a skill itself goes by its own name.
    top = f"{root.name}/" if not homes[0] else ""
    paths, folders = sorted(contents), sorted(found.folders)
    return tuple(
        _skill(
            root,
            home,
            f"{prefix}/{top}{home}".strip("/"),
            {each: contents[each] for each in _below(home, paths)},
            frozenset(each.removeprefix(home) for each in _below(home, folders)),
        )
        for home in homes
    )


def _below(home: str, paths: Sequence[str]) -> Sequence[str]:
    """Return those of sorted paths that are in a folder or below it; it ends with a slash, or is the root itself."""
    return paths[bisect_left(paths, home) : bisect_left(paths, home[:-1] + _AFTER_SLASH)] if home else paths


def _contents(root: Path, found: Survey, homes: list[str]) -> dict[str, bytes]:
    """Return what is in the files of all skills, by path; each is read once, though it may belong to several."""
    contents: dict[str, bytes] = {}
    seen = {path: (size, inode) for path, size, _, inode in found.files}
    paths = list(seen)
    left = MOST_BYTES_IN_ALL
    for home in homes:
        own = _below(home, paths)
        if len(own) > MOST_FILES:
            raise InvalidSkill(f"the skill in {root / home} has {len(own)} files, and may have {MOST_FILES}")
        if sum(seen[path][0] for path in own) > MOST_BYTES:
            raise InvalidSkill(f"the skill in {root / home} has more than {MOST_BYTES} bytes")
        for path in own:
            if path not in contents:
                left -= seen[path][0]
                if left < 0:
                    raise InvalidSkill(f"the skills in {root} have more than {MOST_BYTES_IN_ALL} bytes together")
                contents[path] = _content(root, path, *seen[path])
    return contents


def _content(root: Path, path: str, size: int, inode: int) -> bytes:
    """Return what is in a file, if it is still the one that was seen and has its size."""
    with os.fdopen(_opened(root, path), "rb") as file:
        status = os.fstat(file.fileno())
        is_same = stat.S_ISREG(status.st_mode) and inode in {0, status.st_ino}  # 0: not known, on Windows
        content = file.read(size + 1) if is_same else None
    if content is None or len(content) != size:
        raise InvalidSkill(f"{root / path} is being written at the moment")
    return content


def _opened(root: Path, path: str) -> int:
    """Return the descriptor of a file; raises OSError where it, or a folder on the way to it, is a symbolic link."""
    if not _DESCENDS:
        return os.open(root / path, _FILE)
    *folders, name = path.split("/")
    with ExitStack() as stack:
        at = os.open(root, os.O_RDONLY)
        stack.callback(os.close, at)
        for folder in folders:
            at = os.open(folder, _FOLDER, dir_fd=at)
            stack.callback(os.close, at)
        return os.open(name, _FILE, dir_fd=at)


def _skill(root: Path, home: str, path: str, contents: Mapping[str, bytes], folders: frozenset[str]) -> Skill:
    """Return a skill, given what is in its files and which folders it has below its own."""
    where = root / home / MAIN
    segments, name = path.rpartition("/")[0], path.rpartition("/")[2]
    try:
        check_prefix(segments)
        frontmatter = read_frontmatter(contents[home + MAIN].decode())
    except UnicodeDecodeError:
        raise InvalidSkill(f"{where}: it is not UTF-8") from None
    except (InvalidFrontmatter, InvalidSkill) as error:
        raise InvalidSkill(f"{where}: {error}") from None
    if frontmatter.name != name:
        raise InvalidSkill(f"{where}: its name: is {frontmatter.name!r}, and its folder is called {name!r}; they agree")
    own = sorted(contents, key=lambda each: (each != home + MAIN, each))
    files = tuple(_file(path, each.removeprefix(home), contents[each]) for each in own)
    return Skill(path, frontmatter, files, folders)


def _file(skill: str, path: str, content: bytes) -> SkillFile:
    digest = f"sha256:{sha256(content).hexdigest()}"
    mime_type, text = (MARKDOWN, content.decode()) if path == MAIN else described(path, content)
    return SkillFile(path, uri_of(f"{skill}/{path}"), content, digest, mime_type, text)

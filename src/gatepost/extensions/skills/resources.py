"""The skills of a folder as resources of a server, which follow what changes in the folder.

The main file of each skill is a resource, and a resource template stands for the others. Both are declarations as any
other: lists, scopes, hooks, includes and switches treat them alike, in both eras.
"""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from gatepost.extensions.skills.folder import (
    MAIN,
    InvalidSkill,
    Skill,
    SkillFile,
    Survey,
    check_prefix,
    read_skills,
    survey,
    uri_of,
)
from gatepost.late_dataclass import dataclass
from gatepost.resource.scope_needs import ScopeNeeds
from gatepost.server.calls.worker_threads import run_in_thread
from gatepost.server.changes.bus import Change
from gatepost.server.declared.resources import Resource
from gatepost.server.errors import ResourceNotFound, ToolDefinitionError
from gatepost.server.registry import Registry

CHECK_SECONDS: Final = 2.0
"""How long nobody looks again whether something changed in a folder."""

_log: Final = logging.getLogger("gatepost.server")


class _SkillResource(Resource):
    """A resource whose function returns a file of a skill."""

    __slots__ = ("folder",)

    folder: SkillsFolder

    def _contents(self, uri: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, SkillFile):
            return super()._contents(uri, value)  # what a hook put in its place
        if value.text is not None:
            return {"uri": uri, "mimeType": value.mime_type, "text": value.text}
        return {"uri": uri, "mimeType": value.mime_type, "blob": b64encode(value.content).decode()}


class MainFile(_SkillResource):
    """The `SKILL.md` of a skill, by which the skill is known."""

    __slots__ = ("skill",)

    skill: Skill


@dataclass(frozen=True, slots=True)
class _Offered:
    """A skill, and what stands for it among the resources."""

    skill: Skill
    main: MainFile
    others: _SkillResource


class SkillsFolder:
    """A folder with skills on a server.

    Args:
        root: the folder; it is a skill itself, or has skills at any depth.
        registry: of the server.
        prefix: what the paths of its skills begin with, such as `acme/billing`.
        scopes: all of them are needed to see and to read what is in it.
        fresh_for: how many seconds clients may take a file for fresh.
        clock: gives seconds that only grow.

    Raises:
        ToolDefinitionError: something in it cannot be offered; the message names the file and says what to change.
    """

    def __init__(
        self,
        root: Path,
        registry: Registry,
        *,
        prefix: str,
        scopes: Iterable[str | ScopeNeeds],
        fresh_for: int,
        clock: Callable[[], float],
    ) -> None:
        self.root = root
        self.registry = registry
        self._prefix = prefix
        self._scopes = scopes if isinstance(scopes, (str, ScopeNeeds)) else tuple(scopes)
        self._fresh_for = fresh_for
        self._clock = clock
        self._offered: dict[str, _Offered] = {}
        self._complaint: str | None = None
        self._survey: Survey | None = None
        try:
            check_prefix(prefix)
            self._survey, skills = self._read()
        except (InvalidSkill, OSError) as error:
            raise ToolDefinitionError(f"skills: {error}") from None
        self._checked_at = clock()
        try:
            for skill in skills:
                self._offer(skill)
        except ToolDefinitionError:
            for path in tuple(self._offered):
                self._withdraw(path)
            raise

    async def refresh(self) -> None:
        """Look whether something changed in the folder, unless that was done just now, and offer what there is now.

        What cannot be offered is logged, and what was offered goes on until it can.
        """
        now = self._clock()
        if now - self._checked_at < CHECK_SECONDS:
            return
        # Taken before the wait: of the requests that come meanwhile none looks a second time.
        self._checked_at = now
        try:
            found, skills = await run_in_thread(self._read, self._complain)
        except (InvalidSkill, OSError) as error:
            self._complain(error)
            return
        self._complaint = None
        if found != self._survey:
            self._survey = found
            self._follow(skills)

    def _read(self) -> tuple[Survey, tuple[Skill, ...]]:
        """Return what lies in the folder, and the skills if that is new."""
        found = survey(self.root)
        return found, () if found == self._survey else read_skills(self.root, found, self._prefix)

    def _complain(self, error: BaseException) -> None:
        if str(error) != self._complaint:
            self._complaint = str(error)
            _log.warning("skills stay as they were: %s", error)

    def _follow(self, skills: Iterable[Skill]) -> None:
        """Offer these skills and no others. In the event loop, so that no request comes between."""
        there = {skill.path: skill for skill in skills}
        for path in sorted(self._offered.keys() - there.keys()):
            self._withdraw(path)
        for path, skill in there.items():
            old = self._offered.get(path)
            if old is not None and old.skill == skill:
                continue
            if old is not None:
                self._withdraw(path)
            try:
                self._offer(skill)
            except ToolDefinitionError as error:
                _log.warning("the skill %s is not offered: %s", path, error)
                continue
            if old is not None:
                self._tell_of_changes(old.skill, skill)

    def _tell_of_changes(self, old: Skill, new: Skill) -> None:
        scopes = self._offered[new.path].main.scopes
        for file in old.files:
            if new.by_path.get(file.path) != file:
                self.registry.publish(Change("resource", scopes, uri=file.uri))

    def _offer(self, skill: Skill) -> None:
        """Offer a skill; raises ToolDefinitionError if there is something at one of its URIs already."""
        self._check_apart(skill)
        for text in skill.frontmatter.ambiguous:
            _log.warning("%s: some hosts read %r otherwise than others; put it in quotes", skill.files[0].uri, text)
        name, file = skill.frontmatter.name, skill.files[0]
        main = MainFile(
            partial(self._read_main, skill.path),
            file.uri,
            name=name,
            description=skill.frontmatter.description,
            mime_type=file.mime_type,
            size=len(file.content),
            scopes=self._scopes,
            fresh_for=self._fresh_for,
        )
        others = _SkillResource(
            partial(self._read_other, skill.path),
            f"{skill.uri}/{{+path}}",
            name=f"{name} files",
            description=f"The files of the skill {name}",
            scopes=self._scopes,
            fresh_for=self._fresh_for,
        )
        main.skill = skill
        main.folder = others.folder = self
        self.registry.add(main, self.registry.resources, main.normal_uri)
        try:
            self.registry.add(others, self.registry.resource_templates, others.uri)
        except ToolDefinitionError:
            self.registry.discard(self.registry.resources, main.normal_uri)
            raise
        self._offered[skill.path] = _Offered(skill, main, others)

    def _withdraw(self, path: str) -> None:
        offered = self._offered.pop(path)
        self.registry.discard(self.registry.resources, offered.main.normal_uri)
        self.registry.discard(self.registry.resource_templates, offered.others.uri)

    async def _read_main(self, skill: str) -> SkillFile:
        return self._file(skill, MAIN)

    async def _read_other(self, skill: str, path: str) -> SkillFile:
        # The main file is a resource of its own. Where that is switched off, the others are not there either.
        if path == MAIN or not self.registry.resources.is_on(uri_of(f"{skill}/{MAIN}")):
            raise ResourceNotFound
        return self._file(skill, path)

    def _file(self, skill: str, path: str) -> SkillFile:
        offered = self._offered.get(skill)
        if offered is None or path not in offered.skill.by_path:
            raise ResourceNotFound
        return offered.skill.by_path[path]

    def _check_apart(self, skill: Skill) -> None:
        """Raise ToolDefinitionError if a skill of another folder is at the same place, inside or around."""
        for other in main_files(self.registry.resources.known):
            first, second = sorted((f"{skill.path}/", f"{other.skill.path}/"), key=len)
            if other.folder is not self and second.startswith(first):
                raise ToolDefinitionError(
                    f"skills: {self.root} has {skill.path!r} where {other.folder.root} has {other.skill.path!r}; say "
                    "another prefix="
                )


def main_files(found: Mapping[str, Resource]) -> list[MainFile]:
    """Return the skills among resources, by URI."""
    return sorted((each for each in found.values() if isinstance(each, MainFile)), key=lambda each: each.uri)

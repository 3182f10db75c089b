"""The methods of the extension: `skills/list`, `skills/get` and `resources/directory/read` (SEP-2640)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from gatepost.extensions.skills.folder import Skill, uri_of
from gatepost.extensions.skills.media_types import DIRECTORY
from gatepost.extensions.skills.resources import MainFile, SkillsFolder, main_files
from gatepost.protocol.errors import InvalidParams
from gatepost.protocol.messages import Request
from gatepost.protocol.modern import LIST_FRESHNESS_MS
from gatepost.protocol.uris import normal_form
from gatepost.protocol.versions import Revision
from gatepost.server.calls.exchange import Exchange
from gatepost.server.extension import Extension, Stage, Wrap
from gatepost.server.listing import Listing, page_of, paged
from gatepost.server.methods.served_server import Method, ServedServer, check_scopes, string_in
from gatepost.server.registry import Registry
from gatepost.server.target import Result

_MEMBER = "skills"


class Skills(Extension):
    """Folders with skills, of one server or of several that share it because one includes the others."""

    identifier = "io.modelcontextprotocol/skills"
    stage: ClassVar[Stage] = "beta"
    is_in_handshake = True
    needs_client = False  # the server alone declares it ("Capability Negotiation")

    def __init__(self, *folders: SkillsFolder) -> None:
        self.folders = list(folders)
        """All of them; a server has those that it, or one that it includes, was given."""
        self._lists: WeakKeyDictionary[ServedServer, Listing] = WeakKeyDictionary()

    def settings(self) -> Mapping[str, Any]:
        """See `Extension`."""
        return {"directoryRead": True}

    def methods(self) -> Mapping[str, Method]:
        """See `Extension`."""
        return {
            "skills/list": self.list_skills,
            "skills/get": self.get_skill,
            "resources/directory/read": self.read_directory,
        }

    def wraps(self) -> Mapping[str, Wrap]:
        """See `Extension`."""
        return dict.fromkeys(("resources/list", "resources/templates/list", "resources/read"), self._after_a_look)

    def _after_a_look(self, method: Method) -> Method:
        async def answer(served: ServedServer, request: Request, revision: Revision, exchange: Exchange) -> Result:
            await self._refresh(served)
            return await method(served, request, revision, exchange)

        return answer

    def include(self, other: Extension, prefix: str) -> None:  # noqa: ARG002 - URIs have none
        """See `Extension`."""
        if isinstance(other, Skills):
            self.folders += [folder for folder in other.folders if folder not in self.folders]

    async def list_skills(
        self, served: ServedServer, request: Request, revision: Revision, exchange: Exchange
    ) -> Result:
        """Answer `skills/list` ("Listing Skills")."""
        await self._refresh(served)
        listing = self._list_of(served)
        if served.registry.is_hooked:
            return await served.hooked_list(listing, request, revision, exchange)
        return listing.page(request.params, revision, exchange.shown)

    async def get_skill(self, served: ServedServer, request: Request, revision: Revision, exchange: Exchange) -> Result:
        """Answer `skills/get` ("Getting a Skill")."""
        # 1. Which skill?
        uri = string_in(request.params, "uri")
        await self._refresh(served)
        main = served.registry.resources.there.get(normal_form(uri) or uri)
        if not isinstance(main, MainFile):
            raise _no_skill(uri)
        # 2. May the caller see it, and do hooks leave it in the list?
        check_scopes(exchange, main)
        if not await _is_left(served, main, request, exchange):
            raise _no_skill(uri)
        # 3. Its entry.
        return {"skill": main.skill.entry, **_hints(served, main, revision)}

    async def read_directory(
        self, served: ServedServer, request: Request, revision: Revision, exchange: Exchange
    ) -> Result:
        """Answer `resources/directory/read` ("Reading Directories")."""
        # 1. Which folder of which skill? With skills inside of skills, that of the innermost.
        uri = string_in(request.params, "uri")
        await self._refresh(served)
        normal = (normal_form(uri) or uri).removesuffix("/")
        around = [
            main
            for main in main_files(served.registry.resources.there)
            if f"{normal}/".startswith(f"{main.skill.uri}/")
        ]
        main = max(around, key=lambda each: len(each.skill.uri), default=None)
        children = None if main is None else _children(main, normal, revision)
        if main is None or children is None:
            raise InvalidParams("This is no folder of a skill.", data={"uri": uri})
        # 2. May the caller see it?
        check_scopes(exchange, main)
        if not await _is_left(served, main, request, exchange):
            raise InvalidParams("This is no folder of a skill.", data={"uri": uri})
        # 3. What is directly in it.
        pages = paged(f"{request.method} {normal}", "resources", children, served.server.page_size)
        return {**page_of(pages, request.params), **_hints(served, main, revision)}

    async def _refresh(self, served: ServedServer) -> None:
        """Look at the folders of the server that is asked, and of those that it includes."""
        registries = list(served.registry.below())
        for folder in self.folders:
            if folder.registry in registries:
                await folder.refresh()

    def _list_of(self, served: ServedServer) -> Listing:
        listing = self._lists.get(served)
        if listing is None:
            entries = partial(_skills_of, served.registry)
            listing = self._lists[served] = served.listing("skills/list", _MEMBER, entries, _entry)
        return listing


def _skills_of(registry: Registry) -> list[MainFile]:
    return main_files(registry.resources.there)


def _entry(main: MainFile, _revision: str) -> Mapping[str, Any]:
    return main.skill.entry


def _children(main: MainFile, uri: str, revision: Revision) -> list[Mapping[str, Any]] | None:
    """Return what is directly in a folder of a skill, as `Resource` objects by URI; None if it has no such folder."""
    skill = main.skill
    folder = next((each for each in ("", *skill.folders) if _uri_in(skill, each) == uri), None)
    if folder is None:
        return None
    found: list[Mapping[str, Any]] = [
        {"uri": _uri_in(skill, each), "name": each.rpartition("/")[2], "mimeType": DIRECTORY}
        for each in skill.folders
        if each.rpartition("/")[0] == folder
    ]
    for file in skill.files:
        if file.path.rpartition("/")[0] == folder:
            size = len(file.content)
            plain = {"uri": file.uri, "name": file.name, "mimeType": file.mime_type, "size": size}
            found.append(main.definition_for(revision.version) if file is skill.files[0] else plain)
    return sorted(found, key=lambda each: each["uri"])


def _uri_in(skill: Skill, folder: str) -> str:
    return uri_of(f"{skill.path}/{folder}".rstrip("/"))


async def _is_left(served: ServedServer, main: MainFile, request: Request, exchange: Exchange) -> bool:
    """Say whether the hooks around lists leave a skill."""
    return not served.registry.is_hooked or bool(await served.left_by_hooks(_MEMBER, [main], request, exchange))


def _hints(served: ServedServer, main: MainFile, revision: Revision) -> dict[str, Any]:
    """Return how long clients may keep a result, in the revisions that say so, and for whom (SEP-2549)."""
    if not revision.modern:
        return {}
    is_private = bool(main.scopes) or served.registry.is_hooked
    return {"ttlMs": LIST_FRESHNESS_MS, "cacheScope": "private" if is_private else "public"}


def _no_skill(uri: str) -> InvalidParams:
    return InvalidParams("No skill of this server has this URI.", data={"uri": uri})

"""A folder of the operator's, whose templates, catalogues and files stand in front of ours or beside them.

    login.html          in place of our page; `{% extends "gatepost/login.html" %}` changes a block of it
    de.mo, fr.mo        other words, or another language (compiled catalogues of gettext)
    anything.css        linked on every page after our style sheet; .svg and .png: for `static_url('picture.svg')`

All of it is read and checked at the start, so that a mistake is a sentence in the terminal and no error at a login.
What pages are allowed to do (the headers of `headers`) is no template's affair and stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gatepost.late_dataclass import dataclass
from gatepost.web.pages.languages import load_language
from gatepost.web.pages.pictures import LARGEST, PictureRefused, read_picture
from gatepost.web.pages.static_files import StaticFile

if TYPE_CHECKING:
    from jinja2 import Environment

OURS: Final = "gatepost/"
"""What names a template of ours, also one that the operator has replaced."""
_FRAME: Final = "base.html"
_TO_FILL: Final = frozenset({"title", "main"})
"""The blocks of the frame that each page fills."""
_PLACE: Final = re.compile(r"%\((\w+)\)s")
_TAG: Final = re.compile(r"[a-z]{2,8}(-[a-z0-9]{1,8})*", re.IGNORECASE | re.ASCII)
_FILE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_RESERVED: Final = frozenset({"gatepost.css", "gatepost.svg", "brand.css", "logo.svg", "logo.png"})


class OwnPagesRefused(ValueError):
    """Something in the folder cannot be used; the message is a sentence about which file it is and why."""


@dataclass(frozen=True, slots=True)
class OwnPages:
    """What is in the folder."""

    folder: Path
    templates: Mapping[str, str] = field(default_factory=dict[str, str])
    """By name, as they were at the start."""
    catalogues: Mapping[str, Path] = field(default_factory=dict[str, Path])
    """By language tag."""
    files: Mapping[str, StaticFile] = field(default_factory=dict[str, StaticFile])
    """Static files by name."""


def read_own_pages(folder: Path) -> OwnPages:
    """Read the folder.

    Raises:
        OwnPagesRefused: it cannot be read, or holds a file that cannot be used.
    """
    try:
        paths = sorted(path for path in folder.expanduser().iterdir() if not path.name.startswith("."))
        templates = {path.name: _source(path) for path in paths if path.suffix == ".html"}
        catalogues = {path.stem: path for path in paths if path.suffix == ".mo"}
        files = {path.name: _static_file(path) for path in paths if path.suffix in {".css", ".svg", ".png"}}
        for tag, path in catalogues.items():
            _check_catalogue(tag, path)
    except OSError as error:
        raise OwnPagesRefused(f"{error.filename} cannot be read: {error.strerror or type(error).__name__}.") from None
    return OwnPages(folder.expanduser(), templates, catalogues, files)


def check_templates(own: OwnPages, environment: Environment, known: frozenset[str]) -> None:
    """Check what the folder's templates need, before a person does.

    Args:
        own: the folder.
        environment: knows its templates under their names, and ours below `OURS`.
        known: the names of our templates.

    Raises:
        OwnPagesRefused: a template is malformed, refers to what is not there, or lacks what its page is for.
    """
    templates = _Templates(environment)
    used = {name for template in own.templates for name in templates.references(template)}
    for template in own.templates:
        templates.check_blocks(template)
        if template in known:
            templates.check(template)
        elif template not in used:
            raise OwnPagesRefused(
                f"{own.folder / template} is no page, and no template of yours refers to it. There are: "
                f"{', '.join(sorted(known))}."
            )


class _Templates:
    """What templates say of themselves without being rendered."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._trees: dict[str, Any] = {}

    def check(self, template: str) -> None:
        """Compare one that takes the place of ours with ours."""
        own, ours = self._all(template), self._all(OURS + template)
        if any(template in self.references(name) for name in own):
            raise OwnPagesRefused(
                f"{template} refers to itself. To change a part of our page, let it extend {OURS}{template}."
            )
        is_framed = template == _FRAME or {_FRAME, OURS + _FRAME} & own
        lacking = self._filled(ours) - self._filled(own) if is_framed else set[str]()
        if lacking:
            raise OwnPagesRefused(f"{template} lacks the block {', '.join(sorted(lacking))}, which the page needs.")
        unknown = self._values(own) - self._values(ours) - self._environment.globals.keys()
        if unknown:
            given = ", ".join(sorted(self._values(ours) - self._environment.globals.keys()))
            raise OwnPagesRefused(
                f"{template} uses {', '.join(sorted(unknown))}, which the page is not given. It is given: {given}."
            )
        if "csrf_token" in self._values(ours) - self._values(own):
            raise OwnPagesRefused(f"{template} has no field csrf_token, without which its form is refused.")

    def check_blocks(self, template: str) -> None:
        """Refuse a block that nothing shows: one that no template has which this one extends."""
        ancestors = self._ancestors(template)
        blocks = {name for ancestor in ancestors for name in self._blocks(ancestor)}
        never_shown = sorted(set(_outermost_blocks(self._tree(template))) - blocks)
        if ancestors and never_shown:
            raise OwnPagesRefused(
                f"{template} has the block {', '.join(never_shown)}, which would never be shown: {ancestors[0]} has "
                f"none of that name. It has: {', '.join(sorted(blocks))}."
            )

    def references(self, template: str) -> set[str]:
        """Return the templates to which one refers; malformed ones are refused."""
        from jinja2 import meta  # noqa: PLC0415 - only where there are templates of the operator's

        return {name for name in meta.find_referenced_templates(self._tree(template)) if name is not None}

    def _all(self, template: str) -> set[str]:
        """Return a template and all to which it refers, however indirectly."""
        found, waiting = {template}, [template]
        while waiting:
            waiting += (further := self.references(waiting.pop()) - found)
            found |= further
        return found

    def _ancestors(self, template: str) -> list[str]:
        """Return what a template extends, and what that extends, as far as it says so by name."""
        from jinja2 import nodes  # noqa: PLC0415 - only where there are templates of the operator's

        found: list[str] = []
        extends = self._tree(template).find(nodes.Extends)
        while extends is not None and isinstance(extends.template, nodes.Const):
            name = extends.template.value
            if name in found:
                break
            found.append(name)
            extends = self._tree(name).find(nodes.Extends)
        return found

    def _blocks(self, template: str) -> set[str]:
        from jinja2 import nodes  # noqa: PLC0415 - only where there are templates of the operator's

        return {block.name for block in self._tree(template).find_all(nodes.Block)}

    def _filled(self, names: set[str]) -> set[str]:
        """Return which blocks that are empty in our frame are filled, or are there in a frame."""
        return {block for name in names - {_FRAME, OURS + _FRAME} or names for block in self._blocks(name)} & _TO_FILL

    def _values(self, names: set[str]) -> set[str]:
        from jinja2 import meta  # noqa: PLC0415 - only where there are templates of the operator's

        trees = [self._tree(name) for name in names]
        return {value for tree in trees for value in meta.find_undeclared_variables(tree)} - {
            value for tree in trees for value in _declared(tree)
        }

    def _tree(self, template: str) -> Any:
        from jinja2 import BaseLoader, TemplateNotFound, TemplateSyntaxError  # noqa: PLC0415 - likewise

        if template not in self._trees:
            environment, loader = self._environment, self._environment.loader or BaseLoader()
            try:
                source = loader.get_source(environment, template)[0]
                environment.compile(source, template)  # finds filters that there are not, too
                self._trees[template] = environment.parse(source, template)
            except TemplateNotFound:
                raise OwnPagesRefused(f"A template of yours refers to {template}, which is not there.") from None
            except TemplateSyntaxError as error:
                raise OwnPagesRefused(f"{template}, line {error.lineno}: {error.message}") from None
        return self._trees[template]


def _outermost_blocks(node: Any) -> Iterator[str]:
    """Yield the names of blocks that are in no other block of the same template."""
    from jinja2 import nodes  # noqa: PLC0415 - only where there are templates of the operator's

    for child in node.iter_child_nodes():
        if isinstance(child, nodes.Block):
            yield child.name
        else:
            yield from _outermost_blocks(child)


def _declared(tree: Any) -> Iterator[str]:
    """Yield what a template defines outside of its blocks, for all of it."""
    from jinja2 import nodes  # noqa: PLC0415 - only where there are templates of the operator's

    for assigned in tree.find_all((nodes.Assign, nodes.AssignBlock)):
        yield from (name.name for name in assigned.target.find_all(nodes.Name))
        if isinstance(assigned.target, nodes.Name):
            yield assigned.target.name
    yield from (macro.name for macro in tree.find_all(nodes.Macro))
    for imported in tree.find_all((nodes.Import, nodes.FromImport)):
        names = [imported.target] if isinstance(imported, nodes.Import) else imported.names
        yield from (name if isinstance(name, str) else name[1] for name in names)


def _source(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise OwnPagesRefused(f"{path} is not UTF-8.") from None


def _static_file(path: Path) -> StaticFile:
    if path.name in _RESERVED or _FILE_NAME.fullmatch(path.name) is None:
        raise OwnPagesRefused(f"{path} needs another name: letters, digits and . _ - that are not the name of ours.")
    if path.suffix != ".css":
        try:
            picture = read_picture(str(path))
        except PictureRefused as refused:
            raise OwnPagesRefused(f"{path} cannot be shown: {refused}.") from None
        return StaticFile(picture.content, picture.media_type)
    content = path.read_bytes()
    if len(content) > LARGEST:
        raise OwnPagesRefused(f"{path} is larger than {LARGEST // 1024} KiB.")
    return StaticFile(content, "text/css; charset=utf-8")


def _check_catalogue(tag: str, path: Path) -> None:
    """Check that each translation has no places for values but those of its text."""
    if _TAG.fullmatch(tag) is None:
        raise OwnPagesRefused(f"{path} has to be named for its language, such as fr.mo or pt-BR.mo.")
    for text, string in _translations(tag, path):
        if not _fits(string, set(_PLACE.findall(text)) | {"count"}):
            raise OwnPagesRefused(
                f"{path} has a place for a value that its text has not, or a per cent sign alone: {text!r}."
            )


def _fits(string: str, places: set[str]) -> bool:
    try:
        string % dict.fromkeys(places, "")
    except (KeyError, TypeError, ValueError):
        return False
    return True


def _translations(tag: str, path: Path) -> Iterator[tuple[str, str]]:
    try:
        catalogue: Any = load_language(tag, [path]).catalogue
        entries = dict(catalogue._catalog)  # noqa: SLF001 - the standard library has no other way to go through them
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise OwnPagesRefused(f"{path} is no compiled catalogue: {error}") from None
    for key, string in entries.items():
        text = key if isinstance(key, str) else key[0]
        if text:
            yield text, string

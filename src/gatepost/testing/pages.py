"""Pages as a browser without JavaScript has them: a title, a text, links and forms."""

from __future__ import annotations

from dataclasses import field
from html.parser import HTMLParser
from typing import Final

from gatepost.late_dataclass import dataclass

_EMPTY: Final = frozenset({"input", "link", "meta", "br", "hr", "img"})
"""Elements without an end."""
_UNSEEN: Final = frozenset({"script", "style", "title", "head", "svg"})


@dataclass(slots=True)
class PageForm:
    """A form, as it is before anything is typed."""

    action: str
    fields: dict[str, str] = field(default_factory=dict[str, str])
    """What is sent as it is: hidden fields, values and ticked boxes."""
    asked: list[str] = field(default_factory=list[str])
    """The names of fields to type into."""
    buttons: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Name and value of each button that has them."""
    boxes: dict[str, str] = field(default_factory=dict[str, str])
    """For each scope that can be left out, the name of its box."""


@dataclass(slots=True)
class BrowserPage:
    """What a browser shows, or where it is sent."""

    url: str
    status: int
    """Of the HTTP answer."""
    location: str | None = None
    """Where it leaves the server for; then there is nothing to see."""
    title: str = ""
    text: str = ""
    """All that can be read, with single spaces."""
    scopes: tuple[str, ...] = ()
    """Those that a consent page asks for."""
    forms: list[PageForm] = field(default_factory=list[PageForm])


def read_page(url: str, status: int, html: str) -> BrowserPage:
    """Return the page that an answer is."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return BrowserPage(
        url=url,
        status=status,
        title=_plain(reader.title),
        text=_plain(reader.seen),
        scopes=tuple(reader.scopes),
        forms=reader.forms,
    )


def _plain(parts: list[str]) -> str:
    return " ".join("".join(parts).split())


class _Reader(HTMLParser):
    """Reads what our own pages are made of; it knows the classes of the consent page."""

    def __init__(self) -> None:
        super().__init__()
        self.title: list[str] = []
        self.seen: list[str] = []
        self.scopes: list[str] = []
        self.forms: list[PageForm] = []
        self._open: list[tuple[str, str]] = []
        """The elements around, each with its class."""
        self._words: list[str] = []
        """Of the permission that is read: its words, then its scope if that is another text."""
        self._box: str | None = None
        """The name of its box, if it has one."""
        self._is_in_form = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(PageForm(values.get("action", "")))
            self._is_in_form = True
        elif tag == "input" and self._is_in_form:
            self._read_input(self.forms[-1], values, is_ticked="checked" in values)
        elif tag == "button" and self._is_in_form and values.get("name"):
            self.forms[-1].buttons.append((values["name"], values.get("value", "")))
        elif tag == "li":
            self._words, self._box = [], None
        if tag in {"bdi", "code"}:
            self._words.append("")
        if tag not in _EMPTY:
            self._open.append((tag, values.get("class", "")))
            self.seen.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self.seen.append(" ")
        if tag == "form":
            self._is_in_form = False
        if tag == "li" and self._words and any(name == "permissions" for _, name in self._open):
            # The scope follows its words, unless the two are one.
            self.scopes.append(self._words[-1])
            if self._box is not None and self.forms:
                self.forms[-1].boxes[self._words[-1]] = self._box
        while self._open:
            if self._open.pop()[0] == tag:
                break

    def handle_data(self, data: str) -> None:
        tags = {tag for tag, _ in self._open}
        if "title" in tags:
            self.title.append(data)
        if not tags & _UNSEEN:
            self.seen.append(data)
        if tags & {"bdi", "code"} and self._words:
            self._words[-1] += data

    def _read_input(self, form: PageForm, values: dict[str, str], *, is_ticked: bool) -> None:
        name, kind = values.get("name", ""), values.get("type", "text")
        if kind == "checkbox":
            self._box = name
            if is_ticked:
                form.fields[name] = values.get("value", "on")
        elif kind == "hidden":
            form.fields[name] = values.get("value", "")
        elif name:
            form.asked.append(name)
            form.fields[name] = values.get("value", "")

"""What an operator puts on the pages without touching a template: logo, colour, whom to ask, and links below each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from gatepost.late_dataclass import dataclass
from gatepost.web.pages.static_files import StaticFile

if TYPE_CHECKING:
    from gatepost.web.pages.pictures import Picture

LIGHT: Final = ("#ffffff", "#f4f5f2", "#eef4f0")
"""What texts in the accent colour stand on: card, page and tint of `static/gatepost.css`."""
DARK: Final = ("#1a211e", "#111614", "#212b27")
"""Likewise in the dark colour scheme."""
_STRONGER: Final = 0.15
"""How far the colour moves under the pointer: away from its text, so that it is read no worse."""
STYLE: Final = "brand.css"
"""The name of the style sheet that brings the colour in."""


@dataclass(frozen=True, slots=True)
class Branding:
    """How the pages look and whom they name."""

    logo: Picture | None = None
    accent: str | None = None
    """As `#rrggbb`."""
    support: str | None = None
    """Where people who are stuck find help: an e-mail address or an https URL."""
    imprint: str | None = None
    """An https URL; likewise the next."""
    privacy: str | None = None

    @property
    def logo_name(self) -> str | None:
        """The name under which the logo is served."""
        return None if self.logo is None else f"logo{self.logo.suffix}"

    @property
    def support_link(self) -> str | None:
        """Where the link to whom people ask leads."""
        if self.support is None or "://" in self.support:
            return self.support
        return f"mailto:{self.support}"

    @property
    def support_words(self) -> str | None:
        """What that link is called."""
        return None if self.support is None else self.support.removeprefix("https://").removesuffix("/")

    def static_files(self) -> Mapping[str, StaticFile]:
        """Return what has to be served for all that."""
        served: dict[str, StaticFile] = {}
        if self.accent is not None:
            served[STYLE] = StaticFile(_style(self.accent).encode(), "text/css; charset=utf-8")
        if self.logo is not None and self.logo_name is not None:
            served[self.logo_name] = StaticFile(self.logo.content, self.logo.media_type)
        return served


def _style(accent: str) -> str:
    """Return the style sheet that brings the colour in.

    Buttons have the colour itself, and black or white on it. Where it is a colour of text, and in the dark, it is moved
    until it can be read.
    """
    from gatepost.web.pages.colours import readable_on  # noqa: PLC0415 - most servers have no colour of their own

    light, dark = readable_on(LIGHT, accent), readable_on(DARK, accent)
    return (
        f":root {{ {_colours(accent, light)} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {_colours(dark, dark)} }} }}\n"
    )


def _colours(accent: str, link: str) -> str:
    from gatepost.web.pages.colours import mixed, text_on  # noqa: PLC0415 - likewise

    on_accent = text_on(accent)
    stronger = mixed(accent, "#000000" if on_accent == "#ffffff" else "#ffffff", _STRONGER)
    return f"--accent: {accent}; --accent-strong: {stronger}; --on-accent: {on_accent}; --link: {link};"

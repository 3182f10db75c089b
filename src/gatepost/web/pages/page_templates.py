"""The templates of the pages, in each language, with what an operator puts in front of them.

Templates are compiled at first use: a server that only answers tools never imports Jinja. Every value is escaped, and a
template that names a value it was not given fails instead of showing a blank.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gatepost.web.pages.accept_language import preferred_language
from gatepost.web.pages.branding import STYLE, Branding
from gatepost.web.pages.languages import ENGLISH, languages, load_language
from gatepost.web.pages.static_files import StaticFiles, logo

if TYPE_CHECKING:
    from jinja2 import Environment

    from gatepost.web.pages.own_pages import OwnPages

TEMPLATES: Final = Path(__file__).parent / "templates"


class PageTemplates:
    """Makes HTML of a template and its values.

    Args:
        server_name: shown at the top of every page.
        branding: what the operator puts on them.
        own: templates and catalogues of the operator's, which count before ours.

    Raises:
        OwnPagesRefused: a template of the operator's would fail when it is used.
    """

    def __init__(self, *, server_name: str, branding: Branding, own: OwnPages | None = None) -> None:
        self._server_name = server_name
        self._branding = branding
        self._own = own
        self._languages = languages({} if own is None else own.catalogues)
        self._environments: dict[str, Environment] = {}
        """By language: what is compiled knows its own."""
        self.static_files = StaticFiles({**branding.static_files(), **({} if own is None else own.files)})
        if own is not None and own.templates:
            from gatepost.web.pages.own_pages import check_templates  # noqa: PLC0415 - most servers have none

            known = frozenset(path.name for path in TEMPLATES.glob("*.html"))
            check_templates(own, self._environment(ENGLISH), known)

    def language_for(self, accept_language: str) -> str:
        """Return the language for a browser that sends this header."""
        return preferred_language(accept_language, tuple(self._languages))

    def render(self, template: str, language: str, context: Mapping[str, Any]) -> str:
        """Return the HTML."""
        return self._environment(language).get_template(template).render(context)

    def _environment(self, language: str) -> Environment:
        if language not in self._environments:
            self._environments[language] = self._compiling(language)
        return self._environments[language]

    def _compiling(self, language: str) -> Environment:
        from jinja2 import ChoiceLoader, DictLoader, FileSystemLoader, PrefixLoader  # noqa: PLC0415 - see above
        from markupsafe import Markup  # noqa: PLC0415 - likewise

        from gatepost.web.pages.own_pages import OURS  # noqa: PLC0415 - likewise
        from gatepost.web.pages.template_environment import environment_in  # noqa: PLC0415 - likewise

        ours = FileSystemLoader(TEMPLATES)
        own = DictLoader({} if self._own is None else self._own.templates)
        loader = ChoiceLoader([own, ours, PrefixLoader({OURS.removesuffix("/"): ours})])
        environment = environment_in(load_language(language, self._languages[language]), loader)
        branding = self._branding
        environment.globals.update(
            server_name=self._server_name,
            # What a person types in a terminal: in no shell does it mean anything.
            command_name=re.sub("[^a-z0-9]+", "-", self._server_name.lower()).strip("-") or "server",
            static_url=self.static_files.url,
            logo=Markup(logo()),  # noqa: S704 - our own file
            branding=branding,
            styles=self._styles(),
        )
        return environment

    def _styles(self) -> list[str]:
        """Return the names of the style sheets that follow ours."""
        colour = [] if self._branding.accent is None else [STYLE]
        return colour + [name for name in sorted({} if self._own is None else self._own.files) if name.endswith(".css")]

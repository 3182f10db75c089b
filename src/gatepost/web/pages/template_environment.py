"""The environment in which the templates of the pages run: one for each language. Importing it imports Jinja."""

from __future__ import annotations

from typing import Any

from jinja2 import BaseLoader, Environment, StrictUndefined
from markupsafe import Markup

from gatepost.web.pages.languages import Language


def environment_in(language: Language, loader: BaseLoader | None) -> Environment:
    """Return an environment whose texts are in one language.

    A phrase is said in it wherever it is shown: as a value of its own, `{{ phrase }}`, or of a text of the template,
    `{% trans when=phrase %}`. Joined to something else it would come out in English.
    """
    environment = Environment(
        extensions=["jinja2.ext.i18n"],
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        finalize=language.say,
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.newstyle_gettext = True  # type: ignore[attr-defined]  # the extension adds it

    def fill(translation: str, values: dict[str, Any]) -> Markup:
        # The catalogue is as much ours as the templates are, so its markup counts; that of values does not.
        return Markup(translation) % {name: _isolated(language, value) for name, value in values.items()}  # noqa: S704 - see above

    def gettext(message: str, /, **values: Any) -> Markup:
        return fill(language.catalogue.gettext(message), values)

    def ngettext(message: str, plural: str, count: int, /, **values: Any) -> Markup:
        return fill(language.catalogue.ngettext(message, plural, count), {"num": count, **values})

    environment.globals.update(
        {"_": gettext, "gettext": gettext, "ngettext": ngettext, "lang": language.tag, "dir": language.direction}
    )
    return environment


def _isolated(language: Language, value: Any) -> Any:
    said = language.say(value)
    return language.isolated(said) if isinstance(value, str) and not isinstance(value, Markup) else said

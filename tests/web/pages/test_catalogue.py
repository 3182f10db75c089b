"""Every text that people see comes from the catalogue, and every language has every text."""

from __future__ import annotations

import ast
import gettext
import io
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog, Message
from jinja2 import nodes

from gatepost.web.pages.languages import FOLDER, Language
from gatepost.web.pages.page_templates import TEMPLATES
from gatepost.web.pages.template_environment import environment_in
from tools import translations

SOURCE = translations.SOURCE
LANGUAGES = sorted(path.stem for path in FOLDER.glob("*.po"))
PLACE = re.compile(r"%\((\w+)\)s")
TAG = re.compile(r"</?[a-z][^>]*>")
ATTRIBUTES = re.compile(r'[a-z-]+="[^"]*"|autofocus')
"""Of tags that a macro completes."""
LETTERS = re.compile(r"[^\W\d_]{2,}")

# What is the same in every language.
NAMES = {"Claude Code:", "Codex:"}

# Arguments by which the code says something to people, and classes whose argument it is.
SAID = {"title", "message", "problem", "words", "label"}
SAID_BY = {"LoginRefused", "LoginUnavailable", "PasswordRefused", "UsernameRefused", "Link", "LoginField"}


@pytest.fixture(scope="module")
def texts() -> Catalog:
    return translations.extracted()


def catalogue(language: str) -> Catalog:
    return translations.read(FOLDER / f"{language}.po")


def messages(language: str) -> Iterator[tuple[Message, str, str]]:
    """Yield each message with each of its texts and the translation of that."""
    for message in catalogue(language):
        text = message.id if isinstance(message.id, str) else message.id[-1]
        strings = [message.string] if isinstance(message.string, str) else message.string or ()
        for string in strings if text else ():
            yield message, text, string


def test_german_is_there() -> None:
    assert "de" in LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalogue_has_exactly_the_texts_there_are(language: str, texts: Catalog) -> None:
    path = FOLDER / f"{language}.po"
    assert path.read_bytes() == translations.written(translations.brought_in_step(path, texts)), (
        "run `make translations`"
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_lacks_a_translation(language: str) -> None:
    assert [
        message.id for message in catalogue(language) if message.id and not translations.translated(message.string)
    ] == []
    assert [message.id for message in catalogue(language) if message.id and message.fuzzy] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_read_is_what_translators_wrote(language: str) -> None:
    read = gettext.GNUTranslations(io.BytesIO((FOLDER / f"{language}.mo").read_bytes()))
    made = gettext.GNUTranslations(io.BytesIO(translations.compiled(catalogue(language))))
    assert vars(read)["_catalog"] == vars(made)["_catalog"], "run `make translations`"
    assert read.info() == made.info()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_has_the_places_and_the_markup_of_its_text(language: str) -> None:
    for message, text, string in messages(language):
        # Where there is one of something, its number need not be said.
        places = set(PLACE.findall(string)) | ({"count"} if message.pluralizable else set())
        assert places == set(PLACE.findall(text)), text
        assert string % dict.fromkeys(places, "") is not None, text
        assert Counter(TAG.findall(string)) == Counter(TAG.findall(text)), text
        # Some stand in attributes.
        assert TAG.findall(text) or not set('<>"&') & set(string), text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_ends_as_its_text_does(language: str) -> None:
    for _, text, string in messages(language):
        last = text[-1] if text[-1] in ".:?" else ""
        assert string.endswith(last), text
        assert string == string.strip(), text


# --- Nothing is said past the catalogue ---


def templates() -> list[str]:
    return sorted(path.name for path in TEMPLATES.glob("*.html"))


def said_plainly(template: str) -> list[str]:
    """Return the texts of a template that no catalogue knows: between its tags, in attributes, and in expressions."""
    environment = environment_in(Language("en", gettext.NullTranslations()), None)
    tree = environment.parse((TEMPLATES / template).read_text(encoding="utf-8"))
    markup = "".join(part.data if isinstance(part, nodes.TemplateData) else "…" for part in outputs(tree))
    plain = ATTRIBUTES.sub("", re.sub(r"<code>.*?</code>|<[^>]*>", "\n", markup)).split("\n")
    plain += re.findall(r'(?:aria-label|alt|placeholder|title)="([^"]*)"', markup)
    plain += [constant.value for constant in constants(tree) if " " in str(constant.value)]
    return [text.strip("… ") for text in plain if LETTERS.search(text) and text.strip() not in NAMES]


def outputs(tree: nodes.Node) -> Iterator[nodes.Node]:
    for output in tree.find_all(nodes.Output):
        yield from output.nodes


def constants(tree: nodes.Node) -> Iterator[nodes.Const]:
    """Yield the constants that are shown, but for those that are given to gettext."""
    for child in tree.iter_child_nodes():
        match child:
            case nodes.Call(node=nodes.Name(name="_" | "gettext" | "ngettext")):
                for keyword in child.kwargs:
                    yield from constants(keyword)
            case nodes.Const():
                yield child
            case _:
                yield from constants(child)


@pytest.mark.parametrize("template", templates())
def test_a_template_says_nothing_past_the_catalogue(template: str) -> None:
    assert said_plainly(template) == []


def test_what_is_said_past_the_catalogue_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "TEMPLATES", tmp_path)
    (tmp_path / "page.html").write_text(
        '<p title="A hint">{% trans %}Good{% endtrans %} Bad {{ name }}</p>{{ "Not so" if name else _("So so") }}'
    )
    assert said_plainly("page.html") == ["Bad", "A hint", "Not so"]


def code() -> list[Path]:
    folders = (SOURCE / "identity", SOURCE / "web" / "pages")
    return [*(path for folder in folders for path in sorted(folder.rglob("*.py"))), SOURCE / "web/oauth/authorize.py"]


def is_plain_text(node: ast.AST) -> bool:
    match node:
        case ast.Constant(value=str(text)):
            return LETTERS.search(text) is not None
        case ast.JoinedStr():
            return True
        case ast.IfExp():
            return is_plain_text(node.body) or is_plain_text(node.orelse)
    return False


def plain_texts(source: str) -> list[int]:
    """Return the lines that say something to people in plain text."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        said: list[Any] = [keyword.value for keyword in node.keywords if keyword.arg in SAID]
        if name in SAID_BY:
            said += node.args[-1:] if name in {"Link", "LoginRefused", "LoginUnavailable"} else node.args[:2][-1:]
        lines += [node.lineno for each in said if is_plain_text(each)]
    return sorted(set(lines))


@pytest.mark.parametrize("path", code(), ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_the_code_says_nothing_past_the_catalogue(path: Path) -> None:
    assert plain_texts(path.read_text(encoding="utf-8")) == []


def test_plain_text_in_code_is_found() -> None:
    assert plain_texts(
        'Link(path, "Log in")\nraise LoginRefused(f"{host} said no.")\nrender(title="Done", other="x")\n'
        'render(title=Phrase("Done"), problem=None)\nLoginField("password", Phrase("Password"), secret=True)\n'
        'LoginField("code", "Code")\nrefuse(message="Yes" if x else Phrase("No"))\nPasswordRefused("Too short.")\n'
    ) == [1, 2, 3, 6, 7, 8]

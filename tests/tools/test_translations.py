from __future__ import annotations

import gettext
import io
from pathlib import Path

import pytest

from tools import translations
from tools.translations import brought_in_step, compiled, extracted, main, read, translated, written

CODE = """
Phrase("Wait %(time)s.", time=CountedPhrase("a day", "%(count)s days", 2))
Phrase(
    "One "
    "text."
)
"""
TEMPLATE = '<p>{% trans name=x %}\n  Hello\n  {{ name }}\n{% endtrans %}</p>{{ _("Bye") }}'


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "code.py").write_text(CODE)
    (tmp_path / "web" / "page.html").write_text(TEMPLATE)
    return tmp_path


def test_texts_are_found_in_code_and_templates(source: Path) -> None:
    found = {message.id: [place for place, _ in message.locations] for message in extracted(source) if message.id}
    assert found == {
        "Wait %(time)s.": ["src/gatepost/web/code.py"],
        ("a day", "%(count)s days"): ["src/gatepost/web/code.py"],
        "One text.": ["src/gatepost/web/code.py"],
        "Hello %(name)s": ["src/gatepost/web/page.html"],
        "Bye": ["src/gatepost/web/page.html"],
    }


def test_a_catalogue_keeps_its_translations_and_drops_what_is_gone(source: Path, tmp_path: Path) -> None:
    path = tmp_path / "fr.po"
    path.write_text(
        'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n\nmsgid "Bye"\nmsgstr "Au revoir"\n\n'
        'msgid "Gone"\nmsgstr "Parti"\n'
    )
    catalogue = brought_in_step(path, extracted(source))
    assert catalogue["Bye"].string == "Au revoir"
    assert len(catalogue) == 5
    assert not catalogue.obsolete
    path.write_bytes(written(catalogue))
    assert written(read(path)) == path.read_bytes()
    assert b"Gone" not in path.read_bytes()


def test_a_new_language_begins_with_its_forms_for_numbers(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(translations, "FOLDER", tmp_path)
    monkeypatch.setattr(translations, "SOURCE", source)
    assert main(["cs"]) == 1
    assert capsys.readouterr().out.splitlines()[0] == "cs.po: 5 texts, 5 without a translation"
    text = (tmp_path / "cs.po").read_text()
    assert '"Language: cs\\n"' in text
    assert 'msgstr[2] ""' in text
    assert "POT-Creation-Date" not in text


def test_what_is_compiled_is_read_by_gettext_and_the_same_every_time(source: Path, tmp_path: Path) -> None:
    catalogue = brought_in_step(tmp_path / "de.po", extracted(source))
    catalogue["Bye"].string = "Tschüss"
    catalogue["a day"].string = ("ein Tag", "%(count)s Tage")
    made = compiled(catalogue)
    read_back = gettext.GNUTranslations(io.BytesIO(made))
    assert read_back.gettext("Bye") == "Tschüss"
    assert read_back.ngettext("a day", "%(count)s days", 3) == "%(count)s Tage"
    assert read_back.gettext("One text.") == "One text."
    assert compiled(catalogue) == made
    assert set(read_back.info()) == {"language", "content-type", "content-transfer-encoding", "plural-forms"}


@pytest.mark.parametrize(
    ("string", "is_translated"), [("x", True), ("", False), (("a", "b"), True), (("a", ""), False), ((), False)]
)
def test_a_translation_has_every_form(string: object, is_translated: bool) -> None:
    assert translated(string) is is_translated

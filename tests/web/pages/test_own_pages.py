"""A folder of the operator's in front of our pages: what it changes, and what is found at the start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from starlette.requests import Request

from gatepost.web.pages.headers import page_headers
from gatepost.web.pages.own_pages import OwnPagesRefused, read_own_pages
from gatepost.web.pages.page_templates import TEMPLATES
from gatepost.web.pages.rendering import Pages
from gatepost.wording.phrase import Phrase
from tools.translations import compiled

EXTENDED = '{% extends "gatepost/error.html" %}'
MAIN = "{% block title %}T{% endblock %}{% block main %}M{% endblock %}"


def pages(folder: Path) -> Pages:
    return Pages(server_name="Notes", secure=True, own=read_own_pages(folder))


def refusal(folder: Path) -> str:
    with pytest.raises(OwnPagesRefused) as refused:
        pages(folder)
    return str(refused.value).replace(f"{folder}/", "")


def error_page(pages: Pages, language: str = "en") -> Any:
    request = Request({"type": "http", "path": "/", "headers": [(b"accept-language", language.encode())]})
    context: dict[str, Any] = {"title": Phrase("Log in"), "message": "Why.", "detail": None, "link": None}
    return pages.render(request, "error.html", reason_code="x", refusal_id="1", **context)


def text(response: Any) -> str:
    return bytes(response.body).decode()


def write_catalogue(path: Path, **texts: str) -> None:
    catalogue = Catalog(locale=path.stem.replace("-", "_"))
    for message, translation in texts.items():
        catalogue.add(message.replace("_", " "), translation)
    path.write_bytes(compiled(catalogue))


# --- What it changes ---


def test_a_template_takes_the_place_of_ours(tmp_path: Path) -> None:
    (tmp_path / "error.html").write_text(
        '{% extends "base.html" %}{% block title %}{{ title }}{% endblock %}'
        "{% block main %}OURS {{ message }}{% endblock %}"
    )
    response = error_page(pages(tmp_path))
    assert "OURS Why." in text(response)
    assert "<!doctype html>" in text(response)


def test_a_template_can_change_one_block_of_ours(tmp_path: Path) -> None:
    (tmp_path / "error.html").write_text(
        '{% extends "gatepost/error.html" %}{% block main %}{{ super() }}{% include "line.html" %}{% endblock %}'
    )
    (tmp_path / "line.html").write_text("<p>{{ server_name }} says sorry.</p>")
    page = text(error_page(pages(tmp_path)))
    assert "Why." in page
    assert "Notes says sorry." in page


def test_one_frame_for_every_page(tmp_path: Path) -> None:
    (tmp_path / "base.html").write_text(
        '{% extends "gatepost/base.html" %}{% block header %}<b>{{ server_name }}</b>{% endblock %}'
    )
    assert "<b>Notes</b>" in text(error_page(pages(tmp_path)))


def test_what_pages_may_do_is_not_up_to_a_template(tmp_path: Path) -> None:
    (tmp_path / "error.html").write_text(
        '{% extends "gatepost/error.html" %}{% block title %}<script>1</script>{% endblock %}'
    )
    response = error_page(pages(tmp_path))
    expected = page_headers(secure=True, in_flow=True)["Content-Security-Policy"]
    assert response.headers["content-security-policy"] == expected
    assert "script-src" not in expected
    assert "default-src 'none'" in expected


def test_a_template_is_what_it_was_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "error.html"
    path.write_text('{% extends "gatepost/error.html" %}{% block title %}FIRST{% endblock %}')
    ours = pages(tmp_path)
    path.write_text("{% broken")
    assert "FIRST" in text(error_page(ours, "de"))


def test_values_are_escaped_in_it_as_in_ours(tmp_path: Path) -> None:
    (tmp_path / "error.html").write_text(
        '{% extends "gatepost/error.html" %}{% block title %}{{ server_name }}{% endblock %}'
    )
    branded = Pages(server_name="<b>", secure=True, own=read_own_pages(tmp_path))
    assert "<b>" not in text(error_page(branded))


def test_further_languages_and_other_words(tmp_path: Path) -> None:
    write_catalogue(tmp_path / "fr.mo", Log_in="Se connecter")
    write_catalogue(tmp_path / "en.mo", Log_in="Sign in")
    write_catalogue(tmp_path / "de.mo", Log_in="Einloggen")
    ours = pages(tmp_path)
    assert [
        f"<h1>{words}</h1>" in text(error_page(ours, tag))
        for tag, words in (
            ("fr-CA", "Se connecter"),
            ("en", "Sign in"),
            ("de", "Einloggen"),
            ("ja", "Sign in"),
        )
    ] == [True] * 4
    assert error_page(ours, "fr-CA").headers["content-language"] == "fr"
    # What the operator does not say, we do.
    assert "Für die Betreuung dieses Servers:" in text(error_page(ours, "de"))
    assert "For whoever looks after this server:" in text(error_page(ours, "fr"))


def test_style_sheets_are_linked_and_pictures_have_addresses(tmp_path: Path) -> None:
    (tmp_path / "house.css").write_text("body { margin: 0 }")
    (tmp_path / "door.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    (tmp_path / "error.html").write_text(
        '{% extends "gatepost/error.html" %}{% block title %}{{ static_url("door.svg") }}{% endblock %}'
    )
    page = text(error_page(pages(tmp_path)))
    assert '<link rel="stylesheet" href="/oauth/static/house.css?v=' in page
    assert "<title>/oauth/static/door.svg?v=" in page


def test_every_template_of_ours_can_be_copied_and_extended(tmp_path: Path) -> None:
    for template in TEMPLATES.glob("*.html"):
        (tmp_path / template.name).write_bytes(template.read_bytes())
    pages(tmp_path)
    for template in tmp_path.glob("*.html"):
        template.write_text(f'{{% extends "gatepost/{template.name}" %}}')
    pages(tmp_path)


def test_hidden_and_other_files_are_nobodys_business(tmp_path: Path) -> None:
    (tmp_path / ".error.html.swp").write_bytes(b"\xff")
    (tmp_path / "README.md").write_bytes(b"\xff")
    (tmp_path / "fr.po").write_bytes(b"\xff")
    pages(tmp_path)


# --- What is found at the start ---


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"error.html": "{% block main %}"}, "error.html, line 1: Unexpected end of template. Jinja was looking"),
        ({"error.html": "\n{{ title | shout }}"}, "error.html, line 2: No filter named 'shout'."),
        (
            {"error.html": MAIN + "{{ titel }}"},
            "error.html uses titel, which the page is not given. It is given: detail,",
        ),
        (
            {"error.html": '{% extends "base.html" %}{% block title %}T{% endblock %}'},
            "error.html lacks the block main, which the page needs.",
        ),
        ({"error.html": "<!doctype html>A page of its own"}, None),
        ({"base.html": "{% block main %}{% endblock %}"}, "base.html lacks the block title, which the page needs."),
        ({"base.html": MAIN}, None),
        (
            {"error.html": '{% extends "gatepost/base.html" %}'},
            "error.html lacks the block main, title, which the page needs.",
        ),
        ({"login.html": MAIN}, "login.html has no field csrf_token, without which its form is refused."),
        ({"error.html": '{% extends "bass.html" %}'}, "A template of yours refers to bass.html, which is not there."),
        ({"eror.html": MAIN}, "eror.html is no page, and no template of yours refers to it. There are: account.html,"),
        (
            {"error.html": '{% extends "error.html" %}'},
            "error.html refers to itself. To change a part of our page, let it extend gatepost/error.html.",
        ),
        (
            {"error.html": EXTENDED + "{% if title %}{% block heder %}x{% endblock %}{% endif %}"},
            "error.html has the block heder, which would never be shown: gatepost/error.html has none of that name.",
        ),
        (
            {"error.html": '{% extends "house.html" %}', "house.html": EXTENDED + "{% block mian %}x{% endblock %}"},
            "house.html has the block mian, which would never be shown: gatepost/error.html has none of that name.",
        ),
        # A block within one that is shown is new, and shown.
        ({"error.html": EXTENDED + "{% block main %}{% block new %}x{% endblock %}{% endblock %}"}, None),
        ({"error.html": "\udcff"}, "error.html is not UTF-8."),
        ({"a b.css": "x"}, "a b.css needs another name: letters, digits and . _ - that are not the name of ours."),
        ({"gatepost.css": "x"}, "gatepost.css needs another name: letters, digits and . _ - that are not the name"),
        ({"large.css": " " * 300_000}, "large.css is larger than 256 KiB."),
        ({"door.svg": "<html/>"}, "door.svg cannot be shown: it is neither an SVG nor a PNG picture."),
        ({"fr.mo": "no catalogue"}, "fr.mo is no compiled catalogue:"),
        ({"french!.mo": "x"}, "french!.mo has to be named for its language, such as fr.mo or pt-BR.mo."),
    ],
)
def test_a_mistake_is_a_sentence_at_the_start(tmp_path: Path, files: dict[str, str], sentence: str | None) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="utf-8", errors="surrogateescape")
    if sentence is None:
        pages(tmp_path)
    else:
        assert refusal(tmp_path).startswith(sentence)


def test_what_a_template_defines_itself_it_need_not_be_given(tmp_path: Path) -> None:
    (tmp_path / "error.html").write_text(
        '{% extends "gatepost/error.html" %}{% from "parts.html" import line as row %}'
        '{% import "parts.html" as parts %}'
        "{% set greeting = 'Hi' %}{% set a, b = 1, 2 %}"
        "{% block main %}{% for x in [a, b] %}{{ x }}{% endfor %}"
        "{{ greeting }}{{ row() }}{{ parts.line() }}{% endblock %}"
    )
    (tmp_path / "parts.html").write_text("{% macro line() %}line{% endmacro %}")
    assert "12Hilineline" in text(error_page(pages(tmp_path)))


def test_a_translation_with_a_place_that_its_text_has_not_is_found(tmp_path: Path) -> None:
    write_catalogue(tmp_path / "fr.mo", Log_in="Se connecter %(user)s")
    assert refusal(tmp_path) == (
        "fr.mo has a place for a value that its text has not, or a per cent sign alone: 'Log in'."
    )
    write_catalogue(tmp_path / "fr.mo", Log_in="100 %")
    assert refusal(tmp_path).startswith("fr.mo has a place for a value that its text has not, or a per cent sign")


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(OwnPagesRefused, match="nowhere cannot be read: No such file or directory."):
        read_own_pages(tmp_path / "nowhere")

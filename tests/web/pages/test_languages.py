from __future__ import annotations

import gettext
from typing import Any

import pytest
from jinja2 import DictLoader
from starlette.requests import Request

from gatepost.web.pages.languages import Language, languages, load_language
from gatepost.web.pages.rendering import Pages
from gatepost.web.pages.template_environment import environment_in
from gatepost.wording.phrase import CountedPhrase, Phrase

RLI, PDI = "\u2068", "\u2069"


class Shouting(gettext.NullTranslations):
    """A language that is English in capitals, but for places of values."""

    def gettext(self, message: str) -> str:
        return message.upper().replace("%(NAME)S", "%(name)s").replace("%(COUNT)S", "%(count)s")

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)


def rendered(template: str, *, tag: str = "en", catalogue: Any = None, **context: Any) -> str:
    language = Language(tag, catalogue or Shouting())
    return environment_in(language, DictLoader({"page": template})).get_template("page").render(context)


def request(accepted: str | None = None) -> Request:
    headers = [] if accepted is None else [(b"accept-language", accepted.encode())]
    return Request({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers})


@pytest.mark.parametrize(
    ("tag", "direction"),
    [
        ("en", "ltr"),
        ("de-AT", "ltr"),
        ("ar", "rtl"),
        ("AR-eg", "rtl"),
        ("he", "rtl"),
        ("fa-IR", "rtl"),
        ("ur", "rtl"),
        ("az-Arab", "rtl"),
        ("ku-arab-IQ", "rtl"),
        ("ar-Latn", "ltr"),
        ("yi-latn-DE", "ltr"),
        ("arn", "ltr"),
        ("hem", "ltr"),
        ("en-x-arab", "ltr"),
    ],
)
def test_the_tag_says_which_way_a_language_is_written(tag: str, direction: str) -> None:
    assert Language(tag, gettext.NullTranslations()).direction == direction


def test_a_phrase_is_said_in_the_language_of_the_page() -> None:
    phrase = Phrase("hello %(name)s", name=CountedPhrase("a friend", "%(count)s friends", 2))
    assert rendered("{{ phrase }}", phrase=phrase) == "HELLO 2 FRIENDS"
    assert rendered("{% trans name=phrase %}so: {{ name }}{% endtrans %}", phrase=phrase) == "SO: HELLO 2 FRIENDS"
    assert rendered("{{ _('so: %(name)s', name=phrase) }}", phrase=phrase) == "SO: HELLO 2 FRIENDS"
    counted = "{% trans count=number %}a friend{% pluralize %}{{ count }} friends{% endtrans %}"
    assert rendered(counted, number=1) == "A FRIEND"
    assert rendered(counted, number=3) == "3 FRIENDS"


def test_the_words_of_somebody_else_stay_as_they_are() -> None:
    assert rendered("{{ words }} {{ _(given) }}", words="hello", given="hello") == "hello HELLO"


def test_values_are_escaped_and_the_markup_of_texts_is_not() -> None:
    attack, phrase = "<b>", Phrase("<i>%(name)s", name="<u>")
    shown = rendered("{{ attack }} {{ phrase }} {% trans name=attack %}<p>{{ name }}{% endtrans %}", **locals())
    assert shown == "&lt;b&gt; &lt;I&gt;&lt;u&gt; <P>&lt;b&gt;"
    assert rendered("{% trans %}100 %{% endtrans %}") == "100 %"


@pytest.mark.parametrize("template", ["{{ phrase | e }}", "{{ [phrase] | join(' ') }}"])
def test_a_phrase_that_would_come_out_in_english_is_an_error(template: str) -> None:
    with pytest.raises(TypeError, match="a phrase has no language"):
        rendered(template, phrase=Phrase("hello"))


def test_foreign_words_keep_their_direction_to_themselves() -> None:
    template, phrase = "{% trans name=foreign %}as {{ name }}{% endtrans %} {{ phrase }}", "as %(name)s"
    values = {name: (name, Phrase(phrase, name=name)) for name in ("Ada", "\u05d0\u05d1", "\u0645\u0644")}
    plain = gettext.NullTranslations()
    shown = {
        (tag, name): rendered(template, tag=tag, catalogue=plain, foreign=foreign, phrase=phrase)
        for tag in ("en", "ar")
        for name, (foreign, phrase) in values.items()
    }
    assert shown["en", "Ada"] == "as Ada as Ada"
    assert shown["ar", "Ada"] == f"as {RLI}Ada{PDI} as {RLI}Ada{PDI}"
    for name in ("\u05d0\u05d1", "\u0645\u0644"):
        assert shown["en", name] == shown["ar", name] == f"as {RLI}{name}{PDI} as {RLI}{name}{PDI}"


def test_english_is_the_first_language_and_german_is_there() -> None:
    assert list(languages())[:2] == ["en", "de"]
    assert {tag: load_language(tag, path).tag for tag, path in languages().items()} == {"en": "en", "de": "de"}


@pytest.mark.parametrize(
    ("accepted", "tag"),
    [(None, "en"), ("de-DE,de;q=0.9,en;q=0.8", "de"), ("en-GB,de;q=0.5", "en"), ("ja", "en"), ("\u00ff;", "en")],
)
def test_a_page_says_its_language_to_browsers_and_caches(accepted: str | None, tag: str) -> None:
    pages = Pages(server_name="Notes", secure=True)
    context: dict[str, Any] = {
        "title": Phrase("Log in"),
        "message": "",
        "detail": None,
        "link": None,
        "reason_code": "x",
        "refusal_id": "1",
    }
    response = pages.render(request(accepted), "error.html", **context)
    assert (response.headers["content-language"], response.headers["vary"]) == (tag, "Accept-Language")
    assert f'<html lang="{tag}" dir="ltr">' in bytes(response.body).decode()

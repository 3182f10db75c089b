"""What the settings put on the pages, through the whole app, and what they refuse at the start."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from gatepost import Server, create_app
from gatepost.configuration.settings import SettingsError, load_settings
from gatepost.stores.sql.sqlite import memory_store

SVG = '<svg xmlns="http://www.w3.org/2000/svg"/>'
BROWSER = {"Sec-Fetch-Dest": "document", "Accept-Language": "de"}


def refusal(**variables: str) -> str:
    with pytest.raises(SettingsError) as refused:
        create_app(Server("Notes"), settings=load_settings(variables), store=memory_store())
    return str(refused.value)


async def landing_page(**variables: str) -> httpx2.Response:
    app = create_app(Server("Notes"), settings=load_settings(variables), store=memory_store(), announce=lambda _: None)
    transport = httpx2.ASGITransport(app=app, client=("127.0.0.1", 40_000))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8000") as http:
        response = await http.get("/", headers=BROWSER)
        assert (response.status_code, response.headers["content-language"]) == (200, "de")
        for path in ("brand.css", "logo.svg", "house.css"):
            if path in response.text:
                assert (await http.get(f"/oauth/static/{path}")).status_code == 200
        return response


async def test_without_settings_pages_are_ours_in_the_language_of_the_browser() -> None:
    page = (await landing_page()).text
    assert '<html lang="de" dir="ltr">' in page
    assert "Das ist ein MCP-Server" in page
    assert "<footer" not in page


async def test_settings_put_logo_colour_links_and_templates_on_every_page(tmp_path: Path) -> None:
    (tmp_path / "logo.svg").write_text(SVG)
    own = tmp_path / "pages"
    own.mkdir()
    (own / "base.html").write_text(
        '{% extends "gatepost/base.html" %}{% block header %}HOUSE{{ super() }}{% endblock %}'
    )
    (own / "house.css").write_text("main { border: 0 }")
    page = (
        await landing_page(
            OAUTH_LOGO=str(tmp_path / "logo.svg"),
            OAUTH_ACCENT="#0B57D0",
            OAUTH_SUPPORT="help@example.com",
            OAUTH_IMPRINT_URL="https://example.com/imprint",
            OAUTH_PRIVACY_URL="https://example.com/privacy",
            OAUTH_PAGES_DIR=str(own),
        )
    ).text
    for shown in (
        "HOUSE",
        "logo.svg?v=",
        "brand.css?v=",
        "house.css?v=",
        "mailto:help@example.com",
        "/imprint",
        "/privacy",
    ):
        assert shown in page, shown


def test_what_cannot_be_used_is_a_sentence_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "login.html").write_text("{% block main %}")
    assert refusal(OAUTH_LOGO=str(tmp_path / "logo.svg")) == (
        f"OAUTH_LOGO cannot be used: {tmp_path}/logo.svg cannot be read: No such file or directory."
    )
    assert refusal(OAUTH_PAGES_DIR=str(tmp_path)).startswith(
        "OAUTH_PAGES_DIR cannot be used. login.html, line 1: Unexpected end of template."
    )


@pytest.mark.parametrize(
    ("name", "value", "takes"),
    [
        ("OAUTH_ACCENT", "blue", "a colour such as #0b57d0"),
        ("OAUTH_ACCENT", "#0b57d0;}", "a colour such as #0b57d0"),
        ("OAUTH_SUPPORT", "help", "an e-mail address or an https URL"),
        ("OAUTH_SUPPORT", "javascript:alert(1)", "an e-mail address or an https URL"),
        ("OAUTH_SUPPORT", "a@b.example?cc=c@d.example", "an e-mail address or an https URL"),
        ("OAUTH_IMPRINT_URL", "http://example.com", "an https URL"),
        ("OAUTH_PRIVACY_URL", "https://user@example.com/", "an https URL"),
        ("OAUTH_PRIVACY_URL", "https:///privacy", "an https URL"),
        ("OAUTH_PRIVACY_URL", "https://[example.com", "an https URL"),
        ("OAUTH_PRIVACY_URL", "https://example.com/a b", "an https URL"),
    ],
)
def test_a_value_that_pages_could_not_use_is_refused(name: str, value: str, takes: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings({name: value})
    assert str(refused.value) == f"{name} takes {takes}."

"""What an operator puts on the pages, over HTTP."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest
from starlette.requests import Request

from gatepost.web.pages.branding import Branding
from gatepost.web.pages.headers import page_headers
from gatepost.web.pages.pictures import Picture
from gatepost.web.pages.rendering import Pages
from gatepost.wording.phrase import Phrase
from tests.web.served import Served

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
REQUEST = Request({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []})


def pages(**branding: Any) -> Pages:
    return Pages(server_name="Notes", secure=True, branding=Branding(**branding))


def html(pages: Pages) -> str:
    context: dict[str, Any] = {"title": Phrase("Log in"), "message": "", "detail": None, "link": None}
    return bytes(pages.render(REQUEST, "error.html", reason_code="x", refusal_id="1", **context).body).decode()


async def served(pages: Pages, path: str) -> httpx2.Response:
    transport = httpx2.ASGITransport(app=Served(pages.static_files.routes()))
    async with httpx2.AsyncClient(transport=transport, base_url="https://mcp.example.com") as http:
        return await http.get(path)


def test_without_branding_pages_have_our_logo_and_no_foot() -> None:
    page = html(pages())
    assert re.findall(r"<svg|<footer|brand\.css|Help", page) == ["<svg"]


@pytest.mark.parametrize(
    ("picture", "name"),
    [(Picture(SVG, "image/svg+xml", ".svg"), "logo.svg"), (Picture(b"\x89PNG", "image/png", ".png"), "logo.png")],
)
async def test_the_logo_takes_the_place_of_ours(picture: Picture, name: str) -> None:
    branded = pages(logo=picture)
    page = html(branded)
    [icon, image] = re.findall(rf'"(/oauth/static/{name}\?v=[0-9a-f]{{16}})"', page)
    assert icon == image
    assert f'<link rel="icon" href="{icon}" type="{picture.media_type}">' in page
    assert f'<img src="{icon}" alt="">' in page
    assert "<svg" not in page
    response = await served(branded, icon)
    assert (response.content, response.headers["content-type"]) == (picture.content, picture.media_type)
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert "sandbox" in response.headers["content-security-policy"]


async def test_the_colour_is_a_style_sheet_of_its_own_after_ours() -> None:
    branded = pages(accent="#0b57d0")
    sheets = re.findall(r'<link rel="stylesheet" href="/oauth/static/([a-z.]+)(\?v=[0-9a-f]+)">', html(branded))
    assert [name for name, _ in sheets] == ["gatepost.css", "brand.css"]
    response = await served(branded, "/oauth/static/brand.css" + sheets[1][1])
    assert response.headers["content-type"] == "text/css; charset=utf-8"
    assert response.text == (
        ":root { --accent: #0b57d0; --accent-strong: #094ab1; --on-accent: #ffffff; --link: #0b57d0; }\n"
        "@media (prefers-color-scheme: dark) { :root { --accent: #5e90e0; --accent-strong: #76a1e5; "
        "--on-accent: #000000; --link: #5e90e0; } }\n"
    )


def test_another_colour_is_another_address() -> None:
    one, other = (re.findall(r"brand\.css\?v=\w+", html(pages(accent=colour))) for colour in ("#0b57d0", "#0b57d1"))
    assert one != other


@pytest.mark.parametrize(
    ("support", "link", "words"),
    [
        ("help@example.com", "mailto:help@example.com", "help@example.com"),
        ("https://example.com/help/", "https://example.com/help/", "example.com/help"),
    ],
)
def test_whoever_is_stuck_reads_whom_to_ask(support: str, link: str, words: str) -> None:
    page = html(pages(support=support))
    assert f'The people who run this server can be reached here: <a href="{link}"><bdi>{words}</bdi></a>' in page
    assert f'<li><a href="{link}">Help</a></li>' in page


def test_imprint_and_privacy_stand_below_every_page() -> None:
    page = html(pages(imprint="https://example.com/imprint", privacy="https://example.com/privacy?a=1&b=2"))
    assert '<li><a href="https://example.com/imprint">Imprint</a></li>' in page
    assert '<li><a href="https://example.com/privacy?a=1&amp;b=2">Privacy</a></li>' in page
    assert "Help" not in page


def test_branding_needs_nothing_that_the_policy_forbids() -> None:
    page = html(pages(logo=Picture(SVG, "image/svg+xml", ".svg"), accent="#0b57d0", support="a@example.com"))
    assert re.findall(r"<style|\sstyle=|<script|\son\w+=|https?://(?!mcp)", page) == []
    assert "style-src 'self'; img-src 'self'" in page_headers(secure=True, in_flow=True)["Content-Security-Policy"]

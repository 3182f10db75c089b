from __future__ import annotations

import string
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.server.declared.uri_templates import UriError, UriTemplate, check_uri


@pytest.mark.parametrize(
    ("template", "uri", "values"),
    [
        ("notes://{id}", "notes://7", {"id": "7"}),
        ("notes://{id}", "notes://a%20b", {"id": "a b"}),
        ("notes://{id}", "notes://%C3%A4", {"id": "ä"}),
        ("notes://{author}/{number}", "notes://ada/7", {"author": "ada", "number": "7"}),
        ("test://template/{id}/data", "test://template/123/data", {"id": "123"}),
        ("files://{+path}", "files://a/b/c.txt", {"path": "a/b/c.txt"}),
        ("files://{+path}/raw", "files://a/raw/b/raw", {"path": "a/raw/b"}),
        ("files://{disk}/{+path}", "files://c/a/b", {"disk": "c", "path": "a/b"}),
        ("day:{year}-{month}", "day:2026-07", {"year": "2026", "month": "07"}),
        ("day:{year}-{month}", "day:2026-07-28", {"year": "2026", "month": "07-28"}),
        ("notes://{id}?raw", "notes://7?raw", {"id": "7"}),
        ("urls:{+url}", "urls:https://example.com/?q=1", {"url": "https://example.com/?q=1"}),
        # However it is spelled; a value keeps its case.
        ("notes://{id}", "Notes://Ada", {"id": "Ada"}),
        ("Notes://{id}", "notes://Ada", {"id": "Ada"}),
        ("notes://{id}", "notes://\u00e4", {"id": "\u00e4"}),
        ("notes://{id}", "notes://%c3%a4", {"id": "\u00e4"}),
        ("notes://{id}", "notes://7 8", {"id": "7 8"}),
        ("notes://{id}", "notes://a+b", {"id": "a+b"}),
        ("notes://{id}", "notes://%41%62", {"id": "Ab"}),
        ("notes://Shelf/{id}", "notes://sHELF/Ada", {"id": "Ada"}),
        ("notes://shelf/%7euser/{id}", "notes://shelf/~user/%7Eb", {"id": "~b"}),
        ("notes://shelf/caf%C3%A9/{id}", "notes://shelf/caf\u00e9/1", {"id": "1"}),
        ("notes://shelf/{id}/%c3%a9", "notes://shelf/1/\u00e9", {"id": "1"}),
        ("https://Example.com:443/{id}", "HTTPS://example.COM/Ada", {"id": "Ada"}),
        ("https://example.com/{id}", "https://example.com:443/Ada", {"id": "Ada"}),
        ("https://example.com{?q}", "https://example.com/?q=1", {"q": "1"}),
        ("https://example.com/{?q}", "https://example.com?q=1", {"q": "1"}),
        ("files://{+path}/RAW", "files://a/B/RAW", {"path": "a/B"}),
    ],
)
def test_a_uri_gives_back_the_values_it_was_made_with(template: str, uri: str, values: dict[str, str]) -> None:
    assert UriTemplate(template).match(uri) == values


@pytest.mark.parametrize(
    ("template", "uri"),
    [
        ("notes://{id}", "notes://"),
        ("notes://{id}", "notes://7/8"),
        ("notes://{id}", "notes://7?x=1"),
        ("notes://{id}", "notes://7\ud800"),
        ("notes://shelf/{id}", "notes://shelf/7/"),
        ("notes://shelf/Top/{id}", "notes://shelf/top/7"),
        ("notes://shelf/{id}/Top", "notes://shelf/7/top"),
        ("notes://cafe%CC%81/{id}", "notes://caf\u00e9/7"),
        ("notes://{id}", "notes://%E4"),
        ("notes://{id}", "notes://100%"),
        ("notes://{id}/x", "notes://7"),
        ("notes:/{a}/{b}", "notes:/7"),
        ("ab:{x}:ba", "ab:ba"),
        ("notes://{id}\n", "notes://7\n"),
    ],
)
def test_another_uri_is_no_match(template: str, uri: str) -> None:
    if template.endswith("\n"):
        with pytest.raises(UriError):
            UriTemplate(template)
    else:
        assert UriTemplate(template).match(uri) is None


@pytest.mark.parametrize(
    ("uri", "values"),
    [
        ("notes://find", {}),
        ("notes://find?text=milk", {"text": "milk"}),
        ("notes://find?text=a%20b%26c&most=5", {"text": "a b&c", "most": "5"}),
        ("notes://find?most=5&text=a/b?c", {"most": "5", "text": "a/b?c"}),
        ("notes://find?text=", {"text": ""}),
        ("notes://find?text=1+1", {"text": "1+1"}),
        ("notes://find?", None),
        ("notes://find?text", {"text": ""}),
        ("notes://find?other=1", None),
        ("notes://find?text=a&text=b", None),
        ("notes://find?text=a&most=1&text=b", None),
        ("notes://find?text=a&", None),
        ("notes://find?text=a=b", None),
        ("notes://find?text=a b", {"text": "a b"}),
        ("Notes://FIND?te%78t=\u00e4&most=5", {"text": "\u00e4", "most": "5"}),
        ("notes://find?text=%E4", None),
        ("notes://find?text=a#b", None),
        ("notes://elsewhere?text=a", None),
    ],
)
def test_a_query_is_read_in_any_order_and_any_part_of_it_may_be_missing(
    uri: str, values: dict[str, str] | None
) -> None:
    assert UriTemplate("notes://find{?text,most}").match(uri) == values


def test_a_query_may_follow_other_expressions() -> None:
    template = UriTemplate("notes://{author}{?most}")
    assert template.names == {"author", "most"}
    assert template.match("notes://ada?most=2") == {"author": "ada", "most": "2"}
    assert template.match("notes://ada") == {"author": "ada"}


@pytest.mark.parametrize("value", ["..", "a/../b", "%2e%2e/x", ".%2E/x", "/etc", "a%5Cb", "a\\b", "a%00"])
def test_a_query_never_leads_out_of_a_folder(value: str) -> None:
    assert UriTemplate("files:///x{?name}").match(f"files:///x?name={value}") is None


@pytest.mark.parametrize(
    "value", ["..", ".", "%2E%2E", "%2e.", "a%2Fb", "a%2fb", "..%2fpasswd", "a%5Cb", "a\\b", "a%00b", "a%0Ab", "%7F"]
)
@pytest.mark.parametrize("template", ["files:///{name}", "files:///{name}/x"])
def test_a_segment_never_leads_out_of_its_folder(template: str, value: str) -> None:
    assert UriTemplate(template).match(template.replace("{name}", value)) is None


@pytest.mark.parametrize(
    "value",
    [
        "..",
        "../a",
        "a/../b",
        "a/..",
        "./a",
        "%2E%2E/a",
        "a/%2e%2e/b",
        "a/%2E./b",
        "/etc",
        "%2Fetc",
        "a%5C..%5Cb",
        "..\\a",
    ],
)
def test_several_segments_never_lead_out_of_their_folder(value: str) -> None:
    assert UriTemplate("files:///{+path}").match(f"files:///{value}") is None


@pytest.mark.parametrize(
    "template",
    [
        "{x}", "notes://{}", "notes://{x", "notes://x}", "notes://{x}{y}", "notes://{x}/{x}", "notes://{?x}/y",
        "notes://{x}{?x}", "notes://{?x,x}", "notes://{?}", "notes://{?x,}", "notes://{?x*}", "notes://a?b={b}{?x}", "notes://{&x}",
        "notes://{x*}", "notes://{x:3}", "notes://{x,y}", "notes://{1x}", "no tes://{x}", "notes://{x}/ä",
        "notes://{x}/a b", "/notes/{x}", "{+x}://",
    ],
)  # fmt: skip
def test_what_cannot_be_read_backwards_is_no_template(template: str) -> None:
    with pytest.raises(UriError):
        UriTemplate(template)


@pytest.mark.parametrize(
    "uri", ["", "notes", "//notes", "1:x", "notes://a b", "notes://ä", "notes://%zz", "notes://a\n"]
)
def test_what_is_no_uri_is_refused(uri: str) -> None:
    with pytest.raises(UriError):
        check_uri(uri)


def test_the_error_for_characters_that_uris_do_not_have_says_what_to_write() -> None:
    with pytest.raises(UriError, match=r"is no URI: write 'notes://a/caf%C3%A9%20au%20lait'$"):
        check_uri("notes://a/caf\u00e9 au lait")


@given(st.text(string.ascii_letters + string.punctuation + " ä", min_size=1))
def test_every_safe_text_survives_expansion_and_matching(text: str) -> None:
    is_safe = "/" not in text and "\\" not in text and text not in {".", ".."}

    found = UriTemplate("notes://{id}/x").match(f"notes://{quote(text, safe='')}/x")

    assert found == ({"id": text} if is_safe else None)


def test_matching_takes_no_longer_than_the_uri_is() -> None:
    template = UriTemplate("x:{a}-{b}-{c}-{d}-{e}-{f}/")
    began = time.process_time()

    assert template.match_encoded("x:" + "-" * 200_000 + "!") is None
    assert template.match_encoded("x:" + "a-" * 200_000 + "é/") is None
    assert time.process_time() - began < 1

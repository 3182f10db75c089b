"""HTTPS_PROXY and ALL_PROXY, and what is refused at the start."""

import pytest

from gatepost.configuration.forward_proxy import forward_proxy
from gatepost.configuration.settings import SettingsError, load_settings
from gatepost.outbound.proxy import ForwardProxy

WRONG = [
    *("socks5://proxy.example:1080", "socks5h://proxy.example", "ftp://proxy.example", "http:///", "http://:3128"),
    *("http://proxy.example:0", "http://proxy.example:99999", "http://proxy.example:x", "http://proxy.example/path"),
    *(
        "http://user:pa#ss@proxy.example",
        "http://user:pa/ss@proxy.example",
        "http://proxy.example?x",
        "a b",
        "http://[::1",
    ),
    "http://proxy.exämple",
]


def test_without_the_variables_there_is_no_proxy() -> None:
    assert forward_proxy(load_settings()) is None


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("HTTPS_PROXY", "HTTPS_PROXY"),
        ("https_proxy", "HTTPS_PROXY"),
        ("ALL_PROXY", "ALL_PROXY"),
        ("all_proxy", "ALL_PROXY"),
    ],
)
def test_a_proxy_is_named_as_other_programs_have_it(name: str, setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "http://proxy.example:3128")
    expected = ForwardProxy("http://proxy.example:3128", "proxy.example:3128", setting)
    assert forward_proxy(load_settings()) == expected


def test_the_one_for_https_counts_before_the_one_for_all_and_lower_case_before_upper(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ("ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy")
    for number, name in enumerate(names):
        monkeypatch.setenv(name, f"http://{number}.example")
        found = forward_proxy(load_settings())
        assert found is not None
        assert found.address == f"{number}.example:80"


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("proxy.example:3128", "proxy.example:3128"),
        ("HTTPS://proxy.example/", "proxy.example:443"),
        ("http://us%40er:pass@10.0.0.1", "10.0.0.1:80"),
        ("http://[fd00::1]:3128", "[fd00::1]:3128"),
    ],
)
def test_what_a_proxy_may_look_like(value: str, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    found = forward_proxy(load_settings())
    assert found is not None
    assert found.address == address
    assert found.url.startswith(("http://", "https://"))


@pytest.mark.parametrize("value", WRONG)
def test_what_is_no_http_proxy_is_refused_and_not_repeated(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", value)
    with pytest.raises(SettingsError) as refused:
        forward_proxy(load_settings())
    assert "ALL_PROXY" in str(refused.value)
    assert "SOCKS is not supported" in str(refused.value)
    assert value not in str(refused.value)


def test_names_can_be_left_to_a_proxy_only_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTH_PROXY_RESOLVES_NAMES", "true")
    with pytest.raises(SettingsError, match="OAUTH_PROXY_RESOLVES_NAMES"):
        forward_proxy(load_settings())
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    found = forward_proxy(load_settings())
    assert found is not None
    assert found.resolves_names


def test_the_credentials_of_a_proxy_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:s3cret@proxy.example")
    settings = load_settings()
    for text in (repr(settings), repr(forward_proxy(settings))):
        assert "s3cret" not in text

"""The configurations that operators copy from the page are the files that `make proxies` tests."""

from __future__ import annotations

import re

import pytest

from tools.clients import table
from tools.proxies.checks import COLUMNS
from tools.proxies.processes import PROXIES, PROXY_PORT, SERVER_PORT, Proxy, render
from tools.proxies.run import PAGE, shown

each_proxy = pytest.mark.parametrize("proxy", PROXIES, ids=lambda proxy: proxy.name)


def between_markers(name: str) -> str:
    """What stands in the page between two markers."""
    begin, end = table.markers(name)
    before, found, rest = PAGE.read_text(encoding="utf-8").partition(f"{begin}\n")
    text, ended, _ = rest.partition(f"\n{end}")
    assert before
    assert found
    assert ended
    return text


@each_proxy
def test_the_page_shows_the_file_that_was_tested(proxy: Proxy) -> None:
    assert between_markers(f"proxies, {proxy.name}") == shown(proxy)


@each_proxy
def test_a_configuration_listens_on_loopback_and_names_each_port_by_its_placeholder(proxy: Proxy) -> None:
    text = render(proxy, proxy_port=11111, server_port=22222)

    assert "11111" in text or proxy.name == "varnish"  # which is told on its command line
    assert "22222" in text
    assert PROXY_PORT not in text
    assert SERVER_PORT not in text
    assert set(re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", text)) == {"127.0.0.1"}


@each_proxy
def test_what_a_client_says_of_its_own_address_is_dropped_from_the_one_header_that_counts(proxy: Proxy) -> None:
    without_comments = re.sub(r"^\s*#.*", "", proxy.configuration.read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert re.search(r"X-Forwarded-For|forwarded_for truncate", without_comments)
    assert not re.search(r"\bForwarded\b(?<!X-Forwarded)(?!-)", without_comments), "others need not be dropped"


def test_there_is_a_file_for_each_proxy_and_no_other() -> None:
    folder = PROXIES[0].configuration.parent

    assert sorted(path.name for path in folder.iterdir()) == sorted(proxy.configuration.name for proxy in PROXIES)


def test_the_table_in_the_page_has_all_checks() -> None:
    rows = between_markers("proxies").splitlines()[2:]

    assert tuple(row.split(" | ")[0].removeprefix("| ") for row in rows) == COLUMNS

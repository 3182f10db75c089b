"""The Prometheus endpoint: who may read it, and how the figures of several processes become one text."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from typing import Any

import pytest

from gatepost.observability.metrics_listener import MetricsListener, MetricsPlace, listen_at, merged

TOKEN = "t" * 32
ONE = (
    b'# HELP a What a is.\n# TYPE a counter\na_total{worker="0"} 1.0\n# HELP b B.\n# TYPE b gauge\nb{worker="0"} 2.0\n'
)
TWO = (
    b'# HELP b B.\n# TYPE b gauge\nb{worker="1"} 3.0\n# HELP a What a is.\n# TYPE a counter\na_total{worker="1"} 4.0\n'
)


class Endpoint:
    """A listener that shows a text, and those beside it."""

    def __init__(self) -> None:
        self.running: list[MetricsListener] = []
        self.listener = listen_at(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]

    def show(
        self, text: bytes, *, token: str | None = None, folder: Path | None = None, worker: str = "0"
    ) -> MetricsListener:
        made = MetricsListener(MetricsPlace(self.listener, folder, worker), lambda _worker: text, token=token)
        made.start()
        self.running.append(made)
        return made

    def get(self, path: str = "/metrics", **headers: str) -> tuple[int, str]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def close(self) -> None:
        for each in self.running:
            each.stop()
        self.listener.close()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    yield made
    made.close()


def test_the_figures_are_at_metrics_and_nothing_is_elsewhere(endpoint: Endpoint) -> None:
    endpoint.show(ONE)
    assert endpoint.get() == (200, ONE.decode())
    assert endpoint.get("/metrics?x=1") == (200, ONE.decode())
    assert endpoint.get("/")[0] == 404
    assert endpoint.get("/oauth/token")[0] == 404


@pytest.mark.parametrize("host", ["localhost", "localhost:9464", "127.0.0.1:1", "127.1.2.3", "[::1]:9464", "LOCALHOST"])
def test_without_a_token_names_of_this_machine_are_answered(host: str, endpoint: Endpoint) -> None:
    endpoint.show(ONE)
    assert endpoint.get(Host=host)[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "10.0.0.1", "", "127.0.0.1.nip.io"])
def test_without_a_token_a_foreign_name_reads_nothing(host: str, endpoint: Endpoint) -> None:
    endpoint.show(ONE)
    status, text = endpoint.get(Host=host)
    assert status == 421
    assert "MCP_METRICS_TOKEN" in text
    assert "a_total" not in text


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \u00e9"]
)
def test_with_a_token_nobody_reads_anything_without_it(authorization: str | None, endpoint: Endpoint) -> None:
    endpoint.show(ONE, token=TOKEN)
    headers = {} if authorization is None else {"Authorization": authorization}
    status, text = endpoint.get(**headers)
    assert status == 401
    assert "a_total" not in text
    assert TOKEN not in text


def test_with_its_token_a_scraper_may_use_any_name(endpoint: Endpoint) -> None:
    endpoint.show(ONE, token=TOKEN)
    assert endpoint.get(Host="metrics.example", Authorization=f"Bearer {TOKEN}")[0] == 200
    assert endpoint.get(Host="metrics.example", Authorization=f"bearer  {TOKEN}")[0] == 200


def test_who_sends_nothing_keeps_nobody_from_reading(endpoint: Endpoint) -> None:
    endpoint.show(ONE)
    with socket.create_connection(("127.0.0.1", endpoint.port)):
        assert endpoint.get()[0] == 200


def test_of_very_many_at_once_those_too_many_are_closed(endpoint: Endpoint) -> None:
    endpoint.show(ONE)
    silent = [socket.create_connection(("127.0.0.1", endpoint.port)) for _ in range(4)]
    try:
        with socket.create_connection(("127.0.0.1", endpoint.port), timeout=60) as one_more:
            assert one_more.recv(1) == b""
    finally:
        for each in silent:
            each.close()


@pytest.mark.parametrize(
    "sent", [b"", b"GET /met", b"GET /metrics HTTP/1.1\r\nHost: local", b"GET /metrics HTTP/1.1\r\n"]
)
def test_a_request_that_does_not_end_is_closed_at_a_deadline_for_the_whole_of_it(
    sent: bytes, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    deadlines: SimpleQueue[HeldTimer] = SimpleQueue()

    class HeldTimer:
        """Goes off when the test says so."""

        def __init__(self, seconds: float, call: Callable[..., None], args: list[Any]) -> None:
            self.seconds, self.go_off, self.cancelled, self.daemon = seconds, partial(call, *args), Event(), False

        def start(self) -> None:
            deadlines.put(self)

        def cancel(self) -> None:
            self.cancelled.set()

    monkeypatch.setattr("gatepost.observability.metrics_listener.threading.Timer", HeldTimer)
    monkeypatch.setattr("gatepost.observability.metrics_listener._Scrape.timeout", None)
    endpoint.show(ONE)
    with socket.create_connection(("127.0.0.1", endpoint.port), timeout=60) as slow:
        slow.sendall(sent)
        deadline = deadlines.get(timeout=60)
        assert (deadline.seconds, deadline.cancelled.is_set()) == (5.0, False)
        deadline.go_off()
        while slow.recv(4096):
            pass
        assert deadline.cancelled.wait(60)
    assert endpoint.get()[0] == 200
    assert deadlines.get(timeout=60).cancelled.wait(60)
    assert caplog.text == ""


def test_texts_of_several_processes_become_one_in_which_each_metric_stands_once() -> None:
    assert merged([ONE, TWO, b""]) == (
        b'# HELP a What a is.\n# TYPE a counter\na_total{worker="0"} 1.0\na_total{worker="1"} 4.0\n'
        b'# HELP b B.\n# TYPE b gauge\nb{worker="0"} 2.0\nb{worker="1"} 3.0\n'
    )


def test_whoever_is_asked_shows_the_figures_of_all_and_of_their_parent(endpoint: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "parent.prom").write_bytes(b"# HELP w W.\n# TYPE w gauge\nw 2\n")
    endpoint.show(ONE, folder=tmp_path, worker="0")
    endpoint.show(TWO, folder=tmp_path, worker="1")
    for _ in range(4):
        status, text = endpoint.get()
        assert status == 200
        assert sorted(line for line in text.splitlines() if not line.startswith("#")) == [
            'a_total{worker="0"} 1.0',
            'a_total{worker="1"} 4.0',
            'b{worker="0"} 2.0',
            'b{worker="1"} 3.0',
            "w 2",
        ]
        assert text.count("# TYPE a counter") == 1


def test_a_process_that_has_died_or_ended_takes_nothing_from_the_others(endpoint: Endpoint, tmp_path: Path) -> None:
    # What a process leaves that was killed: a path at which nobody listens.
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "7.sock"))
    endpoint.show(ONE, folder=tmp_path, worker="0")
    endpoint.show(TWO, folder=tmp_path, worker="1").stop()
    endpoint.running.pop()
    assert endpoint.get() == (200, ONE.decode())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.sock", "7.sock"]


def test_a_process_takes_the_place_of_a_dead_one(endpoint: Endpoint, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "0.sock"))
    endpoint.show(ONE, folder=tmp_path, worker="0")
    endpoint.show(TWO, folder=tmp_path, worker="1")
    assert endpoint.get()[1].count("a_total") == 2

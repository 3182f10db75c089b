"""What the parent of workers does when they die, with workers that serve nothing."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gatepost.configuration.settings import SettingsError
from gatepost.listening import WORKER_VARIABLE, workers
from gatepost.listening.listeners import Where
from gatepost.listening.worker_process import WorkerProcess
from gatepost.listening.workers import serve_with_workers

WHERE = Where(host="127.0.0.1", port=0)
BOUND = 120
WORKER = """
import os, signal, sys
from pathlib import Path
from gatepost.listening.worker import this_worker

folder, worker = Path(sys.argv[1]), this_worker(os.environ)
mode = (folder / "mode").read_text()
(folder / f"{mode}-{os.getpid()}-{'first' if worker.is_first else 'later'}").touch()
if mode == "refuses":
    sys.exit(2)
if mode == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
signal.signal(signal.SIGTERM, signal.SIG_IGN if mode == "stubborn" else signal.SIG_DFL)
worker.begin(0, 0)
if mode == "fails":
    (folder / "mode").write_text("refuses")
    sys.exit(3)
signal.pause()
"""


class Folder:
    """Says what the next worker does, and knows which there were."""

    def __init__(self, path: Path) -> None:
        self._path = path
        (path / "worker.py").write_text(WORKER, encoding="utf-8")

    def become(self, mode: str) -> None:
        (self._path / "mode").write_text(mode, encoding="utf-8")

    def started(self, mode: str) -> list[int]:
        """The process ids of those that were started in a mode."""
        return [int(found.name.split("-")[1]) for found in sorted(self._path.glob(f"{mode}-*"))]

    def first(self) -> list[str]:
        return [found.name for found in self._path.glob("*-first")]

    def keep(self, count: int) -> None:
        serve_with_workers(WHERE, count, command=[sys.executable, str(self._path / "worker.py"), str(self._path)])

    def keep_while(self, count: int, drive: Callable[[], None]) -> list[BaseException]:
        """Be the parent while `drive` runs in a thread, then stop; return what went wrong there."""
        wrong: list[BaseException] = []

        def run() -> None:
            try:
                drive()
            except BaseException as error:  # noqa: BLE001 - for the main thread
                wrong.append(error)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)

        thread = threading.Thread(target=run)
        thread.start()
        self.keep(count)
        thread.join()
        return wrong


@pytest.fixture
def folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Folder]:
    caplog.set_level("INFO", "gatepost.workers")
    before = signal.getsignal(signal.SIGTERM)
    yield Folder(tmp_path)
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.fixture
def says(caplog: pytest.LogCaptureFixture) -> Callable[[str], None]:
    """Wait until the log says something."""

    def wait(text: str) -> None:
        until(lambda: text in caplog.text, f"{text} was not said: {caplog.text}")

    return wait


def until(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + BOUND
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def test_of_workers_that_cannot_start_the_first_alone_is_tried(folder: Folder) -> None:
    folder.become("refuses")
    with pytest.raises(SystemExit) as ended:
        folder.keep(3)
    assert ended.value.code == 2
    assert len(folder.started("refuses")) == 1


def test_a_first_worker_that_says_nothing_at_its_end_is_spoken_for(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    folder.become("killed")
    with pytest.raises(SystemExit) as ended:
        folder.keep(3)
    assert ended.value.code == 1
    assert "the first worker ended at its start (SIGKILL)" in caplog.text


def test_one_worker_alone_shows_the_banner_and_offers_the_set_up_link(
    folder: Folder, says: Callable[[str], None]
) -> None:
    folder.become("serves")

    def drive() -> None:
        says("3 workers serve")
        os.kill(folder.started("serves")[0], signal.SIGKILL)
        until(lambda: len(folder.started("serves")) == 4, "no other one was started")

    assert folder.keep_while(3, drive) == []
    assert len(folder.first()) == 1


def test_it_gives_up_when_no_worker_comes_up_any_more(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workers, "_LONGEST_WAIT_SECONDS", 0.01)
    folder.become("fails")
    with pytest.raises(SystemExit) as ended:
        folder.keep(1)
    assert ended.value.code == 1
    assert len(folder.started("fails")) == 1
    assert len(folder.started("refuses")) == 5
    assert "no worker comes up any more: giving up after 5 starts" in caplog.text


def test_a_worker_that_dies_again_and_again_is_started_less_and_less_often(
    folder: Folder, says: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    folder.become("serves")

    def drive() -> None:
        says("2 workers serve")
        folder.become("refuses")
        os.kill(folder.started("serves")[0], signal.SIGKILL)
        says("in 4 seconds")

    assert folder.keep_while(2, drive) == []
    starts = [record.getMessage().partition("started ")[2] for record in caplog.records if "ended" in record.msg]
    assert starts[:3] == ["at once", "in 2 seconds", "in 4 seconds"]
    assert "giving up" not in caplog.text  # one serves


def test_a_signal_to_replace_that_comes_in_a_replacement_begins_another_one(
    folder: Folder, says: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    folder.become("serves")

    def drive() -> None:
        says("2 workers serve")
        folder.become("second")
        os.kill(os.getpid(), signal.SIGHUP)
        says("takes the place")
        os.kill(os.getpid(), signal.SIGHUP)
        until(lambda: caplog.text.count("2 of 2 workers were replaced") == 2, "it was not heard")

    assert folder.keep_while(2, drive) == []
    assert len(folder.started("second")) == 4


def test_a_worker_that_dies_while_its_successor_fails_is_started_anew(
    folder: Folder, says: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_LONGEST_WAIT_SECONDS", 0.01)
    folder.become("serves")

    def drive() -> None:
        says("2 workers serve")
        folder.become("refuses")
        os.kill(os.getpid(), signal.SIGHUP)
        says("did not come up (exit code 2)")
        for pid in folder.started("serves"):
            os.kill(pid, signal.SIGKILL)
        folder.become("mended")
        until(lambda: len(folder.started("mended")) == 2, "nobody serves")

    assert folder.keep_while(2, drive) == []


def test_a_worker_that_does_not_stop_is_ended(
    folder: Folder, says: Callable[[str], None], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatepost.listening.worker._STOP_MARGIN_SECONDS", 0)
    monkeypatch.setattr("gatepost.listening.worker_process.WorkerProcess.stop", stop_at_once)
    folder.become("stubborn")
    assert folder.keep_while(1, lambda: says("1 workers serve")) == []
    (pid,) = folder.started("stubborn")
    assert f"worker {pid} has not stopped in time and is ended" in caplog.text


def stop_at_once(process: WorkerProcess, now: float) -> None:
    process.kill_at = now
    process.send(signal.SIGTERM)


def test_workers_need_a_command_line_and_the_main_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["python"])
    with pytest.raises(SettingsError, match="command line of the program"):
        serve_with_workers(WHERE, 2)

    refused: list[SettingsError] = []

    def run() -> None:
        with pytest.raises(SettingsError, match="main thread") as error:
            serve_with_workers(WHERE, 2)
        refused.append(error.value)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert len(refused) == 1
    assert WORKER_VARIABLE not in os.environ

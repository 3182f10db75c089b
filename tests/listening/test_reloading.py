"""What the parent of a reloaded server does, with processes that serve nothing."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gatepost.configuration.settings import SettingsError
from gatepost.listening.listeners import Where
from gatepost.listening.reloading import serve_with_reload
from gatepost.listening.watching import FileWatch

WHERE = Where(host="127.0.0.1", port=0)
BOUND = 120
PROCESS = """
import os, signal, sys
from pathlib import Path
from gatepost.listening.reload_folder import LoadFailure, LoadReport, ReloadFolder, this_process
from gatepost.listening.worker import this_worker

folder, process, worker = Path(sys.argv[1]), this_process(os.environ), this_worker(os.environ)
shared = ReloadFolder(Path(process.folder))
mode = "shows" if process.shows_failure else (folder / "code.py").read_text()
(folder / "shared").write_text(process.folder)
def note(state):
    (folder / f"{process.number}-{mode}-{state}").write_text(str(os.getpid()))
note("first" if worker.is_first else "later")
if mode == "broken" or (mode == "shows" and (folder / "shows-nothing").exists()):
    shared.write_report(process.number, LoadReport(failure=LoadFailure("It is broken.", "line 1")))
    sys.exit(1)
if mode == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if mode == "hangs":
    signal.pause()
signal.signal(signal.SIGTERM, signal.SIG_DFL)
worker.begin(0, 0)
note("serves")
if mode == "dies":
    sys.exit(3)
while True:
    signal.pause()
"""


class Code:
    """The code that is served, and what became of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.said: list[str] = []
        (path / "process").mkdir()
        (path / "process" / "run").write_text(PROCESS, encoding="utf-8")

    def write(self, mode: str) -> None:
        (self.path / "code.py").write_text(mode, encoding="utf-8")

    def notes(self) -> list[str]:
        """What processes noted, by number: their mode and state."""
        return sorted(path.name for path in self.path.iterdir() if path.name[0].isdigit())

    def has(self, note: str) -> bool:
        return (self.path / note).exists()

    def pid(self, note: str) -> int:
        return int((self.path / note).read_text())

    def status(self) -> dict[str, object]:
        folder = Path((self.path / "shared").read_text())
        found: dict[str, object] = json.loads((folder / "status.json").read_text())
        return found

    def until_status(self, state: str, generation: int) -> dict[str, object]:
        until(lambda: (self.status()["state"], self.status()["generation"]) == (state, generation), state)
        return self.status()

    def serve(self) -> None:
        serve_with_reload(
            WHERE,
            FileWatch([self.path]),
            say=self.said.append,
            greeting=lambda address, key: f"{address[0]} {len(key)}",
            environment=lambda address: {"PORT": str(address[1])},
            command=[sys.executable, str(self.path / "process" / "run"), str(self.path)],
        )

    def serve_while(self, drive: Callable[[], None], end: signal.Signals = signal.SIGTERM) -> list[BaseException]:
        """Be the parent while `drive` runs in a thread, then stop; return what went wrong there."""
        wrong: list[BaseException] = []

        def run() -> None:
            try:
                drive()
            except BaseException as error:  # noqa: BLE001 - for the main thread
                wrong.append(error)
            finally:
                os.kill(os.getpid(), end)

        thread = threading.Thread(target=run)
        thread.start()
        self.serve()
        thread.join()
        return wrong


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Code]:
    before = signal.getsignal(signal.SIGTERM)
    yield Code(tmp_path)
    assert signal.getsignal(signal.SIGTERM) == before


def until(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + BOUND
    while True:
        try:
            if is_so():
                return
        except FileNotFoundError:
            pass
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_code_that_changes_is_served_by_a_new_process_and_the_old_one_ends(written: Code) -> None:
    written.write("good")

    def drive() -> None:
        until(lambda: written.has("1-good-serves"), "the first")
        written.until_status("serving", 1)
        written.write("better")
        assert written.until_status("serving", 2) == {
            "state": "serving",
            "generation": 2,
            "changed": ["code.py"],
            "failure": None,
        }
        until(lambda: not is_running(written.pid("1-good-first")), "the old one stays")

    assert written.serve_while(drive) == []
    assert written.notes() == ["1-good-first", "1-good-serves", "2-better-later", "2-better-serves"]
    assert not is_running(written.pid("2-better-serves"))
    assert written.said[0] == "127.0.0.1 43"


def test_code_that_does_not_load_leaves_the_old_in_place_and_is_tried_again_when_it_changes(written: Code) -> None:
    written.write("good")

    def drive() -> None:
        until(lambda: written.has("1-good-serves"), "the first")
        written.until_status("serving", 1)
        written.write("broken")
        assert written.until_status("failed", 1)["failure"] == {"summary": "It is broken.", "traceback": "line 1"}
        assert is_running(written.pid("1-good-first"))
        written.write("good")
        assert written.until_status("serving", 2)["failure"] is None

    assert written.serve_while(drive) == []
    assert "  It is broken." in written.said
    assert "  The code before is served until that is mended; the next change is tried at once." in written.said


def test_code_that_never_loaded_is_spoken_for_by_a_process_without_code(written: Code) -> None:
    written.write("broken")

    def drive() -> None:
        until(lambda: written.has("2-shows-serves"), "nobody shows what is wrong")
        assert written.until_status("failed", 0)["failure"] == {"summary": "It is broken.", "traceback": "line 1"}
        written.write("good")
        written.until_status("serving", 1)
        assert written.has("3-good-first"), "it shows the banner, which nobody has shown"
        until(lambda: not is_running(written.pid("2-shows-serves")), "the one without code stays")

    assert written.serve_while(drive) == []
    assert written.said.count("127.0.0.1 43") == 1


def test_a_process_that_is_killed_while_it_loads_is_spoken_for(written: Code) -> None:
    written.write("killed")

    def drive() -> None:
        failure = {"summary": "The process ended while it loaded the code (SIGKILL).", "traceback": ""}
        assert written.until_status("failed", 0)["failure"] == failure

    assert written.serve_while(drive) == []


def test_a_change_while_code_loads_begins_anew(written: Code) -> None:
    written.write("hangs")

    def drive() -> None:
        until(lambda: written.has("1-hangs-first"), "the first")
        written.write("good")
        written.until_status("serving", 1)
        until(lambda: not is_running(written.pid("1-hangs-first")), "it hangs still")

    assert written.serve_while(drive) == []


def test_a_process_that_dies_is_replaced_and_after_three_times_its_code_is_not(written: Code) -> None:
    written.write("dies")

    def drive() -> None:
        until(lambda: written.has("4-shows-serves"), "nobody shows what is wrong")
        failure = written.until_status("failed", 3)["failure"]
        assert failure == {"summary": "The process that served ended (exit code 3), 3 times in a row.", "traceback": ""}
        written.write("good")
        written.until_status("serving", 4)

    assert written.serve_while(drive) == []


def test_ctrl_c_ends_all_and_is_told(written: Code) -> None:
    written.write("good")

    def drive() -> None:
        until(lambda: written.has("1-good-serves"), "the first")

    with pytest.raises(KeyboardInterrupt):
        written.serve_while(drive, signal.SIGINT)
    assert not is_running(written.pid("1-good-serves"))


def test_without_even_a_process_that_shows_why_it_gives_up(written: Code) -> None:
    written.write("broken")
    (written.path / "shows-nothing").touch()
    with pytest.raises(SystemExit) as ended:
        written.serve()
    assert ended.value.code == 1
    assert written.said[-1] == "  The process that shows what is wrong ended (exit code 1)."


def test_sighup_loads_the_code_anew(written: Code) -> None:
    written.write("good")

    def drive() -> None:
        until(lambda: written.has("1-good-serves"), "the first")
        written.until_status("serving", 1)
        os.kill(os.getpid(), signal.SIGHUP)
        written.until_status("serving", 2)

    assert written.serve_while(drive) == []


def test_only_the_main_thread_can_be_the_parent(written: Code) -> None:
    refused: list[SettingsError] = []

    def run() -> None:
        try:
            written.serve()
        except SettingsError as error:
            refused.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert [str(error) for error in refused] == ["Reloading is ended by signals, which only the main thread hears."]

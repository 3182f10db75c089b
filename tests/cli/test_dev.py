"""`gatepost dev`: what it refuses, where its data lies, how a failure is told."""

from __future__ import annotations

import argparse
import runpy
from pathlib import Path

import pytest

from gatepost.cli import dev, dev_process
from gatepost.cli.main import main
from gatepost.configuration.loading import TargetError, load_target
from gatepost.configuration.settings import SettingsError
from gatepost.listening.reload_folder import LoadFailure, LoadReport, ReloadFolder, ReloadStatus
from gatepost.stores.contract.errors import StoreMisconfigured


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def refusal(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = main(["dev", *arguments])
    return code, capsys.readouterr().err


@pytest.mark.parametrize("is_in_file", [False, True])
def test_a_public_url_is_refused_with_a_way_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_in_file: bool
) -> None:
    if is_in_file:
        Path(".env").write_text("MCP_PUBLIC_URL=https://mcp.example.com\n")
    else:
        monkeypatch.setenv("MCP_PUBLIC_URL", "https://mcp.example.com")
    assert refusal("notes:server", capsys=capsys) == (
        2,
        (
            "gatepost: gatepost dev shows tracebacks and makes tokens, so it serves this machine alone, and "
            "MCP_PUBLIC_URL names another address. Use gatepost serve for that one; or set "
            "MCP_PUBLIC_URL=http://127.0.0.1:8000 in the environment, which counts before .env.\n"
        ),
    )
    monkeypatch.setenv("MCP_PUBLIC_URL", "http://127.0.0.1:8000")
    assert dev.dev_settings().server.public_url == "http://127.0.0.1:8000"


@pytest.mark.parametrize("url", ["http://localhost.example.com", "http://127.0.0.1:8000/base", "http://10.0.0.1"])
def test_an_address_that_only_looks_like_this_machine_s_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("MCP_PUBLIC_URL", url)
    with pytest.raises(SettingsError, match="this machine alone"):
        dev.dev_settings()


def test_a_host_that_others_reach_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = refusal("notes:server", "--host", "0.0.0.0", capsys=capsys)
    assert (code, said) == (
        2,
        (
            "gatepost: gatepost dev serves this machine alone, and MCP_HOST=0.0.0.0 can be reached from others: leave "
            "it out, or set MCP_HOST=127.0.0.1.\n"
        ),
    )


def test_a_socket_of_somebody_else_s_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MCP_UDS", str(tmp_path / "socket"))
    with pytest.raises(SettingsError, match="leave MCP_UDS and MCP_FD out"):
        dev.dev_settings()


def test_figures_are_shown_at_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that takes another one's place could not listen there while that one does."""
    monkeypatch.setenv("MCP_METRICS_LISTEN", "127.0.0.1:9464")
    monkeypatch.setenv("MCP_METRICS_TOKEN", "secret")
    observability = dev.dev_settings().observability
    assert observability.metrics_listen is None
    assert observability.metrics_address is None


def test_without_a_target_it_says_how_to_name_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(capsys=capsys) == (
        2,
        "gatepost: Nothing to serve: name a target, such as gatepost dev notes:server, or set MCP_HANDLER.\n",
    )
    assert not Path(".gatepost").exists()


def test_the_store_is_its_own_whatever_the_settings_name(tmp_path: Path) -> None:
    assert dev._environment(("127.0.0.1", 8000)) == {
        "MCP_HOST": "127.0.0.1",
        "MCP_PORT": "8000",
        "MCP_STORAGE_URL": f"sqlite:///{tmp_path}/.gatepost/dev.sqlite3",
        "MCP_WORKERS": "1",
    }


def test_the_folder_is_kept_out_of_repositories_and_from_others(tmp_path: Path) -> None:
    dev._make_folder()
    assert (tmp_path / ".gatepost" / ".gitignore").read_text() == "*\n"
    assert (tmp_path / ".gatepost").stat().st_mode & 0o777 == 0o700
    (tmp_path / ".gatepost" / ".gitignore").unlink()
    dev._make_folder()
    assert not (tmp_path / ".gatepost" / ".gitignore").exists(), "a folder that was there is left as it is"


def test_the_link_has_the_key_where_browsers_send_it_nowhere() -> None:
    assert "  Try it   http://[::1]:8000/dev#key=secret\n" in dev._greeting(("::1", 8000), "secret")


def failure_of_target(text: str) -> LoadFailure:
    Path("broken_code.py").write_text(text)
    with pytest.raises((TargetError, SystemExit)) as raised:
        load_target("broken_code.py:server")
    return dev_process.failure_of(raised.value)


def test_code_that_cannot_be_read_is_shown_with_its_place_and_nothing_of_ours(tmp_path: Path) -> None:
    failure = failure_of_target("x = 1\ndef (\n")
    assert failure.summary.startswith("broken_code.py failed while it was loaded: SyntaxError: invalid syntax")
    assert failure.traceback.splitlines() == [
        f'  File "{tmp_path}/broken_code.py", line 2',
        "    def (",
        "        ^",
        "SyntaxError: invalid syntax",
    ]


def test_code_that_fails_is_shown_from_where_it_begins(tmp_path: Path) -> None:
    failure = failure_of_target("def fail():\n    raise ValueError('x')\n\nfail()\n")
    lines = failure.traceback.splitlines()
    assert lines[:2] == [
        "Traceback (most recent call last):",
        f'  File "{tmp_path}/broken_code.py", line 4, in <module>',
    ]
    assert lines[-1] == "ValueError: x"
    assert "gatepost" not in failure.traceback.replace(str(tmp_path), "")


def test_code_that_ends_the_process_is_a_failure_too() -> None:
    failure = failure_of_target("import sys\nsys.exit(3)\n")
    assert failure.summary == "The code ended the process while it was loaded: sys.exit(3)."


def test_what_is_no_fault_of_code_is_a_sentence() -> None:
    assert dev_process.failure_of(SettingsError("One.", "Two.")) == LoadFailure("One. Two.")
    assert dev_process.failure_of(StoreMisconfigured("No store.")) == LoadFailure("No store.")
    assert dev_process.failure_of(TargetError("No target.")) == LoadFailure("No target.")


def test_whatever_else_is_raised_is_named() -> None:
    Path("raising_code.py").write_text("raise KeyError('lost')\n")
    with pytest.raises(KeyError) as raised:
        runpy.run_path("raising_code.py")
    failure = dev_process.failure_of(raised.value)
    assert failure.summary == "The code cannot be served: KeyError: 'lost'"
    assert failure.traceback.endswith("KeyError: 'lost'")


def test_processes_tell_each_other_through_a_folder_for_one_user(tmp_path: Path) -> None:
    folder = ReloadFolder.make(tmp_path)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert len(folder.key) == 43
    assert folder.status() == {}
    folder.write_status(ReloadStatus(state="failed", generation=2, failure=LoadFailure("Why.", "Where.")))
    assert folder.status() == {
        "state": "failed",
        "generation": 2,
        "changed": [],
        "failure": {"summary": "Why.", "traceback": "Where."},
    }
    report = LoadReport(paths=["/code"], failure=LoadFailure("Why."))
    folder.write_report(3, report)
    assert [folder.take_report(3), folder.take_report(3), folder.take_report(4)] == [report, None, None]


def test_its_help_says_what_it_takes() -> None:
    parser = argparse.ArgumentParser()
    dev.add_arguments(parser)
    options = parser.parse_args(["notes:server", "--port", "0", "--watch", "a", "--watch", "b"])
    assert (options.target, options.port, options.watch, options.run) == ("notes:server", "0", ["a", "b"], dev.dev)

import io
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gatepost.cli.main import main
from gatepost.cli.open_store import with_store
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.users import User

PASSWORD = "correct horse battery staple"


pytestmark = pytest.mark.usefixtures("own_store")


def type_in(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def add(monkeypatch: pytest.MonkeyPatch, username: str, password: str = PASSWORD) -> int:
    type_in(monkeypatch, password + "\n")
    return main(["users", "add", username, "--password-stdin"])


def test_accounts_are_added_listed_disabled_and_enabled(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["users", "list"]) == 0
    assert "no accounts yet" in capsys.readouterr().out
    assert add(monkeypatch, "Ada") == 0
    assert capsys.readouterr().out == "Created ada.\n"
    assert add(monkeypatch, "grace") == 0
    assert main(["users", "disable", "ADA"]) == 0
    capsys.readouterr()
    assert main(["users", "list"]) == 0
    header, ada, grace = capsys.readouterr().out.splitlines()
    assert header.split() == [
        "NAME",
        "SUBJECT",
        "ISSUER",
        "EMAIL",
        "GROUPS",
        "SECOND",
        "STEP",
        "CREATED",
        "ROLES",
        "STATE",
    ]
    assert (ada.split()[0], ada.split()[-1]) == ("ada", "disabled")
    assert (grace.split()[0], grace.split()[-2:]) == ("grace", ["-", "active"]), "no role is a dash, as no group is"
    assert main(["users", "enable", "ada"]) == 0
    capsys.readouterr()
    assert main(["users", "list"]) == 0
    assert "disabled" not in capsys.readouterr().out


def test_an_empty_answer_names_the_store_that_was_read(own_store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["users", "list"], ["clients", "list"], ["grants", "list"], ["keys", "list"], ["audit"]):
        assert main(command) == 0
        assert f" {own_store} (OAUTH_STORAGE_DIR or MCP_STORAGE_URL name another)." in capsys.readouterr().out


READING = [
    ["users", "list"],
    ["users", "disable", "ada"],
    ["users", "second-step", "ada", "off"],
    ["clients", "list"],
    ["clients", "show", "client-1"],
    ["grants", "list"],
    ["grants", "revoke", "grant-1"],
    ["keys", "list"],
    ["audit"],
    ["store", "purge"],
]


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_command_that_needs_a_store_says_where_there_is_none_and_makes_none(
    command: list[str], own_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(own_store.parent)
    assert main(command) == 1
    assert capsys.readouterr().err == (
        f"gatepost: There is no store at {own_store} (OAUTH_STORAGE_DIR or MCP_STORAGE_URL name another). "
        "A server makes one when it starts.\n"
    )
    assert not own_store.parent.exists()


@pytest.mark.parametrize("command", [*READING, ["users", "add", "ada"], ["store", "backup", "copy.db"]], ids=" ".join)
def test_a_store_in_this_directory_is_named_once_where_another_is_meant(
    command: list[str], own_store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside `make serve`, which keeps its data there: the answer of another store looks like an answer."""
    monkeypatch.setenv("HOME", str(own_store.parent))
    default = own_store.parent / ".gatepost"
    shutil.copytree(own_store.parent, default)
    note = (
        f"gatepost: This is about {default / 'gatepost.db'}; set OAUTH_STORAGE_DIR=.gatepost for the store in this "
        "directory, which make serve uses.\n"
    )
    monkeypatch.setattr("getpass.getpass", lambda _prompt: PASSWORD)
    Path(".gatepost").mkdir()
    Path(".gatepost/gatepost.db").touch()
    main(command)
    assert "This is about" not in capsys.readouterr().err  # the store was named
    monkeypatch.delenv("OAUTH_STORAGE_DIR")
    main(command)
    assert capsys.readouterr().err.count(note) == 1
    shutil.rmtree(default)
    if command in READING:
        assert main(command) == 1
        assert capsys.readouterr().err.endswith(note)


LISTS = (["users", "list"], ["clients", "list"], ["grants", "list"], ["keys", "list"], ["audit"])


@pytest.mark.parametrize("command", LISTS, ids=" ".join)
def test_every_list_is_one_json_object_per_line_where_a_program_asks(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--json"]) == 0
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("OAUTH_ACCESS_TOKEN_FORMAT", "jwt")
    add(monkeypatch, "ada")
    main(["clients", "add", "App", "--redirect-uri", "https://app.example/cb"])
    main(["token", "mint", "--user", "ada", "--scope", "a b"])
    capsys.readouterr()

    assert main([*command, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows
    assert main(command) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(rows)


def test_a_json_list_keeps_scopes_apart_and_times_as_rfc_3339(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add(monkeypatch, "ada")
    main(["token", "mint", "--user", "ada", "--scope", "a b"])
    capsys.readouterr()
    main(["grants", "list", "--json"])
    (grant,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (grant["user"], grant["scopes"]) == ("ada", ["a", "b"])
    assert datetime.fromisoformat(grant["created"]).tzinfo == UTC


def test_people_of_other_providers_are_listed_and_disabled_by_their_subject(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def log_in(store: Store) -> User:
        return await store.users.recognise_user(
            "https://idp.example", "4711", display_name="Grace", subjects=("user_Gr4ce",), now=5
        )

    assert add(monkeypatch, "ada") == 0
    with_store(log_in)
    assert main(["users", "disable", "user_Gr4ce"]) == 0
    assert capsys.readouterr().out.endswith("Disabled Grace; its sessions are over and its tokens are revoked.\n")
    assert main(["users", "list"]) == 0
    _, ada, grace = capsys.readouterr().out.splitlines()
    assert (ada.split()[0], ada.split()[2]) == ("ada", "local")
    assert (grace.split()[:3], grace.split()[-1]) == (["Grace", "user_Gr4ce", "https://idp.example"], "disabled")
    type_in(monkeypatch, PASSWORD + "\n")
    assert main(["users", "passwd", "user_Gr4ce", "--password-stdin"]) == 1
    assert capsys.readouterr().err == "gatepost: Grace logs in with https://idp.example and has no password here.\n"


def test_a_taken_name_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert add(monkeypatch, "ada") == 0
    assert add(monkeypatch, "ada") == 1
    assert "There is an account ada already" in capsys.readouterr().err


@pytest.mark.parametrize(("username", "password"), [("ada", "short"), ("", PASSWORD), ("a b/c", PASSWORD)])
def test_a_refused_name_or_password_is_one_sentence_without_the_password(
    username: str, password: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert add(monkeypatch, username, password) == 1
    complaint = capsys.readouterr().err
    assert complaint.startswith("gatepost: ")
    assert complaint.count("\n") == 1
    assert password not in complaint


@pytest.mark.parametrize("action", ["disable", "enable"])
def test_an_unknown_account_is_told(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["users", action, "nobody"]) == 1
    assert main(["users", action, "no/body"]) == 1
    assert capsys.readouterr().err.startswith("gatepost: There is no account nobody")


def test_a_password_is_changed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    add(monkeypatch, "ada")
    type_in(monkeypatch, "another long password\n")
    assert main(["users", "passwd", "ada", "--password-stdin"]) == 0
    type_in(monkeypatch, "another long password\n")
    assert main(["users", "passwd", "nobody", "--password-stdin"]) == 1
    type_in(monkeypatch, "short\n")
    assert main(["users", "passwd", "ada", "--password-stdin"]) == 1
    assert "Changed the password of ada." in capsys.readouterr().out


def test_a_password_is_asked_for_twice(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answers = iter([PASSWORD, PASSWORD, PASSWORD, "something else entirely"])
    monkeypatch.setattr("getpass.getpass", lambda _prompt: next(answers))
    assert main(["users", "add", "ada"]) == 0
    assert main(["users", "add", "grace"]) == 1
    assert "The two passwords differ" in capsys.readouterr().err


def test_without_a_terminal_the_password_comes_from_standard_input() -> None:
    """A process of its own session has no terminal, as in a container or a script."""
    command = [sys.executable, "-m", "gatepost.cli.main", "users", "add", "ada"]
    done = subprocess.run(command, input="", capture_output=True, text=True, start_new_session=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "gatepost: There is no terminal to ask for the password at: give it on standard input, with --password-stdin.\n"
    )


def test_a_name_is_refused_before_a_password_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("getpass.getpass", lambda _prompt: pytest.fail("a password was asked for"))
    assert main(["users", "add", "a b/c"]) == 1
    assert "username" in capsys.readouterr().err


def test_accounts_of_a_memory_store_cannot_be_managed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MCP_STORAGE_URL", "memory:")
    assert main(["users", "list"]) == 2
    assert "MCP_STORAGE_URL=memory:" in capsys.readouterr().err


def test_a_store_that_cannot_be_opened_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("MCP_STORAGE_URL", f"sqlite:///{tmp_path}")
    assert main(["users", "list"]) == 1
    complaint = capsys.readouterr().err
    assert complaint.startswith("gatepost: ")
    assert "Traceback" not in complaint


def test_nothing_to_serve_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve"]) == 2
    assert "Nothing to serve" in capsys.readouterr().err


def test_the_handler_variable_names_the_target(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MCP_HANDLER", "target_nowhere:handler")
    assert main(["serve"]) == 2
    assert "There is no module 'target_nowhere'" in capsys.readouterr().err


@pytest.fixture
def taken_port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Have another server listen where this one is told to."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setenv("MCP_PORT", str(other.getsockname()[1]))
        yield other.getsockname()[1]


@pytest.mark.usefixtures("taken_port")
def test_a_target_of_the_wrong_kind_is_told_before_the_port_is_tried(capsys: pytest.CaptureFixture[str]) -> None:
    Path("target_wrong.py").write_text("thing = 7")
    assert main(["serve", "target_wrong.py:thing"]) == 2
    assert "what is served is a gatepost.Server or a function dict -> dict | None, not int" in capsys.readouterr().err


def test_a_port_that_is_taken_is_told(taken_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    Path("target_good.py").write_text("from gatepost import Server\nserver = Server('good')")
    assert main(["serve", "target_good.py"]) == 2
    assert f"MCP_PORT={taken_port} cannot be listened on" in capsys.readouterr().err


def test_a_wrong_setting_is_told_before_anything_starts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "x:y", "--port", "eighty"]) == 2
    assert capsys.readouterr().err == "gatepost: MCP_PORT takes a port number from 0 to 65535.\n"


@pytest.mark.usefixtures("taken_port")
def test_single_user_in_public_refuses_to_start_before_the_port_is_tried(capsys: pytest.CaptureFixture[str]) -> None:
    Path("target_fine.py").write_text("from gatepost import Server\nserver = Server('fine')")
    arguments = ["serve", "target_fine.py:server", "--public-url", "https://mcp.example.com", "--single-user"]
    assert main(arguments) == 2
    assert "single-user mode" in capsys.readouterr().err


def test_wrong_usage_shows_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["users", "explode"])
    assert ended.value.code == 2
    assert "usage: gatepost users" in capsys.readouterr().err


def test_no_command_at_all_shows_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "serve a Server or a JSON-RPC function over HTTP" in said.err


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("srve", "There is no command 'srve'; did you mean serve?"),
        ("xyzzy", "There is no command 'xyzzy'; gatepost --help lists them."),
    ],
)
def test_a_mistyped_command_is_told_with_the_one_most_like_it(
    word: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([word])
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith(f"gatepost: error: {sentence}\n")


@pytest.mark.parametrize(
    ("arguments", "ending"),
    [
        (
            ["serve", "--prot", "8001"],
            "gatepost serve: error: unrecognized arguments: --prot; did you mean --port?\n",
        ),
        (
            ["check", "--wrkers=2"],
            "gatepost check: error: unrecognized arguments: --wrkers=2; did you mean --workers?\n",
        ),
        (
            ["users", "add", "ada", "--pasword-stdin"],
            "gatepost users add: error: unrecognized arguments: --pasword-stdin; did you mean --password-stdin?\n",
        ),
        (["keys", "list", "--xyzzy"], "gatepost keys list: error: unrecognized arguments: --xyzzy\n"),
    ],
)
def test_a_mistyped_option_is_told_with_the_one_most_like_it(
    arguments: list[str], ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.endswith(ending)
    assert said.startswith(f"usage: {ending.partition(':')[0]}")


@pytest.mark.parametrize("arguments", [["users", "list"], ["--help"], ["audit", "--help"]], ids=" ".join)
def test_a_command_whose_output_nobody_reads_ends_quietly_with_its_own_exit_code(arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "gatepost.cli.main", *arguments]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["serve", "check", "call", "audit"])
def test_a_help_that_names_a_page_says_where_pages_are(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert capsys.readouterr().out.endswith(
        "Pages in docs/ are part of the source distribution:\n  pip download --no-deps --no-binary gatepost gatepost\n"
    )


def test_the_help_of_a_command_keeps_its_abbreviations(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["apikeys", "--help"])
    assert "Make, see and revoke API keys." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("action", "words"), [("add", "the name of the new account"), ("enable", "the account, or its subject")]
)
def test_the_help_of_an_action_says_whose_name_it_takes(
    action: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["users", action, "--help"])
    assert words in capsys.readouterr().out


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("gatepost ")

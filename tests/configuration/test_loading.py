import sys
from pathlib import Path

import pytest

from gatepost.configuration.loading import TargetError, load_target


@pytest.fixture(autouse=True)
def clean_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))


def write(name: str, text: str) -> None:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_module_in_the_current_directory_is_importable() -> None:
    write("target_a.py", "thing = object()")
    assert load_target("target_a:thing") is sys.modules["target_a"].thing


def test_a_file_is_loaded_and_can_import_its_neighbours() -> None:
    write("somewhere/neighbour_b.py", "value = 7")
    write("somewhere/target_b.py", "from neighbour_b import value\nclass holder:\n    thing = value")
    assert load_target("somewhere/target_b.py:holder.thing") == 7


@pytest.mark.parametrize("target", ["", ":server", ":"])
def test_a_malformed_target_says_what_a_target_looks_like(target: str) -> None:
    with pytest.raises(TargetError, match=r"module:name .* or path/file.py:name"):
        load_target(target)


def test_without_a_name_the_only_server_of_a_file_or_module_is_meant() -> None:
    write("target_one.py", "from gatepost import Server\nnotes = Server('Notes')\nalias = notes\n")
    assert load_target("target_one") is sys.modules["target_one"].notes
    assert load_target("target_one.py") is sys.modules["target_one"].notes


def test_without_a_name_a_choice_is_asked_for() -> None:
    write("target_two.py", "from gatepost import Server\nnotes, mail = Server('Notes'), Server('Mail')\n")
    write("target_none.py", "def handler(request):\n    return None\n")
    with pytest.raises(TargetError) as several:
        load_target("target_two.py")
    with pytest.raises(TargetError) as none:
        load_target("target_none")

    assert str(several.value) == (
        "target_two.py has several Servers, notes, mail: name one, as in target_two.py:notes."
    )
    assert str(none.value) == "target_none has no Server: name what to serve, as in target_none:name."


def test_a_missing_module_is_told() -> None:
    with pytest.raises(TargetError, match=r"^There is no module 'target_missing' in "):
        load_target("target_missing:server")
    with pytest.raises(TargetError, match=r"^There is no module 'target_missing.deeper' in "):
        load_target("target_missing.deeper:server")


def test_a_dot_in_place_of_the_colon_is_asked_about_where_the_module_has_the_name() -> None:
    write("target_dotted.py", "thing = 7")
    with pytest.raises(TargetError, match=r"^There is no module .* Did you mean target_dotted:thing\?$"):
        load_target("target_dotted.thing")
    with pytest.raises(TargetError, match=r"among the installed packages\.$"):
        load_target("target_dotted.other")


def test_a_missing_dependency_of_the_module_is_told_apart() -> None:
    write("target_c.py", "import surely_not_installed")
    with pytest.raises(TargetError, match="^target_c needs the module 'surely_not_installed'"):
        load_target("target_c:server")


def test_code_that_fails_is_told_with_its_error() -> None:
    write("target_d.py", "1 / 0")
    with pytest.raises(TargetError, match="^target_d failed while it was imported: ZeroDivisionError"):
        load_target("target_d:server")
    with pytest.raises(TargetError, match="^target_d.py failed while it was loaded: ZeroDivisionError"):
        load_target("target_d.py:server")


def test_code_that_fails_is_told_with_its_place() -> None:
    write("broken/target_g.py", "import neighbour_g")
    write("broken/neighbour_g.py", "def build():\n    return unknown\n\n\nbuild()\n")
    with pytest.raises(TargetError, match=r"NameError: name 'unknown' is not defined \(.*neighbour_g\.py, line 2\)$"):
        load_target("broken/target_g.py:server")

    # A package that somebody else wrote is not where the mistake is.
    write("site-packages/library_g.py", "def use(value):\n    raise ValueError(value)\n")
    sys.path.insert(0, "site-packages")
    write("target_j.py", "import library_g\n\nlibrary_g.use('wrong')\n")
    with pytest.raises(TargetError, match=r"ValueError: wrong \(.*target_j\.py, line 3\)$"):
        load_target("target_j.py:server")

    # What we raise ourselves is told with the line that we were called from.
    write("target_h.py", "from gatepost.configuration.loading import load_target\n\nload_target(':malformed')\n")
    with pytest.raises(TargetError, match=r"':malformed' is not a target.* \(.*target_h\.py, line 3\)$"):
        load_target("target_h:server")

    # A syntax error names its own.
    write("target_i.py", "def f(:\n")
    with pytest.raises(TargetError, match=r"SyntaxError: .*\(target_i\.py, line 1\)$"):
        load_target("target_i.py:server")


def test_a_missing_file_is_told() -> None:
    with pytest.raises(TargetError, match="^There is no file nowhere/target.py"):
        load_target("nowhere/target.py:server")


def test_a_missing_name_is_told_with_the_servers_that_are_there() -> None:
    write("target_e.py", "from gatepost import Server\nnotes = Server('notes')")
    with pytest.raises(TargetError, match="^target_e has no 'server'; it has notes"):
        load_target("target_e:server")
    write("target_f.py", "")
    with pytest.raises(TargetError, match=r"^target_f has no 'server'\.$"):
        load_target("target_f:server")


def test_the_place_of_a_failure_inside_of_gatepost_is_the_authors_own_line() -> None:
    Path("declaring.py").write_text("from gatepost import Server\n\nServer('a').tool(scopes='admin')(print)\n")

    with pytest.raises(TargetError, match=r"\(.*declaring\.py, line 3\)$"):
        load_target("declaring:server")

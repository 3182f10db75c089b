"""The lock gate notices every way in which the lock files and pyproject.toml can drift apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import lock_gate

PYPROJECT = """
[project]
dependencies = ["Jinja2>=3.1", "uvicorn[standard]>=0.50"]

[project.optional-dependencies]
otel = []
postgres = ["asyncpg>=0.32"]

[dependency-groups]
build = ["hatchling"]
development = [{ include-group = "build" }, "ruff"]
documentation = ["sphinx"]
"""
HASH = " \\\n    --hash=sha256:00ff\n"
RUNTIME_FROM = "    # via gatepost (pyproject.toml)\n"
DEVELOPMENT_FROM = "    # via gatepost (pyproject.toml:development)\n"
JINJA2 = f"jinja2==3.1.6{HASH}    # via\n    #   -c requirements/other.txt\n    #   gatepost (pyproject.toml)\n"
MARKUPSAFE = f"markupsafe==3.0 ; sys_platform != 'win32'{HASH}    # via jinja2\n"
UVICORN = f"uvicorn==0.54.0{HASH}{RUNTIME_FROM}"
HATCHLING = f"hatchling==1.30{HASH}    # via gatepost (pyproject.toml:build)\n"
RUFF = f"ruff==0.17{HASH}{DEVELOPMENT_FROM}"
SPHINX = f"sphinx==9.0{HASH}    # via gatepost (pyproject.toml:documentation)\nruff==0.1{HASH}    # via sphinx\n"
ASYNCPG = f"asyncpg==0.33{HASH}{RUNTIME_FROM}"
LOWEST = f"jinja2==3.1{HASH}{RUNTIME_FROM}uvicorn==0.50{HASH}{RUNTIME_FROM}asyncpg==0.32{HASH}{RUNTIME_FROM}"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose files agree."""
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "build.txt").write_text(HATCHLING)
    (tmp_path / "requirements" / "runtime.txt").write_text(JINJA2 + MARKUPSAFE + UVICORN)
    (tmp_path / "requirements" / "development.txt").write_text(JINJA2 + MARKUPSAFE + UVICORN + HATCHLING + RUFF)
    (tmp_path / "requirements" / "documentation.txt").write_text(JINJA2 + MARKUPSAFE + UVICORN + SPHINX)
    (tmp_path / "requirements" / "image.txt").write_text(JINJA2 + MARKUPSAFE + UVICORN + ASYNCPG)
    (tmp_path / "requirements" / "lowest.txt").write_text(LOWEST)
    return tmp_path


def replace(path: Path, old: str, new: str) -> None:
    """Replace a text that is there."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_files_in_step_pass(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lock_gate.main([str(project)]) == 0
    assert capsys.readouterr().out == "requirements/*.txt are in step with pyproject.toml\n"


def test_the_failure_says_what_to_run(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "requirements" / "build.txt").write_text("")

    assert lock_gate.main([str(project)]) == 1
    assert capsys.readouterr().out == (
        "build.txt: hatchling is not pinned, though pyproject.toml asks for it\nRun `make lock`.\n"
    )


@pytest.mark.parametrize(
    ("file_name", "old", "new", "problems"),
    [
        pytest.param(
            "pyproject.toml",
            '"Jinja2>=3.1"',
            '"Jinja2>=3.1", "orjson>=3.11"',
            [
                "runtime.txt: orjson is not pinned, though pyproject.toml asks for it",
                "development.txt: orjson is not pinned, though pyproject.toml asks for it",
                "documentation.txt: orjson is not pinned, though pyproject.toml asks for it",
                "image.txt: orjson is not pinned, though pyproject.toml asks for it",
                "lowest.txt: orjson is not pinned, though pyproject.toml asks for it",
            ],
            id="a requirement was added",
        ),
        pytest.param(
            "pyproject.toml",
            ', "ruff"',
            "",
            ["development.txt: ruff is no longer asked for"],
            id="a requirement was removed",
        ),
        pytest.param(
            "pyproject.toml",
            '"Jinja2>=3.1"',
            '"Jinja2>=3.1", "markupsafe>=3"',
            [
                "runtime.txt: markupsafe is not pinned, though pyproject.toml asks for it",
                "development.txt: markupsafe is not pinned, though pyproject.toml asks for it",
                "documentation.txt: markupsafe is not pinned, though pyproject.toml asks for it",
                "image.txt: markupsafe is not pinned, though pyproject.toml asks for it",
                "lowest.txt: markupsafe is not pinned, though pyproject.toml asks for it",
            ],
            id="a transitive requirement became a direct one",
        ),
        pytest.param(
            "pyproject.toml",
            "Jinja2>=3.1",
            "Jinja2>=4",
            [
                *(
                    f"{name}.txt: jinja2==3.1.6 is outside >=4"
                    for name in ("runtime", "development", "documentation", "image")
                ),
                "lowest.txt: jinja2==3.1 is outside >=4",
            ],
            id="a range moved away",
        ),
        pytest.param(
            "requirements/development.txt",
            "markupsafe==3.0",
            "markupsafe==2.0",
            ["development.txt: markupsafe is 2.0, elsewhere 3.0"],
            id="two files pin different versions",
        ),
        pytest.param(
            "requirements/documentation.txt",
            "markupsafe==3.0",
            "markupsafe==2.0",
            ["documentation.txt: markupsafe is 2.0, elsewhere 3.0"],
            id="the documentation is built with another version of what runs",
        ),
        pytest.param(
            "pyproject.toml",
            "asyncpg>=0.32",
            "asyncpg>=0.31",
            ["lowest.txt: asyncpg==0.32 is not the lowest that >=0.31 takes"],
            id="a lower bound claims more than is installed anywhere",
        ),
        pytest.param(
            "pyproject.toml",
            '"asyncpg>=0.32"',
            '"asyncpg"',
            ["lowest.txt: asyncpg has no lower bound"],
            id="a requirement has no lower bound",
        ),
        pytest.param(
            "requirements/build.txt",
            HASH,
            "\n",
            ["build.txt: hatchling has no hash"],
            id="a hash is missing",
        ),
        pytest.param(
            "requirements/runtime.txt",
            "jinja2==",
            "--extra-index-url https://mirror.example/simple\njinja2==",
            ["runtime.txt: names an address or an option"],
            id="a download address crept in",
        ),
        pytest.param(
            "requirements/runtime.txt",
            "jinja2==",
            "--find-links /opt/wheels\njinja2==",
            ["runtime.txt: names an address or an option"],
            id="a folder of this machine crept in",
        ),
    ],
)
def test_each_disagreement_is_named(project: Path, file_name: str, old: str, new: str, problems: list[str]) -> None:
    replace(project / file_name, old, new)

    assert list(lock_gate.disagreements(project)) == problems

"""The Dockerfiles: what can be said of them without building. `make image-steps` executes their steps."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import RequireService
from tools.image.context import files_in
from tools.image.dockerfile import Stage, read

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "deploy" / "docker"
FILES = ["Dockerfile", "project.Dockerfile"]
WITHOUT_HELP = 10  # seconds until an engine kills what was told to stop
AFTER_CALLS = 3  # seconds for cleaning up, which come after MCP_SHUTDOWN_SECONDS


def stages(file: str) -> list[Stage]:
    return read((DOCKER / file).read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", FILES)
def test_hadolint_finds_nothing_in_the_dockerfile(file: str, require_service: RequireService) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    require_service("hadolint", available=hadolint.exists() or shutil.which("hadolint") is not None)
    program = str(hadolint) if hadolint.exists() else "hadolint"
    checked = subprocess.run([program, str(DOCKER / file)], capture_output=True, text=True, timeout=60, check=False)
    assert (checked.returncode, checked.stdout) == (0, "")


@pytest.mark.parametrize("file", FILES)
def test_the_image_runs_as_a_numeric_user_who_is_not_root(file: str) -> None:
    """Kubernetes refuses `runAsNonRoot` for a name."""
    assert stages(file)[-1].one("USER").text == "10001:10001"


@pytest.mark.parametrize("file", FILES)
def test_the_server_is_process_1_and_gets_the_stop_signal(file: str) -> None:
    image = stages(file)[-1]
    assert image.one("ENTRYPOINT").is_exec_form
    assert image.one("CMD").is_exec_form
    assert image.command == ["gatepost", "serve"]
    assert image.one("STOPSIGNAL").text == "SIGTERM"


@pytest.mark.parametrize("file", FILES)
def test_a_stop_is_over_before_the_engine_kills(file: str) -> None:
    assert int(stages(file)[-1].environment["MCP_SHUTDOWN_SECONDS"]) + AFTER_CALLS < WITHOUT_HELP


@pytest.mark.parametrize("file", FILES)
def test_the_store_lies_in_the_volume(file: str) -> None:
    image = stages(file)[-1]
    assert image.one("VOLUME").text == image.environment["OAUTH_STORAGE_DIR"] == "/data"


@pytest.mark.parametrize("file", FILES)
def test_everything_that_is_installed_is_pinned_by_hash(file: str) -> None:
    """What comes from no index (`--no-index`) was built here."""
    steps = [step for stage in stages(file) for step in stage.all("RUN")]
    installing = [part for step in steps for part in step.text.split("&&") if " install " in part and "pip" in part]
    assert installing
    assert [part for part in installing if "--require-hashes" not in part and "--no-index" not in part] == []


@pytest.mark.parametrize("file", FILES)
def test_the_index_comes_in_as_a_secret_and_never_as_an_argument(file: str) -> None:
    """A build argument stays in the image's history. The reader refuses ARG."""
    steps = [step for stage in stages(file) for step in stage.all("RUN")]
    mounts = [step.flags.get("mount") for step in steps if "--require-hashes" in step.text]
    assert mounts == ["type=secret,id=pip,target=/etc/pip.conf"]


@pytest.mark.parametrize("file", FILES)
def test_what_builds_is_not_in_the_image(file: str) -> None:
    """The last stage installs nothing; it takes one folder of the stage that builds."""
    *_, image = stages(file)
    assert image.base == "python"
    assert [step.words for step in image.all("COPY") if step.flags == {"from": "build"}] == [
        ["/opt/gatepost", "/opt/gatepost"]
    ]
    assert [step.text for step in image.all("RUN") if "apt-get" in step.text or "pip" in step.text] == []


def test_both_images_are_run_in_the_same_way() -> None:
    ours, project = (stages(file)[-1] for file in FILES)
    for name in ("VOLUME", "EXPOSE", "USER", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"):
        assert ours.one(name) == project.one(name)
    assert project.environment == {**ours.environment, "MCP_HANDLER": "server:server"}


@pytest.mark.parametrize(("variables", "port"), [({}, 8000), ({"PORT": "8080"}, 8080), ({"MCP_PORT": "9000"}, 9000)])
def test_the_health_check_asks_at_the_port_that_is_set(variables: dict[str, str], port: int) -> None:
    """Run with a stand-in for http.client, which says where it was asked."""
    program, flag, code = stages("Dockerfile")[-1].health_command
    assert (program, flag) == ("python3", "-c")
    stand_in = """
import http.client
class Asked:
    status = 200
class Connection:
    def __init__(self, host, port, timeout): print(host, port, timeout < 5)
    def request(self, method, path): print(method, path)
    def getresponse(self): return Asked()
http.client.HTTPConnection = Connection
"""
    done = subprocess.run(
        [sys.executable, "-c", stand_in + code], env=variables, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"127.0.0.1 {port} True\nGET /health\n")


def test_the_build_context_is_what_the_image_is_made_of(tmp_path: Path) -> None:
    names = [".env", ".git/config", ".gatepost/gatepost.db", "LICENSE", "src/gatepost/app.py", "requirements/image.txt"]
    names += [
        "src/gatepost/__pycache__/app.pyc",
        "tests/test_app.py",
        "pyproject.toml",
        "README.index.md",
        "README.md",
        "deploy/server.py",
        "src/gatepost/.env",
        "src/gatepost/.env.local",
        "src/notes.db",
        "src/gatepost/notes.key",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    assert [path.as_posix() for path in files_in(tmp_path, ignore)] == [
        "LICENSE",
        "README.index.md",
        "pyproject.toml",
        "requirements/image.txt",
        "src/gatepost/app.py",
    ]


def test_secrets_and_data_of_a_project_stay_out_of_its_image(tmp_path: Path) -> None:
    names = [".env", ".env.local", ".git/config", ".gatepost/gatepost.db", ".venv/bin/python", "notes.db", "server.py"]
    names += ["gatepost.key", "requirements.txt", "tools/__pycache__/mail.pyc", "tools/mail.py", "Dockerfile"]
    # As in .gitignore, they are left out in any folder.
    names += ["data/notes.db", "data/gatepost.key", "tools/.env", "tools/.env.local", "tools/.gatepost/gatepost.db"]
    names += ["tools/.venv/bin/python"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    ignore = (DOCKER / "project.dockerignore").read_text(encoding="utf-8")
    assert [path.as_posix() for path in files_in(tmp_path, ignore)] == [
        "requirements.txt",
        "server.py",
        "tools/mail.py",
    ]

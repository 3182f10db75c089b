"""`deploy/cloud-run.sh`, with a stand-in for gcloud that writes down what it was told."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from gatepost.configuration.deployment import resolve_deployment
from gatepost.configuration.settings import load_settings
from tests.conftest import RequireService
from tests.deploy.manifests import DEPLOY, KEY, of_the_image

SCRIPT = DEPLOY / "cloud-run.sh"
DATABASE = "postgresql://gatepost:very-secret@db.example.com/gatepost"
ACCOUNT = "notes-server@acme.iam.gserviceaccount.com"
URL = "https://notes-server-4711.europe-west1.run.app"
FAKE = r"""#!/bin/sh
printf '%s\n' "$*" >>"$RECORD"
case "$*" in
    "config get-value project") echo acme ;;
    "projects describe"*) echo 4711 ;;
    *describe*) [ "${THERE-}" = yes ] ;;
    *--data-file=-*) printf 'stdin %s\n' "$(cat)" >>"$RECORD" ;;
    "run deploy"*) [ "${BROKEN-}" != yes ] ;;
esac
"""


@dataclass(frozen=True)
class Run:
    """One run of the script."""

    code: int
    output: str
    error: str
    told: list[str]
    """The command lines of gcloud, and what came to it on standard input."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which a program `gcloud` lies."""
    program = tmp_path / "bin" / "gcloud"
    program.parent.mkdir()
    program.write_text(FAKE, encoding="utf-8")
    program.chmod(0o755)
    return tmp_path


def cloud_run(folder: Path, *arguments: str, **variables: str) -> Run:
    return run_script(folder, arguments, variables, with_gcloud=True)


def cloud_run_without_gcloud(folder: Path, *arguments: str, **variables: str) -> Run:
    return run_script(folder, arguments, variables, with_gcloud=False)


def run_script(folder: Path, arguments: Sequence[str], variables: Mapping[str, str], *, with_gcloud: bool) -> Run:
    record = folder / "record"
    path = f"{folder / 'bin'}:/usr/bin:/bin" if with_gcloud else str(shell_alone(folder))
    done = subprocess.run(
        ["/bin/sh", str(SCRIPT), *arguments],
        cwd=folder,
        env={"PATH": path, "RECORD": str(record), **variables},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    told = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
    return Run(done.returncode, done.stdout, done.stderr, told)


def shell_alone(folder: Path) -> Path:
    """A PATH with what a POSIX system has, and no gcloud wherever this machine has one."""
    place = folder / "posix"
    place.mkdir(exist_ok=True)
    for name in ("cat", "od", "sed", "tr"):
        program = shutil.which(name)
        assert program is not None
        if not (place / name).exists():
            (place / name).symlink_to(program)
    return place


def test_shellcheck_finds_nothing_in_the_script_for_cloud_run(require_service: RequireService) -> None:
    shellcheck = Path(sys.executable).with_name("shellcheck")
    require_service("shellcheck", available=shellcheck.exists())
    checked = subprocess.run(
        [str(shellcheck), "--shell=sh", str(SCRIPT)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (checked.returncode, checked.stdout) == (0, "")


def test_a_first_deployment_makes_account_and_secrets_and_then_the_service(folder: Path) -> None:
    run = cloud_run(folder, "notes-server", "europe-west1", MCP_STORAGE_URL=DATABASE)
    assert (run.code, run.error) == (0, "")
    key = next(line.removeprefix("stdin ") for line in run.told if line.startswith("stdin "))
    secret = "--project=acme --replication-policy=automatic --data-file=-"
    reader = f"--project=acme --member=serviceAccount:{ACCOUNT} --role=roles/secretmanager.secretAccessor"
    assert len(key) == 64
    assert run.told[:-1] == [
        "config get-value project",
        (
            "services enable run.googleapis.com secretmanager.googleapis.com cloudbuild.googleapis.com "
            "artifactregistry.googleapis.com --project=acme"
        ),
        "projects describe acme --format=value(projectNumber)",
        f"iam service-accounts describe {ACCOUNT} --project=acme",
        "iam service-accounts create notes-server --project=acme",
        "secrets describe notes-server-sealing-keys --project=acme",
        f"secrets create notes-server-sealing-keys {secret}",
        f"stdin {key}",
        "secrets describe notes-server-storage-url --project=acme",
        f"secrets create notes-server-storage-url {secret}",
        f"stdin {DATABASE}",
        f"secrets add-iam-policy-binding notes-server-sealing-keys {reader}",
        f"secrets add-iam-policy-binding notes-server-storage-url {reader}",
    ]
    deployed = run.told[-1].split()
    assert deployed[:3] == ["run", "deploy", "notes-server"]
    assert f"--set-env-vars=MCP_PUBLIC_URL={URL},MCP_TRUSTED_PROXIES=169.254.0.0/16,MCP_SHUTDOWN_SECONDS=6" in deployed
    assert (
        "--set-secrets=MCP_SEALING_KEYS=notes-server-sealing-keys:latest,MCP_STORAGE_URL=notes-server-storage-url:latest"
        in deployed
    )
    assert "--source=." in deployed
    assert f"The MCP URL is {URL}/mcp." in run.output


def test_no_secret_is_printed_or_stands_in_a_command_line(folder: Path) -> None:
    run = cloud_run(folder, "notes-server", "europe-west1", MCP_STORAGE_URL=DATABASE)
    key = next(line.removeprefix("stdin ") for line in run.told if line.startswith("stdin "))
    commands = [line for line in run.told if not line.startswith("stdin ")]
    for secret in ("very-secret", key):
        assert secret not in run.output + run.error + "".join(commands)


def test_a_later_deployment_keeps_account_and_secrets(folder: Path) -> None:
    run = cloud_run(folder, "notes-server", "europe-west1", THERE="yes", IMAGE="registry.example/notes:2")
    assert run.code == 0
    assert [line for line in run.told if " create " in line] == []
    assert "--image=registry.example/notes:2" in run.told[-1].split()


def test_a_domain_of_ones_own_is_the_public_url_of_the_service(folder: Path) -> None:
    domain = "https://mcp.example.com"
    run = cloud_run(folder, "notes-server", "europe-west1", MCP_STORAGE_URL=DATABASE, MCP_PUBLIC_URL=domain)
    assert f"MCP_PUBLIC_URL={domain}," in run.told[-1]
    assert [line for line in run.told if line.startswith("projects describe")] == []


def test_a_dry_run_without_gcloud_prints_every_command(folder: Path) -> None:
    variables = {"MCP_STORAGE_URL": DATABASE, "GOOGLE_CLOUD_PROJECT": "acme"}
    dry = cloud_run_without_gcloud(folder, "notes-server", "europe-west1", "--dry-run", **variables)
    assert (dry.code, dry.error, dry.told) == (0, "", [])
    real = cloud_run(folder, "notes-server", "europe-west1", **variables)
    shown = dry.output.replace("PROJECT_NUMBER", "4711").replace("'", "")
    told = [line for line in real.told if not line.startswith(("stdin ", "iam service-accounts d", "secrets d"))]
    assert [line for line in told if f"gcloud {line}" not in shown] == []
    assert "very-secret" not in dry.output


def test_a_dry_run_needs_no_database_and_says_what_would_be_missing(folder: Path) -> None:
    dry = cloud_run_without_gcloud(folder, "notes-server", "europe-west1", "--dry-run")
    assert (dry.code, dry.error) == (0, "")
    assert "# MCP_STORAGE_URL is not set, and no secret notes-server-storage-url is there" in dry.output
    assert "gcloud run deploy notes-server --project=PROJECT" in dry.output


@pytest.mark.parametrize("url", ["sqlite:////data/gatepost.db", "memory:"])
def test_a_store_on_the_disk_of_cloud_run_is_refused_with_the_reason(folder: Path, url: str) -> None:
    run = cloud_run(folder, "notes-server", "europe-west1", "--dry-run", MCP_STORAGE_URL=url)
    assert (run.code, run.output, run.told) == (1, "", [])
    assert "the disk of Cloud Run is memory" in run.error
    assert "postgresql://" in run.error


def test_a_first_deployment_without_a_database_is_refused_before_anything_is_deployed(folder: Path) -> None:
    run = cloud_run(folder, "notes-server", "europe-west1")
    assert run.code == 1
    assert "the store has" in run.error
    assert [line for line in run.told if line.startswith("run ")] == []


@pytest.mark.parametrize(
    ("arguments", "variables", "says"),
    [
        (["notes-server"], {}, "the service and the region have to be named."),
        (["notes-server", "europe-west1", "more"], {}, "one service and one region are taken."),
        (["notes-server", "europe-west1", "--wet-run"], {}, "there is no option --wet-run."),
        (["notes", "europe-west1"], {}, "SERVICE takes 6 to 30 small letters"),
        (["Notes-server", "europe-west1"], {}, "SERVICE takes 6 to 30 small letters"),
        (["notes-server", "europe west"], {}, "REGION takes a region"),
        (["notes-server", "europe-west1"], {"MCP_STORAGE_URL": "mysql://x"}, "begins with postgresql://"),
        (["notes-server", "europe-west1"], {"MCP_PUBLIC_URL": "http://mcp.example.com"}, "takes an https URL"),
        (["notes-server", "europe-west1"], {"MCP_PUBLIC_URL": "https://a,B=c"}, "without commas"),
    ],
)
def test_wrong_usage_of_the_script_for_cloud_run_is_explained(
    folder: Path, arguments: list[str], variables: dict[str, str], says: str
) -> None:
    run = cloud_run(folder, *arguments, **variables)
    assert (run.code, run.output, run.told) == (2, "", [])
    assert says in run.error


def test_without_gcloud_the_script_says_so(folder: Path) -> None:
    run = cloud_run_without_gcloud(folder, "notes-server", "europe-west1", MCP_STORAGE_URL=DATABASE)
    assert (run.code, run.output) == (1, "")
    assert "gcloud is not installed; --dry-run prints what would be run." in run.error


def test_a_deployment_that_fails_is_a_failure(folder: Path) -> None:
    run = cloud_run(folder, "notes-server", "europe-west1", MCP_STORAGE_URL=DATABASE, BROKEN="yes")
    assert run.code != 0
    assert "The MCP URL is" not in run.output


def test_the_settings_on_cloud_run_make_a_public_server_without_a_warning(folder: Path) -> None:
    run = cloud_run(folder, "notes-server", "europe-west1", MCP_STORAGE_URL=DATABASE)
    (variables,) = (word for word in run.told[-1].split() if word.startswith("--set-env-vars="))
    environment = dict(pair.split("=", 1) for pair in variables.removeprefix("--set-env-vars=").split(","))
    secrets = {"MCP_SEALING_KEYS": KEY, "MCP_STORAGE_URL": DATABASE}
    settings = load_settings({**of_the_image(), **environment, **secrets, "PORT": "8080"}, env_file=None)
    assert resolve_deployment(settings, is_single_user=False).public_url == URL
    assert settings.server.port == 8080
    assert settings.warnings == ()

"""Execute the Dockerfiles' steps without a container engine, and try what comes out; `make image-steps` calls this.

    python -m tools.image.run [--base FOLDER] [--no-page]

A root of Debian is made with debootstrap, which is what the base image is made of. The RUN and COPY instructions are
carried out in copies of it, one for each stage; packages come from the index that PIP_INDEX_URL and PIP_CERT name. What
ENTRYPOINT, CMD, ENV, USER and HEALTHCHECK say then runs on that root, read-only and without a network. What was seen
becomes a part of `docs/deploy/containers.md`. It needs Linux, root and debootstrap, and takes a few minutes.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tools.clients import table
from tools.image import chroot, dockerfile
from tools.image.build import MARKER, Build
from tools.image.container import NotAsPromisedError
from tools.image.walk import container_of, walk

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "deploy" / "docker"
PAGE = ROOT / "docs" / "deploy" / "containers.md"
SUITE, IMAGE = "trixie", "debian:trixie-slim"
WALK_SECONDS = 600


def main(arguments: list[str]) -> int:
    """Build and walk; return 1 if something is not as the page says, else 0."""
    parser = argparse.ArgumentParser(description="Execute the steps of the Dockerfiles without a container engine.")
    parser.add_argument("--base", type=Path, help="a root that debootstrap made before; it is not changed")
    parser.add_argument("--no-page", action="store_true", help="do not write the page")
    parser.add_argument("--walk", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.walk is not None:
        return walk_inside(options.walk)
    if missing := chroot.missing_tools():
        print(f"This needs {', '.join(missing)}.")
        return 1
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            text = report(folder, options.base)
        except (chroot.StepFailedError, NotAsPromisedError, dockerfile.UnreadableError) as problem:
            print(problem)
            return 1
    print(text)
    if not options.no_page:
        table.write(PAGE, "image-steps", text)
    return 0


def report(folder: Path, base: Path | None) -> str:
    """Build both images and walk them; return what the page says of it."""
    if base is None:
        base = folder / "base"
        chroot.debootstrap(SUITE, base)
    version = (base / "etc" / "debian_version").read_text(encoding="utf-8").strip()
    today = dt.datetime.now(tz=dt.UTC).date()
    lines = [
        f"Last run on {today}, on {platform.machine()}: Debian {version} by debootstrap in the place of `{IMAGE}`.",
        *_built(folder / "ours", base, ROOT, DOCKER / "Dockerfile", target=ROOT / "deploy" / "server.py"),
        *_built(folder / "project", base, _project(folder), DOCKER / "project.Dockerfile", target=None),
    ]
    return "\n".join(lines)


def _built(folder: Path, base: Path, context: Path, file: Path, *, target: Path | None) -> Iterator[str]:
    folder.mkdir()
    ignore = (context / ".dockerignore").read_text(encoding="utf-8")
    wheels = folder.parent / "wheels"
    build = Build(folder, context, ignore, {IMAGE: base}, wheels if wheels.exists() else None)
    root, environment = build.run(dockerfile.read(file.read_text(encoding="utf-8")))
    for other in {*build.roots.values()} - {root}:
        shutil.rmtree(other)
    plan = folder / "plan.json"
    plan.write_text(json.dumps([str(file), str(root), environment, target and str(target)]), encoding="utf-8")
    python = (root / "usr" / "bin" / "python3").resolve().name
    yield f"\n[`{file.name}`](../../{file.relative_to(ROOT)}), {python}:\n"
    yield from in_namespaces(plan)


def in_namespaces(plan: Path) -> list[str]:
    """Walk in namespaces of its own for network, mounts and processes, which end with it; return its lines.

    Raises:
        NotAsPromisedError: the walk stopped; the message says where.
    """
    enter = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    done = subprocess.run(  # noqa: S603 - this module
        [*enter, sys.executable, "-m", "tools.image.run", "--walk", str(plan)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=WALK_SECONDS,
        check=False,
    )
    if done.returncode:
        raise NotAsPromisedError(done.stdout)
    return done.stdout.splitlines()


def walk_inside(plan: Path) -> int:
    """Walk one image, inside the namespaces; print the lines."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=10)  # noqa: S607 - iproute2's
    file, root, environment, target = json.loads(plan.read_text(encoding="utf-8"))
    image = dockerfile.read(Path(file).read_text(encoding="utf-8"))[-1]
    container = container_of(image, Path(root), environment, plan.parent, target and Path(target))
    try:
        for line in walk(container):
            print(f"- {line}", flush=True)
    except NotAsPromisedError as problem:
        print(problem)
        return 1
    finally:
        if container.process is not None and container.process.poll() is None:
            container.process.kill()
            container.process.wait()
    return 0


def _project(folder: Path) -> Path:
    """Make a project as somebody has it whose requirements.txt names this version of Gatepost, from a wheel of it."""
    project, wheels = folder / "notes", folder / "wheels"
    project.mkdir()
    wheels.mkdir()
    build = [sys.executable, "-m", "uv", "build", "--wheel", "--no-build-isolation", "--quiet", "--offline"]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([*build, "--out-dir", str(wheels)], cwd=ROOT, env=environment, check=True, timeout=120)  # noqa: S603 - uv
    (wheel,) = wheels.glob("gatepost-*.whl")
    version, digest = wheel.name.split("-")[1], hashlib.sha256(wheel.read_bytes()).hexdigest()
    pins = (ROOT / "requirements" / "image.txt").read_text(encoding="utf-8")
    pinned = f"{pins}gatepost=={version} \\\n    --hash=sha256:{digest}\n"
    (project / "requirements.txt").write_text(pinned, encoding="utf-8")
    shutil.copy(ROOT / "deploy" / "server.py", project)
    shutil.copy(DOCKER / "project.dockerignore", project / ".dockerignore")
    (project / ".env").write_text(f"MCP_API_KEY={MARKER}\n", encoding="utf-8")
    return project


if __name__ == "__main__":
    # Ended from outside, it still removes what it made.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    raise SystemExit(main(sys.argv[1:]))

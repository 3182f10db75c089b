"""Carry out the instructions of a Dockerfile in roots made with debootstrap, a root for each stage."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tools.image import chroot
from tools.image.context import files_in
from tools.image.dockerfile import Instruction, Stage, UnreadableError

MARKER = "what-is-not-to-be-in-a-layer"
"""Stands in the file that comes in as a build secret, and is looked for in the result."""
SECRET = {"type": "secret", "id": "pip", "target": "/etc/pip.conf"}
_AUTHORITIES = "/run/package-mirror.crt"
_WHEELS = "/run/wheels"
_PLAIN = frozenset(
    "ENV VOLUME EXPOSE USER STOPSIGNAL HEALTHCHECK ENTRYPOINT CMD".split()  # noqa: SIM905 - as they are written
)


@dataclass
class Build:
    """One build.

    Args:
        folder: where the roots go.
        context: the folder whose files may be copied.
        ignore: the text of its `.dockerignore`.
        bases: by the name of an image, the root that stands for it.
        wheels: a folder with packages that no index has.
    """

    folder: Path
    context: Path
    ignore: str
    bases: Mapping[str, Path]
    wheels: Path | None = None
    roots: dict[str, Path] = field(default_factory=dict)
    environments: dict[str, dict[str, str]] = field(default_factory=dict)

    def run(self, stages: list[Stage]) -> tuple[Path, dict[str, str]]:
        """Carry out all stages; return the root of the last one and the environment of its containers.

        Raises:
            StepFailedError: a RUN instruction failed.
            UnreadableError: an instruction asks for what is not done here.
        """
        root, environment = self.folder, dict[str, str]()
        for number, stage in enumerate(stages):
            root = self.folder / (stage.name or f"stage-{number}")
            chroot.copy_root(self.roots.get(stage.base) or self.bases[stage.base], root)
            environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
            environment |= self.environments.get(stage.base, {})
            self._carry_out(stage, root, environment)
            if stage.name is not None:
                self.roots[stage.name], self.environments[stage.name] = root, environment
        return root, environment

    def _carry_out(self, stage: Stage, root: Path, environment: dict[str, str]) -> None:
        workdir = "/"
        for step in stage.instructions:
            if step.name == "RUN":
                print("RUN", step.text[:100], flush=True)
                with_secrets = {"DEBIAN_FRONTEND": "noninteractive", **environment}
                with _secret(self.folder / "pip.conf", step.flags.get("mount"), self.wheels) as mounts:
                    shell = ["/bin/sh", "-c", step.text]
                    chroot.run(root, shell, environment=with_secrets, workdir=workdir, mounts=mounts)
            elif step.name == "COPY":
                self._copy(step, root, workdir)
            elif step.name == "WORKDIR":
                workdir = step.text
                (root / workdir.lstrip("/")).mkdir(parents=True, exist_ok=True)
            elif step.name == "ENV":
                environment |= Stage("", None, (step,)).environment
            elif step.name not in _PLAIN:
                raise UnreadableError(step.name)

    def _copy(self, step: Instruction, root: Path, workdir: str) -> None:
        *sources, target = step.words
        inside = root / os.path.normpath(f"{workdir}/{target}").lstrip("/")
        if "from" in step.flags:
            origin = self.roots[step.flags["from"]]
            for source in sources:
                shutil.copytree(origin / source.lstrip("/"), inside, symlinks=True, dirs_exist_ok=True)
            return
        for source in sources:
            for relative, name in self._given(source, is_folder=target.endswith(("/", "."))):
                place = inside / name
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(self.context / relative, place)

    def _given(self, source: str, *, is_folder: bool) -> Iterator[tuple[Path, Path]]:
        """Yield each file of the context that COPY means by this source, and its name below the target."""
        found = False
        for relative in files_in(self.context, self.ignore):
            if source == ".":
                yield relative, relative
            elif relative == Path(source):
                yield relative, Path(relative.name) if is_folder else Path()
            elif relative.is_relative_to(source):
                yield relative, relative.relative_to(source)
            else:
                continue
            found = True
        if not found:
            raise UnreadableError(f"COPY {source}: the context has no such file")


@contextmanager
def _secret(file: Path, mount: str | None, wheels: Path | None) -> Iterator[dict[str, Path]]:
    """Make the file that stands in for /etc/pip.conf, in which this machine's index is; return what is to be mounted.

    Args:
        file: where it lies on this machine meanwhile.
        mount: the instruction's --mount; without it there is nothing.
        wheels: a folder with packages that no index has.
    """
    if mount is None:
        yield {}
        return
    if dict(part.split("=", 1) for part in mount.split(",")) != SECRET:
        raise UnreadableError(f"--mount={mount}")
    lines, mounts = ["[global]", f"# {MARKER}"], {"/etc/pip.conf": file}
    if "PIP_INDEX_URL" in os.environ:
        lines.append(f"index-url = {os.environ['PIP_INDEX_URL']}")
    if "PIP_CERT" in os.environ:
        mounts[_AUTHORITIES] = Path(os.environ["PIP_CERT"])
        lines.append(f"cert = {_AUTHORITIES}")
    if wheels is not None:
        mounts[_WHEELS] = wheels
        lines.append(f"find-links = {_WHEELS}")
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    try:
        yield mounts
    finally:
        file.unlink()

"""Build the documentation site, strictly; `make docs` calls this with the interpreter that has Sphinx.

    python -m tools.documentation.build

The pages are gathered into `test-artifacts/documentation/source`, and Sphinx builds the site from there into
`test-artifacts/documentation/site`, which opens in a browser without a server. Every warning is an error.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from tools.documentation import accessible, built_site, command_line, public_names, tables
from tools.documentation.staging import ROOT, Staging

GENERATED: Final = {
    "attacks": tables.attacks,
    "commands": command_line.reference,
    "findings": tables.findings,
    "public names": public_names.reference,
}
OUTPUT: Final = ROOT / "test-artifacts" / "documentation"
_CONFIGURATION: Final = Path(__file__).with_name("site")
_DEADLINE: Final = 600  # seconds; only ever reached when something is broken


def main() -> int:
    """Build; return 0, or 1 with what is wrong on the screen."""
    began = time.monotonic()
    try:
        Staging(ROOT, GENERATED).write(OUTPUT / "source")
    except LookupError as error:
        print(error)
        return 1
    command = [sys.executable, "-m", "sphinx", "--builder", "html", "--fail-on-warning", "--keep-going", "--quiet"]
    command += ["--fresh-env", "--write-all", "--jobs", "auto", "--conf-dir", str(_CONFIGURATION)]
    command += ["--doctree-dir", str(OUTPUT / "doctrees"), str(OUTPUT / "source"), str(OUTPUT / "site")]
    if subprocess.run(command, cwd=ROOT, check=False, timeout=_DEADLINE).returncode != 0:  # noqa: S603 - our own arguments
        return 1
    accessible.mend(OUTPUT / "site")
    wrong = built_site.objections(OUTPUT / "site")
    print(
        "\n".join(wrong) if wrong else f"{OUTPUT.relative_to(ROOT)}/site/index.html: {time.monotonic() - began:.0f} s"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

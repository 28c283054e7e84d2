"""Commands that run without root's rights, and as a user without a name, as the tests' own user may be root."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

UNKNOWN = "54321"  # a user ID without a name
NO_RIGHTS = ("--bounding-set=-all", "--inh-caps=-all")
READS_ALL = (  # the tests' interpreter may lie in root's home folder
    f"--reuid={UNKNOWN}",
    f"--regid={UNKNOWN}",
    "--clear-groups",
    "--inh-caps=+dac_read_search",
    "--ambient-caps=+dac_read_search",
)


def unprivileged(
    command: list[str], cwd: Path | None = None, unknown: bool = False, **environment: str | None
) -> subprocess.CompletedProcess[str]:
    """Run a command for which the rights of files count; None takes a variable of the environment away.

    Args:
        unknown: by a user ID without a name, which can write to nothing that is not everybody's.
    """
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("needs setpriv, or a user who is not root")
        command = ["setpriv", *(READS_ALL if unknown else NO_RIGHTS), *command]
    elif unknown:
        pytest.skip("only root can run a command by a user ID without a name")
    changed = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment}
    variables = {name: value for name, value in changed.items() if value is not None}
    return subprocess.run(
        command, capture_output=True, text=True, errors="replace", cwd=cwd, env=variables, timeout=120
    )

"""What the runtime asks of OpenBLAS, before NumPy loads it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SHOWN = "import os, {}; print(os.environ.get('OPENBLAS_THREAD_TIMEOUT'))"


@pytest.mark.parametrize(
    ("imported", "given", "expected"),
    [("edgedrag", None, "None"), ("edgedrag.runtime", None, "16"), ("edgedrag.runtime", "26", "26")],
)
def test_its_threads_spin_no_longer_than_a_moment_where_nobody_says_how_long(
    imported: str, given: str | None, expected: str
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_THREAD_TIMEOUT"}
    if given is not None:
        environment["OPENBLAS_THREAD_TIMEOUT"] = given
    run = [sys.executable, "-c", SHOWN.format(imported)]
    found = subprocess.run(run, env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == expected

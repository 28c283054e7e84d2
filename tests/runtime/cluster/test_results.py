"""Where a batch's results go, and that nothing of Ray is imported without `--cluster`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import EXAMPLES

from edgedrag.runtime.cluster.results import open_results
from edgedrag.runtime.errors import InputError

NO_FSSPEC = "fsspec is not installed; the extra [cluster] brings it"


def test_a_folder_is_made_and_its_files_are_found_again(tmp_path: Path) -> None:
    results = open_results(str(tmp_path / "a" / "b"))
    assert not results.has("x.png")
    assert results.write("x.png", b"one") == str(tmp_path / "a" / "b" / "x.png")
    assert open_results(str(tmp_path / "a" / "b")).has("x.png")
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["x.png"]
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="the folder cannot be made"):
        open_results(str(tmp_path / "file" / "c"))


def test_addresses_are_fsspecs(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec", reason=NO_FSSPEC)
    results = open_results("memory://shop/out/")
    assert results.write("x.png", b"one") == "memory://shop/out/x.png"
    assert fsspec.filesystem("memory").cat("/shop/out/x.png") == b"one"
    again = open_results("memory://shop/out")
    assert again.has("x.png") and not again.has("y.png")
    open_results(f"file://{tmp_path}/out").write("x.png", b"one")
    assert (tmp_path / "out" / "x.png").read_bytes() == b"one"
    with pytest.raises(InputError, match="cannot be written to"):
        open_results("nosuch://x")


@pytest.mark.slow
def test_without_cluster_nothing_of_ray_is_imported(tmp_path: Path) -> None:
    (tmp_path / "jobs.jsonl").write_text(
        json.dumps({"name": "a", "image": str(EXAMPLES / "chelsea.png"), "drags": [[[265, 240], [245, 250]]]})
    )
    script = f"""
import sys
from edgedrag.cli import cli
cli.main(["batch", {str(tmp_path / "jobs.jsonl")!r}, "-o", {str(tmp_path / "out")!r}], standalone_mode=False)
print([name for name in sys.modules if name in ("ray", "fsspec") or name.startswith("edgedrag.runtime.cluster")])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]" and (tmp_path / "out" / "a.png").exists()


def test_options_that_do_not_go_together(edit_cli: Callable, tmp_path: Path) -> None:
    (tmp_path / "jobs.jsonl").write_text("")
    done = edit_cli("batch", tmp_path / "jobs.jsonl", "-o", "memory://out")
    assert done.returncode == 2 and "--cluster alone" in done.stderr
    done = edit_cli("batch", tmp_path / "jobs.jsonl", "-o", tmp_path, "--cluster", "auto", "--trace", tmp_path / "t")
    assert done.returncode == 2 and "--trace" in done.stderr

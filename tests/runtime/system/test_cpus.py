"""How many CPUs a process may use, and that everything follows it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import onnxruntime as ort
import pytest
from conftest import EXAMPLES

import edgedrag
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.selection import doctor
from edgedrag.runtime.system import cpus

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


def tree(root: Path, membership: str, files: dict[str, str]) -> Path:
    """A system's `proc` and `sys` with control groups."""
    for name, content in {"proc/self/cgroup": membership, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


GROUPS = "sys/fs/cgroup"
V1 = "9:memory:/docker/ab\n4:cpu,cpuacct:/docker/ab\n1:name=systemd:/docker/ab\n"
TREES = {
    "none": ("", {}, None),
    "version 2": ("0::/\n", {f"{GROUPS}/cpu.max": "150000 100000\n"}, 1.5),
    "version 2, no limit": ("0::/\n", {f"{GROUPS}/cpu.max": "max 100000\n"}, None),
    "version 2, a limit above": (
        "0::/user.slice/app.scope\n",
        {
            f"{GROUPS}/user.slice/app.scope/cpu.max": "max 100000\n",
            f"{GROUPS}/user.slice/cpu.max": "200000 100000\n",
        },
        2.0,
    ),
    "version 2, the least of two": (
        "0::/a/b\n",
        {f"{GROUPS}/a/b/cpu.max": "400000 100000\n", f"{GROUPS}/a/cpu.max": "50000 100000\n"},
        0.5,
    ),
    "version 2, the host's path in a container": (
        "0::/../../system.slice/docker-ab.scope\n",
        {f"{GROUPS}/cpu.max": "300000 100000\n"},
        3.0,
    ),
    "version 1": (
        V1,
        {
            f"{GROUPS}/cpu,cpuacct/docker/ab/cpu.cfs_quota_us": "250000\n",
            f"{GROUPS}/cpu,cpuacct/docker/ab/cpu.cfs_period_us": "100000\n",
        },
        2.5,
    ),
    "version 1 in a container": (
        V1,
        {f"{GROUPS}/cpu/cpu.cfs_quota_us": "100000\n", f"{GROUPS}/cpu/cpu.cfs_period_us": "100000\n"},
        1.0,
    ),
    "version 1, no limit": (
        V1,
        {f"{GROUPS}/cpu/cpu.cfs_quota_us": "-1\n", f"{GROUPS}/cpu/cpu.cfs_period_us": "100000\n"},
        None,
    ),
    "both versions": (
        V1 + "0::/docker/ab\n",
        {
            f"{GROUPS}/cpu/cpu.cfs_quota_us": "400000\n",
            f"{GROUPS}/cpu/cpu.cfs_period_us": "100000\n",
            f"{GROUPS}/unified/cgroup.controllers": "\n",
        },
        4.0,
    ),
    "nonsense": ("0::/\n", {f"{GROUPS}/cpu.max": "many\n"}, None),
    "a period of nothing": ("0::/\n", {f"{GROUPS}/cpu.max": "100000 0\n"}, None),
    "lines of another form": ("what\n0::/\n", {f"{GROUPS}/cpu.max": "100000 100000\n"}, 1.0),
}


@pytest.mark.parametrize("case", sorted(TREES))
def test_quotas_of_control_groups(tmp_path: Path, case: str) -> None:
    membership, files, expected = TREES[case]
    assert cpus.cpu_quota(tree(tmp_path, membership, files)) == expected


@pytest.mark.parametrize(("quota", "threads"), [(50, 1), (100, 1), (110, 2), (150, 2), (250, 3), (800, 4)])
def test_the_default_is_the_quota_rounded_up_and_never_more_than_the_affinity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: int, threads: int
) -> None:
    monkeypatch.setattr(cpus, "allowed_cpus", lambda: 4)
    root = tree(tmp_path, "0::/\n", {f"{GROUPS}/cpu.max": f"{quota}000 100000\n"})
    assert cpus.default_threads(root) == threads
    assert cpus.default_threads(tmp_path / "no such system") == 4


@pytest.mark.parametrize("threads", [0, -1, 100_000])
def test_no_such_number_of_threads(threads: int) -> None:
    with pytest.raises(InputError, match=rf"threads: {threads} is not between 1 and \d+"):
        edgedrag.open(threads=threads)


@pytest.mark.parametrize("threads", ["0", "-1", "100000"])
@pytest.mark.parametrize("command", ["drag", "batch", "bench", "studio"])
def test_no_such_number_of_threads_is_exit_code_2(edit_cli: Cli, tmp_path: Path, command: str, threads: str) -> None:
    if command == "studio":
        pytest.importorskip("fastapi", reason="the extra [studio] is not installed")
    (tmp_path / "jobs.jsonl").write_text("")
    arguments = {
        "drag": ["drag", EXAMPLES / "chelsea.png", "--drag", "265,240:245,250", "-o", tmp_path / "out.png"],
        "batch": ["batch", tmp_path / "jobs.jsonl", "-o", tmp_path],
        "bench": ["bench", "latency", "-o", tmp_path / "report"],
        "studio": ["studio", "--port", "0", "--state", tmp_path / "state"],
    }[command]
    done = edit_cli(*arguments, "--threads", threads)
    assert done.returncode == 2 and not done.stdout, done.stderr
    assert done.stderr.startswith(f"error: threads: {threads} is not") and done.stderr.count("\n") == 1
    assert {p.name for p in tmp_path.iterdir()} == {"jobs.jsonl"}


def test_engines_and_opencv_get_what_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: set[int] = set()

    class Watched(ort.InferenceSession):
        def __init__(self, *arguments: Any, **options: Any):
            super().__init__(*arguments, **options)
            threads.add(self.get_session_options().intra_op_num_threads)

    monkeypatch.setattr(ort, "InferenceSession", Watched)
    before = cv2.getNumThreads()
    try:
        runtime = edgedrag.open(threads=1)
        assert runtime.options.cpu_threads == cv2.getNumThreads() == 1
        assert threads == {1}
        assert edgedrag.open().options.cpu_threads == cv2.getNumThreads() == cpus.default_threads()
    finally:
        cv2.setNumThreads(before)


def test_openvino_gets_what_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    openvino = pytest.importorskip("openvino", reason="openvino is not installed")
    threads: set[int] = set()
    compile_model = openvino.Core.compile_model

    def watched(*arguments: Any, **options: Any) -> Any:
        compiled = compile_model(*arguments, **options)
        threads.add(compiled.get_property("INFERENCE_NUM_THREADS"))
        return compiled

    monkeypatch.setattr(openvino.Core, "compile_model", watched)
    runtime = edgedrag.open(backend="openvino", precision="fp32", threads=1)
    runtime.load(EXAMPLES / "chelsea.png").drag([((265, 240), (240, 248))])
    assert threads == {1}


PROBE = """
import sys, cv2, edgedrag
runtime = edgedrag.open(backend=sys.argv[1])
runtime.load(sys.argv[2]).drag([((265, 240), (240, 248))])
print(runtime.options.cpu_threads, cv2.getNumThreads())
"""


@pytest.mark.skipif(shutil.which("taskset") is None, reason="taskset is not installed")
@pytest.mark.skipif(cpus.allowed_cpus() < 2, reason="one CPU is all that there is")
@pytest.mark.parametrize("backend", ["cpu", "openvino"])
def test_one_cpu_by_affinity_is_one_thread_and_nothing_on_stderr(backend: str) -> None:
    if backend == "openvino":
        pytest.importorskip("openvino", reason="openvino is not installed")
    cpu = str(min(os.sched_getaffinity(0)))
    command = ["taskset", "-c", cpu, sys.executable, "-c", PROBE, backend, str(EXAMPLES / "chelsea.png")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert done.stdout == "1 1\n"


def test_doctor_says_how_many_threads_there_would_be() -> None:
    facts = doctor.examine("0")
    assert facts["cpus"]["threads"] == cpus.default_threads() <= facts["cpus"]["allowed"]
    assert f"threads by default: {facts['cpus']['threads']}" in doctor.describe(facts)
    facts["cpus"]["quota"] = 1.5
    assert "allow the time of 1.5" in doctor.describe(facts)


@pytest.fixture
def group_of_one_cpu() -> Iterator[Path]:
    """A real control group with a quota of one CPU; its `cgroup.procs` takes processes in."""
    quotas = {"cpu/edgedrag-test": ("cpu.cfs_quota_us", "100000"), "edgedrag-test": ("cpu.max", "100000 100000")}
    for name, (file, quota) in quotas.items():
        group = Path("/sys/fs/cgroup", name)
        try:
            if not (group.parent / "cgroup.procs").exists():
                continue
            group.mkdir()
        except OSError:
            continue
        try:
            (group / file).write_text(quota)
            yield group
            return
        except OSError:
            continue
        finally:
            group.rmdir()
    pytest.skip("no control group with a CPU quota can be made here: that takes root and the cpu controller")


def test_a_real_quota_of_one_cpu_is_one_thread(group_of_one_cpu: Path) -> None:
    enter = f'echo $$ > {group_of_one_cpu}/cgroup.procs && exec {sys.executable} -c "$0" "$@"'
    command = ["sh", "-c", enter, PROBE, "cpu", str(EXAMPLES / "chelsea.png")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 1\n", "")

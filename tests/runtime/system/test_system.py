"""The machine's state as `doctor` shows it, read from trees of files like those that devices show."""

from __future__ import annotations

import os
from pathlib import Path

import device_trees
import pytest
from device_trees import write

from edgedrag.export import capacity
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.system import processor, sensors
from edgedrag.runtime.system.memory import Memory, read_memory
from edgedrag.runtime.system.power_mode import PowerMode, available_modes, current_mode, fastest_mode
from edgedrag.runtime.system.state import describe_system, system_state


@pytest.fixture
def workstation(tmp_path: Path) -> Path:
    return device_trees.workstation(tmp_path)


@pytest.fixture
def jetson(tmp_path: Path) -> Path:
    return device_trees.orin_nano(tmp_path)


def nvpmodel_answers(root: Path, answer: str, code: int = 0) -> None:
    """Put a program in the place of nvpmodel that prints an answer."""
    program = root / "usr/sbin/nvpmodel"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!/bin/sh\n[ \"$1\" = -q ] || exit 9\ncat <<'END'\n{answer}\nEND\nexit {code}\n")
    os.chmod(program, 0o755)


def test_nothing_is_shown_where_there_is_nothing(tmp_path: Path) -> None:
    state = system_state(tmp_path)
    assert not any(state.values()), state
    assert describe_system(state) == []


def test_a_workstations_clocks_and_heat(workstation: Path) -> None:
    assert sensors.clocks(workstation) == {"cpu_mhz": 3500.0}
    assert sensors.temperatures(workstation) == {"x86_pkg_temp": 61.5}
    assert sensors.throttling(workstation) == {"core_throttle_count": 5}
    assert sensors.governor(workstation) == "performance"


def test_a_jetsons_clocks_heat_and_throttling(jetson: Path) -> None:
    assert sensors.clocks(jetson) == {"cpu_mhz": 1510.4, "gpu_mhz": 624.8}
    assert sensors.clock_limits(jetson) == {"cpu_mhz": 1728.0, "gpu_mhz": 1020.0}
    assert sensors.temperatures(jetson) == {"gpu-thermal": 48.2}
    assert sensors.throttling(jetson) == {"oc1": 0, "cooling gpu-throttle-alert": 1}, "a fan is not throttling"
    assert sensors.board(jetson) == "NVIDIA Jetson Orin Nano Developer Kit", "without the NUL that ends it"


def test_thors_second_clock_is_not_taken_for_its_gpus(tmp_path: Path) -> None:
    write(tmp_path, {"sys/class/devfreq/gpu-gpc-0/cur_freq": 1_575_000_000,
                     "sys/class/devfreq/gpu-nvd-0/cur_freq": 500_000_000,
                     "sys/class/devfreq/bwmgr/cur_freq": 4_266_000_000})  # fmt: skip
    assert sensors.clocks(tmp_path) == {"gpu_mhz": 1575.0}


def test_files_that_hold_something_else_are_left_out(jetson: Path) -> None:
    write(jetson, {"sys/class/devfreq/17000000.gpu/cur_freq": "busy", "proc/meminfo": "MemTotal: x kB",
                   "etc/nvpmodel.conf": "< POWER_MODEL ID=x NAME= >", "proc/swaps": "?"})  # fmt: skip
    (jetson / "proc/device-tree/model").write_bytes(b"\xff\xfe board\0")
    state = system_state(jetson)
    assert state["clocks"] == {"cpu_mhz": 1510.4} and state["memory_bytes"] is None and state["power_mode"] is None
    assert state["board"].endswith("board")
    assert all(line.isprintable() for line in describe_system(state))


@pytest.mark.parametrize(
    ("answer", "mode"),
    [
        ("NV Power Mode: MAXN\n0", PowerMode(0, "MAXN")),
        ("NVPM WARN: fan mode is not set!\nNV Power Mode: MODE_30W\n2", PowerMode(2, "MODE_30W")),
        ("NVPM VERB: Current mode: NV Power Mode: 25W\n1\nNVPM VERB: PARAM", PowerMode(1, "25W")),
    ],
)
def test_the_mode_is_what_nvpmodel_answers(jetson: Path, answer: str, mode: PowerMode) -> None:
    nvpmodel_answers(jetson, answer)
    assert current_mode(jetson) == mode


def test_the_mode_that_was_stored_serves_where_nvpmodel_does_not_answer(jetson: Path) -> None:
    assert current_mode(jetson) == PowerMode(1, "25W")
    nvpmodel_answers(jetson, "NVPM ERROR: cannot open", 1)
    assert current_mode(jetson) == PowerMode(1, "25W")
    write(jetson, {"var/lib/nvpmodel/status": "pmode:0009"})
    assert current_mode(jetson) is None, "a mode that the configuration does not have"


@pytest.mark.parametrize(
    ("names", "fastest"),
    [
        (["15W", "25W", "MAXN_SUPER", "7W"], "MAXN_SUPER"),
        (["MAXN", "MODE_15W", "MODE_30W", "MODE_50W"], "MAXN"),
        (["MAXN_SUPER", "10W", "25W", "40W", "MAXN"], "MAXN_SUPER"),
        (["7W", "15W", "10W"], "15W"),
        (["QUIET", "LOUD"], None),
        ([], None),
    ],
)
def test_the_fastest_mode_goes_by_its_name(names: list[str], fastest: str | None) -> None:
    found = fastest_mode([PowerMode(number, name) for number, name in enumerate(names)])
    assert (found.name if found else None) == fastest


def test_modes_are_read_from_the_configuration(jetson: Path) -> None:
    assert [mode.name for mode in available_modes(jetson)] == ["15W", "25W", "MAXN_SUPER", "7W"]


def test_swap_counts_on_disks_alone(jetson: Path) -> None:
    memory = read_memory(jetson)
    assert memory == Memory(7802000 * 1024, 6400000 * 1024, 8000000 * 1024, 3900000 * 1024)


def test_a_containers_limits_bound_memory_and_swap(jetson: Path) -> None:
    group = "sys/fs/cgroup"
    write(jetson, {f"{group}/memory.max": 2_000_000_000, f"{group}/memory.current": 1_500_000_000,
                   f"{group}/memory.stat": "anon 9\ninactive_file 400000000\nslab 1",
                   f"{group}/memory.swap.max": 0, f"{group}/memory.swap.current": 0})  # fmt: skip
    memory = read_memory(jetson)
    assert memory is not None and (memory.free, memory.swap) == (900_000_000, 0)
    write(jetson, {f"{group}/memory.max": "max", f"{group}/memory.swap.max": "max"})
    memory = read_memory(jetson)
    assert memory is not None and (memory.free, memory.swap) == (6400000 * 1024, 8000000 * 1024)


def test_doctor_says_what_slows_a_jetson(jetson: Path) -> None:
    text = "\n".join(describe_system(system_state(jetson)))
    assert "board: NVIDIA Jetson Orin Nano Developer Kit" in text
    assert "power mode: 25W (1); MAXN_SUPER is the fastest: sudo nvpmodel -m 2" in text
    assert "CPU 1510 of 1728 MHz, GPU 625 of 1020 MHz, CPU governor schedutil" in text
    assert "throttling: cooling gpu-throttle-alert 1" in text and "48 degrees" in text
    assert "6.6 of 8.0 GB free, swap on disk 8.2 GB, zram 4.0 GB (not counted for builds)" in text
    nvpmodel_answers(jetson, "NV Power Mode: MAXN_SUPER\n2")
    assert "power mode: MAXN_SUPER (2), the fastest" in "\n".join(describe_system(system_state(jetson)))


def test_a_processor_without_a_name_has_its_boards(monkeypatch: pytest.MonkeyPatch, jetson: Path) -> None:
    name = sensors.board(jetson)
    monkeypatch.setattr(processor, "board", lambda: name)
    monkeypatch.setattr(processor.Path, "read_text", lambda *_: "processor\t: 0\nCPU implementer\t: 0x41\n")
    assert processor.cpu_name() == "NVIDIA Jetson Orin Nano Developer Kit"


FULL_SIZE = (7_900_000_000, "building 'denoiser'", 2_420_000_000)  # the denoiser of 860 million parameters in fp16


def have(monkeypatch: pytest.MonkeyPatch, free_gb: float, swap_gb: float) -> None:
    monkeypatch.setattr(
        capacity, "read_memory", lambda: Memory(8 * 10**9, int(free_gb * 1e9), int(swap_gb * 1e9), 4 * 10**9)
    )


def test_a_build_may_use_swap(monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch, 6.4, 8.2)
    capacity.check_memory(*FULL_SIZE)
    with pytest.raises(InputError, match=r"needs 7\.9 GB, 6\.4 GB are free; close other programs or"):
        capacity.check_memory(*FULL_SIZE[:2])


def test_without_swap_it_says_how_much_to_add(monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch, 6.4, 0)
    with pytest.raises(InputError, match=r"needs 7\.9 GB, 6\.4 GB are free; .*add 2 GB of swap .*docs/jetson\.md"):
        capacity.check_memory(*FULL_SIZE)
    have(monkeypatch, 6.4, 1)
    with pytest.raises(InputError, match=r"7\.4 GB are free \(6\.4 GB of RAM, 1\.0 GB of swap\); .*add 1 GB of swap"):
        capacity.check_memory(*FULL_SIZE)


def test_swap_does_not_stand_in_for_what_the_gpu_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch, 2.0, 30)
    with pytest.raises(InputError, match=r"needs 2\.4 GB of RAM that swap cannot replace, 2\.0 GB are free; close"):
        capacity.check_memory(*FULL_SIZE)

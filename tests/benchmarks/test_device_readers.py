"""Power, clocks, heat and throttling, read from trees of files like those that devices show."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from edgedrag.benchmarks.latency import sensors
from edgedrag.benchmarks.latency.nvidia import Card
from edgedrag.benchmarks.latency.power import Energy, find_ina3221, find_rapl


def write(root: Path, files: dict[str, str | int]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
    return root


RAPL = "sys/class/powercap/intel-rapl:0"
INA = "sys/class/hwmon/hwmon1"


@pytest.fixture
def workstation(tmp_path: Path) -> Path:
    return write(
        tmp_path,
        {
            f"{RAPL}/name": "package-0", f"{RAPL}/energy_uj": 262_140_000_000,
            f"{RAPL}/max_energy_range_uj": 262_143_328_850,
            f"{RAPL}:0/name": "core", f"{RAPL}:0/energy_uj": 5, f"{RAPL}:0/max_energy_range_uj": 262_143_328_850,
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": 3_400_000,
            "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": 3_600_000,
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance",
            "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": 2,
            "sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count": 3,
            "sys/class/thermal/thermal_zone0/type": "x86_pkg_temp", "sys/class/thermal/thermal_zone0/temp": 61_500,
        },
    )  # fmt: skip


@pytest.fixture
def jetson(tmp_path: Path) -> Path:
    rails = {"1": ("VDD_IN", 5000, 1200), "2": ("VDD_CPU_GPU_CV", 5000, 400), "3": ("VDD_SOC", 5000, 200)}
    files: dict[str, str | int] = {f"{INA}/name": "ina3221", "sys/class/hwmon/hwmon0/name": "pwmfan"}
    for channel, (label, millivolts, milliamperes) in rails.items():
        files |= {
            f"{INA}/in{channel}_label": label, f"{INA}/in{channel}_input": millivolts,
            f"{INA}/curr{channel}_input": milliamperes,
        }  # fmt: skip
    files |= {
        f"{INA}/in7_label": "sum of shunt voltages",
        f"{INA}/in7_input": 3,
        "sys/class/devfreq/17000000.gpu/cur_freq": 624_750_000,
        "sys/class/hwmon/hwmon2/oc1_event_cnt": 0,
        "sys/class/thermal/thermal_zone0/type": "gpu-thermal",
        "sys/class/thermal/thermal_zone0/temp": 48_250,
        "sys/class/thermal/cooling_device0/type": "pwm-fan",
        "sys/class/thermal/cooling_device0/cur_state": 2,
        "sys/class/thermal/cooling_device1/type": "gpu-throttle-alert",
        "sys/class/thermal/cooling_device1/cur_state": 1,
        "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
    }
    return write(tmp_path, files)


def test_rapl_counts_packages_alone(workstation: Path) -> None:
    (counter,), reason = find_rapl(workstation)
    assert counter.name == "RAPL package-0" and reason == ""
    assert counter.joules() == pytest.approx(262_140.0)


def test_energy_goes_on_where_the_counter_begins_anew(workstation: Path) -> None:
    energy = Energy(Card(), workstation)
    with energy:
        write(workstation, {f"{RAPL}/energy_uj": 1_000_000})  # over its end, 3.33 J on, and 1 J more
    assert energy.joules["RAPL package-0"] == pytest.approx(4.32885, abs=1e-3)
    assert energy.per(2)["joules_per_drag"] == {"RAPL package-0": pytest.approx(2.1644, abs=1e-3)}


def test_a_jetsons_input_rail_holds_the_others(jetson: Path) -> None:
    (rail,), _ = find_ina3221(jetson)
    assert rail.name == "INA3221 VDD_IN" and rail.watts() == pytest.approx(6.0)
    (jetson / INA / "in1_label").write_text("VDD_GPU_SOC\n")
    assert len(find_ina3221(jetson)[0]) == 3, "none holds the others: all are told"


def test_power_adds_up_over_time(jetson: Path) -> None:
    energy = Energy(Card(), jetson)
    start = time.perf_counter()
    with energy:
        time.sleep(0.3)
    spent = energy.joules["INA3221 VDD_IN"]
    assert 0 < spent <= 6.0 * (time.perf_counter() - start)


def test_what_is_not_there_is_said_to_be_absent(tmp_path: Path) -> None:
    energy = Energy(Card(), tmp_path)
    with energy:
        pass
    told = energy.per(3)
    assert told["joules_per_drag"] is None
    assert "powercap" in told["absent"]["rapl"] and "INA3221" in told["absent"]["ina3221"]
    assert (
        sensors.clocks(tmp_path) == {} and sensors.temperatures(tmp_path) == {} and sensors.throttling(tmp_path) == {}
    )
    assert sensors.governor(tmp_path) is None and sensors.board(tmp_path) is None


def test_a_workstations_clocks_and_heat(workstation: Path) -> None:
    assert sensors.clocks(workstation) == {"cpu_mhz": 3500.0}
    assert sensors.temperatures(workstation) == {"x86_pkg_temp": 61.5}
    assert sensors.throttling(workstation) == {"core_throttle_count": 5}
    assert sensors.governor(workstation) == "performance"


def test_a_jetsons_clocks_heat_and_throttling(jetson: Path) -> None:
    assert sensors.clocks(jetson) == {"gpu_mhz": 624.8}
    assert sensors.temperatures(jetson) == {"gpu-thermal": 48.2}
    assert sensors.throttling(jetson) == {"oc1": 0, "cooling gpu-throttle-alert": 1}, "a fan is not throttling"
    assert sensors.board(jetson) == "NVIDIA Jetson Orin Nano Developer Kit"

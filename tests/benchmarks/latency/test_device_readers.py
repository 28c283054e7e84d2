"""Energy, read from trees of files like those that devices show."""

from __future__ import annotations

import time
from pathlib import Path

import device_trees
import pytest
from device_trees import INA, RAPL, write

from edgedrag.benchmarks.latency.power import Energy, find_ina3221, find_rapl
from edgedrag.benchmarks.nvidia import Card


@pytest.fixture
def workstation(tmp_path: Path) -> Path:
    return device_trees.workstation(tmp_path)


@pytest.fixture
def jetson(tmp_path: Path) -> Path:
    return device_trees.orin_nano(tmp_path)


def test_rapl_counts_packages_alone(workstation: Path) -> None:
    (counter,), reason = find_rapl(workstation)
    assert counter.name == "RAPL package-0" and reason == ""
    assert counter.joules() == pytest.approx(262_140.0)


def test_energy_counters_may_wrap_around(workstation: Path) -> None:
    energy = Energy(Card(), workstation)
    with energy:
        write(workstation, {f"{RAPL}/energy_uj": 1_000_000})  # over its end, 3.33 J on, and 1 J more
    assert energy.joules["RAPL package-0"] == pytest.approx(4.32885, abs=1e-3)
    assert energy.per(2)["joules_per_drag"] == {"RAPL package-0": pytest.approx(2.1644, abs=1e-3)}


def test_a_jetsons_input_rail_holds_the_others(jetson: Path) -> None:
    (rail,), _ = find_ina3221(jetson)
    assert rail.name == "INA3221 VDD_IN" and rail.watts() == pytest.approx(6.0)
    (jetson / INA / "in1_label").write_text("VDD_GPU_SOC\n")
    assert len(find_ina3221(jetson)[0]) == 3, "no rail includes the others: all are reported"


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
    report = energy.per(3)
    assert report["joules_per_drag"] is None
    assert "powercap" in report["absent"]["rapl"] and "INA3221" in report["absent"]["ina3221"]

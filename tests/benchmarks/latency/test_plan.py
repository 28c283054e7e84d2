"""Predictions follow the work and the device, and the validation says where they are off."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgedrag.benchmarks.latency import plan
from edgedrag.benchmarks.latency.roofline import (
    Device,
    Planner,
    cpu_device,
    gpu_share,
    reached,
    read_devices,
    read_points,
)
from edgedrag.runtime.bundle.manifest import Bundle, open_bundle
from edgedrag.runtime.errors import InputError

PEAKS = {"fp32_gflops": 200.0, "int8_gops": 800.0, "copy_gb_s": 25.0}


@pytest.fixture(scope="module")
def embedded() -> Bundle:
    return open_bundle("embedded")


@pytest.fixture
def cpu() -> Device:
    return cpu_device("a processor", PEAKS, 16_000)


def test_more_work_takes_longer_and_a_faster_device_less(embedded: Bundle, cpu: Device) -> None:
    planner = Planner(embedded)
    one, four = (planner.drag_ms(cpu, "fp32", steps) for steps in (1, 4))
    assert planner.drag_ms(cpu, "int8", 1) < one < planner.drag_ms(cpu, "fp32", 1, first=True) < four
    nano, agx = (read_devices()[name] for name in ("orin-nano", "agx-orin"))
    assert planner.drag_ms(agx, "fp16") < planner.drag_ms(nano, "fp16")
    twice = replace(cpu, gops={name: 2 * peak for name, peak in cpu.gops.items()})
    assert planner.drag_ms(twice, "fp32") < one


def test_a_step_costs_what_its_flops_do_on_a_processor(embedded: Bundle, cpu: Device) -> None:
    """By hand: the denoiser's FLOPs at 256 x 256 over 87% of 200 GFLOPS."""
    planner = Planner(embedded)
    step = planner.drag_ms(cpu, "fp32", 2) - planner.drag_ms(cpu, "fp32", 1)
    assert step == pytest.approx((10240 + 56208 * 256 * 256) / (0.87 * 200e9) * 1e3, rel=1e-6)


def test_every_device_states_what_it_has_and_how_sure_that_is() -> None:
    wanted = {"orin-nano", "orin-nx", "agx-orin", "thor", "rtx-4060", "l4"}
    table = read_devices()
    assert wanted <= set(table)
    raw = json.loads(Path(plan.__file__).with_name("devices.json").read_text())["devices"]
    for name, row in raw.items():
        assert row["source"] and row["marks"], name
        assert table[name].gops["int8"] == pytest.approx(2 * table[name].gops["fp16"], rel=0.02), name


def test_each_published_point_is_predicted_from_the_others(embedded: Bundle) -> None:
    points = read_points()
    rows = plan.validate(embedded, [])
    assert [row["what"] for row in rows] == [point["what"] for point in points]
    first = points[0]
    others = gpu_share(points[1:])
    assert rows[0]["predicted_ms"] == pytest.approx(first["ms"] * reached(first) / others, rel=1e-3)
    for row in rows:
        assert row["within"] == (abs(row["predicted_ms"] / row["measured_ms"] - 1) <= 0.35)
    assert any(not row["within"] for row in rows), "the point that does not fit is reported"
    assert all(row["within"] for row, point in zip(rows, points) if point["fitted"])


def report_of(drag_ms: float, backend: str = "cpu") -> dict[str, Any]:
    series = {"n": 5, "median_ms": drag_ms}
    return {
        "context": {
            "device": "x", "cpus": 2, "bundle": "embedded", "backend": backend, "precision": "fp32", "memory_mb": 16_000
        },
        "peaks": PEAKS,
        "runs": [{"size": "512x512", "steps": 1, "drag": series, "first_drag": series}],
    }  # fmt: skip


def test_a_measured_report_is_held_against_its_own_peaks(embedded: Bundle, cpu: Device) -> None:
    near = Planner(embedded).drag_ms(cpu, "fp32", 1)
    *_, drag, _first = plan.validate(embedded, [report_of(near)])
    assert drag["source"] == "measured" and drag["error"] == pytest.approx(0, abs=0.01) and drag["within"]
    *_, drag, _first = plan.validate(embedded, [report_of(2 * near)])
    assert not drag["within"] and drag["error"] == pytest.approx(-0.5, abs=0.01)
    with pytest.raises(InputError, match="no prediction"):
        plan.validate(embedded, [report_of(near, backend="openvino")])
    with pytest.raises(InputError, match="not a report of"):
        plan.validate(embedded, [{"context": None, "runs": []}])


def test_a_gpu_is_found_in_the_table_by_its_name(embedded: Bundle) -> None:
    report = report_of(8.0, backend="tensorrt")
    report["context"] |= {"gpu": {"name": "NVIDIA H100 80GB HBM3"}, "precision": "fp16", "board": None}
    *_, drag, _first = plan.validate(embedded, [report])
    h100 = read_devices()["h100"]
    assert drag["predicted_ms"] == pytest.approx(Planner(embedded).drag_ms(h100, "fp16", 1), abs=0.01)
    report["context"] |= {"gpu": None, "board": "NVIDIA Jetson Orin Nano Developer Kit"}
    *_, slower, _first = plan.validate(embedded, [report])
    assert slower["predicted_ms"] > drag["predicted_ms"]
    report["context"]["precision"] = "fp32"
    with pytest.raises(InputError, match="no prediction"):
        plan.validate(embedded, [report])


def test_targets_and_memory(embedded: Bundle, cpu: Device) -> None:
    assert [plan.verdict(8, 10, 15, t) for t in (20, 12, 9, 5, None)] == ["yes", "likely", "perhaps", "no", None]
    tiny = replace(cpu, memory_gb=1.6)
    fits = {row["fits"] for row in plan.predict(embedded, [tiny], [1], 100.0)}
    assert fits == {False}, "the system keeps 1.5 GB"
    assert {row["fits"] for row in plan.predict(embedded, [cpu], [1], None)} == {True}


def test_lightningdrags_contract_can_be_planned(toy: Path, cpu: Device) -> None:
    """A bundle without recipe and flow, guided in pairs."""
    made = plan.make_plan(open_bundle(toy), [cpu, *read_devices().values()], (1, 2), 500.0, [])
    assert all(row["ms"] > 0 and row["band_ms"][0] < row["ms"] < row["band_ms"][1] for row in made["rows"])
    assert all("half_the_steps" in row for row in made["savings"])


def test_the_command_writes_table_and_plot(tmp_path: Path, edit_cli: Callable[..., Any]) -> None:
    done = edit_cli(
        "bench", "plan", "embedded", "--device", "orin-nano,l4", "--steps", "1,4", "--target-ms", "50",
        "-o", tmp_path / "p.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    made = json.loads((tmp_path / "p.json").read_text())
    assert len(made["rows"]) == 8 and {row["meets_target"] for row in made["rows"]} <= {
        "yes",
        "likely",
        "perhaps",
        "no",
    }
    assert "<svg" in (tmp_path / "p.html").read_text() and "NO" in (tmp_path / "p.md").read_text()
    wrong = edit_cli("bench", "plan", "--device", "orin-nono")
    assert wrong.returncode == 2 and "orin-nano" in wrong.stderr

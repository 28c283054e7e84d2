"""Predictions follow the work and the device, say how far they err, and say where they do not know."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import REPOSITORY

from edgedrag.benchmarks.latency import efficiency, left_out, plan, plan_tables
from edgedrag.benchmarks.latency.efficiency import Calibration, LeftOut, Peaks, efficiencies, fitted, terms
from edgedrag.benchmarks.latency.roofline import Device, Planner, cpu_device, efficiency_of, read_devices
from edgedrag.benchmarks.latency.work import counted
from edgedrag.runtime.bundle.manifest import Bundle, open_bundle
from edgedrag.runtime.errors import InputError

PEAKS = {"fp32_gflops": 200.0, "int8_gops": 800.0, "copy_gb_s": 25.0}
VNNI = ("avx2", "avx512_vnni")


@pytest.fixture(scope="module")
def embedded() -> Bundle:
    return open_bundle("embedded")


@pytest.fixture
def cpu() -> Device:
    return cpu_device("a processor", PEAKS, 16_000, VNNI)


def test_more_work_takes_longer_and_a_faster_device_less(embedded: Bundle, cpu: Device) -> None:
    planner = Planner(embedded)
    one, four = (planner.graphs_ms(cpu, "fp32", steps) for steps in (1, 4))
    assert planner.graphs_ms(cpu, "int8", 1) < one < planner.graphs_ms(cpu, "fp32", 1, first=True) < four
    nano, agx = (read_devices()[name] for name in ("orin-nano", "agx-orin"))
    assert planner.graphs_ms(agx, "fp16") < planner.graphs_ms(nano, "fp16")
    twice = replace(cpu, gops={name: 2 * peak for name, peak in cpu.gops.items()})
    assert planner.graphs_ms(twice, "fp32") < one


def test_a_step_costs_what_its_kinds_of_work_do(embedded: Bundle, cpu: Device) -> None:
    """By hand: the denoiser's work at 256 x 256 over the fitted shares of the processor's peaks."""
    planner, shares = Planner(embedded), efficiency_of(cpu).shares()
    step = planner.graphs_ms(cpu, "fp32", 2) - planner.graphs_ms(cpu, "fp32", 1)
    work = counted("embedded", "denoiser", 256 * 256)
    assert work is not None
    convolution, product, _, moved, operators = work
    by_hand = convolution / 200e6 / shares["convolution"] + product / 200e6 / shares["product"]
    by_hand += moved / 25e6 / shares["bytes"] + (operators * shares["operator_us"] + shares["run_us"]) / 1e3
    assert step == pytest.approx(by_hand, rel=0.01)


def test_the_fit_recovers_efficiencies_that_made_the_times() -> None:
    true = {"convolution": 0.6, "convolution int8": 0.5, "product": 0.3, "sampled": 0.1, "bytes": 0.4}
    factors = np.array([*(1 / share for share in true.values()), 4.0, 20.0])
    peaks = Peaks(200.0, 800.0, 25.0)
    rng = np.random.default_rng(0)
    work = 10 ** rng.uniform([8, 7, 4, 6, 1], [10, 10, 7, 9, 2.5], (40, 5))
    rows = np.array([terms(one, "fp32", share, peaks) for one, share in zip(work, rng.uniform(0, 1, 40))])
    found = np.exp(efficiency.fit(rows, rows @ factors))
    assert found[:5] == pytest.approx(factors[:5], rel=0.05)


def points(errors: list[float], groups: list[str]) -> Calibration:
    made = (LeftOut("x", group, "s", 1.0, math.exp(error)) for error, group in zip(errors, groups))
    return Calibration("t", tuple(made))


def test_an_interval_that_does_not_hold_left_out_points_is_not_known() -> None:
    even = points([0.1, -0.1, 0.12, -0.09, 0.1, -0.11], list("abcdef"))
    assert even.coverage == 1 and even.known and 1.2 < even.factor < 1.4
    assert points([0.1, -0.1, 0.12, -0.09, 0.1, 2.0], list("abcdef")).known is False
    few = points([0.1, 0.1, 0.1, 0.1], list("aabb"))
    assert math.isinf(few.factor) and not few.known, "two groups say nothing of a third"
    repeated = points([0.1, -0.1, 0.12] * 4, list("abc") * 4)
    once = points([0.1, -0.1, 0.12], list("abc"))
    assert repeated.factor == pytest.approx(once.factor), "repeats of a point are no further evidence"


def test_a_left_out_graph_does_not_help_to_predict_itself() -> None:
    rows = [r for r in efficiency.read_times()["graphs"] if (r["engine"], r["class"]) == ("cuda", "Hopper")]
    before = fitted("x", rows).calibration.points
    spoilt = fitted("x", [{**r, "ms": 50 * r["ms"]} if r["graph"] == "motion" else r for r in rows]).calibration.points
    for one, other in zip(before, spoilt):
        if one.what.startswith("embedded: motion"):
            assert other.predicted == pytest.approx(one.predicted)
    assert any(one.predicted != pytest.approx(other.predicted) for one, other in zip(before, spoilt))


def test_whole_drags_are_predicted_within_their_interval_and_unmeasured_gpus_are_not_known() -> None:
    """The planner before this one said 8.0 ms for 13.5 and 74 for 251 on the H200."""
    drags = left_out.drags()
    assert drags.known and drags.factor < 1.8
    h200 = {point.what: point for point in drags.points if point.source == "latency_h200.json"}
    assert all(abs(point.predicted / point.measured - 1) < 0.2 for point in h200.values())
    of_gpu = [point for point in drags.points if point.source.startswith("gpu_h200.json")]
    longest = max(of_gpu, key=lambda point: point.measured)
    assert longest.measured == pytest.approx(251, abs=1) and abs(longest.error) < 0.1
    share, gpus = left_out.unmeasured_gpus()
    assert 0.1 < share < 0.4 and not gpus.known


def test_every_measured_graph_is_counted() -> None:
    assert len(efficiencies()) == 4
    for row in efficiency.read_times()["graphs"]:
        assert counted(row["network"], row["graph"], row["pixels"][0]) is not None, row


def test_every_device_states_what_it_has_and_how_sure_that_is() -> None:
    wanted = {"orin-nano", "orin-nx", "agx-orin", "thor", "rtx-4060", "l4"}
    table = read_devices()
    assert wanted <= set(table)
    raw = json.loads(Path(plan.__file__).with_name("devices.json").read_text())["devices"]
    for name, row in raw.items():
        assert row["source"] and row["marks"], name
        assert table[name].gops["int8"] == pytest.approx(2 * table[name].gops["fp16"], rel=0.02), name


def report_of(drag_ms: float, version: str, backend: str = "cpu", **context: Any) -> dict[str, Any]:
    series = {"n": 5, "median_ms": drag_ms}
    return {
        "context": {
            "device": "x", "cpus": 2, "bundle": "embedded", "backend": backend, "precision": "fp32",
            "memory_mb": 16_000, "vector_instructions": list(VNNI), "bundle_version": version, **context,
        },
        "peaks": PEAKS,
        "runs": [{"size": "512x512", "steps": 1, "drag": series, "first_drag": series}],
    }  # fmt: skip


def older(bundle: Bundle) -> Bundle:
    """The bundle as version 6.1, whose time outside the graphs was measured."""
    return replace(bundle, manifest={**bundle.manifest, "version": "6.1.0"})


def test_a_measured_report_is_compared_with_its_own_peaks(embedded: Bundle, cpu: Device) -> None:
    bundle = older(embedded)
    near = plan.estimate(Planner(bundle), cpu, "fp32", 1)
    assert near["known"] and near["why"] == ["measured: cpu on x86 with VNNI"]
    *_, drag, _first = plan.validate(bundle, [report_of(near["ms"], "6.1.0")])
    assert drag["source"] == "measured" and drag["error"] == pytest.approx(0, abs=0.01) and drag["covered"]
    *_, drag, _first = plan.validate(bundle, [report_of(3 * near["ms"], "6.1.0")])
    assert not drag["covered"]
    with pytest.raises(InputError, match="no prediction"):
        plan.validate(bundle, [report_of(9.0, "6.1.0", backend="openvino")])
    with pytest.raises(InputError, match="not a report of"):
        plan.validate(bundle, [{"context": None, "runs": []}])
    with pytest.raises(InputError, match=r"a report of 5\.0\.0 of the bundle; the prediction is for 6\.1\.0"):
        plan.validate(bundle, [report_of(9.0, "5.0.0")])


def test_a_version_whose_drags_were_not_measured_is_not_known(embedded: Bundle, cpu: Device) -> None:
    found = plan.estimate(
        Planner(replace(embedded, manifest={**embedded.manifest, "version": "99.0.0"})), cpu, "int8", 1
    )
    assert not found["known"] and found["ms"] is None and found["band_ms"][1] is None
    assert found["graphs_ms"] > 0 and "the time outside the graphs was not measured" in found["why"][0]


def test_a_cpu_with_other_instructions_is_not_known(embedded: Bundle) -> None:
    other = cpu_device("a processor", PEAKS, 16_000, ("neon",))
    found = plan.estimate(Planner(older(embedded)), other, "fp32", 1)
    assert not found["known"] and any("this class of device" in reason for reason in found["why"])
    low, high = found["band_ms"]
    assert high / low > 9


def test_a_gpu_is_found_in_the_table_by_its_name(embedded: Bundle) -> None:
    bundle = older(embedded)
    gpu = {"name": "NVIDIA H100 80GB HBM3"}
    *_, drag, _first = plan.validate(bundle, [report_of(8.0, "6.1.0", "cuda", gpu=gpu, precision="fp16", board=None)])
    h100 = read_devices()["h100"]
    assert drag["predicted_ms"] == plan.estimate(Planner(bundle), h100, "fp16", 1)["ms"]
    board = "NVIDIA Jetson Orin Nano Developer Kit"
    slower = report_of(8.0, "6.1.0", "tensorrt", gpu=None, precision="fp16", board=board)
    *_, drag, _first = plan.validate(bundle, [slower])
    assert drag["predicted_ms"] is None and drag["covered"] is None, "no Jetson was measured"
    with pytest.raises(InputError, match="no prediction"):
        plan.validate(bundle, [report_of(8.0, "6.1.0", "tensorrt", gpu=None, board=board)])


def test_targets_and_memory(embedded: Bundle, cpu: Device) -> None:
    assert [plan.verdict(8, 10, 15, t) for t in (20, 12, 9, 5, None)] == ["yes", "likely", "perhaps", "no", None]
    assert [plan.verdict(8, None, None, t) for t in (20, 5)] == ["not known", "no"]
    assert plan.verdict(8, None, 15, 5, holds=False) == "not known"
    tiny = replace(cpu, memory_gb=1.6)
    fits = {row["fits"] for row in plan.predict(embedded, [tiny], [1], 100.0)}
    assert fits == {False}, "the system keeps 1.5 GB"
    assert {row["fits"] for row in plan.predict(embedded, [cpu], [1], None)} == {True}


def test_lightningdrags_contract_can_be_planned(toy: Path, cpu: Device) -> None:
    """A bundle without recipe and flow, guided in pairs."""
    made = plan.make_plan(open_bundle(toy), [cpu, *read_devices().values()], (1, 2), 500.0, [])
    for row in made["rows"]:
        low, high = row["graphs_band_ms"]
        assert 0 < low < row["graphs_ms"] < high
    assert all("half_the_steps" in row for row in made["savings"])


def test_the_page_is_as_written_from_the_points() -> None:
    page = (REPOSITORY / "docs" / "planner.md").read_text()
    assert plan_tables.rewritten(page) == page, "run: python -m edgedrag.benchmarks.latency.plan_tables"
    assert not any(f"e+{n}" in page for n in ("03", "04", "05")), "one number format"
    with pytest.raises(InputError, match="0 times"):
        plan_tables.rewritten("# Planner")


def test_the_command_writes_table_and_plot(tmp_path: Path, edit_cli: Callable[..., Any]) -> None:
    done = edit_cli(
        "bench", "plan", "embedded", "--device", "orin-nano,l4", "--steps", "1,4", "--target-ms", "50",
        "-o", tmp_path / "p.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    made = json.loads((tmp_path / "p.json").read_text())
    assert len(made["rows"]) == 8 and {row["meets_target"] for row in made["rows"]} == {"not known"}
    assert "<svg" in (tmp_path / "p.html").read_text() and "not known" in (tmp_path / "p.md").read_text()
    wrong = edit_cli("bench", "plan", "--device", "orin-nono")
    assert wrong.returncode == 2 and "orin-nano" in wrong.stderr

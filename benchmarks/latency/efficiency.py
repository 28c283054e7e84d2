"""Efficiencies by kind of operator, engine and class of device, fitted to measured graphs, and how far they err.

A graph takes the sum over its kinds of operator of work / (efficiency x peak), a time for each operator that it
launches, and one for the run. The efficiencies of one engine on one class of device are the maximum a posteriori of
log-normal errors with log-normal priors, so that a kind of which no graph has much keeps its prior. How far predictions
err is measured by leaving out: a graph is predicted from the engine's and class's other graphs, in every precision. The
interval of a prediction is Student's t on the logarithm of those errors.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from edgedrag.benchmarks.latency.work import KINDS, Work, counted

FILE = Path(__file__).with_name("graph_times.json")
COST_KINDS = ("convolution", "convolution int8", *KINDS[1:], "runs")
SAMPLE_BYTES = 16  # read for one bilinear sample of one channel
# Medians of the priors: the reciprocals of efficiencies, and for operators and runs microseconds; deviations of their
# logarithms.
PRIOR = np.log([1 / 0.4, 1 / 0.4, 1 / 0.4, 1 / 0.3, 1 / 0.3, 5.0, 50.0])
PRIOR_DEVIATION = np.array([0.7, 0.7, 0.7, 1.5, 1.0, 1.0, 1.5])
NOISE = 0.15  # deviation of the logarithm of a measured time
CONFIDENCE = 0.95  # nominal, of an interval
COVERAGE = 0.9  # the share of left-out points that intervals must hold for the planner to know
# Two-sided Student's t at CONFIDENCE by degrees of freedom, from 1.
STUDENT = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.10)
STUDENT_MANY = 2.0


def device_class(engine: str, device: str, instructions: Sequence[str]) -> str:
    """The class that shares efficiencies: of a CPU the instructions that its kernels use, of a GPU its architecture."""
    if engine in ("cpu", "openvino"):
        kinds = (("vnni", "x86 with VNNI"), ("avx2", "x86 with AVX2"), ("neon", "Arm"))
        found = (title for name, title in kinds if any(name in one for one in instructions))
        return next(found, "a CPU of unknown instructions")
    return "Hopper" if any(name in device for name in ("H100", "H200")) else "a GPU of another architecture"


@dataclass(frozen=True)
class Peaks:
    """Peaks of arithmetic in floats and in INT8, 10^9 operations/s, and of copies, GB/s."""

    arithmetic: float
    int8: float
    gb_s: float


def terms(work: Work, precision: str, int8_share: float, peaks: Peaks) -> np.ndarray:
    """Milliseconds of each of COST_KINDS at full efficiency; for operators and the run those at 1 us each."""
    convolution, product, sampled, moved, operators = work
    size = 0.5 if precision == "fp16" else 1.0  # of an element, over fp32's
    return np.array(
        [
            convolution * (1 - int8_share) / peaks.arithmetic / 1e6,
            convolution * int8_share / peaks.int8 / 1e6,
            product / peaks.arithmetic / 1e6,
            sampled * SAMPLE_BYTES / peaks.gb_s / 1e6,
            moved * size / peaks.gb_s / 1e6,
            operators / 1e3,
            1 / 1e3,
        ]
    )


def fit(rows: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Logarithms of the factors of COST_KINDS, from rows of `terms` and measured milliseconds (Levenberg-Marquardt)."""
    log_factors, damping = PRIOR.copy(), 1e-2

    def residuals(at: np.ndarray) -> np.ndarray:
        return np.concatenate([np.log(rows @ np.exp(at) / times) / NOISE, (at - PRIOR) / PRIOR_DEVIATION])

    now = residuals(log_factors)
    for _ in range(100):
        parts = rows * np.exp(log_factors)
        slope = np.concatenate([parts / parts.sum(1, keepdims=True) / NOISE, np.diag(1 / PRIOR_DEVIATION)])
        step = np.linalg.solve(slope.T @ slope + damping * np.eye(len(PRIOR)), slope.T @ now)
        after = residuals(log_factors - step)
        if (after**2).sum() < (now**2).sum():
            log_factors, now, damping = log_factors - step, after, damping / 3
        else:
            damping *= 5
        if np.abs(step).max() < 1e-6:
            break
    return log_factors


@dataclass(frozen=True)
class LeftOut:
    """A measured point and what the others predict for it, ms."""

    what: str
    group: str
    source: str
    measured: float
    predicted: float

    @property
    def error(self) -> float:
        """The logarithm of predicted over measured."""
        return math.log(self.predicted / self.measured)


def half_width(points: Sequence[LeftOut]) -> float:
    """Half the interval of the next error, as a logarithm; infinite for points of fewer than three groups.

    Points of a group err alike, so that the degrees of freedom are those of the groups.
    """
    n = len({point.group for point in points})
    if n < 3:
        return math.inf
    student = STUDENT[n - 1] if n <= len(STUDENT) else STUDENT_MANY
    return student * math.sqrt(sum(point.error**2 for point in points) / len(points) * (1 + 1 / n))


@dataclass(frozen=True)
class Calibration:
    """How far predictions of one kind err.

    Attributes:
        title: the engine and class of device.
        points: each predicted from those of other groups.
    """

    title: str
    points: tuple[LeftOut, ...]

    @property
    def factor(self) -> float:
        """The interval of a prediction reaches from prediction / factor to prediction x factor."""
        return math.exp(half_width(self.points))

    def covered(self, point: LeftOut) -> bool:
        """Whether the interval that the other groups' errors give holds this point."""
        return abs(point.error) <= half_width([p for p in self.points if p.group != point.group])

    @property
    def coverage(self) -> float:
        """The share of points that `covered` holds."""
        return sum(map(self.covered, self.points)) / len(self.points) if self.points else 0.0

    @property
    def known(self) -> bool:
        """Whether the intervals hold as many left-out points as they must."""
        return self.coverage >= COVERAGE and math.isfinite(self.factor)


@dataclass(frozen=True)
class Efficiency:
    """An engine on a class of device."""

    log_factors: np.ndarray
    calibration: Calibration

    def ms(self, work: Work, precision: str, int8_share: float, peaks: Peaks) -> float:
        return float(terms(work, precision, int8_share, peaks) @ np.exp(self.log_factors))

    def shares(self) -> dict[str, float]:
        """Efficiencies of the kinds, `operator_us` and `run_us`."""
        factors = np.exp(self.log_factors)
        named = {kind: round(float(1 / f), 3) for kind, f in zip(COST_KINDS[:-2], factors)}
        return {**named, "operator_us": round(float(factors[-2]), 2), "run_us": round(float(factors[-1]), 1)}


def read_times() -> dict[str, list[dict[str, Any]]]:
    return json.loads(FILE.read_text())


@cache
def efficiencies() -> dict[tuple[str, str], Efficiency]:
    """Fitted to graph_times.json, by engine and class of device."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in read_times()["graphs"]:
        found.setdefault((row["engine"], row["class"]), []).append(row)
    return {key: fitted(f"{key[0]}, {key[1]}", rows) for key, rows in found.items()}


def fitted(title: str, rows: Sequence[dict[str, Any]]) -> Efficiency:
    """The efficiencies that fit rows of graph_times.json, and how far each graph is predicted by the others."""
    terms_of = np.array([_terms(row) for row in rows])
    times = np.array([row["ms"] for row in rows])
    groups = np.array([f"{row['network']}: {row['graph']}" for row in rows])
    points = []
    for group in dict.fromkeys(groups.tolist()):
        out = groups == group
        factors = np.exp(fit(terms_of[~out], times[~out]))
        for i in np.flatnonzero(out).tolist():
            row = rows[i]
            what = f"{group}, {row['precision']}"
            points.append(LeftOut(what, group, row["source"], row["ms"], float(terms_of[i] @ factors)))
    return Efficiency(fit(terms_of, times), Calibration(title, tuple(points)))


def _terms(row: dict[str, Any]) -> np.ndarray:
    total = np.zeros(len(COST_KINDS))
    for pixels in row["pixels"]:
        work = counted(row["network"], row["graph"], pixels)
        assert work is not None, f"{row['network']}: {row['graph']} is not in graph_work.json"
        total += terms(work, row["precision"], row["int8_share"], Peaks(**row["peaks"]))
    return total

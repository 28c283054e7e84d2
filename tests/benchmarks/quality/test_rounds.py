"""The report of many rounds, and that its protocols are what they say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgedrag
from edgedrag.benchmarks.quality.rounds import METHODS, MISS, PROTOCOLS, Plan, measure, pixel, sequence

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def test_rounds_report(edit_cli: Callable, tmp_path: Path) -> None:
    report_file, sheet = tmp_path / "report.json", tmp_path / "page.png"
    photo = EXAMPLES / "chelsea.png"
    written = ("--json", "-o", report_file, "--sheet", sheet)
    done = edit_cli("bench", "rounds", photo, "--rounds", "4", "--seeds", "1", *written)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report == json.loads(report_file.read_text())
    assert report["bundle"] == "embedded" and report["rounds"] == 4
    exact, protocols = report["psnr_of_an_exact_return"], report["protocols"]
    assert set(protocols) == set(PROTOCOLS) and all(set(methods) == set(METHODS) for methods in protocols.values())
    assert protocols["alternating"]["edgedrag"] == {"2": exact, "4": exact}
    assert protocols["nested"]["edgedrag"] == {"4": exact}
    for protocol in ("alternating", "nested"):
        assert protocols[protocol]["naive_chain"]["4"] < protocols[protocol]["edgedrag"]["4"]
    assert protocols["near_inverse"]["edgedrag"]["4"] < exact, "no round was recognised as reversed"
    for rounds, found in report["continued"].items():
        assert found["least_psnr_db"] > 26 and abs(found["sharpness"] - 1) < 0.1, rounds
    page = edgedrag.load_picture(sheet).pixels
    assert page.shape[1] > 7 * 300


def test_inverses_lead_back(runtime: edgedrag.Runtime) -> None:
    shape = (600, 800, 3)
    for protocol in PROTOCOLS:
        moves = sequence(protocol, runtime, shape, 6, [0])
        pairs = list(zip(moves[:3], moves[:2:-1])) if protocol == "nested" else list(zip(moves[::2], moves[1::2]))
        for move, back in pairs:
            handle, target = np.array(move.drag)
            start, end = np.array(back.drag)
            off = MISS * pixel(runtime, move) if protocol == "near_inverse" else 0
            assert np.array_equal(start, target) and np.hypot(*(end - handle)) == pytest.approx(off)
            assert 0.04 * 600 <= np.hypot(*(target - handle)) <= 0.12 * 600
            assert move.mask is back.mask
            for x, y in (handle, target, end):
                assert move.mask[round(y), round(x)]


def test_what_makes_no_sense_is_refused(runtime: edgedrag.Runtime, tmp_path: Path) -> None:
    small = tmp_path / "small.png"
    edgedrag.save_picture(small, edgedrag.load_picture(np.zeros((40, 80), np.uint8)))
    for photo, rounds, message in ((EXAMPLES / "chelsea.png", 3, "even"), (small, 2, "too small")):
        with pytest.raises(edgedrag.InputError, match=message):
            measure(runtime, [photo], Plan(rounds, 1), 100.0)

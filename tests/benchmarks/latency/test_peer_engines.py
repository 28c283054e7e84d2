"""The peers make the pictures that edgedrag makes, so that only their time differs."""

from __future__ import annotations

import numpy as np
import pytest

import edgedrag
from edgedrag.benchmarks.latency.peer_engines import open_peer
from edgedrag.benchmarks.latency.peers import DIFFUSERS, OPENVINO, PEERS, chosen, missing
from edgedrag.benchmarks.latency.scene import disc
from edgedrag.runtime.errors import EdgedragError, InputError

pytestmark = pytest.mark.slow

DRAG = ((225, 150), (241, 161))


def drag(source: object, cat: np.ndarray) -> np.ndarray:
    mask = disc(cat.shape[0], cat.shape[1], 60)[0]
    edit = source.load(cat).drag([DRAG], mask, steps=2)  # type: ignore[attr-defined]
    return edit if isinstance(edit, np.ndarray) else edit.image


@pytest.fixture(scope="module")
def own(cat: np.ndarray) -> np.ndarray:
    return drag(edgedrag.open(precision="fp32"), cat)


def test_without_the_split_the_picture_is_the_same(cat: np.ndarray, own: np.ndarray) -> None:
    assert np.array_equal(drag(open_peer("unsplit", edgedrag.open(precision="fp32")), cat), own)


def test_with_io_binding_the_picture_is_the_same(cat: np.ndarray, own: np.ndarray) -> None:
    runtime = open_peer("io-binding", edgedrag.open(precision="fp32", backend="cpu"))
    assert np.array_equal(drag(runtime, cat), own)
    assert np.array_equal(drag(runtime, cat), own), "tensors of an earlier run are not overwritten"


def test_diffusers_pipeline_fills_the_mask_alone(cat: np.ndarray) -> None:
    pytest.importorskip("diffusers", reason="diffusers is not installed")
    from edgedrag.benchmarks.latency.inpainting import Inpainting

    small = np.ascontiguousarray(cat[::2, ::2])
    mask = disc(small.shape[0], small.shape[1], 60)[0] != 0
    made = drag(Inpainting({"channels": (32, 32, 32, 32), "decoder": (32, 32, 32, 32)}), small)
    assert np.array_equal(made[~mask], small[~mask]) and (made[mask] != small[mask]).any()


def test_what_edgedrag_runs_on_is_no_peer() -> None:
    on = {"backend": "openvino", "precision": "fp32"}
    assert all(missing(name, on) for name in (OPENVINO, "edgedrag-fp32", "io-binding"))


def test_pytorchs_picture_is_the_same_within_rounding(cat: np.ndarray, own: np.ndarray) -> None:
    made = drag(open_peer("torch", edgedrag.open(precision="fp32")), cat)
    assert np.abs(made.astype(int) - own).max() <= 3 and (made != cat).any()


def test_the_classical_peer_changes_the_mask_alone(cat: np.ndarray) -> None:
    mask = disc(cat.shape[0], cat.shape[1], 60)[0] != 0
    made = drag(open_peer("classical", edgedrag.open()), cat)
    assert np.array_equal(made[~mask], cat[~mask]) and (made[mask] != cat[mask]).any()


def test_missing_networks_are_an_error(toy: str) -> None:
    with pytest.raises(EdgedragError, match="shipped bundle"):
        open_peer("torch", edgedrag.open(toy))


def test_peers_are_chosen_by_name() -> None:
    assert set(PEERS) - set(chosen("all")) == {DIFFUSERS} and chosen("none") == ()
    assert chosen(f"all,{DIFFUSERS}") == tuple(PEERS) and chosen("quick, torch") == chosen("quick")
    assert chosen("torch, classical") == ("torch", "classical")
    assert "torch-compile" not in chosen("quick")
    with pytest.raises(InputError, match="jax"):
        chosen("torch,jax")

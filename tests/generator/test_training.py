"""The training run: it learns, it resumes to the same weights, it stops on nonsense."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from edgedrag.generator.batches import Batch
from edgedrag.generator.checkpoint import load_checkpoint, save_checkpoint
from edgedrag.generator.networks.embedded import EmbeddedConfig, EmbeddedGenerator
from edgedrag.generator.training import TrainConfig, losses, train
from edgedrag.runtime.errors import EdgedragError, InputError


def moving_square(size: int = 64) -> dict[str, np.ndarray]:
    """One pair: a textured square that moves 8 pixels to the right."""
    rng = np.random.default_rng(0)
    coarse = [rng.integers(0, 255, (size // 8, size // 8, 3), dtype=np.uint8) for _ in range(2)]
    ground, patch = (cv2.resize(c, (size, size), interpolation=cv2.INTER_CUBIC) for c in coarse)
    source, target, flow = ground.copy(), ground.copy(), np.zeros((size, size, 2), np.float16)
    source[20:40, 16:36], target[20:40, 24:44] = patch[:20, :20], patch[:20, :20]
    flow[20:40, 24:44, 0] = -8
    mask, valid = np.zeros((size, size), bool), np.ones((size, size), bool)
    mask[16:44, 12:48] = True
    valid[20:40, 16:24] = False
    return {"source": source, "target": target, "flow": flow, "valid": valid, "mask": mask}


def batch_of(pair: dict[str, np.ndarray]) -> Batch:
    from edgedrag.runtime.flow import prior_flow

    points = np.array([[26, 30, 34, 30]], np.float32)
    planes = {
        "source": pair["source"].transpose(2, 0, 1) / 127.5 - 1,
        "target": pair["target"].transpose(2, 0, 1) / 127.5 - 1,
        "flow": pair["flow"].transpose(2, 0, 1),
        "valid": pair["valid"][None],
        "mask": pair["mask"][None],
        "points": points,
        "prior_flow": prior_flow(points, pair["mask"]).transpose(2, 0, 1),
    }
    return Batch(**{k: torch.from_numpy(np.ascontiguousarray(v)).float()[None] for k, v in planes.items()})


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny networks lose more to waiting threads than they gain."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_one_batch_is_learnt() -> None:
    torch.manual_seed(0)
    model = EmbeddedGenerator(EmbeddedConfig(widths=(16, 24, 32), blocks=(1, 1, 1)))
    batch = batch_of(moving_square())
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    history = []
    for step in range(100):
        terms = losses(model, batch, torch.Generator().manual_seed(step))
        optimiser.zero_grad()
        sum(v for k, v in terms.items() if not k.startswith("psnr")).backward()
        optimiser.step()
        history.append({k: float(v.detach()) for k, v in terms.items()})
    assert history[-1]["psnr_blend"] > history[0]["psnr_prior"] + 2
    assert history[-1]["flow"] < 0.7 * history[0]["flow"]
    assert history[-1]["revealed"] < history[0]["revealed"]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "train"
    folder.mkdir()
    pair = moving_square(256)
    np.savez(folder / "clip.npz", **{k: np.stack([v, v]) for k, v in pair.items()})
    return folder


def config(cache: Path, steps: int) -> TrainConfig:
    return TrainConfig(str(cache), steps=steps, warmup=1, sizes=((64, 1, 1.0),), log_every=1, save_every=2)


def test_a_run_writes_weights_and_a_log(cache: Path, tmp_path: Path) -> None:
    weights = train(config(cache, 2), tmp_path / "run", threads=1)
    model, notes = load_checkpoint(weights)
    assert notes["steps"] == "2" and len(notes["training_data_sha256"]) == 64
    assert all(torch.equal(p, p.half().float()) for p in model.parameters()), "weights are those that ship"
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2] and "psnr_warp" in lines[0]
    assert not list((tmp_path / "run").glob("*.partial"))


def test_nonsense_stops_the_run_and_keeps_the_last_state(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    train(config(cache, 2), run, threads=1)
    state = (run / "state.pt").read_bytes()

    def poisoned(model: EmbeddedGenerator, batch: Batch, generator: torch.Generator) -> dict[str, torch.Tensor]:
        return {"flow": torch.tensor(float("nan"), requires_grad=True)}

    monkeypatch.setattr("edgedrag.generator.training.losses", poisoned)
    with pytest.raises(EdgedragError, match="not a number at step 2"):
        train(config(cache, 4), run, threads=1)
    assert (run / "state.pt").read_bytes() == state


def test_an_interrupted_run_ends_with_the_same_weights(cache: Path, tmp_path: Path) -> None:
    class Interrupted(Exception):
        pass

    whole = train(config(cache, 4), tmp_path / "whole", threads=1)
    with pytest.MonkeyPatch.context() as patch:
        import edgedrag.generator.training as training

        real = training.losses

        def stops(model: EmbeddedGenerator, batch: Batch, generator: torch.Generator) -> dict[str, torch.Tensor]:
            if generator.initial_seed() == 2:
                raise Interrupted
            return real(model, batch, generator)

        patch.setattr(training, "losses", stops)
        with pytest.raises(Interrupted):
            train(config(cache, 4), tmp_path / "cut", threads=1)
    again = train(config(cache, 4), tmp_path / "cut", threads=1)
    one, two = (load_checkpoint(p)[0].state_dict() for p in (whole, again))
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize(
    ("text", "words"),
    [("nonsense", "not a training config"), ('{"steps": 3}', "'pairs' is missing"), ('{"pairs": "a", "x": 1}', "x")],
)
def test_configs_that_are_refused(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(text)
    with pytest.raises(InputError, match=words):
        TrainConfig.read(file)


def test_the_committed_config_reads() -> None:
    file = Path(train.__code__.co_filename).parent / "configs" / "embedded.json"
    assert TrainConfig.read(file).steps > 0


def test_checkpoints_that_do_not_fit_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="not a checkpoint"):
        load_checkpoint(tmp_path / "a.safetensors")
    small = EmbeddedGenerator(EmbeddedConfig(widths=(16, 24, 32), blocks=(1, 1, 1)))
    del small.motion.head
    save_checkpoint(small, tmp_path / "b.safetensors", {})
    with pytest.raises(InputError, match=r"motion\.head\.bias, motion\.head\.weight"):
        load_checkpoint(tmp_path / "b.safetensors")

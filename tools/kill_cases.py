"""What `kills.py` kills: commands, what they read, and what must hold of what they wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edgedrag.runtime.backends.tensorrt.cache import EngineStore
from edgedrag.runtime.bundle.manifest import open_bundle
from edgedrag.runtime.errors import EdgedragError

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

Check = Callable[[Path, Path, list[str]], list[str]]


@dataclass(frozen=True)
class Case:
    """A command and what must hold after it was killed.

    Attributes:
        arguments: of `edgedrag`; {inputs} and {out} stand for folders.
        check: given the folder of results, that of an undisturbed run and the lines on stdout, the problems.
    """

    name: str
    arguments: tuple[str, ...]
    check: Check
    prepare: Callable[[Path], None] = lambda inputs: None


def same_files(pattern: str) -> Check:
    """Files that match are those of the undisturbed run, byte for byte, and the ones named on stdout are there."""

    def check(out: Path, reference: Path, lines: list[str]) -> list[str]:
        problems = [
            f"{file.name} is another file"
            for file in out.glob(pattern)
            if file.read_bytes() != (reference / file.relative_to(out)).read_bytes()
        ]
        named = [Path(json.loads(line)["output"]) for line in lines if line.endswith("}")]
        return problems + [f"{file.name} was reported done" for file in named if not file.exists()]

    return check


def whole_engines(out: Path, reference: Path, lines: list[str]) -> list[str]:
    """Every engine with a manifest is the one that was built, and the ones named on stdout have one."""
    stored = {engine.path.name: engine.fault() for engine in EngineStore(out).entries()}
    named = [line.split()[0] for line in lines if ".engine " in line]
    problems = [f"{name}: {fault}" for name, fault in stored.items() if fault]
    return problems + [f"{name} was reported done" for name in named if name not in stored]


def whole_bundle(out: Path, reference: Path, lines: list[str]) -> list[str]:
    """The bundle is not there, or all of it is."""
    folder = out / "bundle"
    if not folder.exists():
        return ["bundle was reported done"] if lines else []
    try:
        bundle = open_bundle(folder)
        for _, graph in bundle.graphs():
            for variant in graph.variants:
                bundle.verified_file(variant)
    except EdgedragError as error:
        return [str(error)]
    return []


def whole_run(out: Path, reference: Path, lines: list[str]) -> list[str]:
    """State and weights can be read, the log has whole lines but for the last, and the end is that of an even run."""
    import torch

    from edgedrag.generator.training.checkpoint import load_checkpoint

    problems, run = [], out / "run"
    try:
        if (run / "state.pt").exists():
            step = torch.load(run / "state.pt", weights_only=True)["step"]
            load_checkpoint(run / "weights.safetensors")
            logged = [json.loads(line)["step"] for line in (run / "log.jsonl").read_text().split("\n")[:-1]]
            problems += [] if step in logged else [f"step {step} is not in the log"]
    except Exception as error:  # whatever it is, it is a file that cannot be read
        problems.append(f"{type(error).__name__}: {error}")
    if lines:
        same = same_weights(run / "weights.safetensors", reference / "run" / "weights.safetensors")
        problems += [] if same else ["other weights than those of an undisturbed run"]
    return problems


def same_weights(one: Path, other: Path) -> bool:
    """Whether two files have equal tensors and metadata, whose order in the file is by chance."""
    import torch
    from safetensors import safe_open

    with safe_open(one, "pt") as left, safe_open(other, "pt") as right:
        if left.metadata() != right.metadata() or set(left.keys()) != set(right.keys()):
            return False
        return all(torch.equal(left.get_tensor(key), right.get_tensor(key)) for key in left.keys())


def write_jobs(inputs: Path) -> None:
    jobs = [
        {"name": f"{photo}-{seed}", "image": str(EXAMPLES / f"{photo}.png"), "drags": drags, "seed": seed}
        for photo, drags in (("coffee", [[[365, 285], [378, 303]]]), ("chelsea", [[[265, 240], [240, 248]]]))
        for seed in range(4)
    ]
    (inputs / "jobs.jsonl").write_text("".join(json.dumps(job) + "\n" for job in jobs))


def write_small_job(inputs: Path) -> None:
    """One drag on a photo that is as small as can be."""
    photo = cv2.imread(str(EXAMPLES / "coffee.png"))[220:348, 300:428]
    cv2.imwrite(str(inputs / "photo.png"), photo)
    job = {"name": "spoon", "image": str(inputs / "photo.png"), "drags": [[[65, 65], [78, 83]]]}
    (inputs / "jobs.jsonl").write_text(json.dumps(job) + "\n")


def write_pairs(inputs: Path) -> None:
    """A cache of one pair, a square that moves, and a short config."""
    ground = cv2.resize(np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8), (256, 256))
    target, flow, mask = ground.copy(), np.zeros((256, 256, 2), np.float16), np.zeros((256, 256), bool)
    target[20:40, 24:44], flow[20:40, 24:44, 0] = ground[20:40, 16:36], -8
    mask[16:44, 12:48] = True
    pair = {"source": ground, "target": target, "flow": flow, "valid": np.ones((256, 256), bool), "mask": mask}
    for split in ("train", "held_out"):
        folder = inputs / "pairs" / split
        folder.mkdir(parents=True)
        np.savez(folder / "clip.mp4.npz", **{k: np.stack([v, v]) for k, v in pair.items()}, kind=["video"] * 2)
    small = {"steps": 4, "warmup": 1, "sizes": [[64, 1, 1.0]], "perceptual": 0.0, "learns": "motion"}
    often = {"log_every": 1, "save_every": 1, "validate_every": 4}
    (inputs / "config.json").write_text(json.dumps({"pairs": str(inputs / "pairs"), **small, **often}))


DRAG = ("drag", str(EXAMPLES / "coffee.png"), "--drag", "365,285:378,303", "-o", "{out}/out.png")
CASES = {
    case.name: case
    for case in (
        Case(
            "drag", (*DRAG, "--sheet", "{out}/sheet.png", "--mask-out", "{out}/mask.png", "--json"), same_files("*.png")
        ),
        Case("batch", ("batch", "{inputs}/jobs.jsonl", "-o", "{out}", "--json"), same_files("*.png"), write_jobs),
        Case(
            "build",
            ("engines", "build", "embedded", "--engine", "tensorrt-rtx", "--target", "sm_86",
             "--shapes", "128x128,256x128", "-o", "{out}"),
            whole_engines,
        ),
        Case(
            "calibrate",
            ("bundle", "calibrate", "embedded", "--drags", "{inputs}/jobs.jsonl", "-o", "{out}/bundle", "--steps", "1",
             "--search", "1", "--measure", "motion/flow_head", "--budget", "25", "--budget-stlpips", "0.1"),
            whole_bundle,
            write_small_job,
        ),
        Case("train", ("learn", "train", "{inputs}/config.json", "-o", "{out}/run"), whole_run, write_pairs),
    )
}  # fmt: skip

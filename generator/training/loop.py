"""The training loop.

A run's folder has the averaged weights, rounded to fp16 (named by the generator's `file`), `state.pt` (the state to
resume from), `log.jsonl` (means since the previous line), `curves.png` and `samples.png`. Files are written atomically.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

from tqdm import tqdm

from edgedrag.generator.training.config import LoopConfig
from edgedrag.generator.training.curves import draw_curves
from edgedrag.generator.training.learner import BatchT, Learner, NetworkT, Task
from edgedrag.generator.training.processes import Processes
from edgedrag.runtime.files import remove_leftovers, write_aside


def learn(task: Task[NetworkT, BatchT], config: LoopConfig, run: Path, processes: Processes) -> Path:
    """Train, or resume the run in the folder `run`; returns the path of the averaged weights.

    Raises:
        InputError: the folder's state is of another network.
        EdgedragError: the loss is NaN or infinite, or the disk is full; the last saved state is intact.
    """
    run.mkdir(parents=True, exist_ok=True)
    remove_leftovers(run)
    learner = Learner(task, config, run)
    log = Log(run / "log.jsonl")
    start = learner.restore()
    log.remove_after(start)
    sums: defaultdict[str, float] = defaultdict(float)
    bar = tqdm(total=config.steps, initial=start, desc=run.name, disable=None if processes.leads else True)
    for step, batch in zip(range(start, config.steps), task.batches(start)):
        for name, value in learner.update(batch, step, processes).items():
            sums[name] += value
        done = step + 1
        bar.update()
        if not processes.leads:
            continue
        if done % config.log_every == 0:
            log.write(done, {k: v / config.log_every for k, v in sums.items()})
            sums.clear()
        if task.validation is not None and (done % config.validate_every == 0 or done == config.steps):
            log.write(done, task.validation.measure(learner.average, run / "samples.png"))
            draw_curves(log.file, run / "curves.png")
        if done % config.save_every == 0 or done == config.steps:
            learner.save(done)  # last: a run that is resumed at this step has all the rest
    bar.close()
    return learner.weights


class Log:
    """Figures by step, one JSON object per line."""

    def __init__(self, file: Path):
        self.file = file

    def write(self, step: int, figures: dict[str, float]) -> None:
        with self.file.open("a") as file:
            file.write(json.dumps({"step": step, **{k: round(v, 5) for k, v in figures.items()}}) + "\n")

    def remove_after(self, step: int) -> None:
        """Remove the lines of steps that a resumed run will repeat, and a line that a kill cut off."""
        if self.file.exists():
            whole = [line for line in self.file.read_text().splitlines(True) if line.endswith("\n")]
            lines = [line for line in whole if json.loads(line)["step"] <= step]
            write_aside(self.file, "".join(lines).encode())

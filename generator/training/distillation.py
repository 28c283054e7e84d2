"""Distillation of a teacher into a few-step student.

The teacher's sampler is deterministic (DDIM): the initial noise determines the whole trajectory and its end point.
The student learns to map each point of the trajectory to the end point. That is consistency distillation (Song et
al., ICML 2023; LCM, Luo et al. 2023) with the trajectory computed in full rather than one step of it estimated, as in
knowledge distillation (Luhman and Luhman 2021). The teacher's trajectory includes guidance, so the student needs none.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from edgedrag.generator.data.batches import Batch, PairCache, TrainingBatches
from edgedrag.generator.diffusion.contract import DragGenerator, Sizes, clean_latent, levels
from edgedrag.generator.diffusion.objectives import PerceptualLoss, edge_loss, masked_mean, perceptual_distance
from edgedrag.generator.diffusion.sampling import sample
from edgedrag.generator.diffusion.schedule import sampler
from edgedrag.generator.training.adversary import Adversary
from edgedrag.generator.training.checkpoint import open_generator
from edgedrag.generator.training.config import LoopConfig
from edgedrag.generator.training.learner import Task
from edgedrag.generator.training.loop import learn
from edgedrag.generator.training.processes import Processes
from edgedrag.generator.training.trainer import check_sizes, set_threads
from edgedrag.generator.training.validation import Validation
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.sampling.sampler import make_table, pick_timesteps

TEACHER_WEIGHT = 0.02  # with a perceptual loss. Low weight: the teacher's averaged output is blurry


@dataclass
class DistillConfig(LoopConfig):
    """Configuration of a distillation; see LoopConfig for the other attributes.

    Attributes:
        student_steps: the student's step counts; each divides `teacher_steps`, the first is the default.
        teacher_steps: steps of the teacher's trajectory.
        adversarial: weight of the adversarial loss; 0 disables it.
        start: checkpoint whose denoiser initialises the student; None uses `DragGenerator.student`.
        sizes: as for TrainConfig.
    """

    steps: int = 1500
    learning_rate: float = 2e-4
    average: float = 0.995
    student_steps: tuple[int, ...] = (1, 2, 4)
    teacher_steps: int = 16
    adversarial: float = 0.0
    start: Path | None = None
    made: float = 0.3
    sizes: Sizes = ()

    def check(self, where: str) -> None:
        super().check(where)
        check_sizes(self.sizes, where)
        grid = len(sampler("sample", 1)["timesteps"])
        if not 1 <= self.teacher_steps <= grid:
            raise InputError(f"{where}: teacher_steps must be 1 to {grid}")
        for steps in self.student_steps:
            if steps < 1 or self.teacher_steps % steps:
                raise InputError(
                    f"{where}: student_steps has {steps}, which does not divide teacher_steps, {self.teacher_steps}"
                )


def matching_teacher_steps(student_steps: Sequence[int], teacher_steps: int) -> list[int]:
    """Indices of the teacher's steps whose timesteps are nearest to those of the student's steps."""
    grid = sampler("sample", 1)["timesteps"]
    wanted = {int(t) for steps in student_steps for t in pick_timesteps(grid, steps)}
    path = make_table(sampler("sample", teacher_steps)).timesteps.tolist()
    return [min(range(len(path)), key=lambda k: abs(path[k] - t)) for t in sorted(wanted, reverse=True)]


@dataclass(frozen=True)
class Lesson:
    """What a student is trained against.

    Attributes:
        places: the teacher's steps (by number) at which the student is asked, see `matching_teacher_steps`.
        steps: of the teacher's path.
        adversary, perceptual_loss: further losses.
    """

    teacher: DragGenerator
    places: Sequence[int]
    steps: int
    adversary: Adversary | None = None
    perceptual_loss: PerceptualLoss | None = None


def distillation_loss(
    student: DragGenerator, lesson: Lesson, batch: Batch, noise: torch.Generator
) -> dict[str, Tensor]:
    """Weighted loss terms of a student at one of the lesson's places on the teacher's path.

    The distance between the student's prediction and the end of the path; with an adversary its score of the true
    frame with the prediction pasted in; with a perceptual loss the distance between the edit and the true frame.
    """
    teacher, places = lesson.teacher, lesson.places
    adversary, perceptual_loss = lesson.adversary, lesson.perceptual_loss
    with torch.no_grad():
        conditioning = teacher.conditioning(batch)
        entered, timesteps, end = sample(teacher, batch, conditioning, lesson.steps, noise)
    # Half of the draws are at the first timestep, which every sampling starts from and one-step sampling uses alone.
    drawn = int(torch.randint(2 * len(places), (1,), generator=noise))
    place = places[max(0, drawn - len(places))]
    at = torch.full((len(end),), float(timesteps[place]), device=end.device)
    conditioning = student.conditioning(batch)
    predicted = clean_latent(student, entered[place], conditioning, at, levels(at, end))
    weight = student.loss_weight(batch)
    small = F.adaptive_avg_pool2d(weight, (end.shape[-2], end.shape[-1]))
    followed = 1.0 if perceptual_loss is None else TEACHER_WEIGHT
    terms = {"latent": 4 * followed * masked_mean(F.huber_loss(predicted, end, reduction="none", delta=0.1), small)}
    if not student.judged_as_picture and adversary is None and perceptual_loss is None:
        return terms
    answer = student.decode(predicted, conditioning)
    if student.judged_as_picture:
        with torch.no_grad():
            picture = teacher.decode(end, conditioning)
        terms["picture"] = followed * masked_mean((answer - picture).abs(), weight)
        terms["edges"] = followed * edge_loss(answer, picture, weight)
    if adversary is not None:
        where = student.generated_share(batch, conditioning).detach()
        terms["adversary"] = adversary.judge(batch.target + where * (answer - batch.target), batch.target, where)
    if perceptual_loss is None:
        return terms
    # At random, the whole picture or the composed edit.
    whole = float(torch.rand((), generator=noise)) < 0.5
    terms["perceptual"] = perceptual_distance(
        perceptual_loss, (student.as_shown if whole else student.finish)(batch, conditioning, answer), batch
    )
    return terms


def load_denoiser(student: DragGenerator, start: Path) -> None:
    """Load a checkpoint's denoiser into a student. Raises InputError if the networks differ."""
    try:
        for part, begun in zip(student.denoiser_parts(), open_generator(start)[0].denoiser_parts(), strict=True):
            part.load_state_dict(begun.state_dict())
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{start}: its denoiser does not have the teacher's shape ({error})") from None


def distill(
    checkpoint: Path,
    config: DistillConfig,
    pairs: Path | None,
    run: Path,
    perceptual_loss: PerceptualLoss | None = None,
) -> Path:
    """Distill a student, or resume the run in the folder `run`; returns the path of the student's weights.

    Only the denoiser is trained; the appearance and motion networks are shared with the teacher.

    Args:
        pairs: a folder written by `edgedrag learn pairs`; None uses the one that the teacher was trained on.
        perceptual_loss: a further loss of the edit, with the config's weight `perceptual`.

    Raises:
        InputError: the checkpoint or the pairs are missing, or `config.start` has another network.
    """
    set_threads()
    torch.manual_seed(config.seed)
    processes = Processes.join(config.device)
    teacher, taught = open_generator(checkpoint)
    student = teacher.student()
    if config.start is not None:
        load_denoiser(student, config.start)
    folder = pairs or Path(taught.get("pairs", "cache"))
    cache = PairCache(folder / "train")
    places = matching_teacher_steps(config.student_steps, config.teacher_steps)
    metadata = {
        **taught,
        "objective": "distillation",
        "default_steps": str(config.student_steps[0]),
        "distillation": json.dumps({"steps": config.student_steps, "teacher_steps": config.teacher_steps}),
        "teacher_training_steps": taught.get("steps", ""),
    }
    held_out = folder / "held_out"
    watch = processes.leads and held_out.is_dir()
    teacher.to(config.device)

    adversary = Adversary(config.learning_rate, config.device, processes) if config.adversarial else None
    weights = {"adversary": config.adversarial, "perceptual": config.perceptual}
    lesson = Lesson(teacher, places, config.teacher_steps, adversary, perceptual_loss)

    def loss(batch: Batch, noise: torch.Generator) -> dict[str, Tensor]:
        terms = distillation_loss(student, lesson, batch, noise)
        return {k: weights.get(k, 1.0) * v for k, v in terms.items()}

    data = TrainingBatches(cache, config.sizes or student.sizes, config.made, 0.0, (config.seed, processes.rank))
    workers = processes.batch_makers(config.device)
    validation = Validation(held_out, config.device, config.student_steps) if watch else None
    task = Task(student, loss, lambda start: data.from_step(start, workers), metadata, validation, adversary)
    return learn(task, config, run, processes)

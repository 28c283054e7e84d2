"""The measured process: makes edits on commands from stdin, one JSON object per line.

`subject.py` copies this file and runs it as a script, so that another checkout's edgedrag can be measured with the
same code. It uses edgedrag's public interface alone, and of that `Photo.candidates` and `Photo.hold` where the
checkout has them. Its argument is {"options": of `edgedrag.open`}.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any, Protocol, TextIO, runtime_checkable

import numpy as np

import edgedrag

Reply = dict[str, Any]
HELD = 0.5  # of a hold's map: from here on a pixel moves along


@runtime_checkable
class GivesCandidates(Protocol):
    """A photo that offers several answers."""

    def candidates(self, drags: Any, mask: Any = None, count: int = 3) -> list[edgedrag.Edit]: ...


@runtime_checkable
class GivesHold(Protocol):
    """A photo that says what moves with a point."""

    def hold(self, point: tuple[float, float]) -> Any: ...


class Worker:
    """A runtime that makes the edits of one task at a time."""

    def __init__(self, options: dict[str, Any]):
        self.runtime = edgedrag.open(**options)

    def opened(self) -> Reply:
        """What was opened."""
        runtime = self.runtime
        return {
            "edgedrag": edgedrag.__version__,
            "bundle": runtime.bundle.name,
            "checkpoint_sha256": runtime.bundle.manifest["provenance"]["checkpoint_sha256"],
            "backend": runtime.backend.name,
            "device": runtime.backend.device,
            "precision": runtime.precision,
        }

    def make(self, task: str, result: str, drags: list[Any], count: int, seed: int) -> Reply:
        """Make a task's edit and its candidates.

        Args:
            task: an .npz file with `photo` and, where the mask is given, `mask`.
            result: the .npz file to write: `images` [K, H, W, 3] and `masks` [K, H, W] of the edit and then the
                candidates, `holds` [M, H, W] of the first handle, the first answer first.
        """
        with np.load(task) as arrays:
            photo, mask = arrays["photo"], arrays["mask"] if "mask" in arrays.files else None
        drags = [(tuple(handle), tuple(target)) for handle, target in drags]
        edit = self.runtime.load(photo).drag(drags, mask, seed=seed)
        edits = [edit]
        again = self.runtime.load(photo)
        if isinstance(again, GivesCandidates):
            edits += again.candidates(drags, mask, count=count)
        holds = held(again, drags[0][0], photo.shape[:2]) if isinstance(again, GivesHold) else [edit.mask]
        np.savez(result, images=[e.image for e in edits], masks=[e.mask for e in edits], holds=holds)
        return {
            "verdict": edit.checks.verdict,
            # Up to version 6.1 a reason is its sentence.
            "reasons": [r if isinstance(r, str) else r.code.value for r in edit.checks.reasons],
            "verdicts_of_candidates": [e.checks.verdict for e in edits[1:]],
            "ms": edit.timings["total"],
        }


def held(photo: GivesHold, point: tuple[float, float], shape: Sequence[int]) -> list[np.ndarray]:
    """What a photo's hold and its alternatives say moves with a point, bool [H, W] each."""
    hold = photo.hold(point)
    whole = []
    for answer in (hold, *hold.alternatives):
        placed = np.zeros(shape[:2], bool)
        placed[answer.box] = answer.map > HELD
        whole.append(placed)
    return whole


def serve(options: dict[str, Any], commands: TextIO, out: TextIO) -> None:
    """Answer commands until stdin ends, each with one line."""

    def say(reply: Reply) -> None:
        out.write(json.dumps(reply) + "\n")
        out.flush()

    try:
        worker = Worker(options)
    except Exception as error:  # the parent raises it
        say({"error": str(error) or repr(error), "kind": type(error).__name__})
        return
    say(worker.opened())
    for line in commands:
        try:
            say(worker.make(**json.loads(line)))
        except Exception as error:
            say({"error": str(error) or repr(error), "kind": type(error).__name__})


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # packages may print to stdout; that goes to stderr
    serve(json.loads(sys.argv[1]), sys.stdin, answers)

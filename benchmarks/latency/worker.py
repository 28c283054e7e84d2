"""The measured process: opens a bundle and runs drags on commands from stdin, one JSON object per line.

`subject.Subject` copies this file and runs it as a script, so that another checkout's edgedrag can be measured with
the same code. It uses edgedrag's public interface, and wraps `Stages.__init__` to time the loading of weights. Its
argument is {"options": of `edgedrag.open`, "peer"}; the key "do" of a command names a method of `Worker`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

Reply = dict[str, Any]


def ms_since(start: float) -> float:
    return round((time.perf_counter() - start) * 1e3, 4)


class Worker:
    """A runtime, or a peer instead, and the loaded photo."""

    def __init__(self, job: dict[str, Any]):
        self.cold: dict[str, float] = {}
        start = time.perf_counter()
        import edgedrag

        self.cold["import_ms"] = ms_since(start)
        start = time.perf_counter()
        # Checkouts from before runtime/ had folders have the module directly in it.
        folder = "drag." if importlib.util.find_spec("edgedrag.runtime.drag") else ""
        stages: Any = importlib.import_module(f"edgedrag.runtime.{folder}stages").Stages

        self.scenes: dict[str, dict[str, Any]] = {}
        load_weights = stages.__init__

        def timed(*arguments: Any, **named: Any) -> None:
            began = time.perf_counter()
            load_weights(*arguments, **named)
            self.cold["load_weights_ms"] = round(self.cold.get("load_weights_ms", 0.0) + ms_since(began), 4)

        stages.__init__ = timed
        self.runtime = edgedrag.open(**job["options"])
        self.cold["open_ms"] = round(ms_since(start) - self.cold["load_weights_ms"], 4)
        stages.__init__ = load_weights
        self.measured: Any = self.runtime
        if job.get("peer"):
            from edgedrag.benchmarks.latency.peer_engines import open_peer

            self.measured = open_peer(job["peer"], self.runtime)
        self.edgedrag = edgedrag

    def opened(self) -> Reply:
        """What was opened, on which device, and the parts of the cold start."""
        runtime, manifest = self.runtime, self.runtime.bundle.manifest
        return {
            "cold": self.cold,
            "bundle": runtime.bundle.name,
            "folder": str(runtime.bundle.folder),
            "checkpoint_sha256": manifest["provenance"]["checkpoint_sha256"],
            "recipe_sha256": manifest.get("recipe", {}).get("sha256"),
            "default_steps": manifest["sampler"]["default_steps"],
            "backend": runtime.backend.name,
            "device": runtime.backend.device,
            "precision": runtime.precision,
        }

    def load(self, name: str, photo: str, masks: list[str], drags: list[Any]) -> Iterator[Reply]:
        """Load a photo under a name, with its drags and masks; it replaces the last one."""
        self.scenes.clear()
        forget_peak()
        start = time.perf_counter()
        opened = self.measured.load(photo)
        taken = ms_since(start)
        import numpy as np  # not at the top: its import is part of edgedrag's cold start

        packed = [np.packbits(self.edgedrag.load_picture(mask).pixels != 0, axis=-1) for mask in masks]
        self.scenes[name] = {"photo": opened, "image": opened.image, "masks": packed, "drags": drags}
        yield {"ms": taken}

    def drags(self, scene: str, steps: int | None, first: int, count: int, fresh: bool) -> Iterator[Reply]:
        """Run drags, each on the unedited photo; with `fresh`, each on a newly loaded photo."""
        place = self.scenes[scene]
        for number in range(first, first + count):
            photo = self.measured.load(place["image"]) if fresh else place["photo"]
            drag, mask = self._turn(place, number)
            start, busy = time.perf_counter(), time.process_time()
            edit = photo.drag([drag], mask, steps=steps)
            taken, busy = ms_since(start), time.process_time() - busy
            photo.undo()
            yield {"ms": taken, "processor_ms": round(busy * 1e3, 4), "stages": getattr(edit, "timings", {})}

    def edited(self, scene: str, number: int, steps: int | None) -> Iterator[Reply]:
        """Run one drag on the unedited photo; replies with the pixels inside the mask's box, as a PNG file in hex."""
        import cv2
        import numpy as np

        place = self.scenes[scene]
        drag, mask = self._turn(place, number)
        place["photo"].drag([drag], mask, steps=steps)
        image = place["photo"].image
        place["photo"].undo()
        rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
        box = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        yield {"png": cv2.imencode(".png", np.ascontiguousarray(box[..., 2::-1]))[1].tobytes().hex()}

    def previews(self, scene: str, first: int, count: int) -> Iterator[Reply]:
        """Run previews, on a photo whose reference stage has run."""
        place = self.scenes[scene]
        for number in range(first, first + count):
            drag, mask = self._turn(place, number)
            start = time.perf_counter()
            place["photo"].preview([drag], mask)
            yield {"ms": ms_since(start)}

    def gesture(self, scene: str, number: int, track: list[list[float]], steps: int | None) -> Iterator[Reply]:
        """Follow a pointer in real time, previewing its newest position; run the drag on its release.

        `track` is [[milliseconds, x, y], ...] in pixels, from the press to the release.
        """
        place = self.scenes[scene]
        photo = self.measured.load(place["image"])
        _, mask = self._turn(place, number)
        handle, shown, seen = track[0][1:], 0, []
        begin = time.perf_counter()
        first_preview = None
        while True:
            newest = max(i for i, event in enumerate(track) if event[0] <= ms_since(begin) or i == 0)
            if newest == len(track) - 1:
                break
            if newest == shown:
                time.sleep(max(0.0, track[shown + 1][0] - ms_since(begin)) / 1e3)
                continue
            shown = newest
            photo.preview([(handle, track[shown][1:])], mask)
            seen.append(round(ms_since(begin) - track[shown][0], 4))
            if first_preview is None:
                first_preview = round(ms_since(begin) - track[1][0], 4)
        photo.drag([(handle, track[-1][1:])], mask, steps=steps)
        result = round(ms_since(begin) - track[-1][0], 4)
        yield {"first_preview_ms": first_preview, "behind_ms": seen, "result_ms": result}

    def profile(self, scene: str, steps: int | None, first: int, count: int) -> Iterator[Reply]:
        """Run drags and return their spans, in Chrome's trace event format."""
        from edgedrag.runtime.trace import recording  # not at the top: older checkouts do not have it

        for number in range(first, first + count):
            with recording() as events:
                replies = list(self.drags(scene, steps, number, 1, fresh=number % 2 == 0))
            for reply in replies:
                yield {**reply, "fresh": number % 2 == 0, "events": events}

    def memory(self) -> Iterator[Reply]:
        """Peak memory of this process since the photo was loaded, MB."""
        yield {"host_mb": peak_memory_mb()}

    @staticmethod
    def _turn(place: dict[str, Any], number: int) -> tuple[Any, Any]:
        """The drag and mask of a turn; masks are stored as bits, so that they hardly count in the measured memory."""
        import numpy as np

        drag, packed = (place[key][number % len(place[key])] for key in ("drags", "masks"))
        width = place["image"].shape[1]
        return (tuple(drag[0]), tuple(drag[1])), np.unpackbits(packed, axis=-1, count=width)


def peak_memory_mb() -> float | None:
    """Peak memory of this process, MB; getrusage would include the parent's memory at the fork."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return round(float(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1024, 1)
    except (OSError, StopIteration):
        return None


def forget_peak() -> None:
    """Reset the peak memory counter, if the system supports it."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass  # the peak is then that since the start


def serve(job: dict[str, Any], commands: TextIO, out: TextIO) -> None:
    """Answer commands until stdin ends; every answer ends with a line {"done": true}."""

    def say(reply: Reply) -> None:
        out.write(json.dumps(reply) + "\n")
        out.flush()

    def guarded(act: Callable[[], Iterator[Reply]]) -> None:
        try:
            for reply in act():
                say(reply)
            say({"done": True})
        except Exception as error:  # the parent raises it
            say({"error": str(error) or repr(error), "kind": type(error).__name__})

    worker: Worker | None = None

    def open_worker() -> Iterator[Reply]:
        nonlocal worker
        worker = Worker(job)
        yield worker.opened()

    say({"started": True})
    guarded(open_worker)
    for line in commands:
        command = json.loads(line)
        guarded(lambda command=command: getattr(worker, command.pop("do"))(**command))  # type: ignore[misc]


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # packages may print to stdout; redirect that to stderr
    serve(json.loads(sys.argv[1]), sys.stdin, answers)

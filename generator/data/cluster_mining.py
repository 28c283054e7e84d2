"""Mining on a cluster: clips go to the workers, mined pairs come back, the driver writes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from edgedrag.generator.data.mining import Mined, Run, Task, mine_to_file
from edgedrag.runtime.cluster.pool import Died, Pool
from edgedrag.runtime.files import scratch_folder, write_aside


class MiningWorker:
    """Mines clips in a folder of its own, which is gone after."""

    def run(self, task: tuple[Task, bytes]) -> tuple[Mined, bytes]:
        """A clip's entry of the report, and its file of pairs; none where it has no pairs."""
        (job, _), data = task
        with scratch_folder() as folder:
            clip = folder / job.path.name
            clip.write_bytes(data)
            (folder / job.split).mkdir()
            mined = mine_to_file((replace(job, path=clip), folder))
            pairs = folder / job.split / f"{job.path.name}.npz"
            return mined, pairs.read_bytes() if pairs.exists() else b""


def on_cluster(address: str) -> Run:
    """What mines clips on the cluster at an address, for `mine`."""

    def run(tasks: Sequence[Task], workers: int) -> Iterator[Mined]:
        left = {f"{job.split}/{job.path.name}": (job, cache) for job, cache in tasks}
        if not left:
            return
        sent = ((name, (task, task[0].path.read_bytes())) for name, task in left.items())
        with Pool(address, MiningWorker) as pool:
            for name, found in pool.run(sent, workers):
                job, cache = left[name]
                if isinstance(found, Died):
                    yield job.path.name, {"split": job.split, "skipped": found.reason, "pairs": {}, "rejects": {}}
                    continue
                mined, pairs = found
                if pairs:
                    write_aside(Path(cache, job.split, f"{job.path.name}.npz"), pairs)
                yield mined

    return run

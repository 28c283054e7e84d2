"""Drags of a batch on a cluster: photos go to the workers, pictures come back, the driver writes them."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgedrag.runtime.bundle.manifest import find_bundle
from edgedrag.runtime.cluster.pool import Died, Pool
from edgedrag.runtime.cluster.results import Results
from edgedrag.runtime.errors import BundleError, EdgedragError, EngineError, InputError
from edgedrag.runtime.files import scratch_folder
from edgedrag.runtime.options import RuntimeOptions
from edgedrag.runtime.session.jobs import Job, run_job
from edgedrag.runtime.session.runtime import Runtime, open_with

ON_A_GPU = ("cuda", "tensorrt", "tensorrt-rtx")


@dataclass(frozen=True)
class Sent:
    """A job as it goes to a worker: `job` has names in place of paths, `files` what they hold."""

    job: Job
    files: dict[str, bytes]


@dataclass(frozen=True)
class Done:
    """A job's report, warnings and picture, or the sentence that says why there is none.

    `fatal`: no job can be run by this worker.
    """

    report: dict[str, Any]
    warnings: tuple[str, ...] = ()
    picture: bytes = b""
    error: str = ""
    fatal: bool = False


class BatchWorker:
    """One open runtime, in a process of its own."""

    def __init__(self, options: RuntimeOptions, manifest_sha256: str):
        self._options, self._expected = options, manifest_sha256
        self._runtime: Runtime | None = None

    def run(self, sent: Sent) -> Done:
        """Run a job in a folder of its own, which is gone after."""
        try:
            if self._runtime is None:
                self._check_bundle()
                self._runtime = open_with(self._options)
        except EdgedragError as error:
            return Done({}, error=f"worker on {socket.gethostname()}: {error}", fatal=True)
        with scratch_folder() as folder:
            for name, data in sent.files.items():
                (folder / name).write_bytes(data)
            job = sent.job
            named = (("photo", job.photo), ("mask", job.mask))
            inputs: dict[str, Any] = {what: folder / name for what, name in named if isinstance(name, Path)}
            warnings: list[str] = []
            try:
                placed = replace(job, output=folder / job.output.name, **inputs)
                report = run_job(self._runtime, placed, warn=lambda text: warnings.append(_plain(text, folder)))
                return Done(report, tuple(warnings), placed.output.read_bytes())
            except EdgedragError as error:
                return Done({}, error=_plain(str(error), folder))
            except Exception as error:  # one job must not take the others with it
                return Done({}, error=f"{type(error).__name__}: {error}")

    def _check_bundle(self) -> None:
        if manifest_hash(self._options.bundle) != self._expected:
            raise BundleError(
                f"bundle '{self._options.bundle}' is another one there than here; install the same release"
            )


def _plain(text: str, folder: Path) -> str:
    """A sentence without the worker's folder and its numbers before names."""
    return text.replace(f"{folder}/photo-", "").replace(f"{folder}/mask-", "").replace(f"{folder}/", "")


def manifest_hash(bundle: str | Path) -> str:
    """What names a bundle's contents on every machine."""
    return hashlib.sha256((find_bundle(bundle) / "bundle.json").read_bytes()).hexdigest()


def run_batch(
    jobs: Sequence[tuple[str, Job | InputError]], results: Results, options: RuntimeOptions, address: str
) -> Iterator[tuple[str, Done | None]]:
    """Run jobs by name; gives each name with what became of it, None where its result was there before.

    A worker has as many threads as `options.threads` says, one where None, or a GPU.

    Raises:
        EngineError: no cluster answers, or its workers cannot open the bundle.
    """
    here = [name for name, job in jobs if isinstance(job, Job) and results.has(job.output.name)]
    yield from ((name, None) for name in here)
    yield from ((name, Done({}, error=str(job))) for name, job in jobs if isinstance(job, InputError))
    left = {name: job for name, job in jobs if isinstance(job, Job)}
    for name in here:
        del left[name]
    if not left:
        return
    options = replace(options, threads=options.threads or 1)
    gpus = int(options.backend in ON_A_GPU)
    arguments = (options, manifest_hash(options.bundle))
    with Pool(address, BatchWorker, arguments, cpus=options.threads or 1, gpus=gpus) as pool:
        unread: list[tuple[str, Done]] = []
        for name, found in pool.run(_sent(left.items(), unread)):
            yield name, _written(found, left[name], results)
        yield from unread


def _sent(jobs: Iterable[tuple[str, Job]], unread: list[tuple[str, Done]]) -> Iterator[tuple[str, Sent]]:
    """Jobs with the bytes of their files, each read when it is asked for; those that cannot be read go to `unread`."""
    for name, job in jobs:
        paths = {what: path for what, path in (("photo", job.photo), ("mask", job.mask)) if isinstance(path, Path)}
        named: dict[str, Any] = {what: Path(f"{what}-{path.name}") for what, path in paths.items()}
        try:
            files = {str(named[what]): path.read_bytes() for what, path in paths.items()}
        except OSError as error:
            unread.append((name, Done({}, error=f"{error.filename}: cannot be read ({error.strerror})")))
            continue
        yield name, Sent(replace(job, **named), files)


def _written(found: Done | Died, job: Job, results: Results) -> Done:
    """The picture written where results go. Raises EngineError where no worker can run anything."""
    if isinstance(found, Died):
        return Done({}, error=found.reason)
    if found.fatal:
        raise EngineError(found.error)
    if found.error:
        return found
    try:
        place = results.write(job.output.name, found.picture)
    except InputError as error:
        return Done({}, error=str(error))
    return replace(found, report={**found.report, "output": place}, picture=b"")
